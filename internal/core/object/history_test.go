package object

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/core/bucket"
)

// TestHistoryPages: pages of any size list each version once, newest first, in whichever versioning
// state the version was written.
func TestHistoryPages(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		e := newEnv(t)
		for range rapid.IntRange(1, 9).Draw(rt, "writes") {
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				e.versioning(bucket.Suspended)
			case 1:
				e.versioning(bucket.Enabled)
			case 2:
				if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
					rt.Fatal(err)
				}
			default:
				e.mustPut("k", "text")
			}
		}
		e.mustPut("k", "last")
		e.mustPut("k\xc2\x80", "another")
		listed, err := e.listVersions(ListVersionsInput{Bucket: "bkt"})
		if err != nil {
			rt.Fatal(err)
		}
		var want, got []string
		for _, v := range listed.Entries {
			if v.Key == "k" {
				want = append(want, fmt.Sprint(v.ID, v.DeleteMarker, v.Size, v.Modified))
			}
		}
		o := NewOperator(e.store, nil)
		in := HistoryInput{Bucket: "bkt", Key: "k", Max: rapid.IntRange(1, 4).Draw(rt, "page")}
		for {
			page, more, err := o.History(t.Context(), in)
			if err != nil || len(page) > in.Max || more && len(page) < in.Max {
				rt.Fatal(len(page), more, err)
			}
			for _, p := range page {
				got = append(got, fmt.Sprint(p.ID, p.DeleteMarker, p.Size, p.Modified))
				if p.Writer != "arn:aws:iam::111122223333:root" || p.Address != "" {
					rt.Errorf("%+v", p)
				}
			}
			if !more {
				break
			}
			in.After = page[len(page)-1].ID
		}
		if !slices.Equal(got, want) {
			rt.Errorf("%s\nwant\n%s", got, want)
		}
	})
}
