package server

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"time"
)

// secured is a connection of HTTP/1 under TLS that can be parked: what crypto/tls knows of it is kept, even a record of
// which only a part has come. To net/http it is a connection of some kind that has a state of TLS. net/http asks for
// the state first, in the goroutine that serves the connection, and that makes the handshake.
type secured struct {
	*tls.Conn
	guest  *guest
	log    *log.Logger
	failed bool // the handshake did
}

// security is what a listener needs for TLS.
type security struct {
	config *tls.Config
	log    *log.Logger // of handshakes that fail
}

// secure puts TLS on a connection.
func (s *security) secure(g *guest) *secured {
	g.secured = &secured{Conn: tls.Server(g, s.config), guest: g, log: s.log}
	return g.secured
}

// ConnectionState makes the handshake, if it was not made yet.
func (s *secured) ConnectionState() tls.ConnectionState {
	state := s.Conn.ConnectionState()
	if state.HandshakeComplete || s.failed {
		return state
	}
	if err := s.handshake(); err != nil {
		s.failed = true
		s.log.Printf("TLS handshake error from %s: %v", s.RemoteAddr(), err)
		s.Conn.Close()
	}
	return s.Conn.ConnectionState()
}

func (s *secured) handshake() error {
	s.SetDeadline(time.Now().Add(headerTimeout)) // fails if it is closed; then the handshake fails, too
	if err := s.Conn.Handshake(); err != nil {
		if h, ok := errors.AsType[tls.RecordHeaderError](err); ok && h.Conn != nil && likeHTTP(h.RecordHeader) {
			io.WriteString(h.Conn, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		return err
	}
	// The authority of ACME makes a handshake only.
	if p := s.Conn.ConnectionState().NegotiatedProtocol; p != "" && p != "http/1.1" {
		return fmt.Errorf("the client wants to speak %q", p)
	}
	return errors.Join(s.SetReadDeadline(time.Time{}), s.SetWriteDeadline(time.Time{}))
}

// likeHTTP reports whether the first bytes of a connection are those of a request without TLS.
func likeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET":
		return true
	}
	return false
}

// Read implements net.Conn.
func (s *secured) Read(p []byte) (int, error) {
	if s.failed {
		return 0, io.EOF
	}
	s.guest.pause.whole = s.guest.pause.isWhole(len(p))
	return s.Conn.Read(p)
}

// Close implements net.Conn: a connection that the door has roused is parked.
func (s *secured) Close() error {
	if s.guest.depart() {
		return s.guest.lot.park(s.guest)
	}
	return s.Conn.Close()
}

// face returns what net/http serves.
func (g *guest) face() net.Conn {
	if g.secured != nil {
		return g.secured
	}
	return g
}
