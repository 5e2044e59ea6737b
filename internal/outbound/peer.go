package outbound

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Peer calls one machine that the operator named, such as the one that keeps the root
// key. Unlike Client, it goes to private addresses, as no caller can choose the
// address. It asks no proxy, follows no redirect and calls no other machine.
type Peer struct {
	base      *url.URL
	transport *http.Transport
}

// NewPeer returns the peer at an address, https://HOST[:PORT], or http:// on loopback.
func NewPeer(address string) (*Peer, error) {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the address is not https://HOST alone, without a user, a query and a fragment")
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("%s would show secrets to anyone on the network; use https", u.Redacted())
	}
	d := net.Dialer{Timeout: patience}
	return &Peer{base: u, transport: &http.Transport{
		Proxy: nil, DialContext: d.DialContext, TLSHandshakeTimeout: patience, ResponseHeaderTimeout: 3 * patience,
		IdleConnTimeout: time.Minute, MaxIdleConns: 2, DisableCompression: true, MaxResponseHeaderBytes: maxHeaders,
		ForceAttemptHTTP2: true,
	}}, nil
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

// Do sends one request, and bounds the answer. It is what an SDK asks of an HTTP client.
func (p *Peer) Do(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != p.base.Scheme || req.URL.Host != p.base.Host {
		return nil, errors.New("outbound: a request to another machine")
	}
	res, err := p.transport.RoundTrip(req) // not a Client: it would follow redirects
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, maxBody), res.Body}
	return res, nil
}

// Post posts JSON to a path under the peer's address, and returns the status and the
// answer, of at most 512 KiB.
func (p *Peer) Post(ctx context.Context, path string, header map[string]string, body []byte) (int, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base.JoinPath(path).String(), bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "watertight")
	for name, value := range header {
		req.Header.Set(name, value)
	}
	res, err := p.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return res.StatusCode, b, err
}
