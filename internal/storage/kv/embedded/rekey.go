package embedded

import (
	"context"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Rekeyed is implemented by every store of this package. Rekey wraps the store's id and the
// key of its files under the current generation of the root key, and replaces older
// wrappings on the disk. It returns how many it rewrapped; after an error it can be called
// again. It changes no record and no other file.
type Rekeyed interface {
	Rekey(ctx context.Context) (int, error)
}

// Rekey implements Rekeyed.
func (s *store) Rekey(ctx context.Context) (int, error) {
	if err := s.enter(ctx); err != nil {
		return 0, err
	}
	defer s.leave()
	return s.rekey(nil, "")
}

// rekey rewraps the keys and writes them into dir, unless files is nil.
func (s *store) rekey(files vfs.FS, dir string) (int, error) {
	if s.readOnly {
		return 0, s.failure()
	}
	s.id.writing.Lock()
	defer s.id.writing.Unlock()
	w, n, err := s.id.rewrap()
	if err != nil || n == 0 {
		return 0, err
	}
	if files != nil {
		if err := writeStore(files, dir, w); err != nil {
			return 0, err
		}
	}
	s.id.set(w)
	return n, nil
}

// Rekey implements Rekeyed.
func (k *keeper) Rekey(ctx context.Context) (int, error) {
	s, err := k.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer s.leave()
	return s.rekey(k.o.disk(), k.o.Dir)
}
