package object

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
)

// Payloads keeps the bytes of objects. payload.Store implements it. It is an interface so
// that tests can check that each write and each removal settles or drops its blob exactly
// once.
type Payloads interface {
	Write(ctx context.Context, g authz.Grant, src payload.Source) (payload.Location, payload.Digests, error)
	NewKey(
		ctx context.Context, g authz.Grant, choice keys.Choice, binding []byte,
	) (payload.Location, payload.DataKey, error)
	OpenKey(
		ctx context.Context, g authz.Grant, at payload.Location, choice keys.Choice, binding []byte,
	) (payload.DataKey, error)
	WrapKey(
		ctx context.Context, g authz.Grant, k payload.DataKey, choice keys.Choice, binding []byte,
	) (wrapped []byte, err error)
	Renew(wrapped, binding []byte) ([]byte, error)
	Open(at payload.Location, k payload.DataKey, inline []byte) (*payload.Object, error)
	Settle(at payload.Location)
	Drop(ctx context.Context, at payload.Location)
	Remove(ctx context.Context, at payload.Location)
}
