package authz

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

const foreign = "444455556666"

func stranger() Caller {
	return NewCaller(&policy.Principal{Kind: policy.Anonymous}, &Situation{At: time.Unix(1, 0)})
}

func rootOf(account string) Caller {
	return NewCaller(&policy.Principal{Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account},
		&Situation{At: time.Unix(1, 0)})
}

func everybodyMay(actions ...policy.Action) *policy.Document {
	return policy.List([]policy.ListGrant{{Name: "everybody", Group: policy.AllUsers, Actions: actions}})
}

func bucketPolicy(t *testing.T, effect, action string) []*policy.Document {
	t.Helper()
	d, err := policy.Parse(policy.Resource,
		fmt.Appendf(nil,
			`{"Statement":[{"Effect":%q,"Principal":"*","Action":%q,"Resource":["arn:aws:s3:::b",`+
				`"arn:aws:s3:::b/*"]}]}`, effect, action))
	if err != nil {
		t.Fatal(err)
	}
	return []*policy.Document{d}
}

func object(action policy.Action) Need { return Need{Action: action, Resource: arn.Object("b", "k")} }

// TestObjectsOfOthers: the owner of an object decides which policies apply. Every caller's own policies
// allow everything.
func TestObjectsOfOthers(t *testing.T) {
	mine, theirs, nobodys := ObjectLaws{
		Version: "1", Owner: account,
	}, ObjectLaws{Version: "1", Owner: foreign}, ObjectLaws{}
	open := theirs
	open.ACL = everybodyMay("s3:GetObject")
	lists := policy.List(nil)
	writable := everybodyMay("s3:PutObject", "s3:DeleteObject", "s3:ListBucket")
	list := Need{Action: "s3:ListBucket", Resource: arn.Bucket("b")}
	made := object("s3:PutObjectAcl")
	made.New = true
	restrict := policy.PublicAccess{RestrictPublicBuckets: true}
	for _, c := range []struct {
		name   string
		acl    *policy.Document
		object ObjectLaws
		policy []*policy.Document
		public policy.PublicAccess
		need   Need
		// whether these are allowed: the bucket's account, the other account, a stranger
		owner, other, stranger bool
	}{
		{
			"ACLs disabled, the record's owner does not count", nil, theirs, nil, policy.PublicAccess{},
			object("s3:GetObject"), true, false, false,
		},
		{"own object", lists, mine, nil, policy.PublicAccess{}, object("s3:GetObject"), true, false, false},
		{"no object", lists, nobodys, nil, policy.PublicAccess{}, object("s3:GetObject"), true, false, false},
		{"another's object", lists, theirs, nil, policy.PublicAccess{}, object("s3:GetObject"), false, true, false},
		{"another's ACL", lists, theirs, nil, policy.PublicAccess{}, object("s3:PutObjectAcl"), false, true, false},
		{"another's open object", lists, open, nil, policy.PublicAccess{}, object("s3:GetObject"), true, true, true},
		{
			"open, but for reading", lists, open, nil, policy.PublicAccess{}, object("s3:PutObjectAcl"), false, true,
			false,
		},
		{
			"open and ignored", lists, open, nil, policy.PublicAccess{IgnorePublicACLs: true}, object("s3:GetObject"),
			false, true, false,
		},
		{
			"RestrictPublicBuckets is about policies", lists, open, nil, restrict, object("s3:GetObject"), true, true,
			true,
		},
		{
			"a public policy shuts out those the ACL allows", lists, open, bucketPolicy(t, "Allow", "s3:ListBucket"),
			restrict, object("s3:GetObject"), true, false, false,
		},
		{
			"a policy opens own objects", lists, mine, bucketPolicy(t, "Allow", "s3:GetObject"), policy.PublicAccess{},
			object("s3:GetObject"), true, true, true,
		},
		{
			"a policy does not open another's", lists, theirs, bucketPolicy(t, "Allow", "s3:GetObject"),
			policy.PublicAccess{}, object("s3:GetObject"), false, true, false,
		},
		{
			"a policy denies another's, to its owner too", lists, open, bucketPolicy(t, "Deny", "s3:GetObject"),
			policy.PublicAccess{}, object("s3:GetObject"), false, false, false,
		},
		{
			"deletions are the bucket owner's", lists, theirs, nil, policy.PublicAccess{}, object("s3:DeleteObject"),
			true, false, false,
		},
		{
			"deletions for good, too", writable, theirs, nil, policy.PublicAccess{}, object("s3:DeleteObjectVersion"),
			true, false, false,
		},
		{
			"tags are the bucket owner's", lists, theirs, nil, policy.PublicAccess{}, object("s3:GetObjectTagging"),
			true, false, false,
		},
		{
			"a writer may create objects", writable, nobodys, nil, policy.PublicAccess{}, object("s3:PutObject"),
			true, true, true,
		},
		{
			"and overwrites its own", writable, theirs, nil, policy.PublicAccess{}, object("s3:PutObject"), true, true,
			false,
		},
		{
			"and deletes its own", writable, theirs, nil, policy.PublicAccess{}, object("s3:DeleteObject"), true, true,
			false,
		},
		{
			"but not those of others", writable, mine, nil, policy.PublicAccess{}, object("s3:PutObject"), true, false,
			false,
		},
		{
			"nor deletes a missing object", writable, nobodys, nil, policy.PublicAccess{}, object("s3:DeleteObject"),
			true, false, false,
		},
		{
			"unless ignored", writable, nobodys, nil, policy.PublicAccess{IgnorePublicACLs: true},
			object("s3:PutObject"), true, false, false,
		},
		{"the bucket's ACL lists", writable, nobodys, nil, policy.PublicAccess{}, list, true, true, true},
		{"no bucket ACL, no listing", nil, nobodys, nil, policy.PublicAccess{}, list, true, false, false},
		{
			"a policy's overwriting", writable, mine, bucketPolicy(t, "Allow", "s3:PutObject"), policy.PublicAccess{},
			object("s3:PutObject"), true, true, true,
		},
		{
			"a writer may set the ACL of what it creates", lists, mine, nil, policy.PublicAccess{}, made, true,
			true, false,
		},
		{
			"unless a policy denies it", lists, mine, bucketPolicy(t, "Deny", "s3:PutObjectAcl"), policy.PublicAccess{},
			made,
			false, false, false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := allowing(t, "*")
			w.acl, w.object, w.policies, w.public = c.acl, c.object, c.policy, c.public
			for name, who := range map[string]struct {
				c    Caller
				want bool
			}{"bucket's account": {
				user(), c.owner,
			}, "other account": {rootOf(foreign), c.other}, "stranger": {stranger(), c.stranger}} {
				in := w
				if name == "stranger" {
					copied := *w
					copied.identity, in = nil, &copied
				}
				_, err := New(in).Authorize(t.Context(), who.c, c.need)
				if (err == nil) != who.want || err != nil && !fault.Is(err, "AccessDenied") {
					t.Errorf("%s, %s: %v", c.name, name, err)
				}
			}
			if c.acl == nil && w.objectsAsked > 0 {
				t.Errorf("%s: the object is asked for", c.name)
			}
		})
	}
}

// TestAnObjectIsAskedForOnce: needs on one version share one lookup of its facts, and
// without ACLs its owner and ACL are not looked up.
func TestAnObjectIsAskedForOnce(t *testing.T) {
	w := allowing(t, "*")
	w.acl, w.object = policy.List(nil), ObjectLaws{Version: "one", Owner: account}
	version := Need{Action: "s3:GetObjectVersion", Resource: arn.Object("b", "k"), Version: new("v")}
	g, err := New(w).Authorize(t.Context(), user(), object("s3:GetObject"), object("s3:GetObjectAcl"), version)
	if err != nil || w.objectsAsked != 2 || !g.RestsOnObjects() {
		t.Errorf("two versions were asked for %d times: %v", w.objectsAsked, err)
	}
	w.acl = nil
	if g, err = New(w).Authorize(t.Context(), user(), object("s3:GetObject")); err != nil || g.RestsOnObjects() {
		t.Error("without ACLs the decision depends on the object", err)
	}
	w.acl, w.err = policy.List(nil), errors.New("broken")
	if _, err := New(w).Authorize(t.Context(), user(), object("s3:GetObject")); !errors.Is(err, w.err) {
		t.Error(err)
	}
}

// TestVersionsOfOneKey: if a permission was refused for one version of an object, the grant does not
// cover another version, because a demand names no version.
func TestVersionsOfOneKey(t *testing.T) {
	d, err := policy.Parse(policy.Identity,
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*",`+
			`"Condition":{"StringEquals":{"s3:VersionId":"good"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{identity: []*policy.Document{d}, owner: account}
	need := func(id string) Need {
		return Need{Action: "s3:DeleteObjectVersion", Resource: arn.Object("b", "k"), Version: &id, Soft: true}
	}
	for i, ids := range [][]string{{"good", "bad"}, {"bad", "good"}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			g, err := New(w).Authorize(t.Context(), user(), need(ids[0]), need(ids[1]))
			if err != nil || g.Allows("s3:DeleteObjectVersion", arn.Object("b", "k")) || !g.Refused() {
				t.Errorf("%v: %v", ids, err)
			}
		})
	}
	g, err := New(w).Authorize(t.Context(), user(), need("good"), need("good"))
	if err != nil || !g.Allows("s3:DeleteObjectVersion", arn.Object("b", "k")) {
		t.Error(err)
	}
}

// TestReasonsDoNotTellOfObjects: if the object itself was looked up, the refusal has no reason, because
// that would reveal whether the object exists and who owns it.
func TestReasonsDoNotTellOfObjects(t *testing.T) {
	for i, o := range []ObjectLaws{{}, {Version: "1", Owner: account}, {Version: "1", Owner: foreign}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			w := &world{owner: account, object: o}
			message := func() string {
				_, err := New(w).Authorize(t.Context(), user(), object("s3:GetObject"))
				return fault.From(err).Message
			}
			enriched := message()
			w.acl = policy.List(nil)
			if plain := message(); plain != "Access Denied" || enriched == plain {
				t.Errorf("%+v: %q, and %q without ACLs", o, plain, enriched)
			}
		})
	}
}
