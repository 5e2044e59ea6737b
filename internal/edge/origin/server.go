package origin

import (
	"errors"
	"net"
	"net/http"
	"strconv"
	"time"

	"watertight/internal/outbound"
)

// Defaults of CloudFront for origins (CloudFront API reference, "Origin", "CustomOriginConfig").
const (
	defaultAttempts = 3
	defaultConnect  = 10 * time.Second
	defaultResponse = 30 * time.Second
)

// loopHeader names the networks that a request came through (RFC 8586). An edge that gets a
// request with its own name refuses it.
const loopHeader, loopName = "Cdn-Loop", "watertight"

// Loops reports whether a request came through an edge of this program already.
func Loops(h http.Header) bool {
	for _, v := range h[loopHeader] {
		for part := range splitList(v) {
			if part == loopName {
				return true
			}
		}
	}
	return false
}

// toServer sends a request to a server that the operator allowed. Only GET and HEAD are sent
// again after a timeout (developer guide, "Origin response timeout").
func (k *Known) toServer(hr *http.Request, r *Request) (*http.Response, error) {
	c := r.Origin.CustomOriginConfig
	if c == nil {
		return nil, &Failure{
			Status: http.StatusBadGateway, Reason: r.Origin.DomainName + " is no bucket of this store",
		}
	}
	port := c.HTTPSPort
	if c.OriginProtocolPolicy == "http-only" || c.OriginProtocolPolicy == "match-viewer" && !r.Secure {
		port, hr.URL.Scheme = c.HTTPPort, "http"
	}
	at := net.JoinHostPort(r.Origin.DomainName, strconv.Itoa(port))
	if k.options.Servers == nil || !k.options.Servers.Allows(r.Origin.DomainName, port) {
		return nil, &Failure{
			Status: http.StatusBadGateway, Reason: "the operator did not allow " + at + " with --cdn-allow-origin",
		}
	}
	hr.URL.Host, hr.Host = at, r.Origin.DomainName
	if forwarded := hr.Header.Get("Host"); forwarded != "" {
		hr.Host = forwarded
	} else if hr.URL.Scheme == "http" && port != 80 || hr.URL.Scheme == "https" && port != 443 {
		hr.Host = at
	}
	delete(hr.Header, "Host")
	hr.Header[loopHeader] = append(hr.Header[loopHeader], loopName)
	call := outbound.Call{
		Connect:  seconds(r.Origin.ConnectionTimeout, defaultConnect),
		Attempts: attempts(r.Origin.ConnectionAttempts), Response: seconds(c.OriginReadTimeout, defaultResponse),
	}
	tries := 1
	if (r.Method == http.MethodGet || r.Method == http.MethodHead) && hr.Body == http.NoBody {
		tries = call.Attempts
	}
	var res *http.Response
	var err error
	for range tries {
		if res, err = k.options.Servers.RoundTrip(hr, call); !errors.Is(err, outbound.ErrSlow) ||
			errors.Is(err, outbound.ErrConnect) {
			break
		}
	}
	if err == nil && res.StatusCode < 200 { // 101: the edge did not ask for another protocol
		res.Body.Close()
		err = errors.New("the server switched the protocol")
	}
	if err == nil {
		return res, nil
	}
	if cause := hr.Context().Err(); cause != nil {
		return nil, cause
	}
	return nil, failed(at, err)
}

// failed returns why a server gave no answer.
func failed(at string, err error) *Failure {
	switch {
	case errors.Is(err, outbound.ErrSlow):
		return &Failure{Status: http.StatusGatewayTimeout, Reason: at + " did not answer in time", Err: err}
	case errors.Is(err, outbound.ErrConnect):
		return &Failure{Status: http.StatusBadGateway, Reason: at + " can't be reached", Err: err}
	}
	return &Failure{Status: http.StatusBadGateway, Reason: at + " gave no answer that can be read", Err: err}
}

func attempts(n *int) int {
	if n == nil {
		return defaultAttempts
	}
	return max(*n, 1)
}

func seconds(n *int, otherwise time.Duration) time.Duration {
	if n == nil || *n <= 0 {
		return otherwise
	}
	return time.Duration(*n) * time.Second
}
