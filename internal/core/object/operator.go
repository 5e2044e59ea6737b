package object

import (
	"context"
	"iter"

	"watertight/internal/core/payload"
	"watertight/internal/storage/kv"
)

// Operator proves that what is stored is whole, for the operator's commands. It asks
// for no grant, and gives no plaintext to anybody.
type Operator struct {
	store kv.Store
	bytes OperatorPayloads
}

// OperatorPayloads proves what sealed bytes are. The operator of payload implements it.
type OperatorPayloads interface {
	Verify(ctx context.Context, c payload.Check) error
	Quarantine(name string) error
	Apart() (aside, quarantined int, err error)
	Unreferenced(ctx context.Context, live payload.Live, total *int) iter.Seq2[string, error]
	Present(name string) (bool, error)
}

// NewOperator returns the operator of the objects in a store.
func NewOperator(store kv.Store, bytes OperatorPayloads) *Operator { return &Operator{store, bytes} }
