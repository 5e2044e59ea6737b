package edge

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
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
	weaken(h)
}

// weaken makes a response's entity tag weak, because compression changes the bytes.
func weaken(h http.Header) {
	if tag := h.Get("Etag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		h["Etag"] = []string{"W/" + tag}
	}
}

// squeezer compresses a body while it is read.
type squeezer struct {
	from io.ReadCloser
	to   io.WriteCloser // writes into out
	out  bytes.Buffer
	in   [16 << 10]byte
	err  error
	done func() // is called once, by Close
}

func newSqueezer(from io.ReadCloser, encoding string, done func()) *squeezer {
	s := &squeezer{from: from, done: done}
	if encoding == "br" {
		s.to = brotli.NewWriterLevel(&s.out, brotliLevel)
	} else {
		w, _ := gzip.NewWriterLevel(&s.out, gzipLevel) // fails for levels that do not exist
		s.to = w
	}
	return s
}

func (s *squeezer) Read(p []byte) (int, error) {
	for s.out.Len() == 0 && s.err == nil {
		n, err := s.from.Read(s.in[:])
		if n > 0 {
			_, s.err = s.to.Write(s.in[:n])
		}
		switch {
		case err == io.EOF && s.err == nil:
			if s.err = s.to.Close(); s.err == nil {
				s.err = io.EOF
			}
		case err != nil && s.err == nil:
			s.err = err
		}
	}
	if s.out.Len() > 0 {
		return s.out.Read(p)
	}
	return 0, s.err
}

func (s *squeezer) Close() error {
	if s.done != nil {
		s.done()
		s.done = nil
	}
	return s.from.Close()
}
