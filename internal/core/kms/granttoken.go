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

// A grant's token names the grant: a version byte, the key's id, the grant's id and 16
// random bytes, in base64. Grants count from the next request on, so a token gives
// nothing that the grant does not give already, and need not be a secret: whoever makes
// one up names a grant, and gets what the grant gives to them. KMS makes a new token
// whenever it is asked for the grant again.
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

// parseGrantToken returns the ids that a token names.
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

// CheckTokens refuses tokens that name no grant that is there: a token of one that was
// retired or revoked is refused at once. Tokens of other keys than the request's are
// passed over, as at AWS. It asks for no grant: a token gives nothing.
// Error: InvalidGrantTokenException.
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

// GrantName names a grant: by its token, or by key and id.
type GrantName struct{ Token, Key, ID string }

// findGrant returns a key and its grant. Errors: InvalidGrantTokenException,
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

// RetireNeeds returns what a caller needs to retire a grant. The principal that may
// retire it, and its grantee if RetireGrant is one of its operations, have that by the
// grant itself (KMS API reference, RetireGrant). Errors: those of RetireGrant.
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
