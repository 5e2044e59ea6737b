package keys

import (
	"context"
	"errors"

	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// ErrCustomerKey is the error for a data key of SSE-C: its outer wrapping has opened, but
// the inner one needs the customer's key.
var ErrCustomerKey = errors.New("keys: it takes the customer's key")

// ErrUnavailable is in the error for a data key under a key of KMS whose material was
// destroyed or, if it was imported, removed.
var ErrUnavailable = errors.New("keys: the key's material is not available")

// Opener opens what KMS wrapped, for the operator's commands. It asks for no grant and
// ignores whether the key is disabled. Errors: KMSInvalidStateException and
// NotFoundException if the material does not exist. kms.Operator implements it.
type Opener interface {
	Open(ctx context.Context, wrapped, binding []byte) (seal.Key, error)
}

// Operator opens data keys for the operator's commands that check stored bytes. It asks for
// no grant.
type Operator struct {
	ring *Ring
	kms  Opener
}

// NewOperator returns the Operator of a Ring; kms may be nil if the Ring has none.
func NewOperator(r *Ring, kms Opener) *Operator { return &Operator{r, kms} }

// Open opens a data key that is bound to binding. It uses the choice only for a key of KMS.
// Errors: ErrCustomerKey, ErrUnavailable, and others if the data key does not open.
func (o *Operator) Open(ctx context.Context, choice Choice, wrapped, binding []byte) (seal.StreamKey, error) {
	if choice.kms != nil {
		return o.underKMS(ctx, choice.kms, wrapped, binding)
	}
	key, err := o.ring.open(Choice{}, wrapped, binding)
	if s, ok := parse(wrapped); ok && s.inner != nil && fault.Is(err, fault.AccessDenied) {
		err = ErrCustomerKey
	}
	return seal.StreamKey{Key: key}, err
}

func (o *Operator) underKMS(ctx context.Context, c *kmsKey, wrapped, binding []byte) (plain seal.StreamKey, err error) {
	inner, outer, ok := pieces(wrapped)
	if !ok || (outer != nil) != c.two {
		return plain, seal.ErrCorrupt
	}
	if o.kms == nil {
		return plain, errNoKMS
	}
	open := func(layer byte, piece []byte) (seal.Key, error) {
		k, err := o.kms.Open(ctx, piece, layerBinding(layer, c.context, binding))
		if fault.Is(err, fault.KMSInvalidStateException) || fault.Is(err, fault.NotFoundException) {
			err = errors.Join(ErrUnavailable, err)
		}
		return k, err
	}
	if plain.Key, err = open(innerLayer, inner); err != nil || outer == nil {
		return plain, err
	}
	second, err := open(outerLayer, outer)
	if err != nil {
		return seal.StreamKey{}, err
	}
	plain.Outer = &second
	return plain, nil
}
