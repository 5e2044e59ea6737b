package anchor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"watertight/internal/storage/folder"
)

// file keeps the newest anchor as a file.
type file struct {
	fs    folder.FS
	path  string
	every time.Duration
}

func openFile(path string, o Options) (Place, error) {
	at, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	fsys := folder.Or(o.FS)
	dir, err := resolved(fsys, filepath.Dir(at))
	if err != nil {
		return nil, err
	}
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return nil, err
	}
	if data, err = resolved(fsys, data); err != nil {
		return nil, err
	}
	if rel, err := filepath.Rel(data, dir); err == nil && filepath.IsLocal(rel) {
		return nil, fmt.Errorf("the anchor %s lies in the data directory %s, with which it would be put back; use a "+
			"file elsewhere, best on another disk", path, o.Data)
	}
	every := o.Every
	if every == 0 {
		every = time.Second
	}
	return file{fsys, at, every}, nil
}

// resolved follows the links in a path, whose end may be missing.
func resolved(fsys folder.FS, path string) (string, error) {
	real, err := fsys.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if parent := filepath.Dir(path); parent != path {
			real, err = resolved(fsys, parent)
			return filepath.Join(real, filepath.Base(path)), err
		}
	}
	return real, err
}

// Newest implements Place.
func (f file) Newest(_ context.Context, open func([]byte) (State, error)) (State, bool, error) {
	in, err := folder.Open(f.fs, f.path)
	if errors.Is(err, fs.ErrNotExist) {
		// Without its folder, the disk of the anchor is not mounted.
		if _, ferr := f.fs.Stat(filepath.Dir(f.path)); ferr == nil {
			return State{}, false, nil
		}
	}
	if err != nil {
		return State{}, false, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	b, err := io.ReadAll(io.LimitReader(in, int64(Size)+1))
	if err = errors.Join(err, in.Close()); err != nil {
		return State{}, false, fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	s, err := open(b)
	if err != nil {
		return State{}, false, fmt.Errorf("%s %w", f.path, err)
	}
	return s, true, nil
}

// Put implements Place.
func (f file) Put(_ context.Context, _ State, text []byte) error {
	return folder.Replace(f.fs, f.path, text, 0o600)
}

// Every implements Place.
func (f file) Every() time.Duration { return f.every }

// String implements Place.
func (f file) String() string { return f.path }
