package instant

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// machine has a system's clock, and one that nobody can set.
type machine struct {
	now     time.Time
	elapsed time.Duration
}

func begin() *machine { return &machine{now: time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)} }

// run lets time pass on both clocks. The tested clock observes them every minute.
func (m *machine) run(c *Clock, d time.Duration) {
	for ; d > 0; d -= time.Minute {
		m.now, m.elapsed = m.now.Add(time.Minute), m.elapsed+time.Minute
		c.Observe(m.now)
	}
}

func (m *machine) open(t *testing.T, store kv.Store) *Clock {
	t.Helper()
	at := m.elapsed
	c, err := Open(t.Context(), store, m.now, func() time.Duration { return m.elapsed - at })
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTimePasses(t *testing.T) {
	m := begin()
	c := m.open(t, coretest.Store(t))
	for range 5 {
		m.run(c, 40*time.Minute)
		if got := c.Passed(m.now); !got.Equal(m.now) {
			t.Errorf("%v, not %v", got, m.now)
		}
	}
}

func TestSetBack(t *testing.T) {
	m := begin()
	c := m.open(t, coretest.Store(t))
	was := c.Passed(m.now)
	m.now = m.now.AddDate(-1, 0, 0)
	if got := c.Passed(m.now); !got.Equal(was) {
		t.Errorf("passed goes back to %v", got)
	}
	if got := c.Reached(m.now); !got.Equal(was) {
		t.Errorf("reached goes back to %v", got)
	}
}

// TestJump: a jump forward ends no protection before it has lasted for an hour.
func TestJump(t *testing.T) {
	m := begin()
	c := m.open(t, coretest.Store(t))
	was := m.now
	m.now = m.now.AddDate(0, 0, 10)
	if got := c.Passed(m.now); got.After(was) {
		t.Errorf("the jump is believed at once: %v", got)
	}
	if got := c.Reached(m.now); !got.Equal(m.now) {
		t.Errorf("a protection begins at %v", got)
	}
	m.run(c, 50*time.Minute)
	if got := c.Passed(m.now); got.After(was.Add(50 * time.Minute)) {
		t.Errorf("it is believed after 50 minutes: %v", got)
	}
	m.now = m.now.AddDate(0, 0, 1) // another jump begins the hour anew
	m.run(c, 50*time.Minute)
	if got := c.Passed(m.now); got.After(was.Add(100 * time.Minute)) {
		t.Errorf("the second jump is believed within the hour of the first: %v", got)
	}
	m.run(c, 15*time.Minute)
	if got := c.Passed(m.now); !got.Equal(m.now) {
		t.Errorf("after an hour the clock still shows %v", got)
	}
}

func TestJumpIsTakenBack(t *testing.T) {
	m := begin()
	c := m.open(t, coretest.Store(t))
	m.now = m.now.AddDate(10, 0, 0)
	m.run(c, 30*time.Minute)
	m.now = m.now.AddDate(-10, 0, 0)
	m.run(c, 2*time.Hour)
	if got := c.Passed(m.now); !got.Equal(m.now) {
		t.Errorf("%v, not %v", got, m.now)
	}
}

// TestStartAgain: the newest instant in the store counts after a start.
func TestStartAgain(t *testing.T) {
	for name, c := range map[string]struct {
		stopped        time.Duration // by the system's clock
		at, anHourThen time.Duration
	}{
		"at once":               {time.Second, time.Second, time.Hour + time.Second},
		"with a clock set back": {-24 * time.Hour, 0, 0},
		"after a long stop":     {48 * time.Hour, 0, 49*time.Hour + time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			m, store := begin(), coretest.Store(t)
			before := m.open(t, store)
			stop := m.now
			before.Passed(stop)
			if err := before.Keep(t.Context(), store); err != nil {
				t.Fatal(err)
			}
			m.now = m.now.Add(c.stopped)
			clock := m.open(t, store)
			if got := clock.Passed(m.now).Sub(stop); got != c.at {
				t.Errorf("after the start the clock shows %v more, not %v", got, c.at)
			}
			m.run(clock, time.Hour)
			if c.stopped > tolerance {
				m.run(clock, time.Minute)
			}
			if got := clock.Passed(m.now).Sub(stop); got != c.anHourThen {
				t.Errorf("an hour later the clock shows %v more, not %v", got, c.anHourThen)
			}
		})
	}
}

// TestNoSequenceGainsTime: whatever the system's clock shows, the clock never goes back
// and is never more than the tolerance ahead, unless a jump lasted for an hour.
func TestNoSequenceGainsTime(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := begin()
		c := &Clock{base: m.now, elapsed: func() time.Duration { return m.elapsed }}
		start, last := m.now, time.Time{}
		for range rapid.IntRange(1, 60).Draw(r, "steps") {
			m.now = m.now.Add(time.Duration(rapid.IntRange(-2000, 2000).Draw(r, "set")) * time.Minute)
			m.run(c, time.Duration(rapid.IntRange(0, 58).Draw(r, "minutes"))*time.Minute)
			got := c.Passed(m.now)
			if got.Before(last) {
				r.Fatalf("%v after %v", got, last)
			}
			last = got
			if truly := start.Add(m.elapsed); m.elapsed < settleAfter && got.Sub(truly) > tolerance {
				r.Fatalf("%v, although it is %v", got, truly)
			}
		}
	})
}

func TestKeptAtMostOnceAMinute(t *testing.T) {
	m, store := begin(), coretest.Store(t)
	c := m.open(t, store)
	stored := func() (at time.Time) {
		err := store.View(t.Context(), func(r kv.Reader) error {
			b, err := r.Get(clockKey())
			if err == nil && b != nil {
				at, err = decode(b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	keep := func() {
		t.Helper()
		c.Passed(m.now)
		if err := c.Keep(t.Context(), store); err != nil {
			t.Fatal(err)
		}
	}
	keep()
	first := stored()
	m.now, m.elapsed = m.now.Add(30*time.Second), 30*time.Second
	if keep(); !stored().Equal(first) {
		t.Error("the instant was written again after 30 s")
	}
	m.now, m.elapsed = m.now.Add(30*time.Second), time.Minute
	c.Passed(m.now)
	err := change.Background(t.Context(), store, "a test", func(tx kv.Tx) error { c.Note(tx); return nil })
	if err != nil || !stored().Equal(m.now) {
		t.Error(stored(), err)
	}
}

// TestUnreadableClock: Open fails if it does not understand the record.
func TestUnreadableClock(t *testing.T) {
	for name, value := range map[string][]byte{
		"no record": {9}, "no instant": record.Start(nil),
		"a later program's": record.Bool(encode(begin().now), 2, true),
	} {
		t.Run(name, func(t *testing.T) {
			store := coretest.Store(t)
			err := change.Background(t.Context(), store, "a test", func(tx kv.Tx) error {
				tx.Set(clockKey(), value)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			_, err = Open(t.Context(), store, begin().now, func() time.Duration { return 0 })
			if f := fault.From(err); f == nil || f.Kind != fault.KindInternal {
				t.Error(err)
			}
		})
	}
}
