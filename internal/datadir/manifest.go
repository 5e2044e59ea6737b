package datadir

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// A manifest lists what a backup consists of: lines of text, and a last one that shows
// that it is whole. Blobs come in the order of their names, so that two manifests are
// compared without holding either.
//
//	watertight-backup 1
//	taken RFC3339
//	commit NUMBER
//	file SHA256 SIZE PATH      below the backup's own folder
//	blob SHA256 SIZE NAME      in the folder of blobs, which all backups share
//	missing NAME               a blob that was not there
//	end SHA256                 of all bytes before this line
const (
	manifestFile  = "manifest"
	manifestMagic = "watertight-backup 1"
	// maxLine bounds a line: a path is at most 4 KiB.
	maxLine = 8 << 10
)

// entry is a line of a manifest that names a file, a blob or a missing blob.
type entry struct {
	kind string // file, blob, missing
	name string
	size int64
	sum  [sha256.Size]byte
}

// manifestWriter writes a manifest. After the first error it does nothing.
type manifestWriter struct {
	file *os.File
	sum  hash.Hash
	to   *bufio.Writer
	err  error
}

func createManifest(path string, taken time.Time, commit uint64) (*manifestWriter, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	w := &manifestWriter{file: f, sum: sha256.New(), to: bufio.NewWriter(f)}
	w.line(manifestMagic)
	w.line("taken %s", taken.UTC().Format(time.RFC3339))
	w.line("commit %d", commit)
	return w, w.err
}

func (w *manifestWriter) line(format string, args ...any) {
	if w.err == nil {
		_, w.err = fmt.Fprintf(io.MultiWriter(w.to, w.sum), format+"\n", args...)
	}
}

func (w *manifestWriter) add(e entry) error {
	if e.kind == "missing" {
		w.line("missing %s", e.name)
	} else {
		w.line("%s %x %d %s", e.kind, e.sum, e.size, e.name)
	}
	return w.err
}

// finish completes the manifest and makes it durable.
func (w *manifestWriter) finish() error {
	w.line("end %x", w.sum.Sum(nil))
	return errors.Join(w.err, w.to.Flush(), w.file.Sync(), w.file.Close())
}

// manifest reads a manifest line by line.
type manifest struct {
	taken  time.Time
	commit uint64

	path  string
	file  *os.File
	lines *bufio.Reader
	sum   hash.Hash
	done  bool
}

// openManifest opens a manifest and reads its first lines.
func openManifest(path string) (_ *manifest, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	m := &manifest{path: path, file: f, lines: bufio.NewReaderSize(f, maxLine), sum: sha256.New()}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	magic, err := m.line()
	if err == nil && magic != manifestMagic {
		return nil, fmt.Errorf("%s is no manifest of a backup that this program reads", path)
	}
	taken, terr := m.line()
	commit, cerr := m.line()
	if err := errors.Join(err, terr, cerr); err != nil {
		return nil, err
	}
	m.taken, terr = time.Parse("taken "+time.RFC3339, taken)
	_, cerr = fmt.Sscanf(commit, "commit %d", &m.commit)
	if errors.Join(terr, cerr) != nil {
		return nil, m.damaged()
	}
	return m, nil
}

func (m *manifest) damaged() error { return fmt.Errorf("%s is damaged", m.path) }

func (m *manifest) line() (string, error) {
	b, err := m.lines.ReadSlice('\n')
	if errors.Is(err, io.EOF) || errors.Is(err, bufio.ErrBufferFull) {
		return "", m.damaged()
	}
	if err != nil {
		return "", err
	}
	text := string(b[:len(b)-1])
	if !strings.HasPrefix(text, "end ") {
		m.sum.Write(b)
	}
	return text, nil
}

// next returns the next entry, or false at the end of a complete manifest.
func (m *manifest) next() (e entry, ok bool, err error) {
	if m.done {
		return e, false, nil
	}
	text, err := m.line()
	if err != nil {
		return e, false, err
	}
	if text == fmt.Sprintf("end %x", m.sum.Sum(nil)) {
		if _, err := m.lines.ReadByte(); !errors.Is(err, io.EOF) {
			return e, false, m.damaged()
		}
		m.done = true
		return e, false, nil
	}
	kind, rest, _ := strings.Cut(text, " ")
	if kind == "missing" {
		return entry{kind: kind, name: rest}, true, nil
	}
	sum, rest, _ := strings.Cut(rest, " ")
	size, name, _ := strings.Cut(rest, " ")
	raw, herr := hex.DecodeString(sum)
	n, nerr := strconv.ParseInt(size, 10, 64)
	if kind != "file" && kind != "blob" || herr != nil || len(raw) != sha256.Size || nerr != nil || n < 0 ||
		kind == "file" && !filepath.IsLocal(name) {
		return e, false, m.damaged()
	}
	return entry{kind, name, n, [sha256.Size]byte(raw)}, true, nil
}

// each calls fn with every entry, and checks that the manifest is complete.
func (m *manifest) each(fn func(entry) error) error {
	for {
		e, ok, err := m.next()
		if err != nil || !ok {
			return err
		}
		if err := fn(e); err != nil {
			return err
		}
	}
}

func (m *manifest) Close() error { return m.file.Close() }
