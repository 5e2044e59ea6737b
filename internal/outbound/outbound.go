// Package outbound makes every HTTP call of the server itself. It exists because
// the addresses come from callers that may configure something: without a guard,
// such a caller could make the server reach what only the server can reach. It must
// never know what is fetched, or why.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"watertight/internal/fault"
)

// Limits of one call.
const (
	maxBody    = 512 << 10
	maxHeaders = 64 << 10
	patience   = 10 * time.Second
)

// Options say what may be reached.
type Options struct {
	// Allow are networks that may be reached although they are not public.
	Allow []netip.Prefix
	// Hosts has addresses of hosts ("keys.example:443"), which are used instead of
	// asking DNS; the guard judges them like any other. It is for tests.
	Hosts map[string]string
}

// Client makes calls. It is safe for use by many goroutines.
type Client struct{ options Options }

// New returns a client.
func New(o Options) *Client { return &Client{options: o} }

// Get fetches an https address: at most 512 KiB, within 10 seconds, following
// no redirect and asking no proxy. The server must prove its name with a
// certificate that the system's authorities vouch for, or with a chain whose
// last certificate has one of the thumbprints (SHA-1, hexadecimal).
//
// Errors are faults: Denied where the address, the certificate or the answer is
// not acceptable, and asking again will not help; Unavailable where the network
// or the server failed.
func (c *Client) Get(ctx context.Context, address string, thumbprints []string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Fragment != "" {
		return nil, denied(errors.New("outbound: not a plain https address"))
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, denied(err)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "watertight")
	t := c.transport(u.Hostname(), thumbprints)
	defer t.CloseIdleConnections()
	res, err := t.RoundTrip(req) // not a Client: it would follow redirects
	if err != nil {
		return nil, classify(fmt.Errorf("outbound: %w", err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		err := fmt.Errorf("outbound: %s answers %d", u.Host, res.StatusCode)
		if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
			return nil, unavailable(err)
		}
		return nil, denied(err)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxBody+1))
	if err != nil {
		return nil, classify(fmt.Errorf("outbound: %w", err))
	}
	if len(b) > maxBody {
		return nil, denied(fmt.Errorf("outbound: %s answers more than %d bytes", u.Host, maxBody))
	}
	return b, nil
}

// transport is for one call: another call may pin another chain.
func (c *Client) transport(host string, thumbprints []string) *http.Transport {
	return &http.Transport{
		Proxy:                  nil,
		DialContext:            c.dial,
		DisableKeepAlives:      true,
		DisableCompression:     true, // a small answer stays small
		MaxResponseHeaderBytes: maxHeaders,
		TLSClientConfig: &tls.Config{
			MinVersion: tls.VersionTLS12, ServerName: host,
			InsecureSkipVerify: true, // VerifyConnection verifies every connection instead
			VerifyConnection: func(s tls.ConnectionState) error {
				return verify(s.PeerCertificates, host, thumbprints)
			},
		},
	}
}

func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if to, ok := c.options.Hosts[address]; ok {
		address = to
	}
	d := net.Dialer{Timeout: patience, ControlContext: c.guard}
	return d.DialContext(ctx, network, address)
}

// classify distinguishes failures that a retry cannot change from those that it may.
func classify(err error) error {
	if _, ok := errors.AsType[refusal](err); ok {
		return denied(err)
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return denied(err)
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return denied(err)
	}
	return unavailable(err)
}

func denied(err error) error {
	return fault.New(fault.AccessDenied, "The address can't be used.").Because(err)
}

func unavailable(err error) error {
	return fault.New(fault.ServiceUnavailable, "The address can't be reached.").Because(err)
}
