package object

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// guest is an account that owns no bucket.
const guest = "444455556666"

// laws answers from the stores; every account's root user may do everything.
type laws struct {
	*env
	all *policy.Document
}

func (l laws) Principal(_ context.Context, p *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{Identity: []*policy.Document{l.all}}, nil
}

func (l laws) Resource(ctx context.Context, r arn.ARN, at time.Time) (*authz.ResourceLaws, error) {
	name, _ := r.BucketOf()
	return l.buckets.Laws(ctx, name, at)
}

func (l laws) Object(ctx context.Context, r arn.ARN, version *string) (authz.ObjectLaws, error) {
	name, key := r.Resource, r.Key
	return l.objects.Laws(ctx, VersionInput{Bucket: name, Key: key, VersionID: version})
}

func (laws) Grants(context.Context, arn.ARN, *policy.Principal) ([]*policy.Document, error) {
	return nil, nil
}

func (laws) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) { return nil, nil }

// authorize decides on needs as an account's root user.
func (e *env) authorize(account string, needs ...authz.Need) (authz.Grant, error) {
	e.tb.Helper()
	all, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		e.tb.Fatal(err)
	}
	return authz.New(laws{e, all}).Authorize(e.tb.Context(), coretest.Root(account, nil), needs...)
}

// on returns needs for one key.
func on(key string, actions ...policy.Action) (needs []authz.Need) {
	for _, a := range actions {
		needs = append(needs, authz.Need{Action: a, Resource: arn.Object("bkt", key), New: a == "s3:PutObjectAcl"})
	}
	return needs
}

// setOwnership sets the bucket's object ownership and lets the guest write.
func (e *env) setOwnership(o bucket.Ownership) {
	e.tb.Helper()
	at := arn.Bucket("bkt")
	if err := e.buckets.SetOwnership(e.tb.Context(), e.grant(at, "s3:PutBucketOwnershipControls"), "bkt",
		o); err != nil {
		e.tb.Fatal(err)
	}
	if !o.ACLs() {
		return
	}
	list := acl.Request{Grants: acl.List{
		{Account: coretest.Account, Permission: acl.FullControl}, {Account: guest, Permission: acl.Write},
	}}
	if err := e.buckets.PutACL(e.tb.Context(), e.grant(at, "s3:PutBucketAcl"), "bkt", &list); err != nil {
		e.tb.Fatal(err)
	}
}

// closed removes the guest's grant, so that ACLs can be disabled.
func (e *env) closed() {
	e.tb.Helper()
	if err := e.buckets.PutACL(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:PutBucketAcl"), "bkt",
		&acl.Request{Canned: "private"}); err != nil {
		e.tb.Fatal(err)
	}
}

// storeAs stores an object as an account's root user.
func (e *env) storeAs(account, key string, asked acl.Request) (Version, error) {
	e.tb.Helper()
	needs := on(key, "s3:PutObject")
	if !asked.IsZero() {
		needs = on(key, "s3:PutObject", "s3:PutObjectAcl")
	}
	g, err := e.authorize(account, needs...)
	if err != nil {
		return Version{}, err
	}
	return e.objects.Put(e.tb.Context(), g, PutInput{
		Bucket: "bkt", Key: key, Body: strings.NewReader("text"), Size: 4, ACL: asked,
	})
}

// reads reports whether an account may read, with authorization and core.
func (e *env) reads(account, key string, id *string) bool {
	e.tb.Helper()
	n := authz.Need{Action: readAction(id), Resource: arn.Object("bkt", key)}
	if id != nil {
		n.Version = id
	}
	g, err := e.authorize(account, n)
	if fault.Is(err, "AccessDenied") {
		return false
	}
	if err != nil {
		e.tb.Fatal(err)
	}
	r, err := e.objects.Get(e.tb.Context(), g, GetInput{Bucket: "bkt", Key: key, VersionID: id})
	if err != nil {
		e.tb.Fatal(err)
	}
	if _, err := io.ReadAll(r.Body); err != nil {
		e.tb.Fatal(err)
	}
	r.Body.Close()
	return true
}

func (e *env) owners(key string) (of string) {
	e.tb.Helper()
	l, err := e.list(ListInput{Prefix: key})
	if err != nil || len(l.Entries) != 1 {
		e.tb.Fatal(l, err)
	}
	v, err := e.listVersions(ListVersionsInput{Prefix: key})
	if err != nil || len(v.Entries) != 1 || v.Entries[0].Owner != l.Entries[0].Owner {
		e.tb.Fatalf("%+v %v, and %q", v, err, l.Entries[0].Owner)
	}
	return l.Entries[0].Owner
}

func TestOwnerOfObjects(t *testing.T) {
	handOver := acl.Request{Canned: "bucket-owner-full-control"}
	for i, c := range []struct {
		ownership bucket.Ownership
		asked     acl.Request
		owner     string
	}{
		{bucket.ObjectWriter, acl.Request{}, guest}, {bucket.ObjectWriter, handOver, guest}, {"", handOver, guest},
		{bucket.BucketOwnerPreferred, acl.Request{}, guest}, {bucket.BucketOwnerPreferred, handOver, coretest.Account},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			e := newEnv(t)
			e.setOwnership(c.ownership)
			v, err := e.storeAs(guest, "k", c.asked)
			if err != nil || v.Owner != c.owner || e.owners("k") != c.owner {
				t.Fatalf("%q %q: %q %q %v", c.ownership, c.asked.Canned, v.Owner, e.owners("k"), err)
			}
			mine := c.owner == coretest.Account || c.asked.Canned != ""
			if e.reads(coretest.Account, "k", nil) != mine || e.reads(guest, "k", nil) != (c.owner == guest) ||
				e.reads("999999999999", "k", nil) {
				t.Errorf("%q %q: the wrong accounts may read", c.ownership, c.asked.Canned)
			}
			// With ACLs disabled, the bucket's owner owns the object; with ACLs enabled, its owner does again.
			e.closed()
			e.setOwnership(bucket.BucketOwnerEnforced)
			if e.owners("k") != coretest.Account || !e.reads(coretest.Account, "k", nil) || e.reads(guest, "k", nil) {
				t.Errorf("%q: with ACLs disabled the owner is %q", c.ownership, e.owners("k"))
			}
			e.setOwnership(bucket.ObjectWriter)
			if e.owners("k") != c.owner || e.reads(coretest.Account, "k", nil) != mine {
				t.Errorf("%q: with ACLs again the owner is %q", c.ownership, e.owners("k"))
			}
			if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
				t.Errorf("the bucket's owner can't delete: %v", err)
			}
		})
	}
}

func TestEnforcedTakesNoACL(t *testing.T) {
	e := newEnv(t)
	for _, asked := range []acl.Request{
		{Canned: "public-read"}, {Grants: acl.List{{Account: guest, Permission: acl.Read}}},
	} {
		_, err := e.storeAs(coretest.Account, "k", asked)
		wants(t, err, fault.KindInvalid, "AccessControlListNotSupported")
		g := e.grant(arn.Object("bkt", "k"), "s3:PutObject", "s3:PutObjectAcl")
		_, err = e.objects.CreateUpload(t.Context(), g, UploadInput{Bucket: "bkt", Key: "k", ACL: asked})
		wants(t, err, fault.KindInvalid, "AccessControlListNotSupported")
	}
	if _, err := e.storeAs(coretest.Account, "k", acl.Request{Canned: "bucket-owner-full-control"}); err != nil {
		t.Fatal(err)
	}
	g := e.grant(arn.Object("bkt", "k"), "s3:PutObjectAcl")
	_, err := e.objects.PutACL(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k"}, &acl.Request{
		Canned: "public-read",
	})
	wants(t, err, fault.KindInvalid, "AccessControlListNotSupported")
	if _, err := e.objects.PutACL(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k"}, &acl.Request{
		Canned: "bucket-owner-full-control",
	}); err != nil {
		t.Error(err)
	}
	_, err = e.put(PutInput{Key: "k", ACL: acl.Request{Canned: "private"}})
	wants(t, err, fault.KindDenied, "AccessDenied") // an ACL needs s3:PutObjectAcl
}

// TestACLOfVersionsCopiesAndUploads: a version keeps its ACL, and copies of it do not inherit it.
func TestACLOfVersionsCopiesAndUploads(t *testing.T) {
	e := newEnv(t)
	e.setOwnership(bucket.ObjectWriter)
	e.versioning(bucket.Enabled)
	shared := acl.Request{Grants: acl.List{
		{Account: coretest.Account, Permission: acl.FullControl}, {Account: guest, Permission: acl.Read},
	}}
	one, err := e.storeAs(coretest.Account, "k", shared)
	if err != nil {
		t.Fatal(err)
	}
	two, err := e.storeAs(coretest.Account, "k", acl.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if !e.reads(guest, "k", &one.ID) || e.reads(guest, "k", &two.ID) || e.reads(guest, "k", nil) {
		t.Error("the versions share one ACL")
	}
	g := e.grant(arn.Object("bkt", "k"), "s3:PutObjectVersionAcl", "s3:PutObjectVersionTagging", "s3:GetObjectVersion")
	if _, err := e.objects.PutTags(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k", VersionID: &one.ID},
		nil); err != nil || !e.reads(guest, "k", &one.ID) {
		t.Error("tagging loses the ACL", err)
	}
	copyGrant := coretest.GrantAll(t, coretest.Root(coretest.Account, nil),
		authz.Need{Action: "s3:GetObjectVersion", Resource: arn.Object("bkt", "k")},
		authz.Need{
			Action: "s3:PutObject", Resource: arn.Object("bkt", "copy"),
		}, authz.Need{Action: "s3:PutObjectAcl", Resource: arn.Object("bkt", "copy")})
	from := CopySource{Bucket: "bkt", Key: "k", VersionID: &one.ID}
	if _, _, err := e.objects.Copy(t.Context(), copyGrant, CopyInput{
		Source: from, Bucket: "bkt", Key: "copy",
	}); err != nil || e.reads(guest, "copy", nil) {
		t.Error("a copy has its source's ACL", err)
	}
	if _, _, err := e.objects.Copy(t.Context(), copyGrant, CopyInput{
		Source: from, Bucket: "bkt", Key: "copy", ACL: shared,
	}); err != nil || !e.reads(guest, "copy", nil) {
		t.Error("a copy lacks the ACL of the request", err)
	}
	if _, err := e.objects.PutACL(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k", VersionID: &one.ID},
		&acl.Request{Canned: "private"}); err != nil || e.reads(guest, "k", &one.ID) {
		t.Error("an ACL is not replaced", err)
	}
	up := e.grant(arn.Object("bkt", "parts"), "s3:PutObject", "s3:PutObjectAcl")
	u, err := e.objects.CreateUpload(t.Context(), up, UploadInput{Bucket: "bkt", Key: "parts", ACL: shared})
	if err != nil {
		t.Fatal(err)
	}
	p, err := e.objects.PutPart(t.Context(), up, PartInput{
		Bucket: "bkt", Key: "parts", UploadID: u.ID, Number: 1, Body: strings.NewReader("part"), Size: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.objects.CompleteUpload(t.Context(), up, CompleteInput{
		Bucket: "bkt", Key: "parts", UploadID: u.ID, Parts: []CompletePart{{Number: 1, ETag: p.ETag.String()}},
	}); err != nil || !e.reads(guest, "parts", nil) {
		t.Error("an upload loses its ACL", err)
	}
}

// TestUploadEndsEnforced: an upload that was begun with an ACL is completed without it if ACLs were
// disabled meanwhile.
func TestUploadEndsEnforced(t *testing.T) {
	e := newEnv(t)
	e.setOwnership(bucket.ObjectWriter)
	g, err := e.authorize(guest, on("k", "s3:PutObject", "s3:PutObjectAcl")...)
	if err != nil {
		t.Fatal(err)
	}
	u, err := e.objects.CreateUpload(t.Context(), g, UploadInput{
		Bucket: "bkt", Key: "k", ACL: acl.Request{Grants: acl.List{{Account: guest, Permission: acl.FullControl}}},
	})
	if err != nil || u.Owner != guest {
		t.Fatal(u.Owner, err)
	}
	p, err := e.objects.PutPart(t.Context(), g, PartInput{
		Bucket: "bkt", Key: "k", UploadID: u.ID, Number: 1, Body: strings.NewReader("part"), Size: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	e.closed()
	e.setOwnership(bucket.BucketOwnerEnforced)
	v, err := e.objects.CompleteUpload(t.Context(),
		e.grant(arn.Object("bkt", "k"),
			"s3:PutObject"), CompleteInput{
			Bucket: "bkt", Key: "k", UploadID: u.ID, Parts: []CompletePart{{Number: 1, ETag: p.ETag.String()}},
		})
	if err != nil || v.Owner != coretest.Account {
		t.Fatal(v.Owner, err)
	}
	e.setOwnership(bucket.ObjectWriter)
	if e.owners("k") != coretest.Account || e.reads(guest, "k", nil) {
		t.Error("an object that was made with ACLs disabled has another owner")
	}
}

// TestReadAfterReplacement: the object is replaced between the decision and the read.
func TestReadAfterReplacement(t *testing.T) {
	e := newEnv(t)
	e.setOwnership(bucket.ObjectWriter)
	shared := acl.Request{Grants: acl.List{{Account: guest, Permission: acl.FullControl}}}
	if _, err := e.storeAs(coretest.Account, "k", shared); err != nil {
		t.Fatal(err)
	}
	if !e.reads(guest, "k", nil) {
		t.Fatal("the guest can't read")
	}
	needs := on("k", "s3:GetObject", "s3:GetObjectAcl")
	g, err := e.authorize(guest, needs...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.storeAs(coretest.Account, "k", acl.Request{}); err != nil {
		t.Fatal(err)
	}
	_, err = e.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "k"})
	wants(t, err, fault.KindDenied, "AccessDenied")
	_, err = e.objects.Head(t.Context(), g, GetInput{Bucket: "bkt", Key: "k"})
	wants(t, err, fault.KindDenied, "AccessDenied")
	_, _, err = e.objects.GetACL(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k"})
	wants(t, err, fault.KindDenied, "AccessDenied")
	if _, err := e.storeAs(coretest.Account, "k", shared); err != nil {
		t.Fatal(err)
	}
	if r, err := e.objects.Get(t.Context(), g, GetInput{Bucket: "bkt", Key: "k"}); err != nil {
		t.Errorf("the read is not decided again and refused: %v", err)
	} else {
		r.Body.Close()
	}
}

// TestWriteAfterReplacement: a caller who may not overwrite others' objects is refused if one is
// made while its request is in progress.
func TestWriteAfterReplacement(t *testing.T) {
	e := newEnv(t)
	e.setOwnership(bucket.ObjectWriter)
	once := true
	e.payloads.written = func() {
		if once {
			once = false
			e.mustPut("k", "the owner's")
		}
	}
	_, err := e.storeAs(guest, "k", acl.Request{})
	wants(t, err, fault.KindDenied, "AccessDenied")
	if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != "the owner's" {
		t.Error(text, err)
	}
	if v, err := e.storeAs(guest, "free", acl.Request{}); err != nil || v.Owner != guest {
		t.Error(v, err)
	}
	if v, err := e.storeAs(guest, "free", acl.Request{}); err != nil || v.Owner != guest {
		t.Error("a guest can't overwrite its own object", err)
	}
	g, err := e.authorize(guest, on("free", "s3:DeleteObject")...)
	if err != nil {
		t.Fatal(err)
	}
	e.mustPut("free", "the owner's")
	d, err := e.objects.Delete(t.Context(), g, "bkt", DeleteInput{Key: "free"})
	wants(t, err, fault.KindDenied, "AccessDenied")
	if _, text, err := e.get(GetInput{Key: "free"}); err != nil || text != "the owner's" {
		t.Error(d, text, err)
	}
}
