package dispatch

import (
	"context"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/limit"
)

// hold tells the memory budget which caller a request belongs to, after its signature was
// verified. Error: SlowDown.
func hold(ctx context.Context, c authz.Caller) error {
	held := limit.From(ctx)
	switch c.Kind() {
	case policy.Nobody, policy.Anonymous:
		return nil
	case policy.AccountRoot:
		return held.Verified(ctx, limit.Root, c.AccessKeyID())
	case policy.Service:
		return held.Verified(ctx, limit.Caller, c.Who().Name)
	}
	return held.Verified(ctx, limit.Caller, c.AccessKeyID())
}

// admit refuses an unsigned document before it is read if the bucket certainly allows
// nothing to anonymous callers, unless the operation needs no permission because of
// something.
func (d *Dispatcher) admit(
	ctx context.Context, because string, r *protocol.Request, wire codec, c authz.Caller,
) error {
	if !c.Anonymous() || because != "" || wire.Streams(wire.op) || r.Bucket == "" || r.HTTP.ContentLength == 0 {
		return nil
	}
	out, err := d.authority.Excludes(ctx, c, r.Bucket)
	if err == nil && out {
		err = fault.Of(fault.AccessDenied)
	}
	return err
}
