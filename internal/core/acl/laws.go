package acl

import (
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/limit"

	"google.golang.org/protobuf/encoding/protowire"
)

// onBucket and onObject return the actions that a permission allows (S3 user guide,
// "Mapping of ACL permissions and access policy permissions"). A grantee with WRITE may
// create objects; authz ensures that it can't change the objects of others.
func onBucket(p Permission) []policy.Action {
	switch p {
	case Read:
		return []policy.Action{"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"}
	case Write:
		return []policy.Action{"s3:PutObject", "s3:DeleteObject"}
	case ReadACP:
		return []policy.Action{"s3:GetBucketAcl"}
	case WriteACP:
		return []policy.Action{"s3:PutBucketAcl"}
	}
	return full(onBucket)
}

func onObject(p Permission) []policy.Action {
	switch p {
	case Read:
		return []policy.Action{"s3:GetObject", "s3:GetObjectVersion"}
	case Write: // has no meaning for an object
		return nil
	case ReadACP:
		return []policy.Action{"s3:GetObjectAcl", "s3:GetObjectVersionAcl"}
	case WriteACP:
		return []policy.Action{"s3:PutObjectAcl", "s3:PutObjectVersionAcl"}
	}
	return full(onObject)
}

// full returns the actions of all permissions.
func full(of func(Permission) []policy.Action) (all []policy.Action) {
	for _, p := range []Permission{Read, Write, ReadACP, WriteACP} {
		all = append(all, of(p)...)
	}
	return all
}

// maxCompiled bounds the cache of compiled lists, in bytes.
const maxCompiled = 8 << 20

// Compiled caches the documents of lists by content, so a changed list is a new entry.
type Compiled struct {
	cache *limit.Cache[string, *policy.Document]
}

// NewCompiled returns an empty cache.
func NewCompiled() *Compiled {
	return &Compiled{
		limit.NewCache(maxCompiled, func(key string, d *policy.Document) int64 {
			return int64(len(key)) +
				limit.Footprint(d)
		}),
	}
}

// Bucket returns the document of a bucket's list. The document of the default list allows nothing.
func (c *Compiled) Bucket(l List) *policy.Document { return c.get("b", l, onBucket) }

// Object returns the document of an object's list.
func (c *Compiled) Object(l List) *policy.Document { return c.get("o", l, onObject) }

func (c *Compiled) get(kind string, l List, of func(Permission) []policy.Action) *policy.Document {
	key := kind + string(l.Append(nil, 1))
	d, ok := c.cache.Get(key)
	if !ok {
		d = compile(l, of)
		c.cache.Put(key, d)
	}
	return d
}

func compile(l List, of func(Permission) []policy.Action) *policy.Document {
	var grants []policy.ListGrant
	for _, g := range l {
		p := policy.ListGrant{Name: g.Account, Account: g.Account, Actions: of(g.Permission)}
		switch g.Group {
		case "":
		case AllUsers:
			p.Name, p.Group = g.Group.URI(), policy.AllUsers
		case AuthenticatedUsers:
			p.Name, p.Group = g.Group.URI(), policy.AllAccounts
		default: // the group has no members here
			continue
		}
		if len(p.Actions) > 0 {
			grants = append(grants, p)
		}
	}
	return policy.List(grants)
}

// Append appends a list to a record. Each grant is a field: the permission, and the
// account's id or the group's name.
func (l List) Append(r []byte, field protowire.Number) []byte {
	for _, g := range l {
		who := g.Account
		if g.Group != "" {
			who = string(g.Group)
		}
		r = record.Pair(r, field, string(g.Permission), who)
	}
	return r
}

// Take reads one field that Append wrote; it returns false if the field is not valid.
func (l *List) Take(f *record.Fields) bool {
	p, who, ok := f.Pair()
	g := Grant{Permission: Permission(p)}
	switch Group(who) {
	case AllUsers, AuthenticatedUsers, LogDelivery:
		g.Group = Group(who)
	default:
		g.Account = who
	}
	if !ok || !g.Permission.known() || who == "" {
		return false
	}
	*l = append(*l, g)
	return true
}
