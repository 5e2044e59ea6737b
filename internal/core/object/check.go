package object

import (
	"fmt"
	"strconv"
	"strings"

	"watertight/internal/access/objectkey"
	"watertight/internal/fault"
)

// checkKey refuses a key that no object can have.
func checkKey(key string) error {
	if key == "" {
		return fault.Of(fault.UserKeyMustBeSpecified)
	}
	return objectkey.Check(key)
}

// maxSystemMetadata bounds the metadata without the user's: S3 takes 8 KB of headers in
// total (S3 user guide, "Working with object metadata").
const maxSystemMetadata = 8 << 10

// check refuses metadata that is too large or that can't be sent as headers.
func (m *Metadata) check() error {
	system := 0
	for _, v := range []string{
		m.ContentType, m.CacheControl, m.ContentDisposition, m.ContentEncoding, m.ContentLanguage, m.Expires,
		m.WebsiteRedirect,
	} {
		if !isHeaderValue(v) {
			return badMetadata()
		}
		system += len(v)
	}
	user := 0
	for name, v := range m.User {
		if !isHeaderName(name) || !isHeaderValue(v) {
			return badMetadata()
		}
		user += len(name) + len(v)
	}
	if user > MaxMetadata {
		return metadataTooLarge(user, MaxMetadata)
	}
	if system > maxSystemMetadata {
		return metadataTooLarge(system, maxSystemMetadata)
	}
	if r := m.WebsiteRedirect; r != "" && !strings.HasPrefix(r, "/") && !strings.HasPrefix(r, "http://") &&
		!strings.HasPrefix(r, "https://") {
		return fault.Of(fault.InvalidRedirectLocation)
	}
	return nil
}

func metadataTooLarge(size, limit int) error {
	return fault.Of(fault.MetadataTooLarge).
		With("Size", strconv.Itoa(size)).With("MaxSizeAllowed", strconv.Itoa(limit))
}

func badMetadata() error {
	return fault.New(fault.InvalidArgument, "Metadata names and values must be header names and values.")
}

// isHeaderValue refuses characters that could end a header (RFC 9110, section 5.5).
func isHeaderValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// isHeaderName accepts a token without upper-case letters (RFC 9110, section 5.6.2).
func isHeaderName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// check refuses inputs that S3 does not accept, and fills in the defaults.
func (in *PutInput) check() error {
	if err := checkKey(in.Key); err != nil {
		return err
	}
	if in.Size > MaxPut {
		return tooLarge(in.Size)
	}
	if in.StorageClass == "" {
		in.StorageClass = className(0)
	}
	if className(classNumber(in.StorageClass)) != in.StorageClass {
		return fault.Of(fault.InvalidStorageClass).
			With("StorageClassRequested", in.StorageClass)
	}
	if err := in.Metadata.check(); err != nil {
		return err
	}
	return checkWriteHeaders(in.IfMatch, in.IfNoneMatch)
}

func tooLarge(size int64) error {
	return fault.Of(fault.EntityTooLarge).
		With("ProposedSize", strconv.FormatInt(size, 10)).With("MaxSizeAllowed", fmt.Sprint(int64(MaxPut)))
}
