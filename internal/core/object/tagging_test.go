package object

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TestTaggingDemands: each call needs its own action, and a different one with a version id.
func TestTaggingDemands(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	id := e.mustPut("k", "text").ID
	at := arn.Object("bkt", "k")
	calls := map[string]func(authz.Grant, VersionInput) error{
		"Get": func(g authz.Grant, in VersionInput) error {
			_, err := e.objects.GetTags(t.Context(), g, in)
			return err
		},
		"Put": func(g authz.Grant, in VersionInput) error {
			_, err := e.objects.PutTags(t.Context(), g, in, tag.Set{{Key: "a", Value: "b"}})
			return err
		},
		"Delete": func(g authz.Grant, in VersionInput) error {
			_, err := e.objects.DeleteTags(t.Context(), g, in)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			plain, versioned := policy.Action("s3:"+name+"ObjectTagging"), policy.Action("s3:"+name+
				"ObjectVersionTagging")
			for _, c := range []struct {
				action  policy.Action
				version *string
				allowed bool
			}{
				{plain, nil, true}, {versioned, &id, true}, {plain, &id, false}, {versioned, nil, false},
				{"s3:GetObject", nil, false},
			} {
				err := call(e.grant(at, c.action), VersionInput{Bucket: "bkt", Key: "k", VersionID: c.version})
				if c.allowed != (err == nil) || err != nil && !fault.Is(err, "AccessDenied") {
					t.Errorf("%s with %s, version %v: %v", name, c.action, c.version != nil, err)
				}
			}
			if err := call(authz.Grant{}, VersionInput{Bucket: "bkt", Key: "k"}); !fault.Is(err, "AccessDenied") {
				t.Errorf("%s with a forged grant: %v", name, err)
			}
		})
	}
	in := PutInput{Bucket: "bkt", Key: "k", Body: strings.NewReader(""), Tags: tag.Set{{Key: "a", Value: "b"}}}
	_, err := e.objects.Put(t.Context(), e.grant(at, "s3:PutObject"), in)
	wants(t, err, fault.KindDenied, "AccessDenied")
}

// TestTagsForAuthorization: a missing object has no tags, and a broken store is
// an error.
func TestTagsForAuthorization(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	want := tag.Set{{Key: "a", Value: "b"}}
	v, err := e.put(PutInput{Key: "k", Body: strings.NewReader(""), Tags: want})
	if err != nil {
		t.Fatal(err)
	}
	marked := e.mustPut("marked", "").ID
	marker, err := e.delete(DeleteInput{Key: "marked"})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in   VersionInput
		want int
	}{
		"current":     {VersionInput{"bkt", "k", nil}, 1},
		"version":     {VersionInput{"bkt", "k", &v.ID}, 1},
		"null":        {VersionInput{"bkt", "k", ptr(NullVersion)}, 0},
		"no version":  {VersionInput{"bkt", "k", ptr("nonsense")}, 0},
		"no key":      {VersionInput{"bkt", "absent", nil}, 0},
		"bad key":     {VersionInput{"bkt", "", nil}, 0},
		"no bucket":   {VersionInput{"absent", "k", nil}, 0},
		"marked":      {VersionInput{"bkt", "marked", nil}, 0},
		"marker":      {VersionInput{"bkt", "marked", &marker.MarkerID}, 0},
		"without any": {VersionInput{"bkt", "marked", &marked}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := e.objects.Tags(t.Context(), c.in); err != nil || len(got) != c.want {
				t.Errorf("%s: %v %v", name, got, err)
			}
		})
	}
	e.objects.store = broken{e.store}
	if _, err := e.objects.Tags(t.Context(), VersionInput{"bkt", "k", nil}); !fault.Is(err, "ServiceUnavailable") {
		t.Errorf("a broken store says that there are no tags: %v", err)
	}
}

// broken is a store that can't be read.
type broken struct{ kv.Store }

func (broken) View(context.Context, func(kv.Reader) error) error {
	return fault.New(fault.ServiceUnavailable, "Service is unable to handle request.")
}

// TestTagsOfUploadsAndCopies: every request that sets tags needs the permission, and
// all of the tags are stored.
func TestTagsOfUploadsAndCopies(t *testing.T) {
	e := newEnv(t)
	e.makeBucket("other")
	set := tag.Set{{Key: "a", Value: "b"}}
	at := arn.Object("bkt", "k")
	_, err := e.objects.CreateUpload(t.Context(), e.grant(at, "s3:PutObject"), UploadInput{
		Bucket: "bkt", Key: "k", Tags: set,
	})
	wants(t, err, fault.KindDenied, "AccessDenied")
	g := e.grant(at, "s3:PutObject", "s3:PutObjectTagging", "s3:GetObjectTagging", "s3:GetObject")
	up, err := e.objects.CreateUpload(t.Context(), g, UploadInput{Bucket: "bkt", Key: "k", Tags: set})
	if err != nil {
		t.Fatal(err)
	}
	part, err := e.objects.PutPart(t.Context(), g, PartInput{
		Bucket: "bkt", Key: "k", UploadID: up.ID, Number: 1, Body: strings.NewReader("text"), Size: 4,
	})
	if err != nil {
		t.Fatal(err)
	}
	in := CompleteInput{
		Bucket: "bkt", Key: "k", UploadID: up.ID, Parts: []CompletePart{{Number: 1, ETag: part.ETag.String()}},
	}
	if _, err := e.objects.CompleteUpload(t.Context(), g, in); err != nil {
		t.Fatal(err)
	}
	read := func(key string) string {
		t.Helper()
		r, text, err := e.get(GetInput{Key: key})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(text, " ", r.Tags)
	}
	if got := read("k"); got != "text [{a b}]" {
		t.Error(got)
	}
	if _, err := e.objects.PutTags(t.Context(), g, VersionInput{Bucket: "bkt", Key: "k"}, tag.Set{{
		Key: "c", Value: "d",
	}}); err != nil || read("k") != "text [{c d}]" {
		t.Error(read("k"), err)
	}
	needs := func(actions ...policy.Action) []authz.Need {
		needs := []authz.Need{
			{Action: "s3:GetObject", Resource: at}, {Action: "s3:PutObject", Resource: arn.Object("bkt", "copy")},
		}
		for _, a := range actions {
			n := authz.Need{Action: a, Resource: at}
			if a == "s3:PutObjectTagging" {
				n.Resource = arn.Object("bkt", "copy")
			}
			needs = append(needs, n)
		}
		return needs
	}
	root := coretest.Root(coretest.Account, nil)
	to := func(actions ...policy.Action) authz.Grant { return coretest.GrantAll(t, root, needs(actions...)...) }
	for name, c := range map[string]struct {
		g    authz.Grant
		tags *tag.Set
		want string // empty: refused
	}{
		"copied":                    {to("s3:GetObjectTagging", "s3:PutObjectTagging"), nil, "text [{c d}]"},
		"without the right to read": {to("s3:PutObjectTagging"), nil, ""},
		"without the right to write": {
			coretest.GrantWithout(t, root, "s3:PutObjectTagging", needs("s3:GetObjectTagging")...), nil, "",
		},
		"replaced":                       {to("s3:PutObjectTagging"), &set, "text [{a b}]"},
		"replaced without the right":     {to(), &set, ""},
		"replaced by none needs no more": {to(), &tag.Set{}, "text []"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := e.objects.Copy(t.Context(), c.g, CopyInput{
				Source: CopySource{Bucket: "bkt", Key: "k"}, Bucket: "bkt", Key: "copy", Tags: c.tags,
			})
			if c.want == "" && !fault.Is(err, "AccessDenied") ||
				c.want != "" && (err != nil || read("copy") != c.want) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}
