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
)

// Client sends commands to the server that runs on a data directory.
type Client struct{ client *http.Client }

// Dial returns a client. It connects with each command.
func Dial(data string) *Client {
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
		return c, nil
	}
	return &Client{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, body)
	if err != nil {
		return nil, err
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, errors.Unwrap(err) // without the address, which does not help
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
		return json.NewDecoder(res.Body).Decode(out)
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

// Error returns the code and what the server says.
func (r *refusal) Error() string { return fmt.Sprintf("%s: %s", r.Code, r.Message) }
