// Package session creates the temporary credentials that STS returns: sessions of roles, of
// users and of the bearers of tokens. It finds them when requests are signed with them. It
// must never know how a request is signed, nor the wire format of STS.
package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/identity"
	"watertight/internal/core/known"
	"watertight/internal/core/oidc"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/kv"
)

// MFA verifies codes; core/mfa implements it.
type MFA interface {
	// Verify accepts a code of a device that p owns, once. Errors: AccessDenied.
	Verify(ctx context.Context, p policy.Principal, serial, code string, at time.Time) error
}

// Options are the server's settings for sessions.
type Options struct {
	Issuers oidc.Fetcher // fetches the keys of identity providers; nil: no token is accepted
	Quota   int          // unexpired sessions of one maker; 0 means DefaultQuota
}

// Store manages the sessions of a server.
type Store struct {
	store      kv.Store
	identities *identity.Store
	mfa        MFA
	issuers    *oidc.Verifier // nil accepts no token
	documents  *identity.Documents
	quota      int

	// known caches the credentials of sessions. They follow from the records of the session, of
	// its origin and of its policies.
	known known.Cache[string, *credential.Credential]
}

// maxDocuments bounds the cache of compiled session policies, in bytes. The cache is
// separate from that of users' policies, so that creating sessions evicts none of them.
const maxDocuments = 16 << 20

// maxKnown bounds the cache of sessions' credentials, in bytes.
const maxKnown = 8 << 20

// New returns a Store of the sessions in store.
func New(store kv.Store, identities *identity.Store, mfa MFA, o Options) *Store {
	s := &Store{
		store: store, identities: identities, mfa: mfa, documents: identity.NewDocuments(maxDocuments),
		quota: DefaultQuota,
		known: known.New(maxKnown, func(id string, c *credential.Credential) int64 {
			return int64(len(id)) + limit.Footprint(c)
		}),
	}
	if o.Quota > 0 {
		s.quota = o.Quota
	}
	if o.Issuers != nil {
		s.issuers = oidc.New(o.Issuers)
	}
	return s
}

// Operator has what the server does to sessions without a request, and so without a grant.
// Handlers of the network API do not get one.
type Operator struct{ store kv.Store }

// NewOperator returns the Operator of s.
func NewOperator(s *Store) *Operator { return &Operator{s.store} }

// Lookup returns the credential of any access key, against which signatures are verified, or
// nil if the key does not exist. An inactive key is found, too; the caller refuses it. The
// credential may be shared and must not be modified. Lookup asks for no grant, because it runs
// before the caller is identified.
func (s *Store) Lookup(ctx context.Context, accessKeyID string) (*credential.Credential, error) {
	if !strings.HasPrefix(accessKeyID, identity.TemporaryPrefix) {
		return s.identities.Lookup(ctx, accessKeyID)
	}
	if c, ok := s.known.Get(ctx, s.store, accessKeyID); ok {
		return c, nil
	}
	return s.lookupTemporary(ctx, strings.Clone(accessKeyID))
}

func (s *Store) lookupTemporary(ctx context.Context, accessKeyID string) (*credential.Credential, error) {
	return s.known.Find(ctx, s.store, accessKeyID, func(r *known.Reader) (*credential.Credential, bool, error) {
		c, err := s.temporary(r, accessKeyID)
		return c, c != nil, err // ids that strangers make up are not kept
	})
}

// begin sets new credentials of a session and writes it, on behalf of the grant's caller,
// if check finds that everything it depends on is still valid. Its callers must have
// demanded what the session needs.
func (s *Store) begin(
	ctx context.Context, g authz.Grant, n *Session, duration time.Duration, check func(kv.Tx) error,
) error {
	at := g.Caller().At().UTC().Truncate(time.Second)
	n.Issued, n.Expires = at, at.Add(duration)
	id, secret := identity.NewKey()
	var token [96]byte
	rand.Read(token[:])
	n.AccessKeyID, n.Secret = identity.TemporaryPrefix+id[4:], secret
	n.Token = base64.StdEncoding.EncodeToString(token[:])
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		if err := check(tx); err != nil {
			return err
		}
		key := sessionKey(n.AccessKeyID)
		taken, err := tx.Get(key)
		if err != nil {
			return err
		}
		if taken != nil {
			return fault.Internal(fmt.Errorf("session: id %s is taken", n.AccessKeyID))
		}
		if err := s.take(tx, n); err != nil {
			return err
		}
		tx.Set(key, n.encode())
		g.Note("credentials.accessKeyId", n.AccessKeyID)
		return nil
	})
}

func readSession(r kv.Reader, accessKeyID string) (*Session, error) {
	v, err := r.Get(sessionKey(accessKeyID))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeSession(accessKeyID, v)
}

// conditionKeys returns the session's condition keys (IAM user guide, "AWS global condition
// context keys"). A tag of the session overrides one of its user or role. The keys that
// follow from MFAAt, Issued and SourceIdentity belong to the request, see authn.
func (n *Session) conditionKeys(own []tag.Tag) map[string][]string {
	m := map[string][]string{}
	for _, t := range slices.Concat(own, n.Tags) {
		m[policy.KeyName("aws:principaltag/"+t.Key)] = []string{t.Value}
	}
	if n.Provider != "" {
		m["aws:federatedprovider"] = []string{n.Provider}
	}
	return m
}

// temporary returns the credential of a session if its origin is still valid, or nil.
func (s *Store) temporary(r kv.Reader, accessKeyID string) (*credential.Credential, error) {
	if identity.CheckKeyID(accessKeyID) != nil {
		return nil, nil
	}
	n, err := readSession(r, accessKeyID)
	if err != nil || n == nil {
		return nil, err
	}
	tags, ok, err := actor(r, n)
	if err != nil || !ok {
		return nil, err
	}
	c := &credential.Credential{
		AccessKeyID: n.AccessKeyID, Secret: n.Secret, Token: n.Token, Active: true,
		Expires: n.Expires, Issued: n.Issued, MFAAt: n.MFAAt, SourceIdentity: n.SourceIdentity,
		Principal: n.Principal, Keys: n.conditionKeys(tags),
	}
	if c.Session, err = s.sessionPolicies(r, n); err != nil {
		return nil, err
	}
	return c, nil
}

// actor updates a session's principal from its user or role, and returns that entity's
// tags. It returns false if the entity or the session's origin was deleted. A new user or
// role with the same name does not make the session valid again: users are found by their
// key, roles by their id.
func actor(r kv.Reader, n *Session) (tags []tag.Tag, ok bool, err error) {
	parent, ok, err := origin(r, n)
	if err != nil || !ok {
		return nil, false, err
	}
	switch n.Purpose {
	case SessionToken:
		if parent.Principal.ID != n.Principal.ID || parent.Principal.Kind != n.Principal.Kind {
			return nil, false, nil
		}
		n.Principal = parent.Principal
		return parent.Tags, true, nil
	case FederationToken:
		if parent.Principal.Account != n.Principal.Account {
			return nil, false, nil
		}
		n.Principal.Issuer, n.Principal.IssuerID = parent.Principal.ARN, parent.Principal.ID
		return parent.Tags, true, nil
	case RoleAssumed, WebIdentity:
		e, err := identity.ReadEntity(r, n.roleID())
		if err != nil || e == nil || e.Kind != identity.Role || e.Account != n.Principal.Account {
			return nil, false, err
		}
		return e.Tags, true, nil
	}
	return nil, false, nil
}

// roleID returns the unique id of the session's role.
func (n *Session) roleID() string {
	id, _, _ := strings.Cut(n.Principal.ID, ":")
	return id
}

// origin returns the beginning of a session's chain: a long-lived key that is still active,
// or an identity provider that is still trusted. If it was deleted and created again, it is
// not the same.
func origin(r kv.Reader, n *Session) (identity.LongLived, bool, error) {
	if n.Parent != "" {
		c, found, err := identity.FindCredential(r, n.Parent)
		return c, found && c.Active, err
	}
	if n.Provider == "" {
		return identity.LongLived{}, false, nil
	}
	a, err := arn.Parse(n.Provider)
	if err != nil {
		return identity.LongLived{}, false, nil
	}
	p, err := identity.FindProvider(r, a.Account, n.Provider)
	return identity.LongLived{}, p != nil && p.ID == n.ProviderID, err
}
