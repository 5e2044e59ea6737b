package power

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"watertight/internal/gateway/audit"
	"watertight/internal/operator"
	"watertight/internal/storage/rootkey"
	"watertight/test/crashdisk"
)

var (
	cuts = flag.Int("cuts", 1000, "power cuts of TestPowerCuts")
	seed = flag.Uint64("seed", 0, "seed of TestPowerCuts; 0 draws one")
)

// cut is a disk after a power failure, and what was acknowledged until then.
type cut struct {
	disk   *crashdisk.Disk
	at     crashdisk.Point
	states []state
	acked  []string
	root   []string // the sources of which one opens the root key
}

// world is a server that is cut off, its clients, and the cuts that were not examined yet.
type world struct {
	ctx     context.Context
	r       *rand.Rand
	clients []*client

	mu    sync.Mutex
	cuts  []cut
	next  int // changes until the next cut
	seen  map[string]int
	root  []string
	acked []string // by runs before this one
	lies  func(path string) bool
}

func newWorld(n uint64) *world {
	return &world{ctx: context.Background(), r: rand.New(rand.NewPCG(*seed, n)), seen: map[string]int{}}
}

func (w *world) newRand() *rand.Rand { return rand.New(rand.NewPCG(w.r.Uint64(), w.r.Uint64())) }

// weight returns how likely a cut is at a point: more likely where something becomes durable or is lost, most of all at
// the few holes, and less likely at one of the many folders of a first start.
func (w *world) weight(p crashdisk.Point) int {
	switch p.Op {
	case "punch":
		return 30
	case "sync", "rename":
		return 4
	case "mkdir":
		return w.r.IntN(50) / 49
	}
	return 2
}

// watch cuts the power at random changes of a disk.
func (w *world) watch(disk *crashdisk.Disk) {
	disk.Watch = func(p crashdisk.Point) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.next -= w.weight(p); w.next > 0 {
			return
		}
		w.next = 1 + w.r.IntN(300)
		c := cut{at: p, root: w.root, acked: append([]string(nil), w.acked...)}
		for _, cl := range w.clients {
			c.states = append(c.states, cl.known())
			c.acked = append(c.acked, cl.acked...)
		}
		c.disk = disk.Crash(w.r, crashdisk.AnyLoss(w.r))
		c.disk.Lies = w.lies
		w.cuts = append(w.cuts, c)
	}
}

// boot starts a server with the first source that opens the root key.
func (w *world) boot(disk *crashdisk.Disk, sources []string) (m *machine, err error) {
	for i, s := range sources {
		if m, err = boot(w.ctx, disk, s); err == nil || i == len(sources)-1 || !errors.Is(err, rootkey.ErrOtherKey) {
			if err == nil {
				w.mu.Lock()
				w.root = []string{s}
				w.mu.Unlock()
			}
			return m, err
		}
	}
	return m, err
}

// run lets clients work until each has sent some requests.
func (w *world) run(m *machine, requests int) error {
	errs := make(chan error, len(w.clients)+1)
	for _, c := range w.clients {
		c.m, c.r = m, w.newRand()
		go func() {
			for range requests {
				if err := c.step(w.ctx); err != nil {
					errs <- err
					return
				}
				pause(c.r)
			}
			errs <- nil
		}()
	}
	go func() { errs <- w.rotate(m, w.newRand()) }()
	var all []error
	for range len(w.clients) + 1 {
		all = append(all, <-errs)
	}
	return errors.Join(all...)
}

// pause lets the server do what it does beside requests: every second or so the audit log is
// written, every few seconds the markers and segments, and every hour it sweeps.
func pause(r *rand.Rand) {
	switch n := r.IntN(400); {
	case n == 0:
		time.Sleep(61 * time.Minute)
	case n < 20:
		time.Sleep(time.Duration(10+r.IntN(30)) * time.Second)
	case n < 80:
		time.Sleep(time.Duration(r.IntN(3000)) * time.Millisecond)
	}
}

var sources = []string{"file:/etc/watertight/root.key", "file:/etc/watertight/other.key"}

// rotate rotates the root key now and then, sometimes to another source.
func (w *world) rotate(m *machine, r *rand.Rand) error {
	if r.IntN(3) != 0 {
		return nil
	}
	time.Sleep(time.Duration(r.IntN(2000)) * time.Millisecond)
	to := ""
	w.mu.Lock()
	from := w.root[0]
	if r.IntN(2) == 0 {
		to = sources[0]
		if to == from {
			to = sources[1]
		}
		w.root = []string{from, to}
	}
	w.mu.Unlock()
	body, err := json.Marshal(operator.Rotate{To: to})
	if err != nil {
		return err
	}
	answer := httptest.NewRecorder()
	q := httptest.NewRequestWithContext(w.ctx, http.MethodPost, "/rootkey/rotation", bytes.NewReader(body))
	q.Header.Set("Content-Type", "application/json")
	if m.commands.ServeHTTP(answer, q); answer.Code != http.StatusOK {
		return fmt.Errorf("rotation: %d %s", answer.Code, answer.Body)
	}
	if to != "" {
		w.mu.Lock()
		w.root = []string{to}
		w.mu.Unlock()
	}
	return nil
}

// examine starts a server on what a cut left, and compares. It returns the states that were
// found.
func (w *world) examine(c cut, watched bool) ([]state, error) {
	w.mu.Lock()
	w.seen[c.at.Op+" "+kindOf(c.at.Path)]++
	for i, cl := range w.clients {
		cl.state, cl.acked = c.states[i], nil
	}
	w.acked, w.root = c.acked, c.root
	w.mu.Unlock()
	if watched {
		w.watch(c.disk)
	}
	m, err := w.boot(c.disk, c.root)
	if err != nil {
		return nil, fmt.Errorf("it does not start: %w", err)
	}
	if w.r.IntN(3) == 0 {
		time.Sleep(15 * time.Second) // so that a loss by the server's own tidying is found, too
	}
	var found []state
	var errs []error
	for i, cl := range w.clients {
		cl.m = m
		got, err := cl.observe(w.ctx, c.states[i])
		if err == nil {
			err = c.states[i].check(got)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", cl.name, err))
		}
		found = append(found, state{now: got})
	}
	errs = append(errs, m.end())
	c.disk.Watch = nil
	errs = append(errs, w.audited(c))
	return found, errors.Join(errs...)
}

// audited looks for the event of each acknowledged request.
func (w *world) audited(c cut) error {
	root, err := rootkey.Open(w.ctx, w.root[0], rootkey.Options{DataDir: "/srv/data", Files: c.disk})
	if err != nil {
		return err
	}
	times := map[string]int{}
	err = audit.Read(c.disk, "/srv/data/audit", root.Ring, func(g audit.Group) error {
		for _, e := range g.Events {
			var event struct {
				RequestID string `json:"requestID"`
			}
			if err := json.Unmarshal(e.JSON, &event); err != nil {
				return err
			}
			times[event.RequestID]++
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("the audit log: %w", err)
	}
	for _, id := range c.acked {
		if times[id] != 1 {
			return fmt.Errorf("the audit log has %d events of the acknowledged request %s", times[id], id)
		}
	}
	return nil
}

// TestALyingDiskIsNoticed: the simulation finds what a server without one of its syncs loses.
func TestALyingDiskIsNoticed(t *testing.T) {
	for name, lies := range map[string]func(path string) bool{
		"the engine's log":    func(p string) bool { return filepath.Ext(p) == ".log" },
		"the engine's folder": func(p string) bool { return filepath.Base(p) == "meta" },
		"blobs":               func(p string) bool { return isBlob(p) },
		"segments":            func(p string) bool { return filepath.Ext(p) == ".seg" },
		"the engine's tables": func(p string) bool { return filepath.Ext(p) == ".sst" },
		"the list of tables":  func(p string) bool { return strings.Contains(p, "/MANIFEST-") },
		"a blob's folder":     func(p string) bool { return len(filepath.Base(p)) == 2 },
		"the audit log":       func(p string) bool { return strings.Contains(p, ".wtl") },
		"replaced files":      func(p string) bool { return filepath.Ext(p) == ".new" },
		"the root key":        func(p string) bool { return strings.HasPrefix(p, "/etc") },
	} {
		t.Run(name, func(t *testing.T) {
			for n := range uint64(40) {
				noticed := false
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(n)
					w.lies = lies
					_, err := w.chain(4)
					noticed = err != nil
					t.Log(err)
				})
				if noticed {
					return
				}
			}
			t.Error("not noticed")
		})
	}
}

// chain runs a server again and again, each time on what a cut left, and examines all cuts.
func (w *world) chain(runs int) (examined int, err error) {
	disk := crashdisk.New()
	disk.Lies = w.lies
	w.root = sources[:1]
	for i := range 3 {
		w.clients = append(w.clients, &client{
			name: fmt.Sprint("client-", i), mu: &w.mu, state: state{now: facts{}}, bodies: map[string][]byte{},
		})
	}
	for range runs {
		w.next = 1 + w.r.IntN(100)
		w.watch(disk)
		m, err := w.boot(disk, w.root)
		if err != nil {
			return examined, err
		}
		if err := w.run(m, 5+w.r.IntN(20)); err != nil {
			return examined, errors.Join(err, m.end())
		}
		if err := m.end(); err != nil {
			return examined, err
		}
		disk.Watch = nil
		if len(w.cuts) == 0 {
			continue
		}
		last := w.r.IntN(len(w.cuts))
		base := w.cuts[last]
		w.cuts = append(append(w.cuts[:last:last], w.cuts[last+1:]...), base)
		for depth := 0; len(w.cuts) > 0; depth++ {
			c := w.cuts[0]
			w.cuts = w.cuts[1:]
			watched := depth < 30 && w.r.IntN(4) == 0 && len(w.cuts) > 0
			found, err := w.examine(c, watched)
			if err != nil {
				return examined, fmt.Errorf("cut %d, at %+v: %w", examined, c.at, err)
			}
			if examined++; len(w.cuts) == 0 {
				disk = c.disk
				for i, cl := range w.clients {
					cl.state = found[i]
				}
				w.acked = c.acked
			}
		}
	}
	return examined, nil
}

// TestPowerCuts: after each cut a server starts, and has exactly what was acknowledged.
func TestPowerCuts(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("-seed %d", *seed)
	var mu sync.Mutex
	left, next, seen := *cuts, uint64(0), map[string]int{}
	for i := range 2 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for {
				mu.Lock()
				n, done := next, left <= 0
				next++
				mu.Unlock()
				if done || t.Failed() {
					return
				}
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(n)
					examined, err := w.chain(4)
					if err != nil {
						t.Errorf("chain %d: %v", n, err)
					}
					mu.Lock()
					defer mu.Unlock()
					left -= examined
					for k, v := range w.seen {
						seen[k] += v
					}
				})
			}
		})
	}
	t.Cleanup(func() { t.Log(seen) })
}
