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
	"net/http/httptrace"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Named calls servers that the operator named by host and port, and no others. A caller may
// choose among them. Connections are kept. It asks no proxy and follows no redirect.
type Named struct {
	allowed   []string // "host:port", in lower case
	transport *http.Transport
}

// NamedOptions say which servers may be called.
type NamedOptions struct {
	Allow []string       // "HOST:PORT"; HOST is a name or an address, with brackets for IPv6
	Roots *x509.CertPool // authorities of their certificates; nil means the system's
}

// Call says how one server is called.
type Call struct {
	Connect  time.Duration // limit of one attempt to connect
	Attempts int           // attempts to connect
	Response time.Duration // limit of the wait for the headers, and for each further piece of the body
}

// Errors of Named. ErrNotNamed means that the operator did not name the server, ErrConnect
// that no connection to it was made, and ErrSlow that it did not answer in time.
var (
	ErrNotNamed = errors.New("outbound: the operator did not allow this server")
	ErrConnect  = errors.New("outbound: no connection to the server")
	ErrSlow     = errors.New("outbound: the server took too long")
)

// Limits of the connections to one server. idleNamed is CloudFront's default.
const (
	idleNamed   = 5 * time.Second
	connsToEach = 256
)

// NewNamed returns a client. Error: an entry of Allow is not HOST:PORT.
func NewNamed(o NamedOptions) (*Named, error) {
	n := &Named{}
	for _, a := range o.Allow {
		host, port, err := net.SplitHostPort(a)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" || port == "0" || strings.ContainsAny(host, "/*@ ") {
			return nil, fmt.Errorf("%s is not HOST:PORT", a)
		}
		n.allowed = append(n.allowed, address(host, port))
	}
	n.transport = &http.Transport{
		Proxy: nil, DialContext: n.dial, TLSHandshakeTimeout: patience, IdleConnTimeout: idleNamed,
		MaxIdleConns: 4 * connsToEach, MaxIdleConnsPerHost: connsToEach, MaxConnsPerHost: connsToEach,
		DisableCompression: true, MaxResponseHeaderBytes: maxHeaders,
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots},
	}
	return n, nil
}

// address is how a host and a port are compared.
func address(host, port string) string {
	return net.JoinHostPort(strings.ToLower(strings.TrimSuffix(host, ".")), port)
}

// Allows reports whether the operator named a server.
func (n *Named) Allows(host string, port int) bool {
	return slices.Contains(n.allowed, address(host, strconv.Itoa(port)))
}

// CloseIdle closes the connections that are not used.
func (n *Named) CloseIdle() { n.transport.CloseIdleConnections() }

// callKey is the key of a Call in the context of a dial.
type callKey struct{}

// RoundTrip sends a request to the server that its URL names. The certificate must be for
// the URL's host, whatever Host says. The caller closes the body. Errors are ErrNotNamed,
// ErrConnect and ErrSlow, with their causes, and others if the answer is no HTTP.
func (n *Named) RoundTrip(r *http.Request, c Call) (*http.Response, error) {
	port := r.URL.Port()
	if port == "" || !slices.Contains(n.allowed, address(r.URL.Hostname(), port)) {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, fmt.Errorf("%w: %s", ErrNotNamed, r.URL.Host)
	}
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), callKey{}, c))
	p := &stall{after: c.Response, timer: time.AfterFunc(c.Connect*time.Duration(c.Attempts)+c.Response,
		func() { cancel(ErrSlow) })}
	sent := r.WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(httptrace.GotConnInfo) { p.timer.Reset(c.Response) },
	}))
	if r.Body != nil && r.Body != http.NoBody {
		sent.Body = waiting{r.Body, p}
	}
	res, err := n.transport.RoundTrip(sent)
	if err != nil {
		p.timer.Stop()
		cause := context.Cause(ctx)
		cancel(nil)
		if errors.Is(cause, ErrSlow) {
			return nil, ErrSlow
		}
		return nil, fmt.Errorf("outbound: %w", err)
	}
	p.timer.Stop()
	res.Body = &answering{ReadCloser: res.Body, p: p, ctx: ctx, cancel: cancel}
	return res, nil
}

// dial connects to a named server, whose name is resolved now.
func (n *Named) dial(ctx context.Context, network, to string) (net.Conn, error) {
	c, _ := ctx.Value(callKey{}).(Call)
	d := net.Dialer{Timeout: c.Connect, ControlContext: n.guard(to)}
	var err error
	for range max(c.Attempts, 1) {
		var conn net.Conn
		if conn, err = d.DialContext(ctx, network, to); err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			break
		}
	}
	if late, ok := errors.AsType[net.Error](err); ok && late.Timeout() {
		err = errors.Join(ErrSlow, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrConnect, err)
}

// guard refuses an address that a name must not resolve to: those of the machine's own link,
// which metadata services of clouds use, and those that are no single machine's. The operator
// may name such an address itself.
func (n *Named) guard(to string) func(context.Context, string, string, syscall.RawConn) error {
	host, _, _ := net.SplitHostPort(to)
	_, err := netip.ParseAddr(host)
	literal := err == nil
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		a, err := netip.ParseAddrPort(address)
		if err != nil {
			return refusal{address}
		}
		ip := a.Addr().Unmap()
		if !literal && (ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() ||
			ip == netip.MustParseAddr("168.63.129.16") || ip == netip.MustParseAddr("fd00:ec2::254")) {
			return refusal{address}
		}
		return nil
	}
}

// stall limits the time in which nothing happens on a connection.
type stall struct {
	after time.Duration
	timer *time.Timer
}

// waiting is the body of a request: the time for which its sender lets wait does not count.
type waiting struct {
	io.ReadCloser
	p *stall
}

func (w waiting) Read(b []byte) (int, error) {
	w.p.timer.Stop()
	defer w.p.timer.Reset(w.p.after)
	return w.ReadCloser.Read(b)
}

// answering is the body of a response: each piece must come in time, and the time between
// two reads does not count.
type answering struct {
	io.ReadCloser
	p      *stall
	ctx    context.Context
	cancel context.CancelCauseFunc
}

func (a *answering) Read(b []byte) (int, error) {
	a.p.timer.Reset(a.p.after)
	n, err := a.ReadCloser.Read(b)
	a.p.timer.Stop()
	if err != nil && err != io.EOF && errors.Is(context.Cause(a.ctx), ErrSlow) {
		err = ErrSlow
	}
	return n, err
}

func (a *answering) Close() error {
	a.p.timer.Stop()
	err := a.ReadCloser.Close()
	a.cancel(nil)
	return err
}
