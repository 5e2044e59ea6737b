package dispatch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"testing"
)

func TestClientGone(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	op := func(op string) error {
		return fmt.Errorf("copy: %w", &net.OpError{Op: op, Err: os.ErrDeadlineExceeded})
	}
	for _, c := range []struct {
		name  string
		ctx   context.Context
		cause error
		want  bool
	}{
		{"nothing", gone, nil, false},
		{"a write to the connection", t.Context(), op("write"), true},
		{"a call that could not be made", t.Context(), op("dial"), false},
		{"called off, and gone", gone, fmt.Errorf("view: %w", context.Canceled), true},
		{"cancelled, but the client is still connected", t.Context(), context.Canceled, false},
		{
			"a damaged file, and gone", gone,
			&os.PathError{Op: "read", Path: "x", Err: errors.New("input/output error")}, false,
		},
		{"a damaged file", t.Context(), errors.New("the seal does not open"), false},
		{"a stream that was closed", gone, errors.New("http2: stream closed"), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := clientGone(c.ctx, c.cause); got != c.want {
				t.Errorf("%s: %v", c.name, got)
			}
		})
	}
}
