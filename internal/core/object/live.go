package object

import (
	"context"

	"watertight/internal/storage/kv"
)

// Live reports for each blob whether a version refers to it, for the sweeper
// of payload.
func (s *Store) Live(ctx context.Context, names []string) ([]bool, error) {
	live := make([]bool, len(names))
	err := s.store.View(ctx, func(r kv.Reader) error {
		for i, name := range names {
			v, err := r.Get(blobKey(name))
			if err != nil {
				return err
			}
			live[i] = v != nil
		}
		return nil
	})
	return live, err
}
