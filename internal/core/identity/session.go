package identity

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// begin completes a session with fresh credentials and writes it, on behalf of
// the grant's caller. Whoever calls it has demanded what the session needs.
func (s *Store) begin(ctx context.Context, g authz.Grant, n *Session, duration time.Duration) error {
	at := g.Caller().At().UTC().Truncate(time.Second)
	n.Issued, n.Expires = at, at.Add(duration)
	id, secret := newKey()
	var token [96]byte
	rand.Read(token[:])
	n.AccessKeyID, n.Secret, n.Token = temporaryPrefix+id[4:], secret, base64.StdEncoding.EncodeToString(token[:])
	value := n.encode()
	return change.Commit(ctx, s.store, g, func(tx kv.Tx) error {
		key := sessionKey(n.AccessKeyID)
		taken, err := tx.Get(key)
		if err != nil {
			return err
		}
		if taken != nil {
			return fault.InternalError(fmt.Errorf("identity: session id %s is taken", n.AccessKeyID))
		}
		tx.Set(key, value)
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

// credential is what a signature with a session's key is checked against.
func (s *Store) credential(n *Session) (Credential, error) {
	c := Credential{
		AccessKeyID: n.AccessKeyID, Secret: n.Secret, Token: n.Token, Active: true,
		Expires: n.Expires, Issued: n.Issued, MFAAt: n.MFAAt, Principal: n.Principal, Keys: n.conditionKeys(),
	}
	if !n.Restricted {
		return c, nil
	}
	c.Session = make([]*policy.Document, 0, len(n.Policies))
	for _, text := range n.Policies {
		d, err := s.documents.get(policy.Session, text)
		if err != nil {
			return Credential{}, fault.InternalError(err)
		}
		c.Session = append(c.Session, d)
	}
	return c, nil
}

// conditionKeys are the session's (IAM user guide, "AWS global condition
// context keys"). What follows from MFAAt and Issued belongs to the request.
func (n *Session) conditionKeys() map[string][]string {
	m := map[string][]string{}
	for _, t := range n.Tags {
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

// purgeBatch bounds a transaction of PurgeSessions.
const purgeBatch = 500

// PurgeSessions removes sessions that ended before at. They are refused from
// their end on; this only frees their room.
func (s *Store) PurgeSessions(ctx context.Context, at time.Time) (removed int, err error) {
	var ended [][]byte
	err = s.store.View(ctx, func(r kv.Reader) error {
		from := []byte(sessionPrefix)
		for p, err := range r.Scan(from, record.After(from)) {
			if err != nil {
				return err
			}
			n, err := decodeSession(string(p.Key[len(from):]), p.Value)
			if err != nil {
				return err
			}
			if n.Expires.Before(at) {
				ended = append(ended, append([]byte(nil), p.Key...))
			}
		}
		return nil
	})
	for len(ended) > 0 && err == nil {
		batch := ended[:min(len(ended), purgeBatch)]
		err = change.Background(ctx, s.store, "sessions that ended are removed", func(tx kv.Tx) error {
			for _, key := range batch {
				tx.Delete(key)
			}
			return nil
		})
		ended = ended[len(batch):]
		removed += len(batch)
	}
	return removed, err
}

// temporaryPrefix begins the ids of temporary keys, and of no other.
const temporaryPrefix = "ASIA"

// temporary finds the credential of a session whose parent still stands.
func (s *Store) temporary(r kv.Reader, accessKeyID string) (Credential, bool, error) {
	if checkKeyID(accessKeyID) != nil {
		return Credential{}, false, nil
	}
	n, err := readSession(r, accessKeyID)
	if err != nil || n == nil {
		return Credential{}, false, err
	}
	if ok, err := stands(r, n); err != nil || !ok {
		return Credential{}, false, err
	}
	c, err := s.credential(n)
	return c, err == nil, err
}

// stands reports whether what a session was made from still is: a session that
// acts as its parent ends with the parent's key.
func stands(r kv.Reader, n *Session) (bool, error) {
	if n.Purpose != SessionToken && n.Purpose != FederationToken {
		return false, nil
	}
	k, found, err := readKey(r, n.Parent)
	if err != nil || !found || !k.Active {
		return false, err
	}
	return k.account == n.Principal.Account, nil
}
