// Package chart draws charts as SVG. It exists because pages of the documentation need pictures that are the same bytes
// for the same numbers, and that can be read on light and dark pages. It must never know what the numbers mean.
package chart

import (
	"encoding/xml"
	"fmt"
	"math"
	"strings"
)

// Bars is a chart with a panel for each group: a bar for each value, as long as the largest of the panel allows.
type Bars struct {
	Title, Note string
	Series      []string // names of the bars, in the order of colours
	Panels      []BarPanel
}

// BarPanel has one bar for each value.
type BarPanel struct {
	Title string
	Bars  []Bar
}

// Bar is a value of a series. Text is printed beside it.
type Bar struct {
	Series int
	Name   string // "" is the series' name
	Value  float64
	Text   string
}

const (
	width   = 900
	margin  = 20
	top     = 78
	columns = 2
	barStep = 18
	barHigh = 12
	names   = 170 // room for the names of bars
	values  = 70  // room for their texts
	colours = 6
)

// style has the colours of both kinds of pages. Colours differ in lightness, too, and are told apart by people who
// do not see red or green (Okabe and Ito's palette).
const style = `<style>
svg { font: 12px system-ui, sans-serif; }
.page { fill: #ffffff; } .text { fill: #1f2328; } .faint { fill: #59636e; } .axis { stroke: #d1d9e0; }
.title { font-size: 16px; font-weight: 600; } .head { font-weight: 600; }
.c0 { fill: #0072b2; } .c1 { fill: #e69f00; } .c2 { fill: #009e73; } .c3 { fill: #cc79a7; } .c4 { fill: #d55e00; }
.c5 { fill: #8c8c8c; }
.l0 { stroke: #0072b2; } .line { fill: none; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
.page { fill: #0d1117; } .text { fill: #f0f6fc; } .faint { fill: #9198a1; } .axis { stroke: #3d444d; }
.c0 { fill: #56b4e9; } .c5 { fill: #a0a0a0; } .l0 { stroke: #56b4e9; }
}
</style>
`

// SVG draws the chart.
func (c Bars) SVG() string {
	var b strings.Builder
	panelWide := (width - margin) / columns
	y, deepest := [columns]int{}, 0
	for i := range y {
		y[i] = top
	}
	var body strings.Builder
	for _, p := range c.Panels {
		column := 0 // the shorter one
		for i := range y {
			if y[i] < y[column] {
				column = i
			}
		}
		x := margin + column*panelWide
		y[column] += p.draw(&body, c.Series, x, y[column], panelWide-margin)
		deepest = max(deepest, y[column])
	}
	begin(&b, deepest, c.Title, c.Note)
	x := margin
	for i, name := range c.Series {
		if !c.shows(i) {
			continue
		}
		fmt.Fprintf(&b, "<rect x=\"%d\" y=\"54\" width=\"10\" height=\"10\" class=\"c%d\"/>\n", x, i%colours)
		text(&b, x+15, 63, "text", "start", name)
		x += 15 + 8*len(name) + 16
	}
	b.WriteString(body.String())
	b.WriteString("</svg>\n")
	return b.String()
}

// shows reports whether a series has a bar.
func (c Bars) shows(series int) bool {
	for _, p := range c.Panels {
		for _, bar := range p.Bars {
			if bar.Series == series {
				return true
			}
		}
	}
	return false
}

// draw draws a panel and returns its height.
func (p BarPanel) draw(b *strings.Builder, series []string, x, y, wide int) int {
	text(b, x, y+12, "text head", "start", p.Title)
	largest := 0.0
	for _, bar := range p.Bars {
		largest = max(largest, bar.Value)
	}
	at := y + 22
	for _, bar := range p.Bars {
		name := bar.Name
		if name == "" {
			name = series[bar.Series]
		}
		text(b, x+names-8, at+10, "faint", "end", name)
		long := 0.0
		if largest > 0 {
			long = bar.Value / largest * float64(wide-names-values)
		}
		fmt.Fprintf(b, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" class=\"c%d\"/>\n", x+names, at, long,
			barHigh, bar.Series%colours)
		text(b, x+names+int(math.Ceil(long))+6, at+10, "text", "start", bar.Text)
		at += barStep
	}
	return at - y + 12
}

// Lines is a chart with a panel for each quantity over a common, logarithmic axis.
type Lines struct {
	Title, Note, Axis string
	X                 []float64 // ascending, above zero
	Ticks             []string  // names of X
	Panels            []LinePanel
}

// LinePanel is one quantity. NaN is no value.
type LinePanel struct {
	Title string
	Y     []float64
	Texts []string
}

const (
	linePanel = 170 // height
	plotHigh  = 90
)

// SVG draws the chart.
func (c Lines) SVG() string {
	var b strings.Builder
	rows := (len(c.Panels) + columns - 1) / columns
	begin(&b, top-20+rows*linePanel, c.Title, c.Note)
	panelWide := (width - margin) / columns
	for i, p := range c.Panels {
		c.draw(&b, p, margin+i%columns*panelWide, top-20+i/columns*linePanel, panelWide-margin)
	}
	b.WriteString("</svg>\n")
	return b.String()
}

func (c Lines) draw(b *strings.Builder, p LinePanel, x, y, wide int) {
	text(b, x, y+12, "text head", "start", p.Title)
	const inset = 40
	base := y + 34 + plotHigh
	largest := 0.0
	for _, v := range p.Y {
		if !math.IsNaN(v) {
			largest = max(largest, v)
		}
	}
	fmt.Fprintf(b, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" class=\"axis\"/>\n", x, base, x+wide, base)
	place := func(i int) float64 {
		span := math.Log(c.X[len(c.X)-1]) - math.Log(c.X[0])
		if span == 0 {
			return float64(x + wide/2)
		}
		return float64(x+inset) + (math.Log(c.X[i])-math.Log(c.X[0]))/span*float64(wide-2*inset)
	}
	var points []string
	for i, v := range p.Y {
		text(b, int(place(i)), base+16, "faint", "middle", c.Ticks[i])
		if math.IsNaN(v) {
			continue
		}
		high := float64(base)
		if largest > 0 {
			high -= v / largest * plotHigh
		}
		points = append(points, fmt.Sprintf("%.1f,%.1f", place(i), high))
		fmt.Fprintf(b, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" class=\"c0\"/>\n", place(i), high)
		text(b, int(place(i)), int(high)-8, "text", "middle", p.Texts[i])
	}
	fmt.Fprintf(b, "<polyline points=\"%s\" class=\"line l0\"/>\n", strings.Join(points, " "))
	text(b, x+wide, base+30, "faint", "end", c.Axis)
}

func begin(b *strings.Builder, height int, title, note string) {
	b.WriteString("<svg xmlns=\"http://www.w3.org/2000/svg\" role=\"img\"")
	fmt.Fprintf(b, " width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\">\n", width, height, width, height)
	fmt.Fprintf(b, "<title>%s</title>\n", escape(title))
	b.WriteString(style)
	fmt.Fprintf(b, "<rect width=\"%d\" height=\"%d\" class=\"page\"/>\n", width, height)
	text(b, margin, 26, "text title", "start", title)
	text(b, margin, 44, "faint", "start", note)
}

func text(b *strings.Builder, x, y int, class, anchor, s string) {
	fmt.Fprintf(b, "<text x=\"%d\" y=\"%d\" class=\"%s\" text-anchor=\"%s\">%s</text>\n", x, y, class, anchor,
		escape(s))
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) // a Builder never fails
	return b.String()
}
