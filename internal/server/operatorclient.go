package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
)

// Operator speaks to the server that runs on a data directory.
type Operator struct{ client *http.Client }

// DialOperator returns the operator's end. It connects when it is used.
func DialOperator(data string) (*Operator, error) {
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
	return &Operator{&http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}, nil
}

// Health tells what the store takes.
func (o *Operator) Health(ctx context.Context) (out Health, err error) {
	return out, o.do(ctx, http.MethodGet, "/health", nil, &out)
}

// Accounts lists the accounts.
func (o *Operator) Accounts(ctx context.Context) (out []Account, err error) {
	return out, o.do(ctx, http.MethodGet, "/accounts", nil, &out)
}

// CreateAccount makes an account with a root user.
func (o *Operator) CreateAccount(ctx context.Context, name string) (out NewAccount, err error) {
	return out, o.do(ctx, http.MethodPost, "/accounts", NewAccount{Name: name}, &out)
}

// ResetRoot gives an account's root user one new key and removes the others.
func (o *Operator) ResetRoot(ctx context.Context, account string) (out NewAccount, err error) {
	return out, o.do(ctx, http.MethodPost, "/root-keys", NewAccount{AccountID: account}, &out)
}

// AccountPublic describes what an account says of public access.
func (o *Operator) AccountPublic(ctx context.Context, account string) (out AccountPublic, err error) {
	return out, o.do(ctx, http.MethodPost, "/public-access/account", PublicCommand{AccountID: account}, &out)
}

// BucketPublic describes whom a bucket lets in.
func (o *Operator) BucketPublic(ctx context.Context, bucket string) (out BucketPublic, err error) {
	return out, o.do(ctx, http.MethodPost, "/public-access/bucket", PublicCommand{Bucket: bucket}, &out)
}

// SetPublic blocks public access, or unblocks it.
func (o *Operator) SetPublic(ctx context.Context, in PublicCommand) error {
	return o.do(ctx, http.MethodPut, "/public-access", in, &struct{}{})
}

// PreviewPolicy tells who would gain and who would lose what by a policy.
func (o *Operator) PreviewPolicy(ctx context.Context, bucket, policy string) (out Preview, err error) {
	return out, o.do(ctx, http.MethodPost, "/policy-preview", PreviewCommand{bucket, policy}, &out)
}

func (o *Operator) do(ctx context.Context, method, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://operator"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := o.client.Do(req)
	if err != nil {
		return errors.Unwrap(err) // the address in front says nothing
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusOK {
		return json.NewDecoder(res.Body).Decode(out)
	}
	var r refusal
	if err := json.NewDecoder(res.Body).Decode(&r); err != nil {
		return fmt.Errorf("the server answers %s", res.Status)
	}
	return fmt.Errorf("%s: %s", r.Code, r.Message)
}
