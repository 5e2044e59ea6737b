package object

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

func TestDelete(t *testing.T) {
	e := newEnv(t)
	e.mustPut("k", long())
	e.mustPut("i", "tiny")
	for _, key := range []string{"k", "i", "k", "never"} {
		if d, err := e.delete(DeleteInput{Key: key}); err != nil || d != (Deleted{Key: key}) {
			t.Error(key, d, err)
		}
	}
	for _, prefix := range []string{"c/", "v/", "d/", "r/", "u/"} {
		if n := e.refs(prefix); n != 0 {
			t.Errorf("%d records under %s are left", n, prefix)
		}
	}
	if len(e.payloads.settled(t)) != 0 {
		t.Error("blobs are left")
	}
	e.mustPut("k", "again")
	if d, err := e.delete(DeleteInput{Key: "k", VersionID: ptr(NullVersion)}); err != nil ||
		d != (Deleted{Key: "k", VersionID: NullVersion}) {
		t.Error(d, err)
	}
	if d, err := e.delete(DeleteInput{
		Key: "k", VersionID: ptr(sample().id()),
	}); err != nil || d.VersionID != sample().id() {
		t.Error("deleting a missing object:", d, err)
	}
	_, err := e.delete(DeleteInput{Key: "k", VersionID: ptr("x")})
	wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "versionId")
	_, err = e.objects.Delete(t.Context(), e.grant(arn.Object("nowhere", "k"), "s3:DeleteObject"), "nowhere",
		DeleteInput{Key: "k"})
	wants(t, err, fault.KindNotFound, "NoSuchBucket")
}

func TestDeleteIfMatch(t *testing.T) {
	e := newEnv(t)
	v := e.mustPut("k", "text")
	_, err := e.delete(DeleteInput{Key: "k", IfMatch: ptr(`"other"`)})
	wants(t, err, fault.KindPreconditionFailed, "PreconditionFailed", "Condition", "If-Match")
	_, err = e.delete(DeleteInput{Key: "k", VersionID: ptr(NullVersion), IfMatch: ptr(`"other"`)})
	wants(t, err, fault.KindPreconditionFailed, "PreconditionFailed", "Condition", "If-Match")
	if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != "text" {
		t.Fatal(text, err)
	}
	_, err = e.delete(DeleteInput{Key: "missing", IfMatch: ptr("*")})
	wants(t, err, fault.KindPreconditionFailed, "PreconditionFailed")
	_, err = e.delete(DeleteInput{Key: "missing", IfMatch: ptr(`"x"`)})
	wants(t, err, fault.KindNotFound, "NoSuchKey")
	if _, err := e.delete(DeleteInput{Key: "k", IfMatch: ptr(`"` + v.ETag.String() + `"`)}); err != nil {
		t.Error(err)
	}
	e.mustPut("k", "text")
	if _, err := e.delete(DeleteInput{Key: "k", IfMatch: ptr("*")}); err != nil {
		t.Error(err)
	}
}

func TestDeleteMany(t *testing.T) {
	e := newEnv(t)
	for _, key := range []string{"a", "b", "c", "d"} {
		e.mustPut(key, long()+key)
	}
	may := func(key string, a policy.Action) authz.Need {
		return authz.Need{Action: a, Resource: arn.Object("bkt", key)}
	}
	tooLong := strings.Repeat("x", 1025)
	g := coretest.GrantAll(t, coretest.Root(coretest.Account, nil),
		may("d",
			"s3:DeleteObject"), may("a",
			"s3:DeleteObject"), may("b", "s3:DeleteObject"), may("missing", "s3:DeleteObject"),
		may(tooLong, "s3:DeleteObject"), may("a", "s3:DeleteObjectVersion"))
	out, err := e.objects.DeleteMany(t.Context(), g, "bkt", []DeleteInput{
		{Key: "d"},
		{Key: "c"},
		{Key: "a"},
		{Key: "missing"},
		{Key: "b", IfMatch: ptr(`"other"`)},
		{Key: "b", VersionID: ptr(NullVersion)},
		{Key: "a"}, // once more
		{Key: tooLong},
		{Key: "a", VersionID: ptr("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{
		"", "AccessDenied", "", "", "PreconditionFailed", "AccessDenied", "", "KeyTooLongError", "InvalidArgument",
	}
	for i, code := range codes {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			got := ""
			if f := fault.From(out[i].Err); f != nil {
				got = string(f.Code)
			}
			if got != code {
				t.Errorf("%d: %q, want %q", i, got, code)
			}
		})
	}
	l, err := e.list(ListInput{})
	if err != nil || len(l.Entries) != 2 || l.Entries[0].Key != "b" || l.Entries[1].Key != "c" ||
		len(e.payloads.settled(t)) != 2 {
		t.Errorf("%+v %v", l.Entries, err)
	}
	_, err = e.objects.DeleteMany(t.Context(), g, "bkt", make([]DeleteInput, 1001))
	wants(t, err, fault.KindInvalid, "MalformedXML")
}

func TestDeleteManyIsOneTransaction(t *testing.T) {
	e := newEnv(t)
	var needs []authz.Need
	var items []DeleteInput
	for i := range 1000 {
		key := fmt.Sprint(i)
		if i%100 == 0 {
			e.mustPut(key, long())
		}
		needs = append(needs, authz.Need{Action: "s3:DeleteObject", Resource: arn.Object("bkt", key)})
		items = append(items, DeleteInput{Key: key})
	}
	before := e.store.Durable()
	out, err := e.objects.DeleteMany(t.Context(), coretest.GrantAll(t, coretest.Root(coretest.Account, nil), needs...),
		"bkt", items)
	if err != nil || len(out) != 1000 || len(e.payloads.settled(t)) != 0 {
		t.Fatal(len(out), err)
	}
	if n := e.store.Durable() - before; n != 1 {
		t.Errorf("%d commits", n)
	}
}

// versions reads a key's versions, newest first, as "id=text" with the ids
// named by the steps that made them.
func (e *env) versions(names map[string]string, key string) string {
	e.tb.Helper()
	var all []string
	b, err := e.buckets.Head(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:ListBucket"), "bkt")
	if err != nil {
		e.tb.Fatal(err)
	}
	for _, v := range allVersions(e, slot{&b, key}) {
		name := v.id()
		if names[name] != "" {
			name = names[name]
		}
		if v.deleteMarker {
			all = append(all, "DM "+name)
			continue
		}
		_, text, err := e.get(GetInput{Key: key, VersionID: ptr(v.id())})
		if err != nil {
			e.tb.Fatal(err)
		}
		all = append(all, name+"="+text)
	}
	return strings.Join(all, ", ")
}

// TestStateMachine has the vectors V1 to V12 of versioning: steps, the versions afterwards, and the
// result of a GET without a version id. "put x" stores x and names the
// version; "del NAME" makes a marker of that name; "rm NAME" deletes a version.
func TestStateMachine(t *testing.T) {
	for name, c := range map[string]struct{ steps, versions, get string }{
		"V1":              {"put a; put b", "null=b", "b"},
		"V2":              {"put a; E; put b", "b=b, null=a", "b"},
		"V3":              {"put a; E; put b; del d1", "DM d1, b=b, null=a", "marker"},
		"V4":              {"put a; E; put b; del d1; rm d1", "b=b, null=a", "b"},
		"V5":              {"put a; E; put b; del d1; del d2", "DM d2, DM d1, b=b, null=a", "marker"},
		"V6":              {"put a; E; put b; S; put c", "null=c, b=b", "c"},
		"V7":              {"put a; E; put b; S; del x", "DM null, b=b", "marker"},
		"V8":              {"put a; E; put b; S; del x; put d", "null=d, b=b", "d"},
		"V9":              {"put a; E; put b; S; del x; E; put e", "e=e, DM null, b=b", "e"},
		"V10":             {"put a; E; put b; S; del x; rm null", "b=b", "b"},
		"V11":             {"E; del d1", "DM d1", "marker"},
		"V12":             {"E; put a; put b; rm b", "a=a", "a"},
		"below":           {"put a; E; put b; rm null", "b=b", "b"},
		"null after E":    {"put a; E; put b; rm b; put c", "c=c, null=a", "c"},
		"null at the top": {"put a; E; put b; rm b; rm null", "", "nothing"},
		"S over null":     {"put a; E; put b; rm b; S; put c", "null=c", "c"},
		"last goes":       {"E; put a; rm a", "", "nothing"},
		"null marker":     {"S; del x; del x", "DM null", "marker"},
		"deep null":       {"put a; E; put b; put c; S; put d", "null=d, c=c, b=b", "d"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			names, ids := map[string]string{}, map[string]string{"null": NullVersion}
			note := func(name, id string) {
				if id != NullVersion {
					names[id], ids[name] = name, id
				}
			}
			for step := range strings.SplitSeq(c.steps, "; ") {
				verb, name, _ := strings.Cut(step, " ")
				switch verb {
				case "E":
					e.versioning(bucket.Enabled)
				case "S":
					e.versioning(bucket.Suspended)
				case "put":
					note(name, e.mustPut("k", name).ID)
				case "del":
					d, err := e.delete(DeleteInput{Key: "k"})
					if err != nil || !d.DeleteMarker || d.MarkerID == "" {
						t.Fatal(d, err)
					}
					note(name, d.MarkerID)
				case "rm":
					d, err := e.delete(DeleteInput{Key: "k", VersionID: ptr(ids[name])})
					if err != nil || d.VersionID != ids[name] {
						t.Fatal(d, err)
					}
				}
			}
			if got := e.versions(names, "k"); got != c.versions {
				t.Errorf("versions %q, want %q", got, c.versions)
			}
			_, text, err := e.get(GetInput{Key: "k"})
			if err != nil {
				text = "nothing"
				if fault.From(err).Headers["x-amz-delete-marker"] != "" {
					text = "marker"
				}
			}
			l, err := e.list(ListInput{})
			if text != c.get || err != nil || (len(l.Entries) == 1) != (c.get != "marker" && c.get != "nothing") {
				t.Errorf("GET %q, want %q; listed %d", text, c.get, len(l.Entries))
			}
		})
	}
}
