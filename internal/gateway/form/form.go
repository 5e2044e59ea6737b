// Package form parses the HTML forms that browsers post to a bucket, and the policy that
// allows one. It exists so that a form is bounded before its sender is known, its file is a
// stream that verifies itself, and every condition of a policy is checked in one place. It
// must never know who signed or what is allowed.
package form

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"watertight/internal/fault"
)

// Limits of a form (S3 user guide, "POST Object": up to 20 KB before the file).
const (
	maxFields   = 20 << 10  // bytes of the names and values
	maxPreamble = 128 << 10 // bytes before the file, including the lines of the framing
	maxEpilogue = 64 << 10  // bytes after the file
)

// Form is a form up to its file.
type Form struct {
	Key  string // ${filename} is replaced with the file's name
	File *File

	fields map[string]string // by lower-case name; the key has its final value
}

// Read parses a form up to its file, which stays unread. Errors: PreconditionFailed,
// MissingContentLength, MalformedPOSTRequest, MaxPostPreDataLengthExceededError,
// InvalidArgument, IncompleteBody, IncorrectNumberOfFilesInPostRequest.
func Read(r *http.Request) (*Form, error) {
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if media != "multipart/form-data" {
		return nil, fault.Of(fault.PreconditionFailed).
			With("Condition", "Bucket POST must be of the enclosure-type multipart/form-data")
	}
	if n := len(params["boundary"]); err != nil || n == 0 || n > 70 { // RFC 2046, 5.1.1
		return nil, malformed(err)
	}
	if r.ContentLength < 0 {
		return nil, fault.Of(fault.MissingContentLength)
	}
	// The multipart reader reads 4 KiB at a time; this buffer reads more from the connection.
	source := &source{r: bufio.NewReaderSize(r.Body, 32<<10), left: maxPreamble}
	f := &Form{fields: map[string]string{}}
	parts := multipart.NewReader(source, params["boundary"])
	for size := 0; ; {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil, oneFile(0)
		}
		if err != nil {
			return nil, source.refusal(err)
		}
		if len(part.Header["Content-Disposition"]) > 1 {
			return nil, malformed(nil)
		}
		name := strings.ToLower(part.FormName())
		if name == "file" {
			return f, f.begin(source, parts, part)
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFields+1))
		if err != nil {
			return nil, source.refusal(err)
		}
		if size += len(name) + len(value); size > maxFields {
			return nil, tooMuch()
		}
		if err := f.add(name, string(value)); err != nil {
			return nil, err
		}
	}
}

// add adds a field. A repeated field is an error, because the policy and the store could
// read different values of it.
func (f *Form) add(name, value string) error {
	_, twice := f.fields[name]
	switch {
	case name == "" || !utf8.ValidString(name) || !utf8.ValidString(value):
		return malformed(nil)
	case twice && secret(name):
		return invalidField(name, "POST requires exactly one value for each field.", "")
	case twice && !ignored(name):
		return invalidField(name, "POST requires exactly one value for each field.", value)
	case strings.HasPrefix(name, "x-amz-") && !isToken(name):
		return invalidField(name, "The name of a field is not valid.", "")
	}
	f.fields[name] = value
	return nil
}

func ignored(name string) bool { return strings.HasPrefix(name, "x-ignore-") }

// secret reports whether a field contains a customer's key (SSE-C) or its digest. No error
// repeats its value, because errors are logged.
func secret(name string) bool { return strings.Contains(name, "encryption-customer-key") }

// isToken reports whether s can be a header's name (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('a' > c || c > 'z') && ('0' > c || c > '9') && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return s != ""
}

// begin is called when the fields end and the file begins.
func (f *Form) begin(s *source, parts *multipart.Reader, part *multipart.Part) error {
	if f.fields["key"] == "" {
		return Missing("key")
	}
	name := part.FileName()
	name = name[strings.LastIndexByte(name, '\\')+1:] // some browsers send the whole path
	f.Key = strings.ReplaceAll(f.fields["key"], "${filename}", name)
	f.fields["key"] = f.Key
	s.left = -1
	f.File = &File{source: s, parts: parts, part: part, max: -1}
	return nil
}

// Field returns the value of a field by its lower-case name, "" if there is none.
func (f *Form) Field(name string) string { return f.fields[name] }

// Header returns the fields as headers, with canonical names.
func (f *Form) Header() http.Header {
	h := make(http.Header, len(f.fields))
	for name, value := range f.fields {
		h.Set(name, value)
	}
	return h
}

// Missing is the error for a form without a required field.
func Missing(name string) *fault.Error {
	return invalidField(name,
		"Bucket POST must contain a field named '"+name+
			"'.  If it is specified, please check the order of the fields.", "")
}

func invalidField(name, message, value string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", name).With("ArgumentValue", value)
}

func malformed(err error) error {
	return fault.Of(fault.MalformedPOSTRequest).Because(err)
}

func tooMuch() error {
	return fault.Of(fault.MaxPostPreDataLengthExceededError).
		With("MaxPostPreDataLengthBytes", strconv.Itoa(maxFields))
}

func oneFile(found int) error {
	return fault.Of(fault.IncorrectNumberOfFilesInPostRequest).
		With("ArgumentName", "file").With("ArgumentValue", strconv.Itoa(found))
}

// source is the body, with a limit for some of its parts. It keeps the error that ended it,
// because the multipart reader replaces errors with its own.
type source struct {
	r    io.Reader
	left int64 // bytes; -1 means no bound
	err  error
}

var errTooMuch = errors.New("form: too many bytes")

func (s *source) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.left == 0 {
		s.err = errTooMuch
		return 0, s.err
	}
	if s.left > 0 && int64(len(p)) > s.left {
		p = p[:s.left]
	}
	n, err := s.r.Read(p)
	if s.left > 0 {
		s.left -= int64(n)
	}
	s.err = err
	return n, err
}

// refusal returns the error for a form that could not be read.
func (s *source) refusal(err error) error {
	switch f, ok := errors.AsType[*fault.Error](s.err); {
	case ok:
		return f
	case s.err == errTooMuch:
		return tooMuch()
	case s.err != nil && s.err != io.EOF:
		return fault.Of(fault.IncompleteBody).Because(s.err)
	}
	return malformed(err)
}

// File is the file of a form. Read returns io.EOF only if the form ends correctly, only
// ignored fields came after the file, and the policy allows the file's size.
type File struct {
	source   *source
	parts    *multipart.Reader
	part     *multipart.Part
	seen     int64
	min, max int64 // bytes; max -1 means no bound
	err      error
}

// Limit sets the sizes that a policy allows, both inclusive.
func (f *File) Limit(min, max int64) { f.min, f.max = min, max }

// Size returns -1: the size is never known before the end.
func (f *File) Size() int64 { return -1 }

// Trailer returns "": forms have no trailers.
func (f *File) Trailer(string) string { return "" }

func (f *File) Read(p []byte) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	n, err := f.part.Read(p)
	f.seen += int64(n)
	switch {
	case f.max >= 0 && f.seen > f.max:
		f.err = fault.Of(fault.EntityTooLarge).
			With("ProposedSize", fmt.Sprint(f.seen)).With("MaxSizeAllowed", fmt.Sprint(f.max))
	case err == io.EOF:
		f.err = f.finish()
	case err != nil:
		f.err = f.source.refusal(err)
	}
	return n, f.err
}

// finish reads what follows the file up to the line that ends the form. Fields there are ignored.
func (f *File) finish() error {
	if f.seen < f.min {
		return fault.Of(fault.EntityTooSmall).
			With("ProposedSize", fmt.Sprint(f.seen)).With("MinSizeAllowed", fmt.Sprint(f.min))
	}
	f.source.left = maxEpilogue
	for {
		part, err := f.parts.NextRawPart()
		switch {
		case err == io.EOF:
			return io.EOF
		case f.source.err == errTooMuch:
			return malformed(errTooMuch)
		case err != nil:
			return f.source.refusal(err)
		case strings.EqualFold(part.FormName(), "file"):
			return oneFile(2)
		}
	}
}
