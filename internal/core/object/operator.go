package object

import (
	"bytes"
	"context"
	"iter"

	"watertight/internal/core/change/record"
	"watertight/internal/core/instant"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// Operator checks that what is stored is complete and undamaged, for the operator's
// commands. It asks for no grant, and returns no plaintext.
type Operator struct {
	store kv.Store
	bytes OperatorPayloads
	clock *instant.Clock
}

// OperatorPayloads checks sealed bytes. payload.Operator implements it.
type OperatorPayloads interface {
	Verify(ctx context.Context, c payload.Check) error
	Shredded(ctx context.Context, choice keys.Choice, wrapped, binding []byte) (bool, error)
	Quarantine(name string) error
	Renew(wrapped, binding []byte) ([]byte, error)
	Apart() (aside, quarantined int, err error)
	Unreferenced(ctx context.Context, live payload.Live, total *int) iter.Seq2[string, error]
	Present(name string) (bool, error)
}

// NewOperator returns the operator of the objects in a store.
func NewOperator(store kv.Store, bytes OperatorPayloads) *Operator {
	return &Operator{store, bytes, new(instant.Clock)}
}

// ServeBy sets the clock that decides how long what a rollback adds is retained, and returns
// the operator.
func (o *Operator) ServeBy(c *instant.Clock) *Operator {
	o.clock = c
	return o
}

// EachBlob calls fn with the names of the blobs that records refer to, as payload.Placed
// returns them, in order, in batches.
func (o *Operator) EachBlob(ctx context.Context, fn func(names []string) error) error {
	const some = 1024
	var names []string
	from, end := []byte(blobPrefix), record.After([]byte(blobPrefix))
	for from != nil {
		start := from
		from, names = nil, nil
		err := o.store.View(ctx, func(r kv.Reader) error {
			for p, err := range r.Scan(start, end) {
				if err != nil {
					return err
				}
				if len(names) == some {
					from = bytes.Clone(p.Key)
					return nil
				}
				name, err := payload.Placed(r, string(p.Key[len(blobPrefix):]))
				if err != nil {
					return err
				}
				names = append(names, name)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if len(names) > 0 {
			if err := fn(names); err != nil {
				return err
			}
		}
	}
	return nil
}
