package operator

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"watertight/internal/fault"
	"watertight/internal/rotation"
)

// RootKey is what the operator sees of the root key.
type RootKey struct {
	Source      string   // that the server uses
	Reachable   bool     // when it was last asked
	Locks       []string // the sources that open the keyring; two while a move is not finished
	Generations []Generation
	Rotation    rotation.Report // the newest rotation; its Generation is 0 if there was none
}

// Generation is a generation of the root key.
type Generation struct {
	Number  uint32
	Made    time.Time // zero: unknown
	Current bool
}

// Rotate is the command to rotate. To is the new source, or "" to keep the source.
type Rotate struct{ To string }

// RootKey returns the root key's source and generations.
func (c *Client) RootKey(ctx context.Context) (out RootKey, err error) {
	return out, c.do(ctx, http.MethodGet, "/rootkey", nil, &out)
}

// RotationReport returns the progress of the rotation. It leaves no audit event.
func (c *Client) RotationReport(ctx context.Context) (out rotation.Report, err error) {
	return out, c.do(ctx, http.MethodGet, "/rootkey/rotation", nil, &out)
}

// RotateRootKey starts a rotation, or continues one that was interrupted. The server does
// the work by itself.
func (c *Client) RotateRootKey(ctx context.Context, to string) (out RootKey, err error) {
	return out, c.do(ctx, http.MethodPost, "/rootkey/rotation", Rotate{to}, &out)
}

func (c commands) rootKey(m *http.ServeMux) {
	m.HandleFunc("GET /rootkey", handle(c, "GetRootKey", c.getRootKey))
	m.HandleFunc("POST /rootkey/rotation", handle(c, "RotateRootKey", c.rotateRootKey))
	m.HandleFunc("GET /rootkey/rotation", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(c.Rotation.Report()) // a client that disconnected needs no answer
	})
}

func (c commands) getRootKey(ctx context.Context, _ *call, _ struct{}) (RootKey, error) {
	out := RootKey{
		Source: c.Options.RootKey.Source(), Reachable: c.Health(ctx).RootKey, Locks: c.Options.RootKey.Locks(),
		Rotation: c.Rotation.Report(),
	}
	for i, g := range c.Options.RootKey.Generations() {
		one := Generation{Number: g.Number, Current: i == 0}
		if g.At.UnixMicro() != 0 {
			one.Made = g.At
		}
		out.Generations = append(out.Generations, one)
	}
	return out, nil
}

func (c commands) rotateRootKey(ctx context.Context, cl *call, in Rotate) (RootKey, error) {
	cl.param("to", in.To)
	if err := c.Rotation.Begin(ctx, in.To); err != nil {
		if errors.Is(err, rotation.ErrUnderWay) {
			return RootKey{}, fault.New(fault.OperationAborted, err.Error())
		}
		return RootKey{}, fault.Internal(err)
	}
	return c.getRootKey(ctx, cl, struct{}{})
}
