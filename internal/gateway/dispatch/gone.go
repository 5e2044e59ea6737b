package dispatch

import (
	"context"
	"errors"
	"net"
	"strings"
)

// clientGone reports that a request failed since nobody is there any more to
// send its rest or take its answer, which is no fault of the server. What a
// store says of a damaged file is never taken for it.
func clientGone(ctx context.Context, cause error) bool {
	if cause == nil {
		return false
	}
	if op, ok := errors.AsType[*net.OpError](cause); ok && (op.Op == "write" || op.Op == "read") {
		return true
	}
	if ctx.Err() == nil {
		return false
	}
	// net/http does not export what HTTP/2 says of a stream that was closed.
	return errors.Is(cause, context.Canceled) || strings.HasPrefix(cause.Error(), "http2: ") || cause.Error() == "client disconnected"
}
