package server

import (
	"context"
	"net/http"
	"time"

	"watertight/internal/certs"
	"watertight/internal/core/kms"
	"watertight/internal/datadir"
	"watertight/internal/gateway/audit"
	"watertight/internal/rotation"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/seal"
)

// newRotation lists everything that a rotation of the root key wraps again. A package that
// keeps something under the root key must be listed here.
func (s *Server) newRotation() *rotation.Rotation {
	material := kms.NewOperator(s.keys)
	return rotation.New(rotation.Options{
		Store: s.store, Keyring: s.rootKey, Now: time.Now, Logger: s.log,
		Parts: []rotation.Part{
			{Name: "data keys of objects", Step: func(
				ctx context.Context, after string,
			) (string, rotation.Count, error) {
				next, n, err := s.objects.Rewrap(ctx, s.ring, []byte(after))
				return string(next), rotation.Count(n), err
			}},
			{Name: "material of customers' keys", Step: func(
				ctx context.Context, after string,
			) (string, rotation.Count, error) {
				next, read, changed, err := material.RewrapMaterial(ctx, after)
				return next, rotation.Count{Seen: uint64(read), Changed: uint64(changed)}, err
			}},
		},
		Wholes: s.rewrappedWholes(),
		Stays: func(context.Context) (map[uint32]uint64, error) {
			dirs := []string{datadir.AuditDir(s.config.Data)}
			if s.config.AuditArchive != "" {
				dirs = append(dirs, s.config.AuditArchive)
			}
			return audit.Generations(s.rootKey.Ring, folder.Or(s.config.Files), dirs...)
		},
		Why: "files of the audit log that were begun under it; they go with --audit-max-bytes or --audit-retention",
	})
}

// rewrappedWholes are the parts that are wrapped again in one step.
func (s *Server) rewrappedWholes() []rotation.Whole {
	all := []rotation.Whole{
		{Name: "keys of the store's records", Do: s.rekeyStore},
		{Name: "private keys of TLS", Do: func(ctx context.Context) (int, error) {
			return certs.Rewrap(ctx, s.config.Data, s.rootKey.Ring, &s.certFiles)
		}},
	}
	if _, anchored := s.anchor.Behind(); anchored {
		all = append(all, rotation.Whole{Name: "the anchor", Do: func(ctx context.Context) (int, error) {
			return s.anchor.Renew(ctx, s.store)
		}})
	}
	return all
}

// rekeyStore rewraps the metadata's own keys, and then the markers' copies of them.
func (s *Server) rekeyStore(ctx context.Context) (int, error) {
	store, ok := s.store.(embedded.Rekeyed)
	if !ok {
		return 0, nil
	}
	n, err := store.Rekey(ctx)
	if err != nil {
		return n, err
	}
	return n, s.parts.Mark(s.store)
}

// sourceCheck is how often the server asks the source of the root key whether the next
// start would find it.
const sourceCheck = time.Minute

// watchSource notices that the source of the root key is lost, and repairs keyrings on the
// disk. Requests need neither.
func (s *Server) watchSource(ctx context.Context) {
	tick := time.NewTicker(sourceCheck)
	defer tick.Stop()
	for {
		s.mendKeyring()
		if s.checkSource(ctx); ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// mendKeyring writes the keyring and its copies again if they are missing or damaged on the
// disk, because the next start would fail without them.
func (s *Server) mendKeyring() {
	mended, err := s.rootKey.Mend()
	s.warnMended(mended)
	switch lost := err != nil; {
	case lost && !s.ringLost.Swap(true):
		s.log.Error("the keyring is damaged and can't be written: this server goes on, and the next start may be "+
			"refused; do not stop it before this is mended", "err", err)
	case !lost && s.ringLost.Swap(false):
		s.log.Info("the keyring and its copies are whole again")
	}
}

func (s *Server) warnMended(paths []string) {
	for _, path := range paths {
		s.log.Warn("the keyring was missing, damaged or older there, and was written anew; look at the disk",
			"file", path)
	}
}

func (s *Server) checkSource(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, sourceCheck/2)
	defer cancel()
	err := s.rootKey.Check(ctx)
	if ctx.Err() != nil && err == nil {
		return
	}
	switch lost := err != nil; {
	case lost && !s.sourceLost.Swap(true):
		s.log.Error("the source of the root key is lost: this server goes on, and the next start would be refused",
			"source", s.rootKey.Source(), "err", err)
	case !lost && s.sourceLost.Swap(false):
		s.log.Info("the source of the root key is back", "source", s.rootKey.Source())
	}
}

// holding holds the generations of the root key during a request, so that what the request
// wraps under the current generation is stored before that generation counts as unneeded.
type holding struct {
	next http.Handler
	root *seal.Ring
}

// ServeHTTP implements http.Handler.
func (h holding) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer h.root.Hold().Release()
	h.next.ServeHTTP(w, r)
}
