package sim

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"watertight/test/s3model"
)

// unknown stands for an id that was made by a request without an answer.
const unknown = "?"

// minPart is the least size of any part but the last, in bytes.
const minPart = 5 << 20

// content is the content of an object: pieces of the library's text.
type content struct {
	pieces   []string
	size     int64
	sum, md5 string // in hex
}

func (c *content) text() string { return strings.Join(c.pieces, "") }

// library is a long random text, and all contents that were cut from it.
type library struct {
	whole string
	mu    sync.Mutex
	known map[string]*content // by sum
}

func newLibrary(seed uint64) *library {
	b := make([]byte, 4*minPart)
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	rand.NewChaCha8(key).Read(b)
	return &library{whole: string(b), known: map[string]*content{}}
}

// draw returns n bytes from anywhere in the library.
func (l *library) draw(rng *rand.Rand, n int) *content {
	from := rng.IntN(len(l.whole) - n)
	return l.keep(l.whole[from : from+n])
}

func (l *library) keep(pieces ...string) *content {
	c := &content{pieces: pieces}
	sum, short := sha256.New(), md5.New()
	for _, p := range pieces {
		io.WriteString(io.MultiWriter(sum, short), p)
		c.size += int64(len(p))
	}
	c.sum, c.md5 = hex.EncodeToString(sum.Sum(nil)), hex.EncodeToString(short.Sum(nil))
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known[c.sum] = c
	return c
}

// of returns the content of a version.
func (l *library) of(v *s3model.Version) *content {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known[v.Text]
}

// cut returns the bytes from first up to, but not including, end.
func (l *library) cut(c *content, first, end int64) *content {
	var pieces []string
	for _, p := range c.pieces {
		n := int64(len(p))
		if from, to := max(first, 0), min(end, n); from < to {
			pieces = append(pieces, p[from:to])
		}
		first, end = first-n, end-n
	}
	return l.keep(pieces...)
}

// version is an object of one piece.
func (c *content) version(key, tags string, e encryption, a answer) s3model.Version {
	v := s3model.Version{ID: a.id(key), Text: c.sum, ETag: c.md5, Size: c.size, Tags: tags, Encryption: e.String()}
	if e.hides() {
		v.ETag = a.etag
	}
	return v
}

// upload is a multipart upload in progress.
type upload struct {
	key   string
	how   encryption
	parts map[int]part
}

// part is a part of an upload.
type part struct {
	*content
	etag string
}

// numbers returns the numbers of its parts.
func (u *upload) numbers() []int { return slices.Sorted(maps.Keys(u.parts)) }

// object returns the object that completing with these parts makes.
func (u *upload) object(l *library, numbers []int) s3model.Version {
	var pieces []string
	h := md5.New()
	for _, n := range numbers {
		pieces = append(pieces, u.parts[n].pieces...)
		sum, _ := hex.DecodeString(u.parts[n].md5) // the ETag, unless that is hidden
		h.Write(sum)
	}
	c := l.keep(pieces...)
	return s3model.Version{Text: c.sum, ETag: fmt.Sprintf("%x-%d", h.Sum(nil), len(numbers)), Size: c.size,
		Encryption: u.how.String()}
}

// state is the content of the keys of one writer, with uploads in progress.
type state struct {
	*s3model.Bucket
	uploads map[string]*upload // by id
}

func (s *state) clone() *state {
	c := &state{s.Bucket.Clone(), make(map[string]*upload, len(s.uploads))}
	for id, u := range s.uploads {
		c.uploads[id] = &upload{u.key, u.how, maps.Clone(u.parts)}
	}
	return c
}
