package object

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

// tagged are laws that allow everything on objects with the tag class=public, and for actions that
// do not ask for tags. They count how often tags are asked for.
type tagged struct {
	laws
	asked int
}

func (l *tagged) ObjectTags(ctx context.Context, r arn.ARN, version *string) (map[string]string, error) {
	l.asked++
	name, key := r.Resource, r.Key
	tags, err := l.objects.Tags(ctx, VersionInput{Bucket: name, Key: key, VersionID: version})
	out := map[string]string{}
	for _, t := range tags {
		out[t.Key] = t.Value
	}
	return out, err
}

const publicAlone = `{"Version":"2012-10-17","Statement":[
	{"Effect":"Allow","Action":["s3:PutObject","s3:PutObjectTagging"],"Resource":"arn:aws:s3:::bkt/target"},
	{"Effect":"Allow","Action":"s3:GetObjectAttributes","Resource":"arn:aws:s3:::bkt/k"},
	{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::bkt/k","Condition":{"StringEquals":{"s3:ExistingObjectTag/class":"public"}}}]}`

func classed(class string) tag.Set { return tag.Set{{Key: "class", Value: class}} }

// TestDecisionIsAboutWhatIsUsed: a decision by an object's tags uses the tags of the version that is
// read or changed, even if that was replaced or tagged again since the first decision.
func TestDecisionIsAboutWhatIsUsed(t *testing.T) {
	d, err := policy.Parse(policy.Identity, []byte(publicAlone))
	if err != nil {
		t.Fatal(err)
	}
	in := VersionInput{Bucket: "bkt", Key: "k"}
	read := GetInput{Bucket: "bkt", Key: "k"}
	from := CopySource{Bucket: "bkt", Key: "k"}
	for name, c := range map[string]struct {
		needs []policy.Action
		do    func(e *env, g authz.Grant) error
	}{
		"Get": {[]policy.Action{"s3:GetObject"}, func(e *env, g authz.Grant) error {
			r, err := e.objects.Get(e.tb.Context(), g, read)
			if err == nil {
				err = r.Body.Close()
			}
			return err
		}},
		"Head": {[]policy.Action{"s3:GetObject"}, func(e *env, g authz.Grant) error {
			_, err := e.objects.Head(
				e.tb.Context(), g, read,
			)
			return err
		}},
		"Attributes": {[]policy.Action{"s3:GetObject", "s3:GetObjectAttributes"}, func(e *env, g authz.Grant) error {
			_, err := e.objects.Attributes(e.tb.Context(), g, read, 0, nil)
			return err
		}},
		"GetTags": {
			[]policy.Action{"s3:GetObjectTagging"},
			func(e *env, g authz.Grant) error { _, err := e.objects.GetTags(e.tb.Context(), g, in); return err },
		},
		"PutTags": {[]policy.Action{"s3:PutObjectTagging"}, func(e *env, g authz.Grant) error {
			_, err := e.objects.PutTags(e.tb.Context(), g, in, classed("public"))
			return err
		}},
		"DeleteTags": {
			[]policy.Action{"s3:DeleteObjectTagging"},
			func(e *env, g authz.Grant) error { _, err := e.objects.DeleteTags(e.tb.Context(), g, in); return err },
		},
		"GetACL": {
			[]policy.Action{"s3:GetObjectAcl"},
			func(e *env, g authz.Grant) error { _, _, err := e.objects.GetACL(e.tb.Context(), g, in); return err },
		},
		"PutACL": {[]policy.Action{"s3:PutObjectAcl"}, func(e *env, g authz.Grant) error {
			_, err := e.objects.PutACL(e.tb.Context(), g, in, &acl.Request{Canned: "private"})
			return err
		}},
		"Copy": {[]policy.Action{"s3:GetObject"}, func(e *env, g authz.Grant) error {
			none := tag.Set{}
			_, _, err := e.objects.Copy(e.tb.Context(), g, CopyInput{
				Source: from, Bucket: "bkt", Key: "target", Tags: &none,
			})
			return err
		}},
		"CopyPart": {[]policy.Action{"s3:GetObject"}, func(e *env, g authz.Grant) error {
			u := e.begin(UploadInput{Bucket: "bkt", Key: "target"})
			_, _, err := e.objects.CopyPart(e.tb.Context(), g, CopyPartInput{
				Source: from, Bucket: "bkt", Key: "target", UploadID: u.ID, Number: 1,
			})
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			for how, change := range map[string]func(e *env){
				"replaced": func(e *env) { e.classify("SECRET", "secret") },
				"retagged": func(e *env) {
					g := e.grant(arn.Object("bkt", "k"), "s3:PutObjectTagging")
					if _, err := e.objects.PutTags(t.Context(), g, in, classed("secret")); err != nil {
						t.Fatal(err)
					}
				},
				"deleted": func(e *env) {
					if _, err := e.delete(DeleteInput{Key: "k"}); err != nil {
						t.Fatal(err)
					}
				},
				"": func(*env) {},
			} {
				e := newEnv(t)
				e.setOwnership(bucket.ObjectWriter)
				e.classify("open", "public")
				var needs []authz.Need
				for _, a := range c.needs {
					needs = append(needs, authz.Need{Action: a, Resource: arn.Object("bkt", "k")})
				}
				needs = append(needs, authz.Need{Action: "s3:PutObject", Resource: arn.Object("bkt", "target")})
				w := &tagged{laws: laws{e, d}}
				g, err := authz.New(w).Authorize(t.Context(), coretest.Root(coretest.Account, nil), needs...)
				if err != nil {
					t.Fatal(err)
				}
				change(e)
				asked := w.asked
				err = c.do(e, g)
				if refused := fault.Is(err, "AccessDenied"); refused != (how != "") || how == "" && err != nil {
					t.Errorf("%s, %s: %v", name, how, err)
				}
				if w.asked == asked {
					t.Errorf("%s, %s: the tags were not read again", name, how)
				}
			}
		})
	}
}

// classify stores a text under k with a class.
func (e *env) classify(text, class string) {
	e.tb.Helper()
	if _, err := e.put(PutInput{
		Key: "k", Body: strings.NewReader(text), Size: int64(len(text)), Tags: classed(class),
	}); err != nil {
		e.tb.Fatal(err)
	}
}

// TestCompletionIsAuthorizedAgain: if a caller loses its permission while its bytes arrive, none of
// them are stored.
func TestCompletionIsAuthorizedAgain(t *testing.T) {
	all, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	none, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range []string{"inline", long()} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			e := newEnv(t)
			u := e.begin(UploadInput{Bucket: "bkt", Key: "k"})
			e.mustPut("source", text)
			w := &tagged{laws: laws{e, all}}
			for name, do := range map[string]func(g authz.Grant) error{
				"Put": func(g authz.Grant) error {
					_, err := e.objects.Put(t.Context(), g, PutInput{
						Bucket: "bkt", Key: "k", Body: strings.NewReader(text), Size: int64(len(text)),
					})
					return err
				},
				"PutPart": func(g authz.Grant) error {
					_, err := e.objects.PutPart(t.Context(), g, PartInput{
						Bucket: "bkt", Key: "k", UploadID: u.ID, Number: 1, Body: strings.NewReader(text),
						Size: int64(len(text)),
					})
					return err
				},
				"Copy": func(g authz.Grant) error {
					_, _, err := e.objects.Copy(t.Context(), g, CopyInput{
						Source: CopySource{Bucket: "bkt", Key: "source"}, Bucket: "bkt", Key: "k",
					})
					return err
				},
				"CopyPart": func(g authz.Grant) error {
					_, _, err := e.objects.CopyPart(t.Context(), g, CopyPartInput{
						Source: CopySource{Bucket: "bkt", Key: "source"}, Bucket: "bkt", Key: "k", UploadID: u.ID,
						Number: 1,
					})
					return err
				},
			} {
				w.all = all
				g, err := authz.New(w).Authorize(t.Context(), coretest.Root(coretest.Account, nil),
					authz.Need{
						Action: "s3:PutObject", Resource: arn.Object("bkt", "k"),
					}, authz.Need{Action: "s3:GetObject", Resource: arn.Object("bkt", "source")})
				if err != nil {
					t.Fatal(err)
				}
				e.payloads.written = func() { w.all = none }
				err = do(g)
				e.payloads.written = nil
				wants(t, err, fault.KindDenied, "AccessDenied")
				if _, _, err := e.get(GetInput{Key: "k"}); !fault.Is(err, "NoSuchKey") {
					t.Errorf("%s: %v", name, err)
				}
			}
			if err := e.abort(u); err != nil {
				t.Fatal(err)
			}
			if text == "inline" {
				e.tidy(1, 0)
			} else {
				e.tidy(0, 1)
			}
		})
	}
}
