package object

import (
	"math"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// span is the range of an object's bytes that a response contains.
type span struct {
	partial       bool
	start, length int64
	part          *part // set if the span is this part of a multipart object
}

// byteRange evaluates a Range header for an object's size. It ignores several ranges, and
// values that are no range. If no byte of the object is in the range, the error is
// InvalidRange (RFC 9110, section 14.2; S3 API reference, GetObject).
func byteRange(header string, size int64) (span, error) {
	whole := span{length: size}
	spec, ok := strings.CutPrefix(header, "bytes=")
	if !ok {
		return whole, nil
	}
	from, to, ok := strings.Cut(spec, "-")
	if !ok {
		return whole, nil
	}
	first, firstOK := parseOffset(from)
	last, lastOK := parseOffset(to)
	switch {
	case from == "" && lastOK: // a suffix range: the last bytes
		if last == 0 {
			return span{}, invalidRange(header, size)
		}
		if size == 0 {
			return whole, nil // the whole of an empty object; Content-Range can't express that
		}
		n := min(last, size)
		return span{partial: true, start: size - n, length: n}, nil
	case !firstOK, to != "" && !lastOK, to != "" && last < first:
		return whole, nil
	case first >= size:
		return span{}, invalidRange(header, size)
	case to == "":
		last = math.MaxInt64
	}
	last = min(last, size-1)
	return span{partial: true, start: first, length: last - first + 1}, nil
}

// parseOffset accepts only digits. It returns MaxInt64 for a number that is too large for an int64.
func parseOffset(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, true
	}
	return n, true
}

func invalidRange(header string, size int64) error {
	return fault.Of(fault.InvalidRange).
		With("RangeRequested", header).With("ActualObjectSize", strconv.FormatInt(size, 10)).
		WithHeader("Content-Range", "bytes */"+strconv.FormatInt(size, 10))
}

// maxParts is the largest part number (S3 user guide, "Multipart upload limits").
const maxParts = 10_000

// check refuses inputs that S3 does not accept.
func (in *GetInput) check() error {
	if err := checkKey(in.Key); err != nil {
		return err
	}
	if in.PartNumber == nil {
		return nil
	}
	if in.Range != "" {
		return fault.New(fault.InvalidRequest, "Cannot specify both Range header and partNumber query parameter")
	}
	if n := *in.PartNumber; n < 1 || n > maxParts {
		return fault.New(fault.InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive").
			With("ArgumentName", "partNumber").With("ArgumentValue", strconv.Itoa(n))
	}
	return nil
}

// span returns the range of v that is asked for. An object that was put in one piece is its
// own only part.
func (in *GetInput) span(r kv.Reader, v *version) (span, error) {
	switch {
	case in.PartNumber != nil && v.etag.Parts > 0:
		return partSpan(r, v, *in.PartNumber)
	case in.PartNumber != nil && *in.PartNumber > 1:
		return span{}, noSuchPart(1, *in.PartNumber)
	case in.PartNumber != nil:
		return span{partial: v.size > 0, length: v.size}, nil
	case in.Range == "" || !in.rangeHolds(v):
		return span{length: v.size}, nil
	default:
		return byteRange(in.Range, v.size)
	}
}

func noSuchPart(count, number int) error {
	return fault.Of(fault.InvalidPartNumber).
		With("ActualPartCount", strconv.Itoa(count)).With("PartNumberRequested", strconv.Itoa(number))
}

// rangeHolds evaluates If-Range: if it names another version than v, the range must be
// ignored (RFC 9110, section 13.1.5).
func (in *GetInput) rangeHolds(v *version) bool {
	if in.IfRange == "" {
		return true
	}
	if at, err := time.Parse(httpTime, in.IfRange); err == nil {
		return v.modified.Truncate(time.Second).Equal(at)
	}
	return in.IfRange != "*" && matches(in.IfRange, v.etag, false)
}
