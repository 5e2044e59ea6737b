package alarm

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/limit"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func limits() Limits { return Limits{Window: 100 * time.Second, Most: Counts{10, 20, 5}} }

// fresh makes changes of objects that were never changed before.
type fresh int

func (f *fresh) objects(n Counts) (all Changes) {
	for k := range n {
		for range n[k] {
			*f++
			one := Counts{}
			one[k] = 1
			all.Add(Change{Key: fmt.Sprint(*f), Counts: one})
		}
	}
	return all
}

func TestAlarms(t *testing.T) {
	type step struct {
		after time.Duration // since the previous step
		n     Counts
		want  string // kind of the alarm, "" for none
	}
	for _, c := range []struct {
		name   string
		limits Limits
		steps  []step
	}{
		{"no alarm at the limit itself", limits(), []step{{0, Counts{10, 20, 5}, ""}, {0, Counts{1}, "overwrites"}}},
		{"a batch at once", limits(), []step{{0, Counts{0, 1000, 0}, "deletes"}}},
		{"each kind alone", limits(), []step{{0, Counts{9, 19, 5}, ""}, {0, Counts{0, 0, 1}, "key_changes"}}},
		{"once in a window", limits(), []step{
			{0, Counts{11}, "overwrites"}, {99 * time.Second, Counts{11}, ""},
			{2 * time.Second, Counts{1}, "overwrites"},
		}},
		{"no alarm for slow changes", limits(), []step{
			{0, Counts{6}, ""}, {60 * time.Second, Counts{4}, ""}, {60 * time.Second, Counts{4}, ""},
			{60 * time.Second, Counts{4}, ""},
		}},
		{"the window slides", limits(), []step{
			{0, Counts{6}, ""}, {80 * time.Second, Counts{4}, ""}, {5 * time.Second, Counts{1}, "overwrites"},
		}},
		{"a clock that goes back hides nothing", limits(), []step{
			{0, Counts{6}, ""}, {-time.Hour, Counts{5}, "overwrites"},
		}},
		{"alarms go on after a clock that went back", limits(), []step{
			{0, Counts{11}, "overwrites"}, {-time.Hour, Counts{1}, "overwrites"}, {time.Minute, Counts{11}, ""},
		}},
		{"windows slide again after a clock that went back", limits(), []step{
			{0, Counts{6}, ""}, {-time.Hour, Counts{4}, ""}, {101 * time.Second, Counts{10}, ""},
			{0, Counts{1}, "overwrites"},
		}},
		{"0 is no limit", Limits{Window: time.Minute, Most: Counts{0, 1, 0}}, []step{{0, Counts{99, 1, 99}, ""}}},
		{"off", Limits{Window: time.Minute}, []step{{0, Counts{99, 99, 99}, ""}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			counter, at, objects := NewCounter(c.limits), start(), fresh(0)
			for i, s := range c.steps {
				at = at.Add(s.after)
				a, raised := counter.Add(at, Subject{Principal: "AIDA"}, objects.objects(s.n))
				if got := map[bool]string{true: a.Kind.String()}[raised]; got != s.want {
					t.Fatalf("step %d: %q, want %q (%v)", i, got, s.want, a.Counts)
				}
			}
		})
	}
}

func TestSubjectsAreCountedApart(t *testing.T) {
	c, objects := NewCounter(limits()), fresh(0)
	for i := range 4 {
		s := Subject{Bucket: [8]byte{byte(i % 2)}, Principal: fmt.Sprint(i / 2)}
		if _, raised := c.Add(start(), s, objects.objects(Counts{10})); raised {
			t.Fatal("another subject's changes raised an alarm")
		}
	}
}

func TestForget(t *testing.T) {
	c, s, objects := NewCounter(limits()), Subject{Principal: "AIDA"}, fresh(0)
	for range 2 {
		if _, raised := c.Add(start(), s, objects.objects(Counts{11})); !raised {
			t.Fatal("no alarm")
		}
		c.Forget(s)
		if _, raised := c.Add(start(), s, objects.objects(Counts{10})); raised {
			t.Fatal("forgotten changes count")
		}
		c.Forget(s)
	}
}

// TestMemoryIsBounded: however many principals write, and however many objects each writes, the
// counts of an active principal stay.
func TestMemoryIsBounded(t *testing.T) {
	l := limits()
	l.Most = Counts{math.MaxInt, math.MaxInt, 30}
	for name, c := range map[string]struct {
		subjects int
		n        Counts
	}{
		"many subjects": {100_000, Counts{1, 0, 0}},
		"many objects":  {300, Counts{maxMarks + 99, maxMarks + 99, 99}},
	} {
		t.Run(name, func(t *testing.T) {
			counter, busy, objects := NewCounter(l), Subject{Principal: "busy"}, fresh(0)
			raised := false
			for i := range c.subjects {
				counter.Add(start(), Subject{Principal: fmt.Sprint(i)}, objects.objects(c.n))
				if i%max(1, c.subjects/100) == 0 {
					_, now := counter.Add(start(), busy, objects.objects(Counts{0, 0, 1}))
					raised = raised || now
				}
			}
			if !raised || counter.counts.Bytes() > maxBytes || counter.counts.Len() < 5 {
				t.Errorf("raised: %v, with %d bytes of %d", raised, counter.counts.Bytes(), counter.counts.Len())
			}
		})
	}
}

// TestMarksFit: the cache counts a history with the size of its marks.
func TestMarksFit(t *testing.T) {
	l, objects := limits(), fresh(0)
	l.Most = Counts{math.MaxInt, math.MaxInt, math.MaxInt}
	c, s := NewCounter(l), Subject{Principal: "AIDA"}
	c.Add(start(), s, objects.objects(Counts{2 * maxMarks, 2 * maxMarks, 2 * maxMarks}))
	h, ok := c.counts.Get(s)
	if !ok {
		t.Fatal("the largest history does not fit in the cache")
	}
	if is, counted := limit.Footprint(h), c.counts.Bytes(); is > counted {
		t.Errorf("the cache counts %d bytes as %d", is, counted)
	}
}

// TestObjectsCountOnce: an object that changes again counts once, as long as it is remembered.
func TestObjectsCountOnce(t *testing.T) {
	one := func(key, version string, n Counts) (all Changes) {
		all.Add(Change{key, version, n})
		return all
	}
	for _, c := range []struct {
		name    string
		changes func(i int) Changes
		want    bool
	}{
		{"one object overwritten", func(int) Changes { return Of("k", Counts{1}) }, false},
		{"one object, each kind", func(int) Changes { return Of("k", Counts{1, 1, 1}) }, false},
		{"as many as the limit", func(i int) Changes { return Of(fmt.Sprint(i%10), Counts{1}) }, false},
		{"one more", func(i int) Changes { return Of(fmt.Sprint(i%11), Counts{1}) }, true},
		{"one version", func(int) Changes { return one("k", "v", Counts{0, 1}) }, false},
		{"versions of one object", func(i int) Changes { return one("k", fmt.Sprint(i), Counts{0, 1}) }, true},
		{"no confusion of key and version", func(i int) Changes {
			all := "abcdefghijklmnopqrstuvwxyz"
			return one(all[:i%26], all[i%26:], Counts{0, 1})
		}, true},
		{"twice in a batch", func(int) (all Changes) {
			all.Add(Change{"k", "", Counts{1}})
			all.Add(Change{"k", "", Counts{1}})
			return all
		}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			counter, raised := NewCounter(limits()), false
			for i := range 1000 {
				_, now := counter.Add(start().Add(time.Duration(i)*time.Second), Subject{}, c.changes(i))
				raised = raised || now
			}
			if raised != c.want {
				t.Errorf("an alarm: %v", raised)
			}
		})
	}
}

// TestAgainstAllInstants: an alarm is raised only if the last window had more objects than the
// limit, and always if a window that is one slice shorter had. After an alarm each change of an
// object beyond the limit counts.
func TestAgainstAllInstants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Window: 100 * time.Second, Most: Counts{rapid.IntRange(1, 20).Draw(t, "most"), 0, 0}}
		c, at := NewCounter(l), start()
		type change struct {
			key string
			at  time.Time
		}
		var changes []change
		var last time.Time
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond)
			var all Changes
			for _, key := range rapid.SliceOfN(rapid.StringMatching("[a-y]"), 1, 5).Draw(t, "keys") {
				changes = append(changes, change{key, at})
				all.Add(Change{Key: key, Counts: Counts{1}})
			}
			within := func(d time.Duration) (n, objects int) {
				seen := map[string]bool{}
				for _, ch := range changes {
					if at.Sub(ch.at) < d {
						n++
						seen[ch.key] = true
					}
				}
				return n, len(seen)
			}
			_, raised := c.Add(at, Subject{Principal: "AIDA"}, all)
			quiet := !last.IsZero() && at.Sub(last) < l.Window
			n, objects := within(l.Window)
			if !last.IsZero() {
				objects = n
			}
			if raised && (quiet || objects <= l.Most[0]) {
				t.Fatalf("unexpected alarm at %v", at)
			}
			if _, sure := within(l.Window - l.Window/slices); !raised && !quiet && sure > l.Most[0] {
				t.Fatalf("missing alarm at %v", at)
			}
			if raised {
				last = at
			}
		}
	})
}
