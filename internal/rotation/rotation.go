// Package rotation gives the root key a new generation, and wraps everything under it again
// while requests are served. It exists so that the order of the steps, and the work after a
// crash, are in one place. It must never know what is wrapped: each package rewraps its own
// records, in batches.
package rotation

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"watertight/internal/storage/kv"
	"watertight/internal/storage/rootkey"
)

// Part is what one package keeps under the root key in many records.
type Part struct {
	Name string
	// Step rewraps the next batch after a position, "" at first, and returns the next
	// position, "" at the end.
	Step func(ctx context.Context, after string) (next string, n Count, err error)
}

// Count counts the keys of a batch.
type Count struct {
	Seen, Changed uint64
	Needs         map[uint32]uint64 // how many need a generation after the batch
	Failed        uint64            // how many no generation opens; Needs counts them, too
}

// Whole is what one package rewraps at once. It returns the number of keys.
type Whole struct {
	Name string
	Do   func(context.Context) (int, error)
}

// Options are what a rotation needs.
type Options struct {
	Store   kv.Store
	Keyring *rootkey.Keyring
	Parts   []Part
	Wholes  []Whole
	// Stays returns what is not rewrapped, by the generation that it needs. Why names it.
	Stays  func(context.Context) (map[uint32]uint64, error)
	Why    string
	Now    func() time.Time
	Logger *slog.Logger
	// Retry is the pause after a failure; 0 means one minute.
	Retry time.Duration
	// Again is the time after which it is counted again what needs older generations; 0
	// means one hour.
	Again time.Duration
}

// Rotation is the rotation of a store's root key.
type Rotation struct {
	o    Options
	wake chan struct{}

	beginning sync.Mutex // held while a generation is made

	mu     sync.Mutex // guards everything below
	report Report
}

// Report is the progress and the result of a rotation.
type Report struct {
	Generation uint32 // the generation under which everything is wrapped
	Began      time.Time
	Ended      time.Time // zero while the rotation is running
	Phase      string
	Parts      []PartReport
	Remains    []Remains
	Error      string // of the last attempt, which is repeated
}

// PartReport is the progress of one part.
type PartReport struct {
	Name                    string
	Seen, Rewrapped, Failed uint64
}

// Remains is what still needs an older generation, which therefore stays in the keyring.
type Remains struct {
	Generation uint32
	Count      uint64
	What       string
}

// The phases of a running rotation, in order.
const (
	phaseRewrap  = "wrapping anew"
	phaseWait    = "waiting for requests that began before"
	phaseSecond  = "looking for what is left"
	phaseWholes  = "wrapping the store's own keys"
	phaseNothing = ""
)

// New returns a Rotation. Run must be started once.
func New(o Options) *Rotation {
	if o.Retry == 0 {
		o.Retry = time.Minute
	}
	if o.Again == 0 {
		o.Again = time.Hour
	}
	return &Rotation{o: o, wake: make(chan struct{}, 1)}
}

// ErrUnderWay refuses a new source while a rotation is running.
var ErrUnderWay = errors.New("a rotation is under way; wait until it has ended, then name another source")

// Begin makes a new generation. If to is not "" and not the present source, it first seals
// the keyring under the source to. Run rewraps what older generations wrap. If a rotation
// is running, it continues, and no generation is made.
func (r *Rotation) Begin(ctx context.Context, to string) error {
	r.beginning.Lock()
	defer r.beginning.Unlock()
	st, err := r.load(ctx)
	if err != nil {
		return err
	}
	if r.unfinished(st) {
		if to != "" {
			return ErrUnderWay
		}
		r.kick()
		return nil
	}
	if to != "" {
		if err := r.o.Keyring.Move(ctx, to); err != nil {
			return err
		}
		r.o.Logger.Info("the keyring is sealed under another source; start the server with it from now on",
			"source", r.o.Keyring.Source())
	}
	g, err := r.o.Keyring.Grow(ctx)
	if err != nil {
		return err
	}
	r.o.Logger.Info("the root key has a new generation", "generation", g.Number)
	st = state{Report: Report{Generation: g.Number, Began: r.o.Now()}}
	r.show(&st, phaseRewrap)
	r.kick()
	return r.save(ctx, &st)
}

func (r *Rotation) kick() {
	select {
	case r.wake <- struct{}{}:
	default: // it is running, or about to run
	}
}

// unfinished reports whether something may still need an older generation although a
// rotation would rewrap it.
func (r *Rotation) unfinished(st state) bool {
	all := r.o.Keyring.Generations()
	return len(all) > 1 && (st.Generation != all[0].Number || st.Ended.IsZero())
}

// Report returns the progress of the rotation.
func (r *Rotation) Report() Report {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.report
	out.Parts, out.Remains = slices.Clone(out.Parts), slices.Clone(out.Remains)
	return out
}

func (r *Rotation) show(st *state, phase string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	st.Phase = phase
	r.report = st.Report
	r.report.Parts, r.report.Remains = slices.Clone(st.Parts), slices.Clone(st.Remains)
}

// Run continues a rotation that was started now or before a restart, until ctx ends.
func (r *Rotation) Run(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.wake:
		case <-retry.C:
		}
		if err := r.advance(ctx); err != nil && ctx.Err() == nil {
			r.mu.Lock()
			r.report.Error = err.Error()
			r.mu.Unlock()
			r.o.Logger.Warn("the rotation of the root key did not end and is tried again", "err", err)
			retry.Reset(r.o.Retry)
		} else if len(r.o.Keyring.Generations()) > 1 {
			retry.Reset(r.o.Again) // what needs an older generation may have been removed by then
		}
	}
}

// advance does the remaining work of a rotation.
func (r *Rotation) advance(ctx context.Context) error {
	st, err := r.load(ctx)
	if err != nil {
		return err
	}
	if !r.unfinished(st) {
		r.show(&st, phaseNothing)
		return r.drop(ctx, &st)
	}
	if now := r.o.Keyring.Generations()[0]; st.Generation != now.Number {
		st = state{Report: Report{Generation: now.Number, Began: r.o.Now()}}
	}
	st.Error = ""
	if err := r.walk(ctx, &st, phaseRewrap); err != nil {
		return err
	}
	// A request that began before the new generation may still store what it wrapped under
	// the previous one. After these requests have ended, nothing new needs an older
	// generation.
	r.show(&st, phaseWait)
	if err := r.quiet(ctx); err != nil {
		return err
	}
	for again := true; again; {
		before := changed(st.Parts)
		st.part, st.after, st.needs = 0, "", map[uint32]uint64{}
		if err := r.walk(ctx, &st, phaseSecond); err != nil {
			return err
		}
		again = changed(st.Parts) > before
	}
	r.show(&st, phaseWholes)
	for _, w := range r.o.Wholes {
		n, err := w.Do(ctx)
		if err != nil {
			return err
		}
		p := st.of(w.Name)
		p.Rewrapped += uint64(n)
		p.Seen += uint64(n)
	}
	if err := r.o.Keyring.Forget(); err != nil {
		return err
	}
	st.Ended = r.o.Now()
	if err := r.save(ctx, &st); err != nil {
		return err
	}
	if err := r.drop(ctx, &st); err != nil {
		return err
	}
	r.o.Logger.Info("everything is wrapped under the newest generation of the root key", "generation", st.Generation,
		"rewrapped", changed(st.Parts), "remains", len(st.Remains))
	return nil
}

func changed(parts []PartReport) (n uint64) {
	for _, p := range parts {
		n += p.Rewrapped
	}
	return n
}

// walk rewraps all parts, beginning at the position in the state.
func (r *Rotation) walk(ctx context.Context, st *state, phase string) error {
	for ; st.part < len(r.o.Parts); st.part, st.after = st.part+1, "" {
		part := r.o.Parts[st.part]
		for first := true; first || st.after != ""; first = false {
			next, n, err := part.Step(ctx, st.after)
			if err != nil {
				return errors.Join(err, ctx.Err())
			}
			p := st.of(part.Name)
			if phase == phaseRewrap {
				p.Seen += n.Seen
			} else if first && st.after == "" {
				p.Seen, p.Failed = n.Seen, n.Failed
			} else {
				p.Seen += n.Seen
				p.Failed += n.Failed
			}
			p.Rewrapped += n.Changed
			for g, count := range n.Needs {
				if st.needs == nil {
					st.needs = map[uint32]uint64{}
				}
				st.needs[g] += count
			}
			st.after = next
			r.show(st, phase)
			if n.Changed > 0 {
				if err := r.save(ctx, st); err != nil {
					return err
				}
			}
			if next == "" {
				break
			}
		}
	}
	return ctx.Err()
}

// poll is how often the running requests are counted.
const poll = 100 * time.Millisecond

// quiet waits for the requests that began before the current generation.
func (r *Rotation) quiet(ctx context.Context) error {
	for r.o.Keyring.Ring.Held() > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(poll):
		}
	}
	return nil
}

// drop removes the generations that are no longer needed, and records what needs the others.
func (r *Rotation) drop(ctx context.Context, st *state) error {
	stays, err := r.o.Stays(ctx)
	if err != nil {
		return err
	}
	all := r.o.Keyring.Generations()
	if all[0].Number != st.Generation {
		return nil // another rotation has begun, and st is not about it
	}
	var unneeded []uint32
	st.Remains = nil
	for _, g := range all[1:] {
		if n := st.needs[g.Number]; n > 0 {
			st.Remains = append(st.Remains, Remains{g.Number, n, "data keys that could not be wrapped anew"})
		}
		if n := stays[g.Number]; n > 0 {
			st.Remains = append(st.Remains, Remains{g.Number, n, r.o.Why})
		}
		if st.needs[g.Number]+stays[g.Number] == 0 {
			unneeded = append(unneeded, g.Number)
		}
	}
	r.show(st, phaseNothing)
	if len(unneeded) == 0 {
		return nil
	}
	if err := r.o.Keyring.Drop(ctx, unneeded); err != nil {
		return err
	}
	r.o.Logger.Info("generations of the root key that nothing needs are gone", "generations", unneeded)
	return nil
}
