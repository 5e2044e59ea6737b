package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/payload"
	"watertight/internal/storage/seal"
)

// Payloads is where the bytes of objects are kept; met by payload.Store, whose
// words it repeats.
type Payloads interface {
	Write(ctx context.Context, g authz.Grant, src payload.Source) (payload.Location, payload.Digests, error)
	Open(ctx context.Context, g authz.Grant, at payload.Location, customer *seal.Key, inline, binding []byte) (*payload.Object, error)
	Lock(ctx context.Context, g authz.Grant, customer *seal.Key, binding []byte) (payload.Location, error)
	Unlock(ctx context.Context, g authz.Grant, at payload.Location, customer *seal.Key, binding []byte) (sum []byte, err error)
	SealSum(ctx context.Context, g authz.Grant, at payload.Location, customer *seal.Key, sum, binding []byte) (payload.Location, error)
	Settle(at payload.Location)
	Drop(ctx context.Context, at payload.Location)
	Remove(ctx context.Context, at payload.Location)
}
