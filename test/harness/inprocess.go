package harness

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
)

// ErrCut is what a client of InProcess sees of a response that the handler broke off after its first byte.
var ErrCut = errors.New("the response was cut")

// InProcess is an aws.HTTPClient that calls a handler, without sockets.
type InProcess struct{ Handler http.Handler }

// Do implements aws.HTTPClient. The request looks as if it had come over TLS. A handler that panics with
// http.ErrAbortHandler ends its response as it does under net/http, and not the process.
func (c InProcess) Do(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	in := r.Clone(r.Context())
	in.Body, in.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	in.Header.Set("Content-Length", strconv.Itoa(len(body)))
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr, in.TLS = "127.0.0.1:50000", &tls.ConnectionState{}
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	w := httptest.NewRecorder()
	if err := serve(c.Handler, w, in); err != nil {
		return nil, err
	}
	out := w.Result()
	sent := out.Header
	out.Header = http.Header{}
	for name, values := range sent { // a client reads them in the canonical form
		out.Header[http.CanonicalHeaderKey(name)] = values
	}
	out.Request, out.Body = r, io.NopCloser(bytes.NewReader(w.Body.Bytes()))
	return out, nil
}

// serve calls a handler, and returns ErrCut if it broke its response off.
func serve(h http.Handler, w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if p := recover(); p == http.ErrAbortHandler {
			err = ErrCut
		} else if p != nil {
			panic(p)
		}
	}()
	h.ServeHTTP(w, r)
	return nil
}
