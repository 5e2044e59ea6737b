package audit

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/gateway/audit/internal/pack"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// suffix ends the name of every file of the log.
const suffix = ".wtl"

// Read calls fn with every group of the log in dir, from the first to the last, and
// verifies all of it: seals, chain, numbers, sizes. It stops with fn's error, or with an
// error that wraps ErrDamaged and names file and offset. The log begins with the oldest
// existing file; only the store knows whether older ones should exist. An incomplete frame
// at the very end counts as not written yet. Read may run beside a Log.
func Read(fsys folder.FS, dir string, root *seal.Ring, fn func(Group) error) error {
	files, err := list(fsys, dir)
	if err != nil {
		return err
	}
	w := walker{fsys: fsys, wrap: root.For(filePurpose), fn: fn, whole: true}
	defer w.close()
	for i, n := range files {
		if err := w.file(dir, n, i == len(files)-1); err != nil {
			return err
		}
	}
	return nil
}

// list returns the numbers of the log's files. It is an error if one is missing between two others.
func list(fsys folder.FS, dir string) ([]uint64, error) {
	found, err := folder.ReadDir(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	var files []uint64
	for _, f := range found {
		digits, ok := strings.CutSuffix(f.Name(), suffix)
		n, err := strconv.ParseUint(digits, 10, 32)
		if ok && err == nil && n > 0 && f.Name() == fileName(n) {
			files = append(files, n)
		}
	}
	slices.Sort(files)
	for i := 1; i < len(files); i++ {
		if missing := files[i-1] + 1; files[i] != missing {
			return nil, damaged(filepath.Join(dir, fileName(missing)), -1,
				"is missing, while older and newer ones are there")
		}
	}
	return files, nil
}

func fileName(n uint64) string { return fmt.Sprintf("%06d%s", n, suffix) }

// damaged returns the error for damage at an offset; at below zero means the whole file.
func damaged(path string, at int64, what string) error {
	if at < 0 {
		return fmt.Errorf("audit: %w: %s %s", ErrDamaged, path, what)
	}
	return fmt.Errorf("audit: %w: %s at byte %d: %s", ErrDamaged, path, at, what)
}

// walker reads the files one after another, and verifies that each continues the previous one.
type walker struct {
	fsys    folder.FS
	wrap    seal.Purpose
	whole   bool // verify every file completely, not only the newest
	opening bool // keep what the store is compared with: chains, and damage in the newest file
	fn      func(Group) error

	first  uint64 // number of the first file
	from   uint64 // sequence of its first frame
	chains [][sha256.Size]byte
	damage error
	number uint64
	size   int64 // size of the valid part of the previous file
	head   header
	state  state
	buf    []byte
	events []Entry
	packed *pack.Unpacker // nil before the first frame whose events are packed
	plain  []byte         // its events
}

// close releases what the walker holds.
func (w *walker) close() {
	if w.packed != nil {
		w.packed.Close()
	}
}

func (w *walker) file(dir string, number uint64, newest bool) error {
	path := filepath.Join(dir, fileName(number))
	f, err := folder.Open(w.fsys, path)
	if errors.Is(err, fs.ErrNotExist) {
		return damaged(path, -1, "is missing")
	}
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 256<<10)
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(r, head); err != nil {
		return readError(path, 0, "the file is shorter than its header", err)
	}
	h, err := decodeHeader(head, w.wrap)
	if err != nil {
		return headerError(path, err)
	}
	switch {
	case h.number != number, w.first != 0 && int64(h.previous) != w.size, number == 1 && h.previous != 0:
		return damaged(path, -1, "does not follow the file before it: one of the two was swapped, cut or extended")
	case w.whole && w.first != 0 && h.before != w.state, number == 1 && h.before != state{}:
		return damaged(path, -1, "does not continue the chain of the file before it")
	}
	if w.first == 0 {
		w.first, w.from = number, h.before.sequence+1
	}
	w.number, w.head, w.state = h.number, h, h.before
	if newest && w.opening {
		w.chains = append(w.chains, h.before.chain)
		err := w.frames(r, path, newest)
		if errors.Is(err, ErrDamaged) {
			w.damage, err = err, nil
		}
		return err
	}
	if w.whole {
		return w.frames(r, path, newest)
	}
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	w.size = info.Size()
	return nil
}

// frames reads what follows the header and sets the size of the valid part.
func (w *walker) frames(r io.Reader, path string, newest bool) error {
	k := newKeys(w.head.key)
	w.size = headerSize
	head := make([]byte, frameHeader)
	for {
		n, err := io.ReadFull(r, head)
		if err == io.EOF || err == io.ErrUnexpectedEOF && newest {
			return nil
		}
		if err != nil {
			return readError(path, w.size+int64(n), "the file ends within a frame, while later files are there", err)
		}
		seq := w.state.sequence + 1
		length, err := k.frameLength(seq, head)
		if err != nil {
			return damaged(path, w.size, err.Error())
		}
		if cap(w.buf) < length {
			w.buf = make([]byte, length)
		}
		sealed := w.buf[:length]
		n, err = io.ReadFull(r, sealed)
		if newest && (err == io.EOF || err == io.ErrUnexpectedEOF) {
			return nil
		}
		if err != nil {
			return readError(path, w.size+int64(n), "the file ends within a frame, while later files are there", err)
		}
		content, err := k.openFrame(seq, head, sealed)
		if err != nil {
			return damaged(path, w.size, err.Error())
		}
		g, count, next, err := decodeGroup(content, w.state)
		if err != nil {
			return damaged(path, w.size, err.Error())
		}
		if err := w.deliver(g, content[groupHeader:], count, path); err != nil {
			return err
		}
		w.state = next
		if w.opening {
			w.chains = append(w.chains, next.chain)
		}
		w.size += int64(frameHeader + length)
	}
}

// deliver passes a group to fn. Without fn, packed events stay packed: the seal and the
// chain cover them.
func (w *walker) deliver(g Group, events []byte, count int, path string) (err error) {
	if w.head.format >= packedFormat {
		if w.fn == nil {
			return nil
		}
		if events, err = w.unpack(events, g.Written); err != nil {
			return damaged(path, w.size, err.Error())
		}
	}
	if w.events, err = decodeEvents(events, count, w.events); err != nil {
		return damaged(path, w.size, err.Error())
	}
	if w.fn == nil {
		return nil
	}
	g.Events = w.events
	return w.fn(g)
}

func (w *walker) unpack(events []byte, written time.Time) (_ []byte, err error) {
	if w.packed == nil {
		if w.packed, err = pack.NewUnpacker(frameLimit); err != nil {
			return nil, err
		}
	}
	w.plain, err = w.packed.Append(w.plain[:0], events, written)
	return w.plain, err
}

// headerError returns the error for a header that does not decode.
func headerError(path string, err error) error {
	if errors.Is(err, errNewer) {
		return fmt.Errorf("audit: %s %w", path, err)
	}
	return damaged(path, -1, err.Error())
}

// readError returns an error for damage if the file ended, and err otherwise.
func readError(path string, at int64, what string, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return damaged(path, at, what)
	}
	return fmt.Errorf("audit: %s at byte %d: %w", path, at, err)
}
