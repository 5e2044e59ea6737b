package keys

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// KMS wraps data keys under keys of KMS, for callers whose grant covers that. It keeps no
// binding. kms.Store implements it.
type KMS interface {
	// Wrap seals a data key under the key's current material, bound to binding. It
	// needs kms:GenerateDataKey on the key.
	Wrap(ctx context.Context, g authz.Grant, key arn.ARN, plain seal.Key, binding []byte) ([]byte, error)
	// Unwrap opens a data key that Wrap sealed. It needs kms:Decrypt on the key.
	Unwrap(ctx context.Context, g authz.Grant, key arn.ARN, wrapped, binding []byte) (seal.Key, error)
}

// A stored data key under a key of KMS is a scheme and the data key as KMS wrapped it. With
// two layers there are two independent data keys: the scheme, the length of the inner one
// (2 bytes, big-endian), the inner and the outer one.
//
// KMS binds each data key to the layer (1 byte), the encryption context and the binding, so
// the data key of one layer does not open as that of the other.
const (
	schemeKMS    = 3 // SSE-KMS
	schemeLayers = 4 // DSSE-KMS

	innerLayer = 1
	outerLayer = 2
)

// layerBinding returns what KMS binds the data key of a layer to.
func layerBinding(layer byte, context, binding []byte) []byte {
	return appendLayer(make([]byte, 0, 1+len(context)+len(binding)), layer, context, binding)
}

func appendLayer(b []byte, layer byte, context, binding []byte) []byte {
	return append(append(append(b, layer), context...), binding...)
}

// wrapLayer wraps the data key of a layer.
func (r *Ring) wrapLayer(
	ctx context.Context, g authz.Grant, c *kmsKey, layer byte, plain seal.Key, binding []byte,
) ([]byte, error) {
	b := r.bindings.Get().(*[]byte)
	defer r.bindings.Put(b)
	*b = appendLayer((*b)[:0], layer, c.context, binding)
	return r.kms.Wrap(ctx, g, c.key, plain, *b)
}

// unwrapLayer opens the data key of a layer.
func (r *Ring) unwrapLayer(
	ctx context.Context, g authz.Grant, c *kmsKey, layer byte, wrapped, binding []byte,
) (seal.Key, error) {
	b := r.bindings.Get().(*[]byte)
	defer r.bindings.Put(b)
	*b = appendLayer((*b)[:0], layer, c.context, binding)
	k, err := r.kms.Unwrap(ctx, g, c.key, wrapped, *b)
	if fault.Is(err, fault.InvalidCiphertextException) {
		err = fault.Internal(errors.Join(seal.ErrCorrupt, err)) // the server's own record is damaged
	}
	return k, err
}

func (r *Ring) generateUnderKMS(
	ctx context.Context, g authz.Grant, c *kmsKey, binding []byte,
) (plain seal.StreamKey, wrapped []byte, err error) {
	rand.Read(plain.Key[:])
	if c.two {
		outer := seal.NewKey()
		plain.Outer = &outer
	}
	wrapped, err = r.wrapUnderKMS(ctx, g, c, plain, binding)
	if err != nil {
		return seal.StreamKey{}, nil, err
	}
	return plain, wrapped, nil
}

func (r *Ring) wrapUnderKMS(
	ctx context.Context, g authz.Grant, c *kmsKey, plain seal.StreamKey, binding []byte,
) ([]byte, error) {
	if r.kms == nil {
		return nil, fault.Internal(errNoKMS)
	}
	inner, err := r.wrapLayer(ctx, g, c, innerLayer, plain.Key, binding)
	if err != nil {
		return nil, err
	}
	if !c.two {
		return append(append(make([]byte, 0, 1+len(inner)), schemeKMS), inner...), nil
	}
	outer, err := r.wrapLayer(ctx, g, c, outerLayer, *plain.Outer, binding)
	if err != nil {
		return nil, err
	}
	wrapped := append(make([]byte, 0, 3+len(inner)+len(outer)), schemeLayers)
	wrapped = binary.BigEndian.AppendUint16(wrapped, uint16(len(inner)))
	return append(append(wrapped, inner...), outer...), nil
}

// errNoKMS means that this Ring was made without a KMS.
var errNoKMS = errors.New("keys: there is no KMS here")

// pieces splits a stored data key under a key of KMS into the wrapped data keys of its
// layers. outer is nil if it has one layer.
func pieces(wrapped []byte) (inner, outer []byte, ok bool) {
	switch {
	case len(wrapped) > 1 && wrapped[0] == schemeKMS:
		return wrapped[1:], nil, true
	case len(wrapped) > 3 && wrapped[0] == schemeLayers:
		n := int(binary.BigEndian.Uint16(wrapped[1:]))
		if rest := wrapped[3:]; n > 0 && n < len(rest) {
			return rest[:n], rest[n:], true
		}
	}
	return nil, nil, false
}

func (r *Ring) openUnderKMS(
	ctx context.Context, g authz.Grant, c *kmsKey, wrapped, binding []byte,
) (plain seal.StreamKey, err error) {
	inner, outer, ok := pieces(wrapped)
	if r.kms == nil || !ok || (outer != nil) != c.two {
		return plain, fault.Internal(seal.ErrCorrupt)
	}
	if plain.Key, err = r.unwrapLayer(ctx, g, c, innerLayer, inner, binding); err != nil || outer == nil {
		return plain, err
	}
	second, err := r.unwrapLayer(ctx, g, c, outerLayer, outer, binding)
	if err != nil {
		return seal.StreamKey{}, err
	}
	plain.Outer = &second
	return plain, nil
}

// Rewrapper wraps a data key of KMS again, under the newest material of the same key.
// changed is false if the newest material wraps it already. kms.Operator implements it.
type Rewrapper interface {
	Rewrap(ctx context.Context, wrapped, binding []byte) (again []byte, changed bool, err error)
}

// Rewrap moves a data key under a key of KMS to the newest material of that key. The bytes
// that the data key seals stay as they are.
func Rewrap(
	ctx context.Context, to Rewrapper, choice Choice, wrapped, binding []byte,
) (again []byte, changed bool, err error) {
	inner, outer, ok := pieces(wrapped)
	if choice.kms == nil || !ok || (outer != nil) != choice.kms.two {
		return nil, false, fault.Internal(seal.ErrCorrupt)
	}
	context := choice.kms.context
	if inner, changed, err = to.Rewrap(ctx, inner, layerBinding(innerLayer, context, binding)); err != nil {
		return nil, false, err
	}
	if outer == nil {
		return append([]byte{schemeKMS}, inner...), changed, nil
	}
	outer, too, err := to.Rewrap(ctx, outer, layerBinding(outerLayer, context, binding))
	if err != nil {
		return nil, false, err
	}
	again = binary.BigEndian.AppendUint16([]byte{schemeLayers}, uint16(len(inner)))
	return append(append(again, inner...), outer...), changed || too, nil
}
