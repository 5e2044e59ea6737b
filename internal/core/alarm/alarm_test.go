package alarm

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func start() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

func limits() Limits { return Limits{Window: 100 * time.Second, Most: Counts{10, 20, 5}} }

func TestAlarms(t *testing.T) {
	type step struct {
		after time.Duration // since the step before
		n     Counts
		want  string // kind of the alarm, "" is none
	}
	for _, c := range []struct {
		name   string
		limits Limits
		steps  []step
	}{
		{"the limit itself is none", limits(), []step{{0, Counts{10, 20, 5}, ""}, {0, Counts{1}, "overwrites"}}},
		{"a batch at once", limits(), []step{{0, Counts{0, 1000, 0}, "deletes"}}},
		{"each kind alone", limits(), []step{{0, Counts{9, 19, 5}, ""}, {0, Counts{0, 0, 1}, "key_changes"}}},
		{"once in a window", limits(), []step{
			{0, Counts{11}, "overwrites"}, {99 * time.Second, Counts{11}, ""},
			{2 * time.Second, Counts{1}, "overwrites"},
		}},
		{"slow changes are none", limits(), []step{
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
			counter, at := NewCounter(c.limits), start()
			for i, s := range c.steps {
				at = at.Add(s.after)
				a, raised := counter.Add(at, Subject{Principal: "AIDA"}, s.n)
				if got := map[bool]string{true: a.Kind.String()}[raised]; got != s.want {
					t.Fatalf("step %d: %q, want %q (%v)", i, got, s.want, a.Counts)
				}
			}
		})
	}
}

func TestSubjectsAreCountedApart(t *testing.T) {
	c := NewCounter(limits())
	for i := range 4 {
		s := Subject{Bucket: [8]byte{byte(i % 2)}, Principal: fmt.Sprint(i / 2)}
		if _, raised := c.Add(start(), s, Counts{10}); raised {
			t.Fatal("an alarm for the changes of another subject")
		}
	}
}

func TestForget(t *testing.T) {
	c, s := NewCounter(limits()), Subject{Principal: "AIDA"}
	for range 2 {
		if _, raised := c.Add(start(), s, Counts{11}); !raised {
			t.Fatal("no alarm")
		}
		c.Forget(s)
		if _, raised := c.Add(start(), s, Counts{10}); raised {
			t.Fatal("what was forgotten counts")
		}
		c.Forget(s)
	}
}

// TestMemoryIsBounded: however many principals write, the counts of one that goes on stay.
func TestMemoryIsBounded(t *testing.T) {
	c, busy := NewCounter(limits()), Subject{Principal: "busy"}
	raised := false
	for i := range 100_000 {
		c.Add(start(), Subject{Principal: fmt.Sprint(i)}, Counts{1})
		if i%3_000 == 0 {
			_, now := c.Add(start(), busy, Counts{1})
			raised = raised || now
		}
	}
	if !raised || c.counts.Bytes() > maxBytes {
		t.Errorf("raised: %v, with %d bytes", raised, c.counts.Bytes())
	}
}

// TestAgainstAllInstants: an alarm is raised only where the changes of the last window are
// above the limit, and always where those of a window less one slice are.
func TestAgainstAllInstants(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := Limits{Window: 100 * time.Second, Most: Counts{rapid.IntRange(1, 20).Draw(t, "most"), 0, 0}}
		c, at := NewCounter(l), start()
		var instants []time.Time
		var last time.Time
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 60_000).Draw(t, "ms")) * time.Millisecond)
			n := rapid.IntRange(1, 5).Draw(t, "n")
			for range n {
				instants = append(instants, at)
			}
			within := func(d time.Duration) (n int) {
				for _, i := range instants {
					if at.Sub(i) < d {
						n++
					}
				}
				return n
			}
			_, raised := c.Add(at, Subject{Principal: "AIDA"}, Counts{n})
			quiet := !last.IsZero() && at.Sub(last) < l.Window
			if raised && (quiet || within(l.Window) <= l.Most[0]) {
				t.Fatalf("an alarm that should not be at %v", at)
			}
			if !raised && !quiet && within(l.Window-l.Window/slices) > l.Most[0] {
				t.Fatalf("no alarm at %v", at)
			}
			if raised {
				last = at
			}
		}
	})
}
