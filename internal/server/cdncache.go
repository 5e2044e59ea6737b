package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	kmsapi "watertight/internal/api/kms"
	"watertight/internal/core/cdn"
	"watertight/internal/core/kms"
	"watertight/internal/edge/cache"
	"watertight/internal/fault"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/protocol"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// CDNCache says where the CDN's cache is.
type CDNCache struct {
	Dir   string // "" is cdn-cache in the data directory
	Bytes int64  // of its files; 0 keeps the cache in memory
	// Key is "memory" or "" for a random key that ends with this process, or kms: and the ARN
	// of a key of this server's KMS.
	Key string
}

// check refuses a key that a server can't have.
func (c CDNCache) check() error {
	if _, _, err := c.kmsKey(); err != nil {
		return fmt.Errorf("--cdn-cache-key %w", err)
	}
	return nil
}

// kmsKey returns the key of KMS that the cache's key is wrapped under.
func (c CDNCache) kmsKey() (key arn.ARN, ok bool, err error) {
	if c.Key == "" || c.Key == "memory" {
		return arn.ARN{}, false, nil
	}
	text, ok := strings.CutPrefix(c.Key, "kms:")
	if key, err = arn.Parse(text); !ok || err != nil || !kms.IsKey(key) {
		return arn.ARN{}, false, errors.New("is memory, or kms: and the ARN of a key")
	}
	return key, true, nil
}

// folder returns the path of the cache's folder, and whether it shares a disk with the store.
// Inside the data directory, only cdn-cache is allowed.
func (c CDNCache) folder(data string) (dir string, shared bool, err error) {
	usual := filepath.Join(data, "cdn-cache")
	if c.Dir == "" {
		return usual, true, nil
	}
	if dir, err = filepath.Abs(c.Dir); err != nil {
		return "", false, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			rest, _ := filepath.Rel(at, dir)
			return c.settle(filepath.Join(real, rest), data)
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", false, err
		}
	}
}

// settle checks a path without symbolic links.
func (c CDNCache) settle(dir, data string) (string, bool, error) {
	home, err := filepath.EvalSymlinks(data)
	if err == nil {
		home, err = filepath.Abs(home)
	}
	if err != nil {
		return "", false, err
	}
	if dir == filepath.Join(home, "cdn-cache") {
		return dir, true, nil
	}
	if rest, err := filepath.Rel(home, dir); err == nil && filepath.IsLocal(rest) {
		return "", false, fmt.Errorf("--cdn-cache %s: inside the data directory, only cdn-cache "+
			"can be the cache", c.Dir)
	}
	return dir, false, nil
}

// openCache opens the CDN's cache.
func (s *Server) openCache(ctx context.Context) (*cache.Cache, error) {
	c := s.config.CDN.Cache
	dir, shared, err := c.folder(s.config.Data)
	if err != nil {
		return nil, err
	}
	o := cache.Options{Dir: dir, Key: seal.NewKey(), MaxBytes: c.Bytes, Now: s.config.Now, Logger: s.log}
	if shared { // the cache must not take room that the store needs
		o.Room = s.disk.Spare
	}
	on, wrapped, err := c.kmsKey()
	if err != nil {
		return nil, err
	}
	if wrapped {
		o.Unseal = func() (seal.Key, error) { return s.unsealCache(ctx, dir, on), nil }
	}
	return cache.Open(o)
}

// unsealCache returns the key of the cache in a folder, or another one if that can't be used.
func (s *Server) unsealCache(ctx context.Context, dir string, on arn.ARN) seal.Key {
	key, err := keptKey(ctx, dir, s.ownCacheKey(on))
	if err != nil {
		s.log.Warn("the CDN's cache starts empty, under a key that ends with this process: its key of KMS can't be "+
			"used. The key's policy must allow the service principal cloudfront.amazonaws.com kms:GenerateDataKey "+
			"and kms:Decrypt", "arn", on, "error", err)
		return seal.NewKey()
	}
	return key
}

// keySource is a key of KMS under which the key of a cache is wrapped.
type keySource interface {
	// name is the ARN of the key of KMS.
	name() string
	// generate returns a new key, and the same key wrapped.
	generate(ctx context.Context) (key seal.Key, wrapped []byte, err error)
	// unwrap opens what generate wrapped. Error: InvalidCiphertextException if it was not made
	// by generate of this source.
	unwrap(ctx context.Context, wrapped []byte) (seal.Key, error)
}

// maxWrapped bounds the file of a cache's key, in bytes.
const maxWrapped = 64 << 10

// wrappedKey is the file of a cache's key.
type wrappedKey struct {
	Key     string // the ARN of the key of KMS
	Wrapped []byte
}

// keptKey opens the key of the cache in a folder, or makes one.
func keptKey(ctx context.Context, dir string, from keySource) (key seal.Key, err error) {
	path := filepath.Join(dir, "key")
	text, err := folder.ReadAtMost(folder.OS(), path, maxWrapped)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, folder.ErrTooLong) {
		return key, err
	}
	var found wrappedKey
	if json.Unmarshal(text, &found) == nil && found.Key == from.name() {
		key, err = from.unwrap(ctx, found.Wrapped)
		if err == nil || !fault.Is(err, fault.InvalidCiphertextException) {
			return key, err
		}
	}
	found = wrappedKey{Key: from.name()}
	if key, found.Wrapped, err = from.generate(ctx); err != nil {
		return key, err
	}
	if text, err = json.Marshal(found); err != nil {
		return key, err
	}
	return key, errors.Join(folder.Make(folder.OS(), dir, 0o700), folder.Replace(folder.OS(), path, text, 0o600))
}

// cacheUse uses a key of this server's KMS for a cache, as the CDN's service principal, which
// only the key's policy can allow.
type cacheUse struct {
	*Server
	on      arn.ARN
	source  string // aws:SourceArn; the source account is the key's
	binding string // what wrapped keys are bound to
	secure  bool   // aws:SecureTransport
}

// ownCacheKey is for the cache of this process. It acts for the key's account and not for a
// distribution, because the cache holds responses of all distributions.
func (s *Server) ownCacheKey(on arn.ARN) cacheUse {
	return cacheUse{s, on, fmt.Sprintf("arn:aws:cloudfront::%s:edge-cache", on.Account), "watertight cdn cache", true}
}

// edgeCacheKey is for the cache of an edge on another machine. What it wraps is bound to the
// edge's credential: that opens neither other edges' keys nor data keys of objects.
func (s *Server) edgeCacheKey(e *cdn.Edge, on arn.ARN, secure bool) (cacheUse, error) {
	if on.Account != e.Account {
		return cacheUse{}, fault.Of(fault.AccessDenied)
	}
	return cacheUse{s, on, e.ARN(), "watertight cdn cache of the edge " + e.AccessKeyID, secure}, nil
}

func (u cacheUse) name() string { return u.on.String() }

func (u cacheUse) generate(ctx context.Context) (key seal.Key, wrapped []byte, err error) {
	g, err := u.grant(ctx, "kms:GenerateDataKey")
	if err != nil {
		return key, nil, err
	}
	key = seal.NewKey()
	wrapped, err = u.keys.Wrap(ctx, g, u.on, key, []byte(u.binding))
	return key, wrapped, err
}

func (u cacheUse) unwrap(ctx context.Context, wrapped []byte) (seal.Key, error) {
	g, err := u.grant(ctx, "kms:Decrypt")
	if err != nil {
		return seal.Key{}, err
	}
	return u.keys.Unwrap(ctx, g, u.on, wrapped, []byte(u.binding))
}

// grant decides whether the CDN's service principal may use the key.
func (u cacheUse) grant(ctx context.Context, action policy.Action) (authz.Grant, error) {
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
	if err != nil {
		return authz.Grant{}, err
	}
	hr.RequestURI = "/"
	o := protocol.Options{Region: u.config.Region, Now: u.config.Now}
	r, err := protocol.Parse(hr, o, "cdn-cache", u.config.Now())
	if err != nil {
		return authz.Grant{}, err
	}
	table := (&kmsapi.API{Keys: u.keys}).Table()
	r.InProcess, r.Secure, r.Service = true, u.secure, &table.Service
	caller, _, err := authn.New(nil, authn.Options{Region: u.config.Region}).IdentifyService(r, &authn.Service{
		Name: cdn.Service, SourceAccount: u.on.Account, SourceARN: u.source,
	})
	if err != nil {
		return authz.Grant{}, err
	}
	return authz.New(facts{u.identities, u.keys, u.buckets, u.objects}).Authorize(ctx, caller,
		authz.Need{Action: action, Resource: u.on})
}
