package sealedfs

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// frameReader reads a file of frames from its beginning. The file may be growing.
type frameReader struct {
	sealedFile
	fs      *FS
	kind    kind
	ciphers ciphers
	b       *buffer      // nil after the end
	have    []byte       // bytes of the file from at, in b
	at      int64        // where the next frame begins
	next    frame        // its number and offset
	data    []byte       // of the frame that was read, in b
	entry   func(header) // called with the entries of a manifest; may be nil
}

func (fs *FS) newFrameReader(inner vfs.File, path string, h header) *frameReader {
	return &frameReader{
		sealedFile: sealedFile{inner, path}, fs: fs, kind: h.kind, ciphers: fs.keys.ciphers(h),
		b: fs.buffers.Get().(*buffer), at: headerSize,
	}
}

func (r *frameReader) Stat() (vfs.FileInfo, error) { return r.inner.Stat() }

func (r *frameReader) Close() error {
	r.end()
	return r.inner.Close()
}

func (r *frameReader) end() {
	if r.b != nil {
		r.fs.buffers.Put(r.b)
		r.b, r.have, r.data = nil, nil, nil
	}
}

func (r *frameReader) Read(p []byte) (int, error) {
	for len(r.data) == 0 && len(p) > 0 {
		if r.b == nil {
			return 0, io.EOF
		}
		if err := r.advance(); err != nil {
			if err == io.EOF {
				r.end()
			}
			return 0, err
		}
	}
	n := copy(p, r.data)
	r.data = r.data[n:]
	return n, nil
}

// fill reads the file until have has n bytes, or all that there are.
func (r *frameReader) fill(n int) error {
	if len(r.have) >= n {
		return nil
	}
	held := copy(r.b.room[:], r.have)
	got, err := r.inner.ReadAt(r.b.room[held:], r.at+int64(held))
	r.have = r.b.room[:held+got]
	if err == io.EOF {
		err = nil
	}
	return err
}

// advance reads the next frame, or returns io.EOF at the end of the file.
func (r *frameReader) advance() error {
	ok, err := r.frame()
	if ok || err != nil {
		return err
	}
	r.have = nil
	later, at, err := r.search()
	if err != nil {
		return err
	}
	if later.number == 0 { // nothing follows: the frame was being written when the power went, or there is none
		return io.EOF
	}
	// The file may have been growing: what is durable now can be read now.
	if ok, err := r.frame(); ok || err != nil {
		return err
	}
	r.have = nil
	what := fmt.Sprintf("frame %d does not authenticate, frame %d does", r.next.number, later.number)
	d := Damage{r.path, r.at, at - r.at, what}
	r.fs.report(d)
	if !r.fs.o.Salvage || r.kind == manifest && r.entry == nil {
		return &damaged{d} // Pebble would take zeros for the end of the manifest
	}
	return r.skip(later, at)
}

// frame reads the next frame. It returns false if there is none that authenticates.
func (r *frameReader) frame() (bool, error) {
	if err := r.fill(frameHeader); err != nil || len(r.have) < frameHeader {
		return false, err
	}
	f := parseFrame(r.have)
	if f.number != r.next.number || f.offset != r.next.offset || !f.possible() ||
		!r.ciphers.right(r.b, r.have, f.number) {
		return false, nil
	}
	size := frameRoom + int(f.length)
	if err := r.fill(size); err != nil || len(r.have) < size {
		return false, err
	}
	sealed := r.have[frameHeader:size]
	plain, err := r.ciphers.frame.Open(sealed[:0], r.b.frameNonce(f.number), sealed, r.have[:frameHeader])
	if err != nil {
		return false, nil
	}
	if r.kind == manifest {
		if plain, err = r.entries(plain); err != nil {
			return false, err
		}
	}
	r.data, r.have = plain, r.have[size:]
	r.at += int64(size)
	r.next.number, r.next.offset = f.number+1, f.offset+uint64(len(plain))
	return true, nil
}

// entries reads the entries of the catalogue, and returns the rest of the payload.
func (r *frameReader) entries(p []byte) ([]byte, error) {
	all, rest, ok := parseEntries(p)
	if !ok {
		return nil, &damaged{Damage{r.path, r.at, 0, "a frame of the manifest has no catalogue"}}
	}
	if r.entry != nil {
		for ; len(all) > 0; all = all[entrySize:] {
			r.entry(parseEntry(all))
		}
	}
	return rest, nil
}

// skip makes a later frame the next one. The gap reads as zeros, so that what follows keeps
// its position.
func (r *frameReader) skip(later frame, at int64) error {
	const mostGap = 64 << 20
	gap := later.offset - r.next.offset
	if gap > mostGap {
		return &damaged{Damage{r.path, r.at, at - r.at, "too much is missing"}}
	}
	r.at, r.have, r.next = at, nil, frame{number: later.number, offset: later.offset}
	r.data = make([]byte, gap)
	return nil
}

// mostForged is how many frames may have a right header and a wrong body, before the search
// gives up.
const mostForged = 1000

// search searches the rest of the file for a frame that proves damage: a later frame that
// authenticates, written when the one that is missing was already durable. In salvage any
// later frame will do. It returns the zero frame if there is none.
func (r *frameReader) search() (frame, int64, error) {
	window := r.fs.buffers.Get().(*buffer)
	defer r.fs.buffers.Put(window)
	forged := 0
	for from := r.at; ; {
		if from >= r.kind.most() {
			return frame{}, 0, nil
		}
		n, err := r.inner.ReadAt(window.room[:], from)
		if err != nil && err != io.EOF {
			return frame{}, 0, err
		}
		b := window.room[:n]
		if n < frameRoom {
			return frame{}, 0, nil
		}
		i := 0
		for ; i <= n-frameRoom; i++ {
			if i = candidate(b, i); i > n-frameRoom {
				break
			}
			f := parseFrame(b[i:])
			if f.number <= r.next.number || f.durable <= r.next.number && !r.fs.o.Salvage || !f.possible() ||
				f.offset < r.next.offset || !r.ciphers.right(r.b, b[i:], f.number) {
				continue
			}
			ok, err := r.authentic(f, from+int64(i))
			if ok || err != nil {
				return f, from + int64(i), err
			}
			if forged++; forged > mostForged {
				return frame{}, 0, &damaged{Damage{r.path, r.at, 0, "frames that do not authenticate"}}
			}
		}
		from += int64(min(i, n-frameRoom+1))
	}
}

// candidate returns the first position from i on at which a frame may begin: later frames
// than the first have a number that is not 0, and a length that is short.
func candidate(b []byte, i int) int {
	found := false
	for !found && i+frameRoom <= len(b) {
		i, found = step(b, i)
	}
	return i
}

// step looks for a candidate from i on, and returns where it is, or where the next step begins. One step passes a
// whole run of zeros, which files with holes have gigabytes of.
func step(b []byte, i int) (next int, found bool) {
	zero := bytes.IndexByte(b[i:len(b)-frameRoom+1], 0)
	if zero < 0 {
		return len(b), false
	}
	i += zero
	if b[i+4]|b[i+5]|b[i+6]|b[i+7] != 0 {
		return i, true
	}
	const numberEnd = 8
	run := zeros(b[i:])
	if i+run == len(b) {
		return len(b), false
	}
	return i + max(1, run-numberEnd+1), false
}

// zeros returns how many zeros b begins with.
func zeros(b []byte) (n int) {
	for len(b)-n >= 8 && binary.LittleEndian.Uint64(b[n:]) == 0 {
		n += 8
	}
	for n < len(b) && b[n] == 0 {
		n++
	}
	return n
}

// authentic reports whether the frame at a position authenticates.
func (r *frameReader) authentic(f frame, at int64) (bool, error) {
	size := frameRoom + int(f.length)
	n, err := r.inner.ReadAt(r.b.room[:size], at)
	if n < size {
		if err == io.EOF {
			err = nil
		}
		return false, err
	}
	head, sealed := r.b.room[:frameHeader], r.b.room[frameHeader:size]
	_, err = r.ciphers.frame.Open(sealed[:0], r.b.frameNonce(f.number), sealed, head)
	return err == nil, nil
}

// isZero reports whether a file has nothing but zeros from a position on.
func isZero(f vfs.File, from int64, room []byte) (bool, error) {
	for {
		n, err := f.ReadAt(room, from)
		if zeros(room[:n]) < n {
			return false, nil
		}
		if err == io.EOF || err == nil && n == 0 {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		from += int64(n)
	}
}

// drain reads the file to its end.
func (r *frameReader) drain() error {
	for {
		if err := r.advance(); err == io.EOF {
			r.end()
			return nil
		} else if err != nil {
			return err
		}
	}
}
