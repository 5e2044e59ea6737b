package server

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestStateOfTLS: a handler knows the state of TLS at the first request, and at one that comes on a parked connection.
func TestStateOfTLS(t *testing.T) {
	s := newParkingServer(t, "TLS", 1<<20, time.Minute, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.TLS != nil && r.TLS.HandshakeComplete && r.TLS.Version == tls.VersionTLS13)
	})
	c := s.connect(t)
	for _, step := range []string{"new", "parked", "parked again"} {
		if got, err := c.ask("/", ""); got != "true" || err != nil {
			t.Errorf("%s: %q, %v", step, got, err)
		}
		s.parkAll(t)
	}
}

// TestNotHTTPUnderTLS: whoever does not speak HTTP/1 under TLS gets no response of a handler.
func TestNotHTTPUnderTLS(t *testing.T) {
	const request = "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	for name, c := range map[string]struct {
		sent   string
		proto  string // of a client that makes a handshake
		answer string
	}{
		"plain HTTP": {
			request, "", "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
		},
		"rubbish":   {"\x00\x01\x02\x03\x04" + request, "", ""},
		"only ACME": {request, "acme-tls/1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newParkingServer(t, "TLS", 1<<20, time.Minute, func(http.ResponseWriter, *http.Request) {
				t.Error("it was served")
			})
			conn := s.dial(t)
			raw := conn
			if c.proto != "" {
				conn = tls.Client(raw, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{c.proto}})
			}
			io.WriteString(conn, c.sent)
			b := make([]byte, len(c.answer)+1)
			if n, _ := io.ReadFull(conn, b); c.answer != "" && string(b[:n]) != c.answer ||
				c.answer == "" && c.proto != "" && n > 0 {
				t.Errorf("%q", b[:n])
			}
			io.Copy(io.Discard, raw) // until it is closed
			until(t, "the connection has left", func() bool {
				s.door.mu.Lock()
				defer s.door.mu.Unlock()
				return s.door.total == 0 && s.held.Load() == 0
			})
		})
	}
}
