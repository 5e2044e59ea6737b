package server

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"watertight/internal/edge/remote"
	"watertight/internal/fault"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/seal"
)

// edgeKey says where the key of an edge on another machine comes from. It seals the edge's cache
// and what the edge keeps.
type edgeKey struct {
	text  string
	store *remote.Store
	owner string // the edge's credential and its store
	// getenv is that of the process, for sources that have a secret in a variable.
	getenv func(string) string
}

// outlives reports whether the key outlives the process.
func (k edgeKey) outlives() bool { return k.text != "" && k.text != "memory" }

// check refuses what an edge can't have together, under the names of its flags.
func (k edgeKey) check(cdn CDNConfig) error {
	c := cdn.Cache
	switch {
	case len(cdn.TLS.Pairs) > 0 && cdn.TLS.ACME:
		return errors.New("--tls-cert and --acme exclude each other; use one of them")
	case (cdn.TLSListen != "") != cdn.TLS.On():
		return errors.New("--tls-listen goes with --tls-cert and --tls-key, or with --acme")
	case !k.outlives() && cdn.TLS.ACME:
		return errors.New("--acme needs --cache and a --cache-key that outlives the process, because an authority " +
			"does not issue certificates at every start")
	case !k.outlives():
		return nil
	case c.Dir == "" || c.Bytes == 0:
		return errors.New("--cache-key needs --cache, and a --cache-size above 0")
	}
	if strings.HasPrefix(k.text, "kms:") {
		if _, _, err := c.kmsKey(); err != nil {
			return fmt.Errorf("--cache-key %w", err)
		}
	} else if _, err := rootkey.NewSource(k.text, k.options(c.Dir)); err != nil {
		return fmt.Errorf("--cache-key is memory, kms: and the ARN of a key, or a source of a root key: %w", err)
	}
	return nil
}

func (k edgeKey) options(dir string) rootkey.Options {
	return rootkey.Options{DataDir: dir, MayCreate: true, Getenv: k.getenv}
}

// open returns the key of the cache in a folder, and makes it if there is none. A key that its
// source refuses is an error, so that a mistake does not empty the cache.
func (k edgeKey) open(ctx context.Context, dir string) (seal.Key, error) {
	if !k.outlives() {
		return seal.NewKey(), nil
	}
	if name, isKMS := strings.CutPrefix(k.text, "kms:"); isKMS {
		key, err := keptKey(ctx, dir, storeKey{k.store, name})
		if fault.Is(err, fault.AccessDenied) {
			err = fmt.Errorf("%w; the policy of the key must allow the service principal cloudfront.amazonaws.com "+
				"kms:GenerateDataKey and kms:Decrypt, and its account must be that of the edge", err)
		}
		return key, err
	}
	ring, err := rootkey.Open(ctx, k.text, k.options(dir))
	if err != nil {
		return seal.Key{}, err
	}
	if err := ring.Save(ctx); err != nil {
		return seal.Key{}, err
	}
	return ring.Ring.Current().Key.Derive("watertight edge cache"), nil
}

// storeKey is a key of the KMS of an edge's store.
type storeKey struct {
	store *remote.Store
	on    string
}

func (k storeKey) name() string { return k.on }

func (k storeKey) generate(ctx context.Context) (seal.Key, []byte, error) {
	c, err := k.store.CacheKey(ctx, k.on, nil)
	if err == nil && (len(c.Plain) != seal.KeySize || len(c.Wrapped) == 0) {
		err = errors.New("the store's answer is not a key")
	}
	if err != nil {
		return seal.Key{}, nil, err
	}
	return seal.Key(c.Plain), c.Wrapped, nil
}

func (k storeKey) unwrap(ctx context.Context, wrapped []byte) (seal.Key, error) {
	c, err := k.store.CacheKey(ctx, k.on, wrapped)
	if err == nil && len(c.Plain) != seal.KeySize {
		err = errors.New("the store's answer is not a key")
	}
	if err != nil {
		return seal.Key{}, err
	}
	return seal.Key(c.Plain), nil
}

// openKept returns the key of the cache, and opens beside the cache what the edge keeps under it:
// the newest snapshot, and certificates.
func (s *Server) openKept(ctx context.Context, from edgeKey) (seal.Key, remote.Keeper, error) {
	dir := s.config.CDN.Cache.Dir
	key, err := from.open(ctx, dir)
	if err != nil {
		return key, nil, err
	}
	kept, err := keptFolder(dir, key)
	if err != nil || !from.outlives() {
		return key, nil, err
	}
	s.config.Data, s.rootKey.Ring = kept, seal.RingOf(key.Derive("watertight edge files"))
	return key, &keptSnapshot{path: filepath.Join(kept, "snapshot"), key: key, owner: from.owner, log: s.log}, nil
}

// keptPrefix begins the name of the folder in a cache's folder that holds what an edge keeps.
const keptPrefix = "kept-"

// keptFolder makes the folder that belongs to a key, and removes those of other keys: what they
// hold can't be opened, and would be out of date when their key is used again.
func keptFolder(dir string, key seal.Key) (string, error) {
	tag := key.Tag("watertight edge folder", nil)
	own := keptPrefix + hex.EncodeToString(tag[:8])
	all, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range all {
		if strings.HasPrefix(e.Name(), keptPrefix) && e.Name() != own {
			if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
				return "", err
			}
		}
	}
	own = filepath.Join(dir, own)
	return own, errors.Join(folder.Sync(folder.OS(), dir), folder.Make(folder.OS(), own, 0o700))
}
