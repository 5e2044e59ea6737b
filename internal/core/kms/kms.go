// Package kms keeps customers' keys: their records, states, policies and grants, and their
// key material, with which it encrypts. It exists so that only one package opens key
// material, and only for callers who may use the key. It must never know what its keys
// protect: neither S3, nor buckets, nor HTTP.
package kms

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/principal"
	"watertight/internal/core/recent"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Options are what a Store needs in addition to the metadata.
type Options struct {
	Region string
	Root   *seal.Ring // the root key; keys derived from it wrap material
	// Principals resolves the users and roles that key policies and grants name.
	Principals principal.Directory
	// Now is the clock for work that no request asks for.
	Now func() time.Time
}

// Store manages customers' keys. It is safe for concurrent use.
type Store struct {
	store      kv.Store
	region     string
	wrapping   wrapping
	principals principal.Directory
	now        func() time.Time
	decoded    decoded
	lastVia    atomic.Pointer[service]
	scratch    sync.Pool // of *scratch
	catalogue  action.Table
	uses       *recent.Uses[string, lastUse]
	making     chan struct{} // has room for one value: only one RSA key is generated at a time
}

// New returns a Store of the keys in store.
func New(store kv.Store, o Options) *Store {
	return &Store{
		store: store, region: o.Region, wrapping: wrapping{root: o.Root}, principals: o.Principals, now: o.Now,
		decoded: newDecoded(), catalogue: action.Parse("kms"),
		uses: recent.New[string, lastUse](), making: make(chan struct{}, 1),
		scratch: sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Use names the key that a service uses for its caller, and has the encryption context of this use.
type Use struct {
	Key     string  // as the caller named it: key id, key ARN, alias/name or alias ARN; never empty
	Context Context // the whole encryption context, including aws:s3:arn
	Via     string  // "s3": kms:ViaService is s3.REGION.amazonaws.com
}

// Context is an encryption context: the caller's own pairs, and one pair of the service,
// which has another name than they have. Own may be nil, and must not be modified.
type Context struct {
	Name          string
	Before, Value string // the value in two pieces, so that nobody has to join them for each use
	Own           map[string]string
}

// All returns all pairs.
func (c *Context) All() map[string]string {
	all := make(map[string]string, len(c.Own)+1)
	maps.Copy(all, c.Own)
	all[c.Name] = c.Before + c.Value
	return all
}

// Canonical appends the encryption context as the function Canonical returns it.
func (c *Context) Canonical(b []byte) []byte {
	if len(c.Own) > 0 {
		return append(b, Canonical(c.All())...)
	}
	b = appendText(binary.BigEndian.AppendUint32(b, 1), c.Name)
	b = binary.BigEndian.AppendUint32(b, uint32(len(c.Before)+len(c.Value)))
	return append(append(b, c.Before...), c.Value...)
}

// Key is the key that a Use was resolved to.
type Key struct {
	ARN     arn.ARN
	Name    string // the ARN's text
	ID      string
	Managed bool // by the server, such as alias/aws/s3
}

// MaterialID identifies one material of a key. It is derived from the material and the key,
// so the same material has the same id when it is imported again.
type MaterialID [32]byte

// String returns 64 hexadecimal digits, as in the API.
func (id MaterialID) String() string { return hex.EncodeToString(id[:]) }

// Metadata describes a key (KMS API reference, KeyMetadata).
type Metadata struct {
	Account, ID   string
	ARN           arn.ARN
	Created       time.Time
	Description   string
	State         State
	Managed       bool
	Imported      bool // Origin is EXTERNAL
	DeletionDate  time.Time
	PendingWindow int // days; 0 unless deletion is pending
	// ValidTo is when imported material expires; zero if it does not expire, or if there is none.
	ValidTo     time.Time
	HasMaterial bool
	Material    MaterialID // the current material; zero if there is none
}

// Origin returns the API's name for the origin of the material.
func (m *Metadata) Origin() string {
	if m.Imported {
		return OriginExternal
	}
	return OriginKMS
}

// The API's values for a symmetric key.
const (
	SpecSymmetric  = "SYMMETRIC_DEFAULT"
	UsageEncrypt   = "ENCRYPT_DECRYPT"
	OriginKMS      = "AWS_KMS"
	OriginExternal = "EXTERNAL"
)

// Subject has what authorization needs to know of a key. Reading it asks for no grant,
// because the needs of requests are made from it.
type Subject struct {
	Key
	Account  string
	Alias    string   // "alias/name" if the request named the key so; "" if it named the key itself
	Aliases  []string // all aliases of the key, "alias/name"
	Tags     map[string]string
	Imported bool
	State    State
}

// Subject resolves a key's name for a caller of an account at a time, whatever the key's
// state. Errors: NotFoundException, InvalidArnException.
func (s *Store) Subject(ctx context.Context, account, name string, at time.Time) (out Subject, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, alias, err := s.find(r, account, name, at)
		if err != nil {
			return err
		}
		out, err = k.subject(r, alias, at)
		return err
	})
	return out, err
}

// subject returns the Subject of a key; alias is the alias by which it was named, or "".
func (k *keyRecord) subject(r kv.Reader, alias string, at time.Time) (out Subject, err error) {
	out = k.described(alias, at)
	out.Aliases, err = aliasesOf(r, k.id)
	return out, err
}

// described is subject without the key's aliases.
func (k *keyRecord) described(alias string, at time.Time) Subject {
	out := Subject{Key: k.key(), Account: k.account, Alias: alias, Imported: k.imported, State: k.stateAt(at)}
	if len(k.tags) > 0 {
		out.Tags = make(map[string]string, len(k.tags))
		for _, t := range k.tags {
			out.Tags[t.Key] = t.Value
		}
	}
	return out
}

// account returns the account of the grant's caller.
func account(g authz.Grant) (string, error) {
	a := g.Caller().Account()
	if a == "" {
		return "", fault.Of(fault.AccessDenied)
	}
	return a, nil
}

// commit runs fn in a transaction for the grant's caller, with the time of the request.
func (s *Store) commit(ctx context.Context, g authz.Grant, fn func(tx kv.Tx, at time.Time) error) error {
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error { return fn(tx, g.Caller().At()) })
}
