package payload

import (
	"context"
	"errors"
	"fmt"
	"time"

	"watertight/internal/storage/seal"
)

// Sealed returns what the bytes of blobs must be, in the order of their names, and nil for a blob
// of which that is not known.
type Sealed func(ctx context.Context, names []string) ([]*Check, error)

// Tidy is that of the store, and proves the bytes that it moves: those that do not authenticate
// under their data key stay where they are, and with them their segment. What no key here
// opens is moved as it is.
func (o *Operator) Tidy(ctx context.Context, now time.Time, sealed Sealed) (Tidied, error) {
	return o.store.tidy(ctx, now, &prover{o, sealed})
}

// prover proves the bytes of extents.
type prover struct {
	operator *Operator
	sealed   Sealed
}

// proved returns the extents whose bytes are right, or not known to be wrong, and why the first
// of the others is not one of them. Without a prover it returns all.
func (s *Store) proved(ctx context.Context, all []extent, p *prover) (right []extent, wrong, err error) {
	if p == nil {
		return all, nil, nil
	}
	names := make([]string, len(all))
	for i, x := range all {
		names[i] = x.name
	}
	checks, err := p.sealed(ctx, names)
	if err != nil {
		return nil, nil, err
	}
	for i, x := range all {
		switch err := p.prove(ctx, x, checks[i]); {
		case err == nil:
			right = append(right, x)
		case !errors.As(err, new(*DamageError)):
			return nil, nil, err
		case wrong == nil:
			wrong = fmt.Errorf("unit %d, blob %s: %w", x.at.Unit, x.name, err)
		}
	}
	return right, wrong, nil
}

// prove returns a *DamageError if the bytes of an extent are not what its data key sealed.
func (p *prover) prove(ctx context.Context, x extent, c *Check) (err error) {
	if c == nil || c.At.Blob != x.name {
		return nil
	}
	key, err := p.operator.keys.Open(ctx, c.Choice, c.At.Key, c.Binding)
	if err != nil {
		return ctx.Err() // that says nothing about the bytes
	}
	s := p.operator.store
	b, err := s.segments.Open(x.at, x.name, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if b.Size() != key.SealedSize(c.At.Size) {
		return &DamageError{Reason: "the sealed bytes have another length than the record says"}
	}
	object := &Object{store: s, stream: seal.NewReader(b, key, c.At.Size)}
	return p.operator.chunks(object, func(int64) error { return ctx.Err() })
}
