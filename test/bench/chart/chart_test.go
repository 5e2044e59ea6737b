package chart

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the charts in testdata anew")

// TestCharts: the same numbers give the same bytes.
func TestCharts(t *testing.T) {
	bars := Bars{
		Title: "Operations a second", Note: "more is better", Series: []string{"ours", "a <peer> & co.", "unused"},
		Panels: []BarPanel{
			{Title: "PUT 1 KiB", Bars: []Bar{
				{Series: 0, Value: 2000, Text: "2,000"}, {Series: 1, Value: 500, Text: "500"},
				{Series: 0, Name: "ours, SSE-KMS", Value: 1900, Text: "1,900"},
			}},
			{Title: "GET 1 KiB", Bars: []Bar{{Series: 0, Value: 0, Text: "0"}}},
		},
	}
	lines := Lines{
		Title: "Objects in one bucket", Note: "a note", Axis: "objects",
		X: []float64{1e4, 1e5, 1e7}, Ticks: []string{"10,000", "100,000", "10,000,000"},
		Panels: []LinePanel{
			{Title: "puts a second", Y: []float64{4000, 3900, 4100}, Texts: []string{"4,000", "3,900", "4,100"}},
			{Title: "start, s", Y: []float64{0.2, math.NaN(), 0}, Texts: []string{"0.2", "", "0"}},
		},
	}
	for _, test := range []struct{ name, svg string }{{"bars.svg", bars.SVG()}, {"lines.svg", lines.SVG()}} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join("testdata", test.name)
			if *update {
				if err := os.WriteFile(file, []byte(test.svg), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if test.svg != string(want) {
				t.Errorf("the chart differs from %s", file)
			}
			wellFormed(t, test.svg)
			if strings.Contains(test.svg, "NaN") || strings.Contains(test.svg, "unused") {
				t.Error("it shows what has no value")
			}
		})
	}
}

func wellFormed(t *testing.T, svg string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}
