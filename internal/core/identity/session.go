package identity

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
	"watertight/internal/core/change"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// begin completes a session with fresh credentials and writes it, on behalf of
// the grant's caller, once check has found all that it rests on as it should
// be. Whoever calls it has demanded what the session needs.
func (s *Store) begin(ctx context.Context, g authz.Grant, n *Session, duration time.Duration, check func(kv.Tx) error) error {
	at := g.Caller().At().UTC().Truncate(time.Second)
	n.Issued, n.Expires = at, at.Add(duration)
	id, secret := NewKey()
	var token [96]byte
	rand.Read(token[:])
	n.AccessKeyID, n.Secret, n.Token = TemporaryPrefix+id[4:], secret, base64.StdEncoding.EncodeToString(token[:])
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
			return fault.Internal(fmt.Errorf("identity: session id %s is taken", n.AccessKeyID))
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

// conditionKeys are the session's (IAM user guide, "AWS global condition
// context keys"); a tag of the session stands before one of the user or role
// it acts for. What follows from MFAAt and Issued belongs to the request.
func (n *Session) conditionKeys(own []tag.Tag) map[string][]string {
	m := map[string][]string{}
	for _, t := range slices.Concat(own, n.Tags) {
		m["aws:principaltag/"+strings.ToLower(t.Key)] = []string{t.Value}
	}
	if n.SourceIdentity != "" {
		m["aws:sourceidentity"] = []string{n.SourceIdentity}
	}
	if n.Provider != "" {
		m["aws:federatedprovider"] = []string{n.Provider}
	}
	return m
}

// temporary finds the credential of a session whose origin still stands.
func (s *Store) temporary(r kv.Reader, accessKeyID string) (Credential, bool, error) {
	if checkKeyID(accessKeyID) != nil {
		return Credential{}, false, nil
	}
	n, err := readSession(r, accessKeyID)
	if err != nil || n == nil {
		return Credential{}, false, err
	}
	tags, ok, err := actor(r, n)
	if err != nil || !ok {
		return Credential{}, false, err
	}
	c := Credential{
		AccessKeyID: n.AccessKeyID, Secret: n.Secret, Token: n.Token, Active: true,
		Expires: n.Expires, Issued: n.Issued, MFAAt: n.MFAAt, Principal: n.Principal, Keys: n.conditionKeys(tags),
	}
	c.Session, err = s.sessionPolicies(r, n)
	return c, err == nil, err
}

// actor brings a session's principal up to date with whom it acts for, and
// returns that one's tags; false where there is no such one any more, or the
// session's origin is gone. Names that were given anew revive nothing: users
// are found by their key, roles by their id.
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
		return parent.tags, true, nil
	case FederationToken:
		if parent.Principal.Account != n.Principal.Account {
			return nil, false, nil
		}
		n.Principal.Issuer = parent.Principal.ARN
		return parent.tags, true, nil
	case RoleAssumed, WebIdentity:
		e, err := ReadEntity(r, n.roleID())
		if err != nil || e == nil || e.Kind != Role || e.Account != n.Principal.Account {
			return nil, false, err
		}
		return e.Tags, true, nil
	}
	return nil, false, nil
}

// roleID is the unique id of the role that a session is of.
func (n *Session) roleID() string {
	id, _, _ := strings.Cut(n.Principal.ID, ":")
	return id
}

// origin is where a session, or the first one of its chain, came from: a
// long-lived key that is still active, or an identity provider that is still
// trusted. One that was deleted and made again is another one.
func origin(r kv.Reader, n *Session) (Credential, bool, error) {
	if n.Parent != "" {
		c, found, err := FindCredential(r, n.Parent)
		return c, found && c.Active, err
	}
	if n.Provider == "" {
		return Credential{}, false, nil
	}
	a, err := arn.Parse(n.Provider)
	if err != nil {
		return Credential{}, false, nil
	}
	p, err := FindProvider(r, a.Account, n.Provider)
	return Credential{}, p != nil && p.ID == n.ProviderID, err
}
