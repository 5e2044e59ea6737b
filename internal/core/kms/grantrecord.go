package kms

import (
	"context"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// Keys of the records of grants. A PRINCIPAL is a unique id of a user or role, an
// account id, or the ARN of a session.
//
//	k/g/UUID/GRANT                 a grant of a key, by its id (64 hexadecimal digits)
//	k/p/UUID/PRINCIPAL\0GRANT      the grants of a key, by their grantee
//	k/r/PRINCIPAL\0UUID/GRANT      the grants, by who may retire them
const (
	grantPrefix    = "k/g/"
	granteePrefix  = "k/p/"
	retiringPrefix = "k/r/"
)

func grantsOf(key string) []byte     { return record.Key(grantPrefix, key, "/") }
func grantKey(key, id string) []byte { return record.Key(grantPrefix, key, "/", id) }
func grantedTo(key, grantee string) []byte {
	return record.Key(granteePrefix, key, "/", grantee, "\x00")
}
func retirableBy(retiring string) []byte { return record.Key(retiringPrefix, retiring, "\x00") }

func granteeKey(key, grantee, id string) []byte {
	return append(grantedTo(key, grantee), id...)
}

func retirableKey(retiring, key, id string) []byte {
	return append(retirableBy(retiring), key+"/"+id...)
}

// constraint is the kind of a grant's constraint. The numbers are stored.
type constraint uint8

const (
	unconstrained   constraint = 0
	equalsContext   constraint = 1
	containsContext constraint = 2
)

// party is a principal of a grant: its name when the grant was created, and the id by which
// it is found.
type party struct {
	name string // ARN
	id   string // unique id of a user or role, account id, or ARN of a session
}

// bound returns the unique id of a user or role; "" for accounts and sessions.
func (p party) bound() string {
	if p.id == "" || arn.IsAccountID(p.id) || strings.HasPrefix(p.id, "arn:") {
		return ""
	}
	return p.id
}

// grantRecord is the record of a grant.
type grantRecord struct {
	id         string // 64 hexadecimal digits
	name       string
	created    time.Time
	issuer     string // account id
	grantee    party
	retiring   party // zero if there is none
	operations []string
	constraint constraint
	context    map[string]string
	kept       []byte // ancillary fields of a later program
}

// Fields of a grant's record. The numbers are stored.
const (
	fieldGrantName       = 1
	fieldGrantCreated    = 2
	fieldGrantIssuer     = 3
	fieldGrantGrantee    = 4 // pair: ARN, id
	fieldGrantRetiring   = 5 // pair: ARN, id
	fieldGrantOperation  = 6 // repeated
	fieldGrantConstraint = 7
	fieldGrantContext    = 8 // repeated pair
)

func (g *grantRecord) encode() []byte {
	r := record.String(record.Start(nil), fieldGrantName, g.name)
	r = record.Time(r, fieldGrantCreated, g.created)
	r = record.String(r, fieldGrantIssuer, g.issuer)
	r = record.Pair(r, fieldGrantGrantee, g.grantee.name, g.grantee.id)
	if g.retiring != (party{}) {
		r = record.Pair(r, fieldGrantRetiring, g.retiring.name, g.retiring.id)
	}
	for _, o := range g.operations {
		r = record.String(r, fieldGrantOperation, o)
	}
	r = record.Uint(r, fieldGrantConstraint, uint64(g.constraint))
	for _, k := range slices.Sorted(maps.Keys(g.context)) {
		r = record.Pair(r, fieldGrantContext, k, g.context[k])
	}
	return append(r, g.kept...)
}

func decodeGrant(id string, value []byte) (*grantRecord, error) {
	g := &grantRecord{id: id}
	ok, good := true, true
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldGrantName:
			g.name = string(f.Bytes)
		case fieldGrantCreated:
			g.created = f.Time()
		case fieldGrantIssuer:
			g.issuer = string(f.Bytes)
		case fieldGrantGrantee:
			g.grantee.name, g.grantee.id, good = f.Pair()
		case fieldGrantRetiring:
			g.retiring.name, g.retiring.id, good = f.Pair()
		case fieldGrantOperation:
			g.operations = append(g.operations, string(f.Bytes))
		case fieldGrantConstraint:
			if g.constraint = constraint(min(f.Uint, 255)); g.constraint > containsContext {
				f.Unknown()
			}
		case fieldGrantContext:
			var k, v string
			if k, v, good = f.Pair(); g.context == nil {
				g.context = map[string]string{}
			}
			g.context[k] = v
		default:
			g.kept = f.Keep(g.kept)
		}
		ok = ok && good
	}
	if f.Err() != nil || !ok || g.grantee.id == "" || g.issuer == "" || len(g.operations) == 0 ||
		(g.constraint == unconstrained) != (len(g.context) == 0) {
		return nil, record.Malformed("grant " + id)
	}
	return g, nil
}

// readGrant returns a grant of a key, or nil if there is none.
func readGrant(r kv.Reader, key, id string) (*grantRecord, error) {
	v, err := r.Get(grantKey(key, id))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeGrant(id, v)
}

func (g *grantRecord) write(tx kv.Tx, key string) {
	tx.Set(grantKey(key, g.id), g.encode())
	tx.Set(granteeKey(key, g.grantee.id, g.id), record.Start(nil))
	if g.retiring != (party{}) {
		tx.Set(retirableKey(g.retiring.id, key, g.id), record.Start(nil))
	}
}

func (g *grantRecord) remove(tx kv.Tx, key string) {
	tx.Delete(grantKey(key, g.id))
	tx.Delete(granteeKey(key, g.grantee.id, g.id))
	if g.retiring != (party{}) {
		tx.Delete(retirableKey(g.retiring.id, key, g.id))
	}
}

// grantsAtOnce bounds the transactions that remove the grants of a destroyed key.
const grantsAtOnce = 1000

// dropGrants removes the grants of a key whose waiting period has ended, in several transactions.
func (s *Store) dropGrants(ctx context.Context, id string, at time.Time) error {
	for more := true; more; {
		more = false
		err := s.background(ctx, id, nil, KeyDestroyed, func(tx kv.Tx, k *keyRecord) error {
			ids, next, err := pageOf(tx, grantsOf(id), page.Request{Max: grantsAtOnce}, "grants")
			switch {
			case err != nil:
				return err
			case !k.isDestroyed(at) || len(ids) == 0:
				return change.ErrUnchanged
			}
			more = next != ""
			for _, grant := range ids {
				g, err := readGrant(tx, id, grant)
				if err != nil {
					return err
				}
				g.remove(tx, id)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// law returns the grant in the form that policy.Decide reads.
func (g *grantRecord) law() policy.KeyGrant {
	out := policy.KeyGrant{ID: g.id, Grantee: g.grantee.name, Bound: g.grantee.bound(), Operations: g.operations}
	switch g.constraint {
	case equalsContext:
		out.Equals = g.context
	case containsContext:
		out.Subset = g.context
	}
	return out
}

// same reports whether two grants have the same contents.
func (g *grantRecord) same(h *grantRecord) bool {
	return g.name == h.name && g.issuer == h.issuer && g.grantee.id == h.grantee.id && g.retiring.id == h.retiring.id &&
		slices.Equal(g.operations, h.operations) && g.constraint == h.constraint && maps.Equal(g.context, h.context)
}

func isGrantID(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && strings.ToLower(s) == s
}
