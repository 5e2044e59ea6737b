package sigv4

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"slices"
	"strconv"
	"strings"

	"watertight/internal/fault"
)

// Limits of aws-chunked framing.
const (
	maxChunkLine   = 256
	maxTrailers    = 8
	maxTrailerLine = 1024
	minChunk       = 8 << 10 // for all chunks but the last (S3 user guide, "Transferring payload in multiple chunks")
)

// chunks reads an aws-chunked body:
//
//	chunk   = hexlen [";chunk-signature=" 64hex] CRLF data CRLF
//	last    = "0" [";chunk-signature=" 64hex] CRLF
//	trailer = *(name ":" value (CRLF | LF CRLF)) ["x-amz-trailer-signature:" 64hex CRLF] CRLF
type chunks struct {
	r         *bufio.Reader
	size      int64 // declared decoded size
	seen      int64
	left      int64 // bytes left in the current chunk
	inChunk   bool
	chunk     int    // number of the current chunk, from 1
	short     int64  // size of a chunk below the minimum, which must be the last with data
	signature string // signature of the current chunk
	verify    *chain // nil if chunks are not signed
	announced []string
	trailers  map[string]string
	err       error
}

func newChunks(r io.Reader, size int64) *chunks {
	return &chunks{r: bufio.NewReaderSize(r, 4<<10), size: size}
}

func (c *chunks) Size() int64 { return c.size }

func (c *chunks) Trailer(name string) string { return c.trailers[strings.ToLower(name)] }

func (c *chunks) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(b) == 0 {
		return 0, nil
	}
	for !c.inChunk {
		if c.err = c.next(); c.err != nil {
			return 0, c.err
		}
	}
	if int64(len(b)) > c.left {
		b = b[:c.left]
	}
	n, err := c.r.Read(b)
	c.left -= int64(n)
	c.seen += int64(n)
	if c.verify != nil {
		c.verify.data.Write(b[:n])
	}
	if err != nil {
		c.err = ended(err)
		return n, c.err
	}
	if c.left == 0 {
		c.err = c.endChunk()
	}
	return n, c.err
}

// ended returns the error for a read that failed inside the framing.
func ended(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return badChunk("the body ends inside the framing")
	}
	return broken(err)
}

// next reads a chunk's header. At the last chunk it reads everything that follows.
func (c *chunks) next() error {
	line, _, err := c.line(maxChunkLine, false)
	if err != nil {
		return err
	}
	length, extension, signed := strings.Cut(line, ";")
	n, err := strconv.ParseUint(length, 16, 63)
	if err != nil || length[0] == '+' || signed != (c.verify != nil) {
		return badChunk("the framing of a chunk is malformed")
	}
	if signed {
		sig, ok := strings.CutPrefix(extension, "chunk-signature=")
		if !ok || !isHash(sig) {
			return badChunk("the signature of a chunk is malformed")
		}
		c.signature = sig
	}
	if n == 0 {
		return c.finish()
	}
	if int64(n) > c.size-c.seen {
		return c.tooLong(n)
	}
	if c.short > 0 {
		return fault.Of(fault.InvalidChunkSizeError).
			With("Chunk", strconv.Itoa(c.chunk)).With("BadChunkSize", strconv.FormatInt(c.short, 10))
	}
	if n < minChunk {
		c.short = int64(n)
	}
	c.chunk++
	c.left, c.inChunk = int64(n), true
	return nil
}

// tooLong returns the error for a chunk that exceeds the declared length. If the chunk is
// small, what follows shows whether the length or the framing is wrong.
func (c *chunks) tooLong(n uint64) error {
	if n > minChunk {
		return incomplete()
	}
	if _, err := c.r.Discard(int(n)); err != nil {
		return ended(err)
	}
	if err := c.lineEnd(); err != nil {
		return err
	}
	return incomplete()
}

func badChunk(why string) *fault.Error {
	return fault.New(fault.IncompleteBody, "The request body terminated unexpectedly").Because(errors.New(why))
}

// endChunk verifies the chunk that was read.
func (c *chunks) endChunk() error {
	c.inChunk = false
	if err := c.lineEnd(); err != nil || c.verify == nil {
		return err
	}
	return c.verify.chunk(c.signature)
}

// lineEnd reads the line end after a chunk's data.
func (c *chunks) lineEnd() error {
	var crlf [2]byte
	if _, err := io.ReadFull(c.r, crlf[:]); err != nil {
		return ended(err)
	}
	if crlf != [2]byte{'\r', '\n'} {
		return badChunk("a chunk does not end with CRLF")
	}
	return nil
}

// finish reads what follows the last chunk, and returns io.EOF if it is valid.
func (c *chunks) finish() error {
	if c.verify != nil {
		if err := c.verify.chunk(c.signature); err != nil {
			return err
		}
	}
	if c.seen != c.size {
		return incomplete()
	}
	var err error
	if c.announced != nil {
		err = c.readTrailers()
	} else if line, _, lerr := c.line(2, false); lerr != nil {
		err = lerr
	} else if line != "" {
		err = badChunk("the last chunk is not followed by an empty line")
	}
	if err != nil {
		return err
	}
	switch _, err := c.r.ReadByte(); err {
	case io.EOF:
		return io.EOF
	case nil:
		return badChunk("there are bytes after the last chunk")
	default:
		return broken(err)
	}
}

const trailerSignature = "x-amz-trailer-signature"

// readTrailers reads name:value lines up to an empty line.
func (c *chunks) readTrailers() error {
	c.trailers = map[string]string{}
	var signed []byte
	signature, half := "", false // the LF of an LF CRLF was read
	for lines := 0; ; lines++ {
		if lines > 2*maxTrailers+2 {
			return malformedTrailer()
		}
		line, bare, err := c.line(maxTrailerLine, true)
		if err != nil {
			return err
		}
		if line == "" {
			// LF CRLF: the empty line belongs to the previous trailer, unless nothing follows.
			if _, err := c.r.Peek(1); half && !bare && err == nil {
				half = false
				continue
			}
			break
		}
		half = bare
		name, value, ok := strings.Cut(line, ":")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.TrimSpace(value)
		_, twice := c.trailers[name]
		switch {
		case !ok || twice || signature != "":
			return malformedTrailer()
		case name == trailerSignature && c.verify != nil:
			if signature = value; !isHash(signature) {
				return badChunk("the signature of the trailer is malformed")
			}
		case c.verify != nil && len(c.trailers) == len(c.announced) && len(c.announced) > 0:
			return badChunk("the signature of the trailer is missing")
		case !slices.Contains(c.announced, name):
			return malformedTrailer()
		default:
			c.trailers[name] = value
			signed = append(append(append(append(signed, name...), ':'), value...), '\n')
		}
	}
	if len(c.trailers) != len(c.announced) {
		return malformedTrailer()
	}
	switch {
	case c.verify == nil:
		return nil
	case signature == "":
		return badChunk("the signature of the trailer is missing")
	}
	return c.verify.trailer(signed, signature)
}

// line reads a line of at most limit bytes and removes CRLF. mayBare allows a line that
// ends with LF alone, as after a trailer; bare reports whether it did.
func (c *chunks) line(limit int, mayBare bool) (text string, bare bool, err error) {
	b, err := c.r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", false, badChunk("a line of the framing is too long")
	case err != nil:
		return "", false, ended(err)
	case len(b) > limit:
		return "", false, badChunk("a line of the framing is too long")
	}
	line, crlf := strings.CutSuffix(string(b[:len(b)-1]), "\r")
	if !crlf && !mayBare {
		return "", false, badChunk("a line of the framing does not end with CRLF")
	}
	return line, !crlf, nil
}

// chain verifies chunk signatures, each of which covers the previous one.
type chain struct {
	claim    *Claim
	mac      hash.Hash
	data     hash.Hash
	previous string
	text     []byte
}

func newChain(c *Claim, key Key) *chain {
	return &chain{claim: c, mac: hmac.New(sha256.New, key[:]), data: sha256.New(), previous: c.Signature}
}

const emptySHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// begin writes the common beginning of both strings to sign.
func (c *chain) begin(kind string) {
	b := append(c.text[:0], kind...)
	b = append(b, '\n')
	b = appendInstant(b, c.claim.Time)
	b = append(c.claim.appendScope(append(b, '\n')), '\n')
	c.text = append(append(b, c.previous...), '\n')
}

func (c *chain) chunk(signature string) error {
	c.begin("AWS4-HMAC-SHA256-PAYLOAD")
	c.text = append(c.text, emptySHA256+"\n"...)
	var sum [sha256.Size]byte
	c.text = hex.AppendEncode(c.text, c.data.Sum(sum[:0]))
	c.data.Reset()
	return c.compare(signature)
}

func (c *chain) trailer(text []byte, signature string) error {
	c.begin("AWS4-HMAC-SHA256-TRAILER")
	sum := sha256.Sum256(text)
	c.text = hex.AppendEncode(c.text, sum[:])
	return c.compare(signature)
}

func (c *chain) compare(signature string) error {
	c.mac.Reset()
	c.mac.Write(c.text)
	var got [64]byte
	var sum [sha256.Size]byte
	hex.Encode(got[:], c.mac.Sum(sum[:0]))
	if subtle.ConstantTimeCompare(got[:], []byte(signature)) != 1 {
		return fault.New(fault.SignatureDoesNotMatch,
			"The signature of a chunk does not match. Check your key and signing method.").
			With("AWSAccessKeyId", c.claim.AccessKeyID).With("SignatureProvided", signature)
	}
	c.previous = string(got[:])
	return nil
}
