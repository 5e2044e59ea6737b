package server

import (
	"context"
	"path/filepath"
	"time"

	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/object"
	"watertight/internal/core/payload"
)

// tidyInterval is how often the server looks for room that nothing uses in segments.
const tidyInterval = 10 * time.Second

// tidy gives back the room of objects that were removed from segments.
func (s *Server) tidy(ctx context.Context) {
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	warned := 0
	bytes := payload.NewOperator(s.payloads, keys.NewOperator(s.ring, kms.NewOperator(s.keys)))
	objects := object.NewOperator(s.store, bytes)
	for {
		t, err := bytes.Tidy(ctx, time.Now(), objects.Sealed)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			s.log.Error("compacting segments", "err", err)
		}
		if t.Removed+t.SetAside+t.PutBack > 0 {
			s.log.Info("segments were compacted", "moved", t.Moved, "bytes", t.Bytes, "removed", t.Removed,
				"set_aside", t.SetAside, "put_back", t.PutBack)
		}
		if t.Kept != warned {
			warned = t.Kept
			s.log.Warn("many objects' bytes in segments have no record; they stay, since the metadata may be an older "+
				"one: if it is right, remove the segments yourself",
				"count", t.Kept, "folder", filepath.Join(payload.Folder(s.config.Data), "orphans"))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
