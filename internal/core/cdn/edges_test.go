package cdn

import (
	"context"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

func remoteEdge() *edge {
	return &edge{Edge{
		AccessKeyID: "WTEDX", Name: "berlin", Account: coretest.Account, Only: []string{"E1", "E2"},
		Created: time.UnixMicro(1_700_000_000_000_001).UTC(),
	}, "secret"}
}

// sender is the caller whom an edge's credential makes.
func sender(accessKeyID string, at time.Time) authz.Caller {
	return authz.NewCaller(&policy.Principal{Kind: policy.Service, Name: Service},
		&authz.Situation{At: at, AccessKeyID: accessKeyID})
}

// TestEdges: an edge gets its own distributions as soon as they change, and gets nothing after
// it was removed.
func TestEdges(t *testing.T) {
	e := newEnv(t)
	now := time.UnixMicro(1_700_000_000_000_001)
	e.s.now = func() time.Time { return now }
	mine, second := e.made(configOf("a")), e.made(configOf("b"))
	foreign, err := e.create(other, configOf("c"))
	e.ok(err)
	o := NewOperator(e.s)
	enrol := func(name, account string, only ...string) (Edge, error) {
		made, secret, err := o.EnrollEdge(t.Context(), nil, EnrolInput{
			Name: name, Account: account, Only: only, At: now,
		})
		if err == nil {
			got, found, err := e.s.EdgeSecret(t.Context(), made.AccessKeyID)
			if got != secret || !found || err != nil || len(secret) != 40 {
				t.Errorf("the secret is %q, %v, %v", got, found, err)
			}
		}
		return made, err
	}
	one, err := enrol("one", coretest.Account, mine.ID)
	e.ok(err)
	all, err := enrol("all", coretest.Account)
	e.ok(err)
	for name, code := range map[string]fault.Code{
		"one": fault.InvalidArgument, "": fault.InvalidArgument, "a/b": fault.InvalidArgument,
		"foreign": fault.NoSuchDistribution,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := enrol(name, coretest.Account, foreign.ID)
			e.is(err, code)
		})
	}
	sites := func(s *distribution.Snapshot) (ids []string) {
		for i := range s.Sites {
			ids = append(ids, s.Sites[i].ID)
		}
		return ids
	}
	got, err := e.s.EdgeSnapshot(t.Context(), sender(one.AccessKeyID, now), 0)
	e.ok(err)
	if !slices.Equal(sites(got), []string{mine.ID}) {
		t.Errorf("one has %q", sites(got))
	}
	got, err = e.s.EdgeSnapshot(t.Context(), sender(all.AccessKeyID, now), 0)
	e.ok(err)
	if want := slices.Sorted(slices.Values([]string{mine.ID, second.ID})); !slices.Equal(sites(got), want) {
		t.Errorf("all has %q, want %q", sites(got), want)
	}
	for name, c := range map[string]struct {
		key, id string
		want    bool
	}{
		"its own": {one.AccessKeyID, mine.ID, true}, "not its own": {one.AccessKeyID, second.ID, false},
		"any of the account": {all.AccessKeyID, second.ID, true}, "foreign": {all.AccessKeyID, foreign.ID, false},
		"missing": {all.AccessKeyID, "E0000000000000", false}, "no id": {all.AccessKeyID, "x", false},
		"another key": {"WTEDAAAAAAAAAAAAAAAA", mine.ID, false},
	} {
		t.Run(name, func(t *testing.T) {
			if site, err := e.s.EdgeSite(t.Context(), c.key, c.id); err != nil || (site != nil) != c.want {
				t.Errorf("%v, %v", site, err)
			}
		})
	}
	e.waits(one, mine, got.Generation, &now)
	removed, err := o.RemoveEdge(t.Context(), nil, "one")
	e.ok(err)
	if removed.AccessKeyID != one.AccessKeyID {
		t.Errorf("removed %+v", removed)
	}
	_, err = e.s.EdgeSnapshot(t.Context(), sender(one.AccessKeyID, now), 0)
	e.is(err, fault.AccessDenied)
	_, err = o.RemoveEdge(t.Context(), nil, "one")
	e.is(err, fault.NoSuchResource)
	_, err = e.s.EdgeSnapshot(t.Context(), coretest.RootAt(coretest.Account, now), 0)
	e.is(err, fault.AccessDenied)
}

// waits checks that an edge that waits gets a change, and that a change is deployed only when
// the edge confirmed it, or was away for a minute.
func (e *env) waits(of Edge, d Distribution, generation uint64, now *time.Time) {
	e.Helper()
	type answer struct {
		s   *distribution.Snapshot
		err error
	}
	came := make(chan answer)
	ctx, cancel := context.WithCancel(e.Context())
	defer cancel()
	go func() {
		s, err := e.s.EdgeSnapshot(ctx, sender(of.AccessKeyID, *now), generation)
		came <- answer{s, err}
	}()
	next := configOf("a")
	next.Comment = "changed"
	changed, err := e.update(&d, next)
	e.ok(err)
	a := <-came
	e.ok(a.err)
	if a.s.Generation <= generation {
		e.Errorf("generation %d after %d", a.s.Generation, generation)
	}
	e.s.remote.confirm(&of, generation, *now)
	state := func(want bool) {
		e.Helper()
		got, err := e.get(coretest.Account, changed.ID)
		e.ok(err)
		if got.Deployed != want {
			e.Errorf("deployed is %v", got.Deployed)
		}
	}
	for _, other := range e.others(of) {
		e.s.remote.confirm(&other, a.s.Generation, *now)
	}
	state(false)
	*now = now.Add(away)
	state(true)
	e.s.remote.confirm(&of, generation, *now)
	state(false)
	e.s.remote.confirm(&of, a.s.Generation, *now)
	state(true)
}

// others returns the other edges.
func (e *env) others(of Edge) (others []Edge) {
	all, err := NewOperator(e.s).Edges(e.Context())
	e.ok(err)
	for _, o := range all {
		if o.AccessKeyID != of.AccessKeyID {
			others = append(others, o)
		}
	}
	return others
}

// TestEdgesHoldUpTheirOwn: an edge that does not confirm a change holds up only the
// distributions that it serves. A generation above the newest confirms nothing.
func TestEdgesHoldUpTheirOwn(t *testing.T) {
	e := newEnv(t)
	now := time.UnixMicro(1_700_000_000_000_001)
	e.s.now = func() time.Time { return now }
	mine, second := e.made(configOf("a")), e.made(configOf("b"))
	_, err := e.create(other, configOf("c"))
	e.ok(err)
	o := NewOperator(e.s)
	for _, c := range []struct {
		name, account string
		only          []string
		first, next   bool // which distributions are deployed
	}{
		{"another account's", other, nil, true, true},
		{"of one", coretest.Account, []string{mine.ID}, false, true},
		{"of all", coretest.Account, nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			made, _, err := o.EnrollEdge(t.Context(), nil, EnrolInput{
				Name: "edge", Account: c.account, Only: c.only, At: now,
			})
			e.ok(err)
			for _, has := range []uint64{0, 1 << 40} {
				_, err = e.s.EdgeSnapshot(t.Context(), sender(made.AccessKeyID, now), has)
				e.ok(err)
				for id, want := range map[string]bool{mine.ID: c.first, second.ID: c.next} {
					got, err := e.get(coretest.Account, id)
					e.ok(err)
					if got.Deployed != want {
						t.Errorf("%s is deployed: %v, after generation %d", id, got.Deployed, has)
					}
				}
			}
			_, err = o.RemoveEdge(t.Context(), nil, "edge")
			e.ok(err)
		})
	}
}
