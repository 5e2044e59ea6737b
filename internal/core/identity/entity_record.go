package identity

import (
	"iter"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/change/record"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Keys of entities and what hangs on them:
//
//	i/e/ID                       a user, group or role
//	i/n/ACCOUNT/K/NAME           its id; K is u, g or r, NAME is in lower case
//	i/m/GROUPID/USERID           a membership
//	i/v/ACCOUNT                  the generation: 16 random bytes of the account's newest change
//	i/t/ACCOUNT/U/POLICYID/ID    a managed policy's use by an entity; U is p (attached) or b (boundary)
const (
	entityPrefix     = "i/e/"
	namePrefix       = "i/n/"
	memberPrefix     = "i/m/"
	generationPrefix = "i/v/"
	usePrefix        = "i/t/"
)

func entityKey(id string) []byte          { return record.Key(entityPrefix, id) }
func generationKey(account string) []byte { return record.Key(generationPrefix, account) }
func membersKey(group string) []byte      { return record.Key(memberPrefix, group, "/") }
func memberKey(group, user string) []byte { return record.Key(memberPrefix, group, "/", user) }

// namesKey is the prefix of the names of entities of one kind; letter is u, g or r.
func namesKey(account, letter string) []byte {
	return record.Key(namePrefix, account, "/", letter, "/")
}

func nameKey(account, letter, name string) []byte {
	return record.Key(namePrefix, account, "/", letter, "/", strings.ToLower(name))
}

func (k EntityKind) letter() string { return [...]string{"", "u", "g", "r"}[k] }

// Fields of an entity's record.
const (
	fieldEntityKind = iota + 1
	fieldEntityAccount
	fieldEntityName
	fieldEntityPath
	fieldEntityCreated
	fieldEntityTag // repeated
	fieldEntityBoundary
	fieldEntityInline   // repeated
	fieldEntityAttached // repeated
	fieldEntityGroup    // repeated
	fieldEntityKey      // repeated
	fieldEntityTrust
	fieldEntityDescription
	fieldEntityMaxSession // seconds
	fieldEntityBound      // repeated
)

func (e *Entity) encode() []byte {
	r := record.Start(make([]byte, 0, 256))
	r = record.Uint(r, fieldEntityKind, uint64(e.Kind))
	r = record.String(r, fieldEntityAccount, e.Account)
	r = record.String(r, fieldEntityName, e.Name)
	r = record.String(r, fieldEntityPath, e.Path)
	r = record.Time(r, fieldEntityCreated, e.Created)
	for _, t := range e.Tags {
		r = record.Pair(r, fieldEntityTag, t.Key, t.Value)
	}
	r = record.String(r, fieldEntityBoundary, e.Boundary)
	for _, p := range e.Inline {
		r = record.Pair(r, fieldEntityInline, p.Name, p.Document)
	}
	for _, a := range e.Attached {
		r = record.String(r, fieldEntityAttached, a)
	}
	for _, id := range e.Groups {
		r = record.String(r, fieldEntityGroup, id)
	}
	for _, id := range e.Keys {
		r = record.String(r, fieldEntityKey, id)
	}
	r = record.String(r, fieldEntityTrust, e.Trust)
	r = record.String(r, fieldEntityDescription, e.Description)
	for _, b := range e.Bound {
		r = record.Pair(r, fieldEntityBound, b.Name, b.ID)
	}
	return record.Uint(r, fieldEntityMaxSession, uint64(e.MaxSession/time.Second))
}

func decodeEntity(id string, value []byte) (*Entity, error) {
	e := &Entity{ID: id}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldEntityKind:
			e.Kind = EntityKind(min(f.Uint, uint64(Role)+1))
		case fieldEntityAccount:
			e.Account = string(f.Bytes)
		case fieldEntityName:
			e.Name = string(f.Bytes)
		case fieldEntityPath:
			e.Path = string(f.Bytes)
		case fieldEntityCreated:
			e.Created = f.Time()
		case fieldEntityBoundary:
			e.Boundary = string(f.Bytes)
		case fieldEntityAttached:
			e.Attached = append(e.Attached, string(f.Bytes))
		case fieldEntityGroup:
			e.Groups = append(e.Groups, string(f.Bytes))
		case fieldEntityKey:
			e.Keys = append(e.Keys, string(f.Bytes))
		case fieldEntityTrust:
			e.Trust = string(f.Bytes)
		case fieldEntityDescription:
			e.Description = string(f.Bytes)
		case fieldEntityMaxSession:
			e.MaxSession = time.Duration(min(f.Uint, uint64(longestRoleSession/time.Second))) * time.Second
		case fieldEntityTag, fieldEntityInline, fieldEntityBound:
			a, b, ok := f.Pair()
			if !ok {
				return nil, record.Malformed("entity " + id)
			}
			switch f.Number {
			case fieldEntityTag:
				e.Tags = append(e.Tags, tag.Tag{Key: a, Value: b})
			case fieldEntityInline:
				e.Inline = append(e.Inline, Inline{a, b})
			case fieldEntityBound:
				e.Bound = append(e.Bound, principal.Binding{Name: a, ID: b})
			}
		default:
			// A field that only a later program knows may restrict the entity.
			return nil, record.Malformed("entity " + id)
		}
	}
	if f.Err() != nil || e.Kind < User || e.Kind > Role || e.Account == "" || e.Name == "" || e.Path == "" ||
		e.Kind == Role && e.Trust == "" {
		return nil, record.Malformed("entity " + id)
	}
	return e, nil
}

// ReadEntity returns the entity with an id, or nil if there is none.
func ReadEntity(r kv.Reader, id string) (*Entity, error) {
	v, err := r.Get(entityKey(id))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeEntity(id, v)
}

// FindEntity returns the entity of a kind with a name, or nil if there is none.
func FindEntity(r kv.Reader, account string, k EntityKind, name string) (*Entity, error) {
	if CheckName(name) != nil {
		return nil, nil
	}
	id, err := r.Get(nameKey(account, k.letter(), name))
	if err != nil || id == nil {
		return nil, err
	}
	e, err := ReadEntity(r, string(id))
	if err == nil && (e == nil || e.Account != account || e.Kind != k) {
		err = record.Malformed(k.lower() + " " + name)
	}
	return e, err
}

// EntityOf returns the kind and the name in the ARN of a user, group or role.
func EntityOf(a arn.ARN) (k EntityKind, name string, ok bool) {
	if a.Service != "iam" {
		return 0, "", false
	}
	for _, k := range []EntityKind{User, Group, Role} {
		if strings.HasPrefix(a.Resource, k.lower()+"/") {
			return k, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:], true
		}
	}
	return 0, "", false
}

// FindARN returns the user, group or role with an ARN, or nil if there is none. Path and
// case must match.
func FindARN(r kv.Reader, a arn.ARN) (*Entity, error) {
	k, name, ok := EntityOf(a)
	if !ok {
		return nil, nil
	}
	e, err := FindEntity(r, a.Account, k, name)
	if err != nil || e == nil || e.ARN() != a {
		return nil, err
	}
	return e, nil
}

// IDs yields the unique ids of an account's users, groups or roles, in the order of their names.
func IDs(r kv.Reader, account string, k EntityKind) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		prefix := namesKey(account, k.letter())
		for p, err := range r.Scan(prefix, record.After(prefix)) {
			if !yield(string(p.Value), err) || err != nil {
				return
			}
		}
	}
}

// FindRole returns the role with an ARN, or nil if there is none. Path and case must match.
func FindRole(r kv.Reader, a arn.ARN) (*Entity, error) {
	e, err := FindARN(r, a)
	if err != nil || e == nil || e.Kind != Role {
		return nil, err
	}
	return e, nil
}
