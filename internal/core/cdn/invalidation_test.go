package cdn

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// TestInvalidations: each invalidation has a number, a repeated one returns the earlier one,
// and edges are told before the caller has the answer.
func TestInvalidations(t *testing.T) {
	e := newEnv(t)
	d := e.made(configOf("a"))
	first, err := e.invalidate(d.ID, "1", "/a", "/b*")
	e.ok(err)
	if first.Status() != "Completed" || !isID(first.ID, 'I') || len(e.edge.Invalidations) != 1 ||
		e.edge.Invalidations[0].Number != 1 || e.edge.Invalidations[0].Distribution != d.ID {
		t.Errorf("%+v, and the edge has %+v", first, e.edge.Invalidations)
	}
	again, err := e.invalidate(d.ID, "1", "/a", "/b*")
	e.ok(err)
	if fmt.Sprint(again) != fmt.Sprint(first) || len(e.edge.Invalidations) != 1 {
		t.Errorf("repeated, it is %+v", again)
	}
	_, err = e.invalidate(d.ID, "1", "/a")
	e.is(err, fault.InvalidationBatchAlreadyExists)
	second, err := e.invalidate(d.ID, "2", "/c")
	e.ok(err)
	on := "distribution/" + d.ID
	got, err := e.s.GetInvalidation(t.Context(), e.grant(coretest.Account, "GetInvalidation", on), d.ID, first.ID)
	e.ok(err)
	if fmt.Sprint(got) != fmt.Sprint(first) {
		t.Errorf("got %+v", got)
	}
	_, err = e.s.GetInvalidation(t.Context(), e.grant(coretest.Account, "GetInvalidation", on), d.ID, "I0000000000009")
	e.is(err, fault.NoSuchInvalidation)
	list := e.grant(coretest.Account, "ListInvalidations", on)
	all, next, err := e.s.ListInvalidations(t.Context(), list, d.ID, Page{Max: 1})
	e.ok(err)
	if len(all) != 1 || all[0].ID != second.ID || next != second.ID {
		t.Errorf("first page %+v, next %s", all, next)
	}
	all, next, err = e.s.ListInvalidations(t.Context(), list, d.ID, Page{Marker: next})
	e.ok(err)
	if len(all) != 1 || all[0].ID != first.ID || next != "" {
		t.Errorf("second page %+v, next %s", all, next)
	}
}

// TestInvalidationsInProgress: as long as an edge has not confirmed them, the paths of a
// distribution's invalidations count together against CloudFront's quotas.
func TestInvalidationsInProgress(t *testing.T) {
	for name, c := range map[string]struct {
		path  string
		quota int
	}{"files": {"/%d", 3000}, "wildcards": {"/%d*", 15}} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			d, second := e.made(configOf("a")), e.made(configOf("b"))
			paths := func(n int) (all []string) {
				for i := range n {
					all = append(all, fmt.Sprintf(c.path, i))
				}
				return all
			}
			far := remoteEdge()
			far.Only = nil
			e.s.remote.confirm(&far.Edge, 1, e.s.now()) // it asks, and has nothing newer
			_, err := e.invalidate(d.ID, "1", paths(c.quota-1)...)
			e.ok(err)
			_, err = e.invalidate(d.ID, "2", paths(2)...)
			e.is(err, fault.TooManyInvalidationsInProgress)
			_, err = e.invalidate(d.ID, "3", paths(1)...)
			e.ok(err)
			_, err = e.invalidate(d.ID, "4", paths(1)...)
			e.is(err, fault.TooManyInvalidationsInProgress)
			_, err = e.invalidate(d.ID, "3", paths(1)...) // is there already
			e.ok(err)
			_, err = e.invalidate(second.ID, "1", paths(c.quota)...)
			e.ok(err)
			e.s.remote.confirm(&far.Edge, 1<<40, e.s.now())
			_, err = e.invalidate(d.ID, "4", paths(c.quota)...)
			e.ok(err)
		})
	}
}

// TestInvalidationsAreForgotten: the invalidations that are kept and that edges are told are
// bounded. An edge learns that it has missed some.
func TestInvalidationsAreForgotten(t *testing.T) {
	e := newEnv(t)
	d := e.made(configOf("a"))
	for n := range maxKept + 20 {
		_, err := e.invalidate(d.ID, fmt.Sprint(n), "/a")
		e.ok(err)
	}
	if n := len(e.edge.Invalidations); n != maxTold || e.edge.Invalidations[0].Number != 21 || e.edge.Oldest != 21 {
		t.Errorf("the edge is told %d from %d", n, e.edge.Oldest)
	}
	if n := len(e.dump()); n != maxKept*2+4 { // the distribution itself has 4 records
		t.Errorf("%d records", n)
	}
	long := make([]string, 300)
	for i := range long {
		long[i] = "/" + strings.Repeat("x", 3000)
	}
	for n := range 3 {
		_, err := e.invalidate(d.ID, fmt.Sprint("long", n), long...)
		e.ok(err)
	}
	if n := len(e.edge.Invalidations); n != 1 || e.edge.Oldest != e.edge.Invalidations[0].Number {
		t.Errorf("the edge is told %d long ones", n)
	}
	for n := range 3 {
		_, err := e.invalidate(d.ID, fmt.Sprint("longer", n), long...)
		e.ok(err)
	}
	if n := len(e.dump()); n != maxKeptLength/(300*3000)*2+4 {
		t.Errorf("%d records", n)
	}
}

// TestEdgeThatRefuses: if the edge refuses a change, the caller gets an error and the change
// is not deployed. The next change hands it over.
func TestEdgeThatRefuses(t *testing.T) {
	e := newEnv(t)
	d := e.made(configOf("a"))
	e.refuse = true
	_, err := e.invalidate(d.ID, "1", "/a")
	e.is(err, fault.ServiceUnavailable)
	now, err := e.get(coretest.Account, d.ID)
	e.ok(err)
	if now.Invalidating != 1 || !now.Deployed {
		t.Errorf("now %+v", now)
	}
	off := configOf("a")
	off.Enabled = false
	_, err = e.update(&d, off)
	e.is(err, fault.ServiceUnavailable)
	now, err = e.get(coretest.Account, d.ID)
	e.ok(err)
	if now.Status() != "InProgress" {
		t.Errorf("now %+v", now)
	}
	e.is(e.delete(&now), fault.DistributionNotDisabled)
	e.refuse = false
	e.ok(e.s.Publish(t.Context()))
	if e.site(d.ID) != nil {
		t.Error("it is still served")
	}
	e.ok(e.delete(&now))
}
