package acl

import (
	"crypto/rand"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// The tables of the S3 user guide, "Mapping of ACL permissions and access policy
// permissions", independent of the code.
func tables() (bucket, object map[Permission][]policy.Action) {
	bucket = map[Permission][]policy.Action{
		Read:    {"s3:ListBucket", "s3:ListBucketVersions", "s3:ListBucketMultipartUploads"},
		Write:   {"s3:PutObject", "s3:DeleteObject"},
		ReadACP: {"s3:GetBucketAcl"}, WriteACP: {"s3:PutBucketAcl"},
	}
	object = map[Permission][]policy.Action{
		Read: {"s3:GetObject", "s3:GetObjectVersion"}, ReadACP: {"s3:GetObjectAcl", "s3:GetObjectVersionAcl"},
		WriteACP: {"s3:PutObjectAcl", "s3:PutObjectVersionAcl"},
	}
	for _, m := range []map[Permission][]policy.Action{bucket, object} {
		for _, p := range []Permission{Read, Write, ReadACP, WriteACP} {
			m[FullControl] = append(m[FullControl], m[p]...)
		}
	}
	return bucket, object
}

// others are actions that no ACL allows.
func others() []policy.Action {
	return []policy.Action{
		"s3:DeleteObjectVersion", "s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:PutBucketPublicAccessBlock",
		"s3:GetObjectTagging", "s3:GetObjectAttributes",
		"s3:DeleteBucket", "s3:PutObjectTagging", "s3:GetBucketLocation", "s3:AbortMultipartUpload",
		"s3:BypassGovernanceRetention", "s3:PutBucketOwnershipControls",
	}
}

type caller struct {
	who      policy.Principal
	identity bool // the caller's own policies allow everything
}

func callers() []caller {
	root := func(account string) policy.Principal {
		return policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account}
	}
	user := func(account string) policy.Principal {
		return policy.Principal{Kind: policy.User, Account: account, ID: "AIDAEXAMPLE" + account, Name: "u",
			ARN: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "user/u"}}
	}
	return []caller{
		{who: policy.Principal{Kind: policy.Anonymous}},
		{who: policy.Principal{Kind: policy.Service, Name: "cloudfront.amazonaws.com"}},
		{root(owner), true}, {user(owner), true}, {user(owner), false},
		{root(friend), true}, {user(friend), true}, {user(friend), false}, {root(other), true}, {user(other), false},
	}
}

// allowed is the naive answer for a caller that does not own the resource.
func allowed(c *caller, l List, of map[Permission][]policy.Action, a policy.Action, ignore bool) bool {
	for _, g := range l {
		if !slices.Contains(of[g.Permission], a) || ignore && g.Public() {
			continue
		}
		// a grant to a group does not allow other accounts to change settings
		if g.Group != "" && c.who.Account != owner && a.Facts().Changes == action.ChangesBucket {
			continue
		}
		// nor does it allow them to change an object's ACL
		if g.Group != "" && c.who.Account != "" && c.who.Account != owner &&
			(a == "s3:PutObjectAcl" || a == "s3:PutObjectVersionAcl") {
			continue
		}
		switch {
		case g.Group == AllUsers && (c.who.Account == "" || c.identity),
			g.Group == AuthenticatedUsers && c.who.Account != "" && c.identity,
			g.Group == "" && g.Account == c.who.Account && c.identity:
			return true
		}
	}
	return false
}

// TestRandomLists: a document allows exactly what the tables say, to exactly
// the grantees in the list. With all four settings on, a grant to a group allows nothing.
func TestRandomLists(t *testing.T) {
	var seed [8]byte
	rand.Read(seed[:])
	state := binary.LittleEndian.Uint64(seed[:])
	t.Logf("seed %d", state)
	roll := func(n int) int {
		state = state*6364136223846793005 + 1442695040888963407
		return int(state>>33) % n
	}
	grantees := []Grant{
		{Account: owner}, {Account: friend}, {Account: bucketOwner}, {Group: AllUsers}, {Group: AuthenticatedUsers},
		{Group: LogDelivery},
	}
	permissions := []Permission{FullControl, Read, Write, ReadACP, WriteACP}
	all, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	bucket, object := tables()
	lists := NewCompiled()
	for range 1000 {
		var l List
		for range roll(5) {
			g := grantees[roll(len(grantees))]
			g.Permission = permissions[roll(len(permissions))]
			l = append(l, g)
		}
		check(t, l, lists.Bucket(l), bucket, arn.Bucket("b"), all)
		check(t, l, lists.Object(l), object, arn.Object("b", "k"), all)
	}
}

func check(
	t *testing.T, l List, d *policy.Document, of map[Permission][]policy.Action, on arn.ARN, all *policy.Document,
) {
	t.Helper()
	if public, _ := policy.Public(d, policy.Peers{}); public != slices.ContainsFunc(l, func(g Grant) bool {
		return g.Public() && len(of[g.Permission]) > 0
	}) {
		t.Fatalf("%s: public is %v", spell(l), public)
	}
	for _, c := range callers() {
		for _, a := range append(others(), of[FullControl]...) {
			r := policy.Request{Principal: c.who, Action: a, Resource: on, At: time.Unix(1, 0)}
			laws := policy.Laws{Resource: []*policy.Document{d}, ResourceOwner: owner}
			if c.identity {
				laws.Identity = []*policy.Document{all}
			}
			for _, ignore := range []bool{false, true} {
				laws.Public.IgnorePublicACLs = ignore
				got := policy.Decide(&laws, &r).Effect == policy.Allow
				want := allowed(&c, l, of, a, ignore)
				if c.who.Account == owner { // a grant to a group also applies to the owner's account
					want = c.identity ||
						allowed(&caller{who: c.who, identity: true},
							slices.DeleteFunc(slices.Clone(l), func(g Grant) bool {
								return g.Group != AllUsers
							}), of, a, ignore)
				}
				if got != want {
					t.Fatalf("%s: %v (own policies: %v) %s, ignoring public ACLs %v: %v", spell(l), c.who.Kind,
						c.identity, a, ignore, got)
				}
			}
			laws.Public = policy.PublicAccess{
				BlockPublicACLs: true, IgnorePublicACLs: true, BlockPublicPolicy: true, RestrictPublicBuckets: true,
			}
			named := c.who.Account == owner ||
				slices.ContainsFunc(l, func(g Grant) bool { return g.Group == "" && g.Account == c.who.Account })
			if !named && policy.Decide(&laws, &r).Effect == policy.Allow {
				t.Fatalf("%s: with all four settings on, %v %s is allowed", spell(l), c.who.Kind, a)
			}
		}
	}
}
