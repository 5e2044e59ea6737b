package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
)

// ErrGone means that the server exited before it had answered a command. What the command
// had done by then is unknown.
var ErrGone = errors.New("the server stopped or crashed before the command was done")

// orGone replaces the errors of a closed connection by ErrGone.
func orGone(ctx context.Context, err error) error {
	for _, closed := range []error{
		io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, syscall.ECONNRESET, syscall.EPIPE,
	} {
		if errors.Is(err, closed) && ctx.Err() == nil {
			return ErrGone
		}
	}
	return err
}

// Client sends commands to the server that runs on a data directory.
type Client struct {
	data   string
	client *http.Client
}

// Dial returns a client. It connects with each command.
func Dial(data string) *Client { return dialWith(data, nil) }

// dialWith is Dial with a function that is called when a connection can't be read any more.
// net/http notices that only after it has sent the whole body.
func dialWith(data string, closed func()) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		at, err := socketOf(data)
		if err != nil {
			return nil, fmt.Errorf("no server answers for %s: %w", data, err)
		}
		defer at.Close()
		c, err := new(net.Dialer).DialContext(ctx, "unix", at.path)
		if err != nil {
			return nil, fmt.Errorf("no server answers for %s: is it running, and is this its --data? %w", data, err)
		}
		if err := checkPeer(c); err != nil {
			return nil, errors.Join(fmt.Errorf("another user's server answers for %s: %w", data, err), c.Close())
		}
		if closed != nil {
			c = watchedConn{c, closed}
		}
		return c, nil
	}
	return &Client{data, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

type watchedConn struct {
	net.Conn
	closed func()
}

func (c watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil {
		c.closed()
	}
	return n, err
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, orGone(ctx, errors.Unwrap(err)) // without the address, which does not help
	}
	return res, nil
}

func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	res, err := c.send(ctx, method, path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return orGone(ctx, json.NewDecoder(res.Body).Decode(out))
	}
	return refusedBy(res)
}

// refusedBy returns the error in a response.
func refusedBy(res *http.Response) error {
	var r refusal
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return fmt.Errorf("the server answers %s", res.Status)
	}
	return &r
}

// Is makes errors.Is find ErrGone in the answer of a server that stops.
func (r *refusal) Is(target error) bool { return r.Stopping && target == ErrGone }

// Error returns the code and what the server says.
func (r *refusal) Error() string {
	if r.Stopping {
		return ErrGone.Error()
	}
	return fmt.Sprintf("%s: %s", r.Code, r.Message)
}
