package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
)

// A long command responds with lines of JSON while it runs: progress, findings, and at the
// end the result or an error. A response that ends without either was cut off.

// line is one line of such a response. One of the fields is set.
type line[Progress, Out any] struct {
	Progress *Progress `json:",omitempty"`
	Result   *Out      `json:",omitempty"`
	Refused  *refusal  `json:",omitempty"`
}

// progressEvery is how often progress is sent.
const progressEvery = time.Second

// stream serves a long command. tell sends progress; if always is false, tell may skip it.
// The command ends when the connection is closed, and when the server stops.
func stream[In, Progress, Out any](
	c commands, operation string,
	do func(ctx context.Context, cl *call, in In, tell func(p Progress, always bool) error) (Out, error),
) http.HandlerFunc {
	return func(w http.ResponseWriter, hr *http.Request) {
		cl := c.begin(operation)
		ctx, cancel := context.WithCancel(hr.Context())
		defer cancel()
		wire := http.NewResponseController(w)
		defer context.AfterFunc(c.Ending, func() {
			cancel()
			wire.SetReadDeadline(time.Unix(1, 0)) // ends a running read; if it fails, nothing can be done
		})()
		var in In
		from := json.NewDecoder(io.LimitReader(hr.Body, maxBody))
		cl.next = from.Decode
		err := errors.Join(wire.EnableFullDuplex(), from.Decode(&in))
		if errors.Is(err, io.EOF) {
			err = nil
		}
		w.Header().Set("Content-Type", "application/x-ndjson")
		to := json.NewEncoder(w)
		tick := time.NewTicker(progressEvery)
		defer tick.Stop()
		send := func(l line[Progress, Out]) error {
			return errors.Join(to.Encode(l), wire.Flush())
		}
		var out Out
		if err == nil {
			out, err = do(ctx, cl, in, func(p Progress, always bool) error {
				select {
				case <-tick.C:
				default:
					if !always {
						return nil
					}
				}
				return send(line[Progress, Out]{Progress: &p})
			})
		}
		if err != nil {
			f := fault.From(err)
			cl.record.Finish(audit.Outcome{Err: f})
			r := refused(f, err)
			r.Stopping = c.Ending.Err() != nil && errors.Is(err, context.Canceled)
			send(line[Progress, Out]{Refused: r}) // a client that disconnected needs no answer
			return
		}
		cl.record.Finish(audit.Outcome{})
		send(line[Progress, Out]{Result: &out})
	}
}

// refused returns what the operator is told about an error, including the cause.
func refused(f *fault.Error, err error) *refusal {
	if f.Kind == fault.KindInternal {
		return &refusal{Code: string(f.Code), Message: err.Error()}
	}
	return &refusal{Code: string(f.Code), Message: f.Message}
}

// follow sends a long command, and calls told with its progress.
func follow[Progress, Out any](
	ctx context.Context, c *Client, path string, in any, told func(Progress) error,
) (out Out, err error) {
	body, err := json.Marshal(in)
	if err != nil {
		return out, err
	}
	return converse[Progress, Out](ctx, c, path, bytes.NewReader(body), told)
}

// converse is follow with a body to which the client adds.
func converse[Progress, Out any](
	ctx context.Context, c *Client, path string, body io.Reader, told func(Progress) error,
) (out Out, err error) {
	res, err := c.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return out, refusedBy(res)
	}
	for lines := json.NewDecoder(res.Body); ; {
		var l line[Progress, Out]
		switch err := lines.Decode(&l); {
		case err != nil:
			if err = orGone(ctx, err); err != ErrGone {
				err = fmt.Errorf("the server ended the command: %w", err)
			}
			return out, err
		case l.Refused != nil:
			return out, l.Refused
		case l.Result != nil:
			return *l.Result, nil
		case l.Progress != nil:
			if err := told(*l.Progress); err != nil {
				return out, err
			}
		}
	}
}
