package edge

import (
	"bytes"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"

	"watertight/internal/edge/cache/fresh"
)

// The sizes of responses that are compressed, in bytes. Source: "Serve compressed files" in
// the developer guide.
const (
	leastCompressed = 1000
	mostCompressed  = 10_000_000
)

// Compression levels. A response that is stored is compressed only once, but a viewer waits
// for it.
const (
	gzipLevel   = 6
	brotliLevel = 5
)

// mayCompress reports whether a response of the origin may be compressed.
func mayCompress(status int, h http.Header) bool {
	if status != http.StatusOK && status != http.StatusForbidden && status != http.StatusNotFound {
		return false
	}
	size, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err != nil || size < leastCompressed || size > mostCompressed {
		return false
	}
	if _, encoded := h["Content-Encoding"]; encoded || !isCompressible(h.Get("Content-Type")) {
		return false
	}
	for _, v := range h["Cache-Control"] {
		if strings.Contains(strings.ToLower(v), "no-transform") {
			return false
		}
	}
	return true
}

// preferred is the encoding that a normalized Accept-Encoding prefers, or "".
func preferred(accepted []string) string {
	switch {
	case len(accepted) == 0:
		return ""
	case strings.HasPrefix(accepted[0], "br"):
		return "br"
	}
	return "gzip"
}

// isCompressible is the list of "Serve compressed files" in the developer guide.
func isCompressible(contentType string) bool {
	t, _, _ := strings.Cut(contentType, ";")
	switch t = strings.ToLower(strings.TrimSpace(t)); t {
	case "application/dash+xml", "application/eot", "application/font", "application/font-sfnt",
		"application/javascript", "application/json", "application/opentype", "application/otf", "application/pdf",
		"application/pkcs7-mime", "application/protobuf", "application/rss+xml", "application/truetype",
		"application/ttf", "application/vnd.apple.mpegurl", "application/vnd.mapbox-vector-tile",
		"application/vnd.ms-fontobject", "application/wasm", "application/xhtml+xml", "application/xml",
		"application/x-font-opentype", "application/x-font-truetype", "application/x-font-ttf",
		"application/x-httpd-cgi", "application/x-javascript", "application/x-mpegurl", "application/x-opentype",
		"application/x-otf", "application/x-perl", "application/x-ttf", "font/eot", "font/opentype", "font/otf",
		"font/ttf", "image/svg+xml", "text/css", "text/csv", "text/html", "text/javascript", "text/js", "text/plain",
		"text/richtext", "text/tab-separated-values", "text/xml", "text/x-component", "text/x-java-source",
		"text/x-script", "vnd.apple.mpegurl":
		return true
	}
	return false
}

// compressed turns a response's headers into those of its compressed form.
func compressed(h http.Header, encoding string) {
	h["Content-Encoding"] = []string{encoding}
	delete(h, "Content-Length")
	delete(h, "Accept-Ranges")
	for name := range h {
		if fresh.OfBytes(name) {
			delete(h, name)
		}
	}
	weaken(h)
}

// weaken makes a response's entity tag weak, because compression changes the bytes.
func weaken(h http.Header) {
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
}

// presses are places for responses that are being compressed: at most maxSqueezing at once. The
// writers, some megabytes each, are used again.
type presses struct {
	places       chan struct{}
	gzip, brotli sync.Pool // of *press
}

// press compresses what is written to it.
type press struct {
	writer
	out bytes.Buffer
	in  [16 << 10]byte
}

// writer is a writer of one of the encodings.
type writer interface {
	io.WriteCloser
	Reset(w io.Writer)
}

func newPresses() *presses {
	p := &presses{places: make(chan struct{}, maxSqueezing)}
	p.gzip.New = func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, gzipLevel) // fails for levels that do not exist
		return &press{writer: w}
	}
	p.brotli.New = func() any { return &press{writer: brotli.NewWriterLevel(io.Discard, brotliLevel)} }
	return p
}

// take returns the compressed form of a body, or nil if there is no place.
func (p *presses) take(body io.ReadCloser, encoding string) *squeezer {
	select {
	case p.places <- struct{}{}:
	default:
		return nil
	}
	pool := &p.gzip
	if encoding == "br" {
		pool = &p.brotli
	}
	s := &squeezer{from: body, presses: p, pool: pool, press: pool.Get().(*press)}
	s.press.Reset(&s.press.out)
	return s
}

// squeezer compresses a body while it is read.
type squeezer struct {
	from    io.ReadCloser
	presses *presses
	pool    *sync.Pool

	mu    sync.Mutex // held while the press is used, because another response gets it afterwards
	press *press     // nil once it is closed
	err   error
}

func (s *squeezer) Read(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.press
	if p == nil {
		return 0, fs.ErrClosed
	}
	for p.out.Len() == 0 && s.err == nil {
		n, err := s.from.Read(p.in[:])
		if n > 0 {
			_, s.err = p.Write(p.in[:n])
		}
		switch {
		case err == io.EOF && s.err == nil:
			if s.err = p.Close(); s.err == nil {
				s.err = io.EOF
			}
		case err != nil && s.err == nil:
			s.err = err
		}
	}
	if p.out.Len() > 0 {
		return p.out.Read(b)
	}
	return 0, s.err
}

func (s *squeezer) Close() error {
	err := s.from.Close() // ends a read that waits
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.press; p != nil {
		s.press = nil
		p.out.Reset()
		p.Reset(io.Discard)
		s.pool.Put(p)
		<-s.presses.places
	}
	return err
}
