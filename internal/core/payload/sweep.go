package payload

import (
	"context"
	"iter"
	"time"
)

// A blob that no record refers to may be left over from a crash, or its record may be
// missing, for example after older metadata was restored. The sweeper can't know which, so
// it first sets the blob aside, and puts it back if a record refers to it. It removes the
// blob after Grace. It never removes more than a certain share of all blobs.
const (
	// Grace is how long an orphan is kept.
	Grace = 24 * time.Hour
	// fewOrphans orphans may always be removed; more only up to a share of one in orphanShare.
	fewOrphans  = 64
	orphanShare = 20

	sweepBatch = 256 // names in one call of Live
)

// Live reports for each name whether a record refers to it.
type Live func(ctx context.Context, names []string) ([]bool, error)

// Swept counts what a sweep did.
type Swept struct {
	SetAside, PutBack, Removed int
	// Kept are orphans whose grace period has ended, but which are too many to remove
	// without the operator's decision.
	Kept int
}

// Sweep handles blobs that no record refers to. It may run beside traffic: it looks for a
// blob's record only after the blob was not in flight.
func (s *Store) Sweep(ctx context.Context, now time.Time, live Live) (w Swept, err error) {
	total := 0
	var orphans []string
	err = s.ask(ctx, s.blobs(&total), live, func(name string, alive bool) error {
		if !alive {
			orphans = append(orphans, name)
		}
		return nil
	})
	if err != nil {
		return w, err
	}
	aged := map[string]bool{}
	var old []string
	err = s.ask(ctx, s.aside(now, aged), live, func(name string, alive bool) error {
		if alive {
			w.PutBack++
			return s.engine.PutBack(name)
		}
		if aged[name] {
			old = append(old, name)
		}
		return nil
	})
	if err != nil {
		return w, err
	}
	for _, name := range orphans {
		if err := s.engine.SetAside(name, now); err != nil {
			return w, err
		}
		w.SetAside++
	}
	if len(old) > max(fewOrphans, total/orphanShare) {
		w.Kept = len(old)
		return w, nil
	}
	return w, s.forget(ctx, old, live, &w)
}

// forget removes the names that no record refers to now, unless blobs are held.
func (s *Store) forget(ctx context.Context, names []string, live Live, w *Swept) error {
	if s.isHeld() {
		return nil
	}
	all := func(yield func(string, error) bool) {
		for _, n := range names {
			if !yield(n, nil) {
				return
			}
		}
	}
	return s.ask(ctx, all, live, func(name string, alive bool) error {
		if alive {
			return nil
		}
		w.Removed++
		return s.engine.Forget(name)
	})
}

// blobs yields the blobs that are not in flight; total counts all blobs.
func (s *Store) blobs(total *int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for name, err := range s.engine.List() {
			*total++
			if err == nil && s.flying(name) {
				continue
			}
			if !yield(name, err) {
				return
			}
		}
	}
}

// aside yields the blobs that were set aside, and adds those past their grace period to aged.
func (s *Store) aside(now time.Time, aged map[string]bool) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for a, err := range s.engine.Aside() {
			if err == nil && now.Sub(a.Since) >= Grace {
				aged[a.Name] = true
			}
			if !yield(a.Name, err) {
				return
			}
		}
	}
}

// ask calls fn with each name and whether a record refers to it.
func (s *Store) ask(ctx context.Context, names iter.Seq2[string, error], live Live, fn func(string, bool) error) error {
	var batch []string
	flush := func() error {
		alive, err := live(ctx, batch)
		if err != nil {
			return err
		}
		for i, name := range batch {
			if err := fn(name, alive[i]); err != nil {
				return err
			}
		}
		batch = batch[:0]
		return nil
	}
	for name, err := range names {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if batch = append(batch, name); len(batch) == sweepBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if len(batch) > 0 {
		return flush()
	}
	return nil
}
