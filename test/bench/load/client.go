package load

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
	"strings"
	"time"
)

// Target is a server to drive.
type Target struct {
	Address string      // host:port
	TLS     *tls.Config // nil is plain HTTP
	Credentials
}

// Answer is what a benchmark looks at. ETag has its quotes.
type Answer struct {
	Status int
	Length int64
	ETag   string
}

// Client has one connection, which it keeps alive. One goroutine uses it.
type Client struct {
	target Target
	signer *signer
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
	parts  net.Buffers
	empty  *Payload
	drain  []byte
	used   bool // the connection has had an answer
	Redial int  // how often the server had closed the connection
}

const (
	readBuffer = 128 << 10
	joined     = 16 << 10 // bodies up to this are copied behind the header, into one write
	// timeout is how long one operation may take.
	timeout = 2 * time.Minute
	maxHead = 64 // header lines of an answer
)

// NewClient connects with the first request.
func NewClient(t Target) *Client {
	return &Client{
		target: t, signer: newSigner(t.Credentials, t.Address), empty: NewPayload(nil),
		in: bufio.NewReaderSize(nil, readBuffer), out: make([]byte, 0, 2<<10+joined),
	}
}

// Close closes the connection.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Do sends a request and reads the whole answer. A status of 300 or more is an error, and so is an answer that is
// not as long as wanted. A connection that the server closed after an earlier answer is opened again, once.
func (c *Client) Do(r *Request) (Answer, error) {
	if err := r.check(); err != nil {
		return Answer{}, err
	}
	a, begun, err := c.try(r)
	if err != nil && c.used && !begun {
		c.Close()
		c.Redial++
		a, _, err = c.try(r)
	}
	if err != nil {
		c.Close()
		return a, fmt.Errorf("%s %s: %w", r.Method, r.Path, err)
	}
	c.used = true
	return a, nil
}

func (c *Client) dial() error {
	conn, err := net.DialTimeout("tcp", c.target.Address, 10*time.Second)
	if err != nil {
		return err
	}
	if c.target.TLS != nil {
		conn = tls.Client(conn, c.target.TLS)
	}
	c.conn, c.used = conn, false
	c.in.Reset(conn)
	return nil
}

// try sends a request once. begun reports whether the server began to answer.
func (c *Client) try(r *Request) (a Answer, begun bool, err error) {
	if c.conn == nil {
		if err := c.dial(); err != nil {
			return a, false, err
		}
	}
	p := r.Payload
	if p == nil {
		p = c.empty
	}
	now := time.Now()
	c.conn.SetDeadline(now.Add(timeout))
	c.out = c.signer.head(c.out[:0], r, p, now)
	sent := c.write(p.Body)
	if _, err := c.in.Peek(1); err != nil {
		return a, false, errors.Join(sent, err)
	}
	a, closes, err := c.read(r)
	if closes {
		c.Close()
	}
	return a, true, errors.Join(sent, err)
}

func (c *Client) write(body []byte) error {
	if len(body) <= joined {
		c.out = append(c.out, body...)
		_, err := c.conn.Write(c.out)
		return err
	}
	c.parts = append(c.parts[:0], c.out, body)
	parts := c.parts // WriteTo consumes it
	_, err := parts.WriteTo(c.conn)
	return err
}

// read reads one answer.
func (c *Client) read(r *Request) (a Answer, closes bool, err error) {
	line, err := c.line()
	if err != nil {
		return a, true, err
	}
	if len(line) < len("HTTP/1.1 200") || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return a, true, fmt.Errorf("answer begins with %q", line)
	}
	if a.Status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return a, true, err
	}
	length, chunked := int64(-1), false
	for n := 0; ; n++ {
		if line, err = c.line(); err != nil || n > maxHead {
			return a, true, errors.Join(err, errors.New("headers do not end"))
		}
		if len(line) == 0 {
			break
		}
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch {
		case is(name, "content-length"):
			if length, err = strconv.ParseInt(string(value), 10, 64); err != nil {
				return a, true, err
			}
		case is(name, "transfer-encoding"):
			chunked = is(value, "chunked")
		case is(name, "connection"):
			closes = is(value, "close")
		case is(name, "etag") && r.Payload != nil:
			a.ETag = string(value)
		}
	}
	if r.Method == "HEAD" || a.Status == 204 || a.Status == 304 {
		return a, closes, a.failed(nil)
	}
	return a, closes, c.body(r, &a, length, chunked)
}

// body reads the body of an answer, and keeps it only if that is asked for or it says what went wrong.
func (c *Client) body(r *Request, a *Answer, length int64, chunked bool) (err error) {
	var from io.Reader
	switch {
	case chunked:
		from = httputil.NewChunkedReader(c.in)
	case length < 0:
		return fmt.Errorf("status %d without a length", a.Status)
	default:
		from = io.LimitReader(c.in, length)
	}
	if r.Keep != nil || a.Status >= 300 {
		kept, err := io.ReadAll(io.LimitReader(from, 16<<20))
		if err == nil && chunked {
			_, err = c.in.Discard(len("\r\n"))
		}
		if r.Keep != nil {
			*r.Keep = kept
		}
		a.Length = int64(len(kept))
		return errors.Join(a.failed(kept), err)
	}
	if chunked {
		if c.drain == nil {
			c.drain = make([]byte, readBuffer)
		}
		a.Length, err = io.CopyBuffer(struct{ io.Writer }{io.Discard}, from, c.drain)
		if err == nil {
			_, err = c.in.Discard(len("\r\n")) // no trailers
		}
	} else {
		for left := length; left > 0 && err == nil; {
			var n int
			n, err = c.in.Discard(int(min(left, 1<<30)))
			left -= int64(n)
		}
		a.Length = length
	}
	if err == nil && r.Want > 0 && a.Length != r.Want {
		err = fmt.Errorf("%d bytes, want %d", a.Length, r.Want)
	}
	return err
}

// failed is the error of an answer.
func (a *Answer) failed(body []byte) error {
	if a.Status < 300 {
		return nil
	}
	return fmt.Errorf("status %d: %s", a.Status, strings.TrimSpace(string(body[:min(len(body), 400)])))
}

// line reads one line, without its end. It is valid until the next read.
func (c *Client) line() ([]byte, error) {
	line, err := c.in.ReadSlice('\n')
	return bytes.TrimRight(line, "\r\n"), err
}

// is compares ASCII text without case.
func is(b []byte, lower string) bool {
	return len(b) == len(lower) && strings.EqualFold(string(b), lower)
}
