package edge

import (
	"net/http"
	"strconv"
	"strings"

	"watertight/internal/edge/cache/fresh"
)

// Conditions and ranges of viewers, which the edge answers itself from a whole response
// (RFC 9110, sections 13 and 14).

// condition is what a viewer's conditions say about a response.
type condition uint8

const (
	holds condition = iota
	notModified
	failed
)

// isConditional reports whether a viewer's request has one of the conditions that judge
// evaluates.
func isConditional(viewer http.Header) bool {
	for _, name := range [...]string{"If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if _, ok := viewer[name]; ok {
			return true
		}
	}
	return false
}

// judge evaluates the conditions of a GET or HEAD in the order of RFC 9110, section 13.2.2.
// header is that of the response, whose status is 200.
func judge(viewer, header http.Header) condition {
	tag, changed := header.Get("Etag"), header.Get("Last-Modified")
	if m, ok := viewer["If-Match"]; ok {
		if !listed(m, tag, true) {
			return failed
		}
	} else if s := viewer.Get("If-Unmodified-Since"); s != "" && after(changed, s) {
		return failed
	}
	if m, ok := viewer["If-None-Match"]; ok {
		if listed(m, tag, false) {
			return notModified
		}
	} else if s := viewer["If-Modified-Since"]; len(s) == 1 && unmodified(header, s[0]) {
		return notModified
	}
	return holds
}

// listed reports whether a list of entity tags has a tag. The list "*" has every tag.
func listed(lists []string, tag string, strong bool) bool {
	for _, list := range lists {
		list = strings.TrimSpace(list)
		if list == "*" {
			return true
		}
		for list != "" {
			var one string
			if one, list = cutTag(list); one == "" {
				break
			}
			if sameTag(one, tag, strong) {
				return true
			}
		}
	}
	return false
}

// cutTag cuts the first entity tag off a list. It returns "" where there is none.
func cutTag(list string) (tag, rest string) {
	list = strings.TrimLeft(list, " \t,")
	start := 0
	if strings.HasPrefix(list, "W/") {
		start = 2
	}
	if len(list) <= start || list[start] != '"' {
		return "", ""
	}
	end := strings.IndexByte(list[start+1:], '"')
	if end < 0 {
		return "", ""
	}
	end += start + 2
	return list[:end], list[end:]
}

// sameTag compares entity tags: strongly, where both must be strong, or weakly.
func sameTag(a, b string, strong bool) bool {
	wa, wb := strings.HasPrefix(a, "W/"), strings.HasPrefix(b, "W/")
	if strong && (wa || wb) || b == "" {
		return false
	}
	return strings.TrimPrefix(a, "W/") == strings.TrimPrefix(b, "W/")
}

func after(changed, than string) bool {
	c, err := http.ParseTime(changed)
	t, terr := http.ParseTime(than)
	return err == nil && terr == nil && c.After(t)
}

// unmodified reports whether a response did not change since a date. If both are the same second,
// and the response was made in it, the viewer may have an earlier version of that second.
func unmodified(header http.Header, since string) bool {
	c, err := http.ParseTime(header.Get("Last-Modified"))
	t, terr := http.ParseTime(since)
	return err == nil && terr == nil && (c.Before(t) || c.Equal(t) && fresh.StrongDate(header))
}

// span is the part of a response that a viewer asked for.
type span struct {
	first, last int64 // last is -1: up to the end
	suffix      int64 // the last bytes, if it is not 0; first and last do not count then
}

// parseRange reads a Range header with one range of bytes. A request for several ranges gets
// the whole response, as at CloudFront when the ranges overlap. So one request can't ask for
// the same bytes more than once.
func parseRange(values []string) (span, bool) {
	if len(values) != 1 {
		return span{}, false
	}
	unit, set, ok := strings.Cut(values[0], "=")
	if !ok || !strings.EqualFold(strings.TrimSpace(unit), "bytes") || strings.Contains(set, ",") {
		return span{}, false
	}
	first, last, ok := strings.Cut(strings.TrimSpace(set), "-")
	if !ok {
		return span{}, false
	}
	s := span{last: -1}
	if first == "" {
		n, ok := decimal(last)
		if !ok {
			return span{}, false
		}
		if n == 0 {
			return span{first: 1<<63 - 1, last: -1}, true // no byte: not satisfiable
		}
		return span{suffix: n}, true
	}
	if s.first, ok = decimal(first); !ok {
		return span{}, false
	}
	if last != "" {
		if s.last, ok = decimal(last); !ok || s.last < s.first {
			return span{}, false
		}
	}
	return s, true
}

// decimal reads a number that consists of digits. A number that is too large for an int64
// becomes the largest int64.
func decimal(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 1<<63 - 1, true
	}
	return n, true
}

// within returns the offset and the length of a span in a response of a size.
func (s span) within(size int64) (offset, length int64, ok bool) {
	if s.suffix > 0 {
		length = min(s.suffix, size)
		return size - length, length, size > 0
	}
	if s.first >= size {
		return 0, 0, false
	}
	last := size - 1
	if s.last >= 0 {
		last = min(last, s.last)
	}
	return s.first, last - s.first + 1, true
}

// rangeHolds evaluates If-Range (RFC 9110, section 13.1.5): a strong tag, or the exact date
// of the last change if that is strong.
func rangeHolds(viewer, header http.Header) bool {
	values, ok := viewer["If-Range"]
	if !ok {
		return true
	}
	if len(values) != 1 {
		return false
	}
	v := strings.TrimSpace(values[0])
	if strings.HasSuffix(v, `"`) {
		return sameTag(v, header.Get("Etag"), true)
	}
	a, err := http.ParseTime(v)
	b, berr := http.ParseTime(header.Get("Last-Modified"))
	return err == nil && berr == nil && a.Equal(b) && fresh.StrongDate(header)
}

// contentRange is the Content-Range of a part.
func contentRange(offset, length, size int64) string {
	return "bytes " + strconv.FormatInt(offset, 10) + "-" + strconv.FormatInt(offset+length-1, 10) + "/" +
		strconv.FormatInt(size, 10)
}

// unsatisfied is the Content-Range of an answer to a range that is outside the response.
func unsatisfied(size int64) string { return "bytes */" + strconv.FormatInt(size, 10) }

// String is the Range header of a span.
func (s span) String() string {
	switch {
	case s.suffix > 0:
		return "bytes=-" + strconv.FormatInt(s.suffix, 10)
	case s.last < 0:
		return "bytes=" + strconv.FormatInt(s.first, 10) + "-"
	}
	return "bytes=" + strconv.FormatInt(s.first, 10) + "-" + strconv.FormatInt(s.last, 10)
}

// ends are the ends of a span as the access log has them.
func (s span) ends() (first, last string) {
	first, last, _ = strings.Cut(strings.TrimPrefix(s.String(), "bytes="), "-")
	return first, last
}
