package kms

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// A grant token names a grant: a version byte, the key's id, the grant's id and 16 random
// bytes, in base64. Grants apply from the next request on, so a token gives no additional
// permission and need not be secret: who makes up a token only names a grant, which allows
// them no more than before. KMS makes a new token each time it returns the grant.
const (
	grantTokenVersion = 1
	grantTokenSize    = 1 + 16 + 32 + 16
)

func newGrantToken(key, grant string) string {
	b := append(make([]byte, 0, grantTokenSize), grantTokenVersion)
	id, _ := parseKeyID(key)
	b = append(b, id[:]...)
	digits, _ := hex.DecodeString(grant)
	b = append(b, digits...)
	b = append(b, make([]byte, 16)...)
	rand.Read(b[len(b)-16:])
	return base64.StdEncoding.EncodeToString(b)
}

// parseGrantToken returns the ids in a token.
func parseGrantToken(token string) (key, grant string, ok bool) {
	b, err := base64.StdEncoding.Strict().DecodeString(token)
	if err != nil || len(b) != grantTokenSize || b[0] != grantTokenVersion {
		return "", "", false
	}
	return keyID(b[1:17]).String(), hex.EncodeToString(b[17:49]), true
}

func invalidGrantToken() error {
	return fault.New(fault.InvalidGrantTokenException, "The grant token is not valid.")
}

// CheckTokens refuses tokens whose grants do not exist: a token is refused as soon as its
// grant was retired or revoked. It ignores tokens for other keys than the request's, as AWS
// does. It asks for no grant, because a token gives no permission. Error:
// InvalidGrantTokenException.
func (s *Store) CheckTokens(ctx context.Context, tokens []string) error {
	if len(tokens) == 0 {
		return nil
	}
	return s.store.View(ctx, func(r kv.Reader) error {
		for _, token := range tokens {
			key, id, ok := parseGrantToken(token)
			if !ok {
				return invalidGrantToken()
			}
			g, err := readGrant(r, key, id)
			if err != nil {
				return err
			}
			if g == nil {
				return invalidGrantToken()
			}
		}
		return nil
	})
}

// GrantName names a grant by its token, or by key and id.
type GrantName struct{ Token, Key, ID string }

// findGrant returns a grant and its key. Errors: InvalidGrantTokenException,
// InvalidGrantIdException, NotFoundException, InvalidArnException.
func (s *Store) findGrant(
	r kv.Reader, account string, name GrantName, at time.Time,
) (k *keyRecord, g *grantRecord, err error) {
	switch {
	case name.Token != "":
		key, id, ok := parseGrantToken(name.Token)
		if !ok {
			return nil, nil, invalidGrantToken()
		}
		if k, err = readKey(r, key); err != nil {
			return nil, nil, err
		}
		if k == nil || k.isDestroyed(at) {
			return nil, nil, invalidGrantToken()
		}
		if g, err = readGrant(r, key, id); err == nil && g == nil {
			err = invalidGrantToken()
		}
		return k, g, err
	case !isGrantID(name.ID):
		return nil, nil, fault.New(fault.InvalidGrantIdException, "The grant id is not valid: "+name.ID)
	}
	if k, err = s.findOwn(r, account, name.Key, at); err != nil {
		return nil, nil, err
	}
	if g, err = readGrant(r, k.id, name.ID); err == nil && g == nil {
		err = notFound("Grant ID " + name.ID + " not found")
	}
	return k, g, err
}

// RetireNeeds returns what a caller needs to retire a grant. The grant itself gives this
// permission to its retiring principal and, if RetireGrant is one of its operations, to its
// grantee (KMS API reference, RetireGrant). Errors: those of RetireGrant.
func (s *Store) RetireNeeds(ctx context.Context, c authz.Caller, name GrantName) (needs []authz.Need, err error) {
	p := c.Principal()
	err = s.store.View(ctx, func(r kv.Reader) error {
		k, g, err := s.findGrant(r, p.Account, name, c.At())
		if err != nil {
			return err
		}
		subject, err := k.subject(r, "", c.At())
		if err != nil {
			return err
		}
		needs = []authz.Need{{
			Action: "kms:RetireGrant", Resource: k.arn(), Given: g.mayRetire(&p),
			Keys: g.conditions(subject.Conditions()),
		}}
		return nil
	})
	return needs, err
}
