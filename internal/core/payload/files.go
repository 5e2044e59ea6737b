package payload

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"watertight/internal/core/payload/internal/disk"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
)

// File is the sealed bytes of a blob.
type File interface {
	io.Reader
	io.ReaderAt
	io.Closer
	Size() int64 // in bytes
}

// OpenFile opens the sealed bytes of a blob in a data directory, even of a blob that was
// set aside or is in quarantine. name is the blob's, or what Placed or Find returned for a
// blob that was moved. OpenFile changes nothing.
func OpenFile(files folder.FS, dataDir, name string) (File, error) {
	bare, at := splitPlaced(name)
	if _, size, ok := segment.Parse(bare); ok {
		f, err := openExtent(files, dataDir, bare, at, size)
		if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	f, err := openAlone(files, dataDir, bare)
	if first, size, ok := segment.Parse(bare); ok && errors.Is(err, fs.ErrNotExist) {
		if at != (segment.Place{}) {
			first = at
		}
		return openAt(files, segmentsDir(dataDir), first, size) // the header may be damaged
	}
	return f, err
}

func openAlone(files folder.FS, dataDir, name string) (File, error) {
	path, err := disk.Path(Folder(dataDir), name)
	if err != nil {
		return nil, err
	}
	f, err := folder.Open(files, path)
	for _, apart := range []string{disk.AsideFolder, disk.RetiredFolder, disk.QuarantineFolder} {
		if errors.Is(err, fs.ErrNotExist) {
			f, err = folder.Open(files, filepath.Join(Folder(dataDir), apart, name))
		}
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return wholeFile{f, info.Size()}, nil
}

// wholeFile is a blob in a file of its own.
type wholeFile struct {
	folder.File
	size int64
}

func (f wholeFile) Size() int64 { return f.size }

// extentFile is a blob in a segment.
type extentFile struct {
	*io.SectionReader
	file folder.File
}

func (f extentFile) Close() error { return f.file.Close() }

// openExtent opens the extent of a blob where it was moved to or written first, also in a
// segment that was set aside.
func openExtent(files folder.FS, dataDir, name string, at segment.Place, size int64) (File, error) {
	first, _, _ := segment.Parse(name)
	for _, p := range []segment.Place{at, first} {
		for _, dir := range []string{segmentsDir(dataDir), filepath.Join(Folder(dataDir), disk.AsideFolder)} {
			if p == (segment.Place{}) {
				continue
			}
			found, err := segment.NameAt(files, dir, p)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return nil, err
			}
			if found == name {
				return openAt(files, dir, p, size)
			}
		}
	}
	return nil, fs.ErrNotExist
}

func openAt(files folder.FS, dir string, p segment.Place, size int64) (File, error) {
	f, err := folder.Open(files, segment.Path(dir, p.Segment))
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	size = max(0, min(size, info.Size()-p.Offset())) // the file may have been cut
	return extentFile{io.NewSectionReader(f, p.Offset(), size), f}, nil
}

// splitPlaced splits what Placed returned.
func splitPlaced(name string) (bare string, p segment.Place) {
	bare, place, ok := strings.Cut(name, placeSign)
	if ok {
		p, _ = segment.ParsePlace(place)
	}
	return bare, p
}

// Bare returns the name of a blob without its place.
func Bare(name string) string {
	bare, _ := splitPlaced(name)
	return bare
}

// Find looks for blobs in all segments of a data directory by the headers there, for blobs
// whose place no record tells any more. It returns their names with the places. It skips
// segments that can't be read.
func Find(files folder.FS, dataDir string, names map[string]bool) map[string]string {
	found := map[string]string{}
	for _, dir := range []string{segmentsDir(dataDir), filepath.Join(Folder(dataDir), disk.AsideFolder)} {
		for x := range segment.All(files, dir) {
			if names[x.Name] {
				found[x.Name] = x.Name + placeSign + x.Place.String()
			}
		}
	}
	return found
}

// CopyFile copies the sealed bytes of a blob to another data directory, where it has a file
// of its own. The file's name is durable after Settle was called.
func CopyFile(files folder.FS, from, to, name string) (err error) {
	in, err := OpenFile(files, from, name)
	if err != nil {
		return err
	}
	defer in.Close()
	path, err := FilePath(to, name)
	if err != nil {
		return err
	}
	out, err := files.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	copied := &written{to: out}
	_, err = io.Copy(copied, in)
	if failed := errors.Join(copied.err, out.Sync(), out.Close()); failed != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, failed)
	}
	return err
}

// ErrNotWritten means that a copy could not be written, as opposed to what is copied not being readable.
var ErrNotWritten = errors.New("a copy can't be written")

// written is a writer that keeps its error, to distinguish it from an error of reading.
type written struct {
	to  io.Writer
	err error
}

func (w *written) Write(p []byte) (int, error) {
	n, err := w.to.Write(p)
	w.err = err
	return n, err
}

// Settle makes the names of copied blobs durable.
func Settle(files folder.FS, dataDir string) error { return disk.Settle(files, Folder(dataDir)) }

// FilePath returns the path of a blob in a file of its own in a data directory, unless it was
// set aside or is in quarantine.
func FilePath(dataDir, name string) (string, error) { return disk.Path(Folder(dataDir), Bare(name)) }

// FileSize returns the size in bytes of a blob that OpenFile would open.
func FileSize(files folder.FS, dataDir, name string) (int64, error) {
	f, err := OpenFile(files, dataDir, name)
	if err != nil {
		return 0, err
	}
	return f.Size(), f.Close()
}
