package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/payload"
)

// Payloads is where the bytes of objects are kept; met by payload.Store, whose
// words it repeats.
type Payloads interface {
	Write(ctx context.Context, g authz.Grant, src payload.Source) (payload.Location, payload.Digests, error)
	Open(ctx context.Context, g authz.Grant, at payload.Location, inline, binding []byte) (*payload.Object, error)
	Settle(at payload.Location)
	Drop(ctx context.Context, at payload.Location)
	Remove(ctx context.Context, at payload.Location)
}
