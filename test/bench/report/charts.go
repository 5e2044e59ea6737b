package report

import (
	"fmt"

	"watertight/test/bench/chart"
)

// Charts draws one chart of operations a second and one of CPU time for each part, by file name.
func (r *Run) Charts() map[string]string {
	files := map[string]string{}
	for _, p := range r.Parts() {
		files["ops-"+p.Name()+".svg"] = r.bars(p, "Operations a second: "+p.Title(), "more is better",
			func(x *Result) (float64, bool) { return x.Rate, !r.isFloor(x.Server) }).SVG()
		files["cpu-"+p.Name()+".svg"] = r.bars(p, "Server CPU time: "+p.Title(),
			"µs for each operation, median of turns; less is better", func(x *Result) (float64, bool) {
				if x.CPU == nil {
					return 0, false
				}
				return x.CPU.Median, true
			}).SVG()
	}
	return files
}

func (r *Run) isFloor(server string) bool {
	for _, s := range r.Servers {
		if s.Name == server {
			return s.Floor
		}
	}
	return false
}

// bars makes a panel for each cell. A result without a value has no bar.
func (r *Run) bars(p Part, title, note string, value func(*Result) (float64, bool)) chart.Bars {
	c := chart.Bars{Title: title, Note: fmt.Sprintf("%s; %d cores, %s", note, r.Machine.Cores, r.Date)}
	index := map[string]int{}
	for _, s := range r.Servers {
		index[s.Name] = len(c.Series)
		c.Series = append(c.Series, s.Name)
	}
	at := map[string]int{}
	for i := range p.Results {
		x := &p.Results[i]
		v, ok := value(x)
		if x.Skipped != "" || !ok {
			continue
		}
		if _, ok := at[x.Cell]; !ok {
			at[x.Cell] = len(c.Panels)
			c.Panels = append(c.Panels, chart.BarPanel{Title: x.Cell})
		}
		panel := &c.Panels[at[x.Cell]]
		panel.Bars = append(panel.Bars, chart.Bar{
			Series: index[x.Server], Name: label(x.Server, x.Variant), Value: v, Text: number(v),
		})
	}
	return c
}
