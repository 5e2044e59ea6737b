package fresh

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// Condition adds to ask what makes an origin answer 304 if a stored response is still
// current: its ETag, or else its Last-Modified if that is strong (RFC 9111, section 4.3.1). It
// returns false if the response has neither.
func Condition(ask, stored http.Header) bool {
	if tag := stored.Get("Etag"); tag != "" && len(stored["Etag"]) == 1 {
		ask.Set("If-None-Match", tag)
		return true
	}
	if StrongDate(stored) {
		ask.Set("If-Modified-Since", stored.Get("Last-Modified"))
		return true
	}
	return false
}

// StrongDate reports whether a response's Last-Modified names one version alone: the response was
// made a second later or more. In the same second, it may have changed again after it was sent (RFC
// 9110, section 8.8.2.2).
func StrongDate(h http.Header) bool {
	changed, made := h["Last-Modified"], h["Date"]
	if len(changed) != 1 || len(made) != 1 {
		return false
	}
	c, err := http.ParseTime(changed[0])
	m, merr := http.ParseTime(made[0])
	return err == nil && merr == nil && m.Sub(c) >= time.Second
}

// OfBytes reports whether a header, by its canonical name, describes the very bytes of a body, so
// that it does not survive another encoding of it.
func OfBytes(name string) bool {
	switch name {
	case "Content-Md5", "Digest", "Content-Digest", "Repr-Digest":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-Checksum-")
}

// Selects reports whether a 304 is about the stored response: the validators that it sends
// are those that are stored (RFC 9111, section 4.3.4).
func Selects(answer, stored http.Header) bool {
	if tag := answer.Get("Etag"); tag != "" {
		return strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(stored.Get("Etag"), "W/")
	}
	if lm := answer.Get("Last-Modified"); lm != "" && stored.Get("Etag") == "" {
		return lm == stored.Get("Last-Modified")
	}
	return true
}

// Refresh returns the headers of a stored response after a 304 (RFC 9111, section 3.2). Headers
// that describe the stored bytes are kept, and so is an ETag of which the new one is a weaker form.
func Refresh(stored, answer http.Header) http.Header {
	next := stored.Clone()
	for name, lines := range Storable(answer) {
		switch name {
		case "Content-Length", "Content-Encoding", "Content-Range", "Etag":
			continue
		}
		if OfBytes(name) {
			continue
		}
		next[name] = slices.Clone(lines)
	}
	return next
}

// Storable returns a copy of a response's headers without those of one connection (RFC 9110,
// section 7.6.1; RFC 9111, section 3.1), and without Content-Length and Age, which the cache
// counts itself.
func Storable(h http.Header) http.Header {
	out := h.Clone()
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			out.Del(trim(name))
		}
	}
	for _, name := range []string{
		"Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade",
		"Proxy-Authenticate", "Proxy-Authentication-Info", "Proxy-Authorization", "Content-Length", "Age",
	} {
		delete(out, name)
	}
	return out
}
