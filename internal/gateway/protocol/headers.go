package protocol

import (
	"strconv"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/sigv4"
)

// readHeaders checks the header section: its size (S3 user guide, "Common request headers":
// 8 KB), and that it has no control characters. It leaves every header as its signature
// covers it: once, and in canonical form. A signature joins repeated values and collapses
// runs of spaces, so a value that is read as it was received could differ from the signed
// one.
func (r *Request) readHeaders() error {
	total := 0
	r.initials = 0
	for name, values := range r.HTTP.Header {
		r.initials |= InitialOf(name)
		if len(values) > 1 && single(name) {
			return RepeatedHeader(name)
		}
		for i, v := range values {
			total += len(name) + len(v) + 4
			if !Printable(v) {
				return fault.New(fault.InvalidArgument, "A header holds a control character.").
					With("ArgumentName", name)
			}
			if name == "Access-Control-Request-Headers" {
				continue // headers of preflights, which are not signed
			}
			c := sigv4.Canonical(v)
			if c != v {
				if err := blanks(name); err != nil {
					return err
				}
			}
			values[i] = c
		}
	}
	if total > maxHeaders {
		return fault.Of(fault.RequestHeaderSectionTooLarge).
			With("MaxSizeAllowed", strconv.Itoa(maxHeaders))
	}
	return nil
}

// blanks refuses headers in which runs of blanks must not be read as one.
func blanks(name string) error {
	switch name {
	case "X-Amz-Copy-Source": // unescaped blanks may be part of the intended key
		return fault.New(fault.InvalidArgument, "Blanks in a copy source must be URL-encoded.").
			With("ArgumentName", "x-amz-copy-source")
	case "X-Amz-Mfa": // exactly one space (S3 API reference, DeleteObject)
		return fault.New(fault.InvalidArgument, "x-amz-mfa must be a serial number, a space and a code.").
			With("ArgumentName", "x-amz-mfa")
	}
	return nil
}

// single reports a header, by its canonical name, that means something at this
// endpoint and may be sent once. Excepted are lists whose members SDKs send one by one, and Authorization, which
// authn counts. Decoding refuses any other header that is repeated.
func single(name string) bool {
	switch name {
	case "X-Amz-Object-Attributes", "X-Amz-Optional-Object-Attributes":
		return false
	case "Content-Md5", "Content-Type", "Content-Length", "Content-Encoding", "Content-Disposition",
		"Content-Language", "Cache-Control", "Expires",
		"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "Date", "Host",
		"Expect",
		"Access-Control-Request-Method", "Referer", "User-Agent":
		return true
	}
	return strings.HasPrefix(name, "X-Amz-") || IsExtension(name)
}

// RepeatedHeader is the error for a repeated header that may occur only once.
func RepeatedHeader(name string) error {
	return fault.New(fault.InvalidArgument, "A header is repeated.").With("ArgumentName", strings.ToLower(name))
}

// Printable reports whether a header may carry s.
func Printable(s string) bool {
	for len(s) >= 8 {
		if !printable8(s) {
			return printable(s)
		}
		s = s[8:]
	}
	return printable(s)
}

// printable8 reports whether none of the first 8 bytes of s is a control character. It looks
// at all of them at once, because every header is checked.
func printable8(s string) bool {
	_ = s[7]
	x := uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
	const each, high = 0x0101010101010101, 0x8080808080808080
	del := x ^ 0x7f*each
	return ((x-' '*each)&^x|(del-each)&^del)&high == 0
}

func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// Initials is a set of the first letters of headers. It says quickly that a request does not
// have a header: most requests have few of the many that an operation knows.
type Initials uint32

const (
	ofSignature Initials = 1 << 26 // headers of almost every request, which begin like many others
	ofOthers    Initials = 1 << 27 // headers that begin with no capital letter
	everyHeader Initials = 1<<28 - 1
)

// InitialOf returns the set of one header, by its canonical name.
func InitialOf(name string) Initials {
	switch {
	case name == "":
		return everyHeader
	case name == "X-Amz-Date", name == "X-Amz-Content-Sha256", name == "X-Amz-Security-Token":
		return ofSignature
	case 'A' <= name[0] && name[0] <= 'Z':
		return 1 << (name[0] - 'A')
	}
	return ofOthers
}

// May reports whether the request, or the form in it, may have a header of a set. If it
// returns false, there is none.
func (r *Request) May(of Initials) bool { return r.initials&of != 0 || r.Fields != nil }

// IsExtension reports, in any case, the name of a header that asks for something which
// AWS does not have (docs/EXTENSIONS.md). Like one of AWS's own it must be signed, and occurs
// once. It is never taken from a query.
func IsExtension(name string) bool { return sigv4.IsExtension(name) }

// IsAmzHeader reports the name of one of AWS's own headers, in any case: a query
// parameter of that name may stand for the header.
func IsAmzHeader(name string) bool { return len(name) >= 6 && strings.EqualFold(name[:6], "x-amz-") }
