package embedded

import (
	"context"
	"slices"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// Rekeyed is implemented by every store of this package. Rekey wraps the store's id and the
// keys of its epochs under the current generation of the root key, and removes older
// wrappings from the engine's files. It returns how many it rewrapped; after an error it
// can be called again. It does not change values.
type Rekeyed interface {
	Rekey(ctx context.Context) (int, error)
}

// Rekey implements Rekeyed.
func (s *store) Rekey(ctx context.Context) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	c := &commit{rekey: true, done: make(chan error, 1)}
	if err := s.submit(ctx, c); err != nil {
		return 0, err
	}
	if err := s.outcome(ctx, c); err != nil {
		return 0, err
	}
	if c.failed != nil {
		return c.rekeyed, c.failed
	}
	return c.rekeyed, s.engine.Purge(ctx, []byte{reserved}, []byte{reserved + 1})
}

// rewrap adds to b everything that an older generation wraps, rewrapped. Only the committer
// calls it.
func (s *store) rewrap(b engine.Batch) (n int, err error) {
	old := *s.record.Load()
	id, changed, err := s.root.For(storePurpose).Rewrap(old[1:], versionKey())
	if err != nil {
		return 0, err
	}
	if changed {
		record := append([]byte{version}, id...)
		s.record.Store(&record)
		copy(b.Set(versionKey(), len(record)), record)
		n++
	}
	copies := slices.Clone(*s.sealer.copies.Load())
	for i, old := range copies {
		epoch := uint32(i + 1)
		wrapped, changed, err := s.sealer.wrap.Rewrap(old, s.sealer.context(epoch))
		if err != nil {
			return n, err
		}
		if changed {
			copies[i] = wrapped
			copy(b.Set(epochKey(epoch), len(wrapped)), wrapped)
			n++
		}
	}
	s.sealer.copies.Store(&copies)
	return n, nil
}

// Rekey implements Rekeyed.
func (k *keeper) Rekey(ctx context.Context) (int, error) {
	s, err := k.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer s.leave()
	return s.Rekey(ctx)
}
