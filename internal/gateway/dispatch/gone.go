package dispatch

import (
	"context"
	"errors"
	"net"
	"strings"
)

// clientGone reports whether a request failed because its client disconnected, which is not
// an error of the server. An error about a damaged file never counts as that.
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
	// net/http does not export the error of an HTTP/2 stream that was closed.
	return errors.Is(cause, context.Canceled) || strings.HasPrefix(cause.Error(), "http2: ") ||
		cause.Error() == "client disconnected"
}
