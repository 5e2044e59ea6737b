package edge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
)

// TestPressesAreUsedAgain: what a press compresses has nothing of the response before it, however
// much of that was read, and there are only so many places.
func TestPressesAreUsedAgain(t *testing.T) {
	p := newPresses()
	unpack := map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	}
	for encoding, open := range unpack {
		for n, leave := range []int64{1 << 20, 0, 1, 100, 1 << 20} {
			t.Run(fmt.Sprint(encoding, n), func(t *testing.T) {
				plain := strings.Repeat(fmt.Sprint("response ", n, " "), 40_000)
				s := p.take(io.NopCloser(strings.NewReader(plain)), encoding)
				packed, err := io.ReadAll(io.LimitReader(s, leave))
				if err != nil {
					t.Fatal(err)
				}
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := s.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) {
					t.Errorf("after Close: %v", err)
				}
				if leave < 1<<20 {
					return // its viewer left
				}
				r, err := open(bytes.NewReader(packed))
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(r); string(got) != plain || err != nil {
					t.Errorf("%d bytes, %v", len(got), err)
				}
			})
		}
	}
	var all []*squeezer
	for range maxSqueezing {
		all = append(all, p.take(io.NopCloser(strings.NewReader("")), "gzip"))
	}
	if p.take(io.NopCloser(strings.NewReader("")), "br") != nil {
		t.Error("more are compressed at once than there are places")
	}
	for _, s := range all {
		s.Close()
		s.Close()
	}
	if s := p.take(io.NopCloser(strings.NewReader("")), "br"); s == nil {
		t.Error("places are lost")
	}
}
