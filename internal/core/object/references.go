package object

import (
	"context"

	"watertight/internal/storage/kv"
)

// Referenced reports for each blob whether a version or a part refers to it, for
// the sweeper of payload.
func (s *Store) Referenced(ctx context.Context, names []string) ([]bool, error) {
	return referenced(ctx, s.store, names)
}

func referenced(ctx context.Context, store kv.Store, names []string) ([]bool, error) {
	referenced := make([]bool, len(names))
	err := store.View(ctx, func(r kv.Reader) error {
		for i, name := range names {
			v, err := r.Get(blobKey(name))
			if err != nil {
				return err
			}
			referenced[i] = v != nil
		}
		return nil
	})
	return referenced, err
}
