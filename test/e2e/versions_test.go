package e2e

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// versioned is a bucket with helpers for its versions.
type versioned struct {
	t      *testing.T
	s      *harness.Server
	bucket *string
	names  map[string]string // the stored texts by version id
}

func newVersioned(t *testing.T, s *harness.Server, name string) *versioned {
	return &versioned{t, s, newBucket(t, s, name), map[string]string{}}
}

func (v *versioned) turn(state types.BucketVersioningStatus) {
	v.t.Helper()
	_, err := v.s.S3.PutBucketVersioning(v.t.Context(), &s3.PutBucketVersioningInput{
		Bucket: v.bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: state},
	})
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := v.s.S3.GetBucketVersioning(v.t.Context(), &s3.GetBucketVersioningInput{Bucket: v.bucket})
	if err != nil || got.Status != state || got.MFADelete != "" {
		v.t.Fatalf("%+v %v, want %s", got, err, state)
	}
}

// put stores text and returns the version id of the answer, or "".
func (v *versioned) put(key, text string) string {
	v.t.Helper()
	out, err := v.s.S3.PutObject(v.t.Context(), &s3.PutObjectInput{
		Bucket: v.bucket, Key: &key, Body: strings.NewReader(text),
	})
	if err != nil {
		v.t.Fatal(err)
	}
	id := aws.ToString(out.VersionId)
	v.names[id] = text
	return id
}

func (v *versioned) delete(key string, id *string) *s3.DeleteObjectOutput {
	v.t.Helper()
	out, err := v.s.S3.DeleteObject(v.t.Context(), &s3.DeleteObjectInput{Bucket: v.bucket, Key: &key, VersionId: id})
	if err != nil {
		v.t.Fatal(err)
	}
	return out
}

// get returns the text of a key or a version, or the error code.
func (v *versioned) get(key string, id *string) string {
	v.t.Helper()
	out, err := v.s.S3.GetObject(v.t.Context(), &s3.GetObjectInput{Bucket: v.bucket, Key: &key, VersionId: id})
	if err != nil {
		for _, code := range []string{"NoSuchKey", "NoSuchVersion", "MethodNotAllowed"} {
			if strings.Contains(err.Error(), code) {
				return code
			}
		}
		v.t.Fatal(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(b)
}

// all lists the texts of a key's versions, newest first: DM for a marker, null= before a null version,
// * after the latest.
func (v *versioned) all(key string) string {
	v.t.Helper()
	out, err := v.s.S3.ListObjectVersions(v.t.Context(), &s3.ListObjectVersionsInput{Bucket: v.bucket, Prefix: &key})
	if err != nil {
		v.t.Fatal(err)
	}
	var lines []string
	show := func(id *string, latest *bool, text string) {
		if *id == "null" {
			text = "null=" + text
		}
		if *latest {
			text += "*"
		}
		lines = append(lines, text)
	}
	// The SDK sorts the one sequence into two lists; the model test in
	// core/object compares the sequence itself.
	for _, m := range out.DeleteMarkers {
		show(m.VersionId, m.IsLatest, "DM")
	}
	for _, o := range out.Versions {
		show(o.VersionId, o.IsLatest, v.get(key, o.VersionId))
	}
	return strings.Join(lines, " ")
}

// TestVersioningStates checks the table of states and operations with the SDK.
func TestVersioningStates(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "states")
	got, err := s.S3.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: v.bucket})
	if err != nil || got.Status != "" || got.MFADelete != "" {
		t.Fatalf("%+v %v", got, err)
	}
	check := func(step, all, current string) {
		t.Helper()
		if a, c := v.all("k"), v.get("k", nil); a != all || c != current {
			t.Errorf("%s: %q and %q, want %q and %q", step, a, c, all, current)
		}
	}
	if v.put("k", "a0") != "" || v.put("k", "a") != "" {
		t.Error("an unversioned bucket returns version ids")
	}
	check("V1: put twice while Off", "null=a*", "a")
	v.turn("Enabled")
	v1 := v.put("k", "b")
	if v1 == "" || v1 == "null" {
		t.Errorf("version id %q", v1)
	}
	check("V2: enabled, put", "b* null=a", "b")
	d1 := v.delete("k", nil)
	if !aws.ToBool(d1.DeleteMarker) || aws.ToString(d1.VersionId) == "" || *d1.VersionId == "null" {
		t.Errorf("delete: %+v", d1)
	}
	check("V3: delete", "DM* b null=a", "NoSuchKey")
	d2 := v.delete("k", nil)
	check("V5: delete again", "DM* DM b null=a", "NoSuchKey")
	if out := v.delete("k", d2.VersionId); !aws.ToBool(out.DeleteMarker) || *out.VersionId != *d2.VersionId {
		t.Errorf("delete of a marker: %+v", out)
	}
	check("one marker is left", "DM* b null=a", "NoSuchKey")
	v.delete("k", d1.VersionId)
	check("V4: undelete", "b* null=a", "b")
	v.turn("Suspended")
	if id := v.put("k", "c"); id != "" {
		t.Errorf("a put while Suspended returns the id %q", id)
	}
	check("V6: suspended, put", "null=c* b", "c")
	if out := v.delete("k", nil); !aws.ToBool(out.DeleteMarker) || *out.VersionId != "null" {
		t.Errorf("delete while Suspended: %+v", out)
	}
	check("V7: suspended, delete", "null=DM* b", "NoSuchKey")
	v.put("k", "d")
	check("V8: suspended, put over the marker", "null=d* b", "d")
	v.delete("k", nil)
	v.turn("Enabled")
	v.put("k", "e")
	check("V9: enabled again, put", "null=DM e* b", "e")
	v.turn("Suspended")
	v.delete("k", aws.String("null"))
	check("V10: delete the null marker for good", "e* b", "e")
	v.turn("Enabled")
	if out := v.delete("k", &v1); aws.ToBool(out.DeleteMarker) || *out.VersionId != v1 {
		t.Errorf("delete of a version: %+v", out)
	}
	check("V12: delete a version", "e*", "e")
	v.delete("k", &v1) // already deleted
	v.delete("never-stored", nil)
	if all := v.all("never-stored"); all != "DM*" {
		t.Errorf("V11: delete of a key never stored: %q", all)
	}
	_, err = s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: v.bucket})
	wantCode(t, err, 409, "BucketNotEmpty")
}

func TestVersioningRefusals(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "refusals")
	for body, want := range map[string]string{
		`<VersioningConfiguration/>`: "400 IllegalVersioningConfigurationException",
		`<VersioningConfiguration><MfaDelete>Disabled</MfaDelete>` +
			`</VersioningConfiguration>`: "400 IllegalVersioningConfigurationException",
		`<VersioningConfiguration><Status>Off</Status>` +
			`</VersioningConfiguration>`: "400 MalformedXML",
		`<VersioningConfiguration><Status>enabled</Status>` +
			`</VersioningConfiguration>`: "400 MalformedXML",
		`<VersioningConfiguration><Status>Enabled</Status><MfaDelete>On</MfaDelete>` +
			`</VersioningConfiguration>`: "400 MalformedXML",
		`<VersioningConfiguration><Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>` +
			`</VersioningConfiguration>`: "403 AccessDenied",
		`<Versioning><Status>Enabled</Status></Versioning>`: "400 MalformedXML",
		`<VersioningConfiguration>`:                         "400 MalformedXML",
		``:                                                  "400 MissingRequestBodyError",
	} {
		t.Run(fmt.Sprintf("%.60s", body), func(t *testing.T) {
			a := send(t, s, raw{method: "PUT", target: "/refusals?versioning", body: body})
			if got := fmt.Sprint(a.status, " ", a.code); got != want {
				t.Errorf("%s: %s, want %s", body, got, want)
			}
		})
	}
	if a := send(t, s, raw{
		method: "GET", target: "/refusals?versioning",
	}); a.status != 200 || strings.Contains(a.body, "Status") {
		t.Errorf("a refused request changed the state: %s", a.body)
	}
	if a := send(t, s, raw{
		method: "PUT", target: "/absent?versioning",
		body: `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
	}); a.status != 404 || a.code != "NoSuchBucket" {
		t.Errorf("%d %s", a.status, a.code)
	}
	body := `<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><MfaDelete>Disabled</MfaDelete>` +
		`<Status>Enabled</Status></VersioningConfiguration>`
	if a := send(t, s, raw{method: "PUT", target: "/refusals?versioning", body: body}); a.status != 200 {
		t.Errorf("MfaDelete Disabled: %d %s", a.status, a.body)
	}
}

// TestVersionHeaders: the headers of answers about versions and markers.
func TestVersionHeaders(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "headers")
	v.put("plain", "x")
	if a := send(t, s, raw{method: "GET", target: "/headers/plain"}); a.header.Get("X-Amz-Version-Id") != "" {
		t.Error("an unversioned bucket returns version ids")
	}
	v.turn("Enabled")
	v1 := v.put("k", "one")
	marker := *v.delete("k", nil).VersionId
	for i, c := range []struct {
		method, target, want, version, isMarker, allow string
	}{
		{"GET", "plain", "200 ", "null", "", ""},
		{"HEAD", "plain", "200 ", "null", "", ""},
		{"GET", "plain?versionId=null", "200 ", "null", "", ""},
		{"GET", "k", "404 NoSuchKey", marker, "true", ""},
		{"HEAD", "k", "404 ", marker, "true", ""},
		{"GET", "k?versionId=" + v1, "200 ", v1, "", ""},
		{"HEAD", "k?versionId=" + v1, "200 ", v1, "", ""},
		{"GET", "k?versionId=" + marker, "405 MethodNotAllowed", marker, "true", "DELETE"},
		{"HEAD", "k?versionId=" + marker, "405 ", marker, "true", "DELETE"},
		{"GET", "k?versionId=null", "404 NoSuchVersion", "", "", ""},
		{"GET", "plain?versionId=" + v1, "404 NoSuchVersion", "", "", ""},
		{"GET", "k?versionId=nonsense", "400 InvalidArgument", "", "", ""},
		{"GET", "k?versionId=", "400 InvalidArgument", "", "", ""},
		{"DELETE", "k?versionId=nonsense", "400 InvalidArgument", "", "", ""},
		{"GET", "k?versionId=" + v1 + "&versionId=null", "400 InvalidArgument", "", "", ""},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			a := send(t, s, raw{method: c.method, target: "/headers/" + c.target})
			got := []string{
				fmt.Sprint(a.status, " ", a.code), a.header.Get("X-Amz-Version-Id"),
				a.header.Get("X-Amz-Delete-Marker"), a.header.Get("Allow"),
			}
			if want := []string{c.want, c.version, c.isMarker, c.allow}; fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s %s: %q, want %q", c.method, c.target, got, want)
			}
			if c.allow != "" && a.header.Get("Last-Modified") == "" {
				t.Errorf("%s %s: no Last-Modified", c.method, c.target)
			}
			if c.want == "405 MethodNotAllowed" &&
				!strings.Contains(a.body, "<ResourceType>DeleteMarker</ResourceType>") {
				t.Errorf("%s", a.body)
			}
		})
	}
}

func TestDeleteObjectsOfVersions(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "delete-versions")
	v.put("k", "null")
	v.turn("Enabled")
	v1, v2 := v.put("k", "one"), v.put("k", "two")
	out, err := s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: v.bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: aws.String("k"), VersionId: &v2}, {Key: aws.String("k")}, {Key: aws.String("new")},
			{Key: aws.String("k"), VersionId: aws.String("nonsense")},
		}}})
	if err != nil || len(out.Deleted) != 3 || len(out.Errors) != 1 {
		t.Fatalf("%+v %v", out, err)
	}
	if d := out.Deleted[0]; *d.VersionId != v2 || aws.ToBool(d.DeleteMarker) {
		t.Errorf("%+v", d)
	}
	for _, d := range out.Deleted[1:] {
		if d.VersionId != nil || !aws.ToBool(d.DeleteMarker) || aws.ToString(d.DeleteMarkerVersionId) == "" {
			t.Errorf("%+v", d)
		}
	}
	if e := out.Errors[0]; *e.Code != "InvalidArgument" || *e.VersionId != "nonsense" {
		t.Errorf("%+v", e)
	}
	if all := v.all("k"); all != "DM* one null=null" {
		t.Errorf("%q", all)
	}
	out, err = s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: v.bucket,
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: aws.String("k"), VersionId: out.Deleted[1].DeleteMarkerVersionId},
			{Key: aws.String("k"), VersionId: &v1},
		}}})
	if err != nil || len(out.Deleted) != 2 {
		t.Fatalf("%+v %v", out, err)
	}
	if d := out.Deleted[0]; !aws.ToBool(d.DeleteMarker) || *d.DeleteMarkerVersionId != *d.VersionId {
		t.Errorf("%+v", d)
	}
	if got := v.get("k", nil); got != "null" {
		t.Errorf("undeleted: %q", got)
	}
}

func TestListObjectVersions(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "list-versions")
	v.turn("Enabled")
	want := 0
	for i := range 4 {
		for _, k := range []string{"a", "b/1", "b/2", "c d", "ü"} {
			if v.put(k, fmt.Sprint(k, i)); i == 2 && k == "c d" {
				v.delete(k, nil)
				want++
			}
			want++
		}
	}
	full, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: v.bucket})
	if err != nil || len(full.Versions)+len(full.DeleteMarkers) != want || aws.ToBool(full.IsTruncated) ||
		*full.MaxKeys != 1000 {
		t.Fatalf("%+v %v", full, err)
	}
	o := full.Versions[0]
	if *o.Key != "a" || !*o.IsLatest || *o.Size != 2 || o.StorageClass != "STANDARD" || o.Owner == nil ||
		o.ETag == nil || o.LastModified == nil ||
		o.ChecksumType != "FULL_OBJECT" || len(
		o.ChecksumAlgorithm,
	) != 1 || o.RestoreStatus != nil || v.get("a", o.VersionId) != "a3" {
		t.Errorf("%+v", o)
	}
	if m := full.DeleteMarkers[0]; *m.Key != "c d" || *m.IsLatest || m.Owner == nil || m.LastModified == nil {
		t.Errorf("%+v", m)
	}
	for _, max := range []int32{1, 2, 3, 7, 1000} {
		for i, delimiter := range []string{"", "/"} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				n, prefixes := 0, 0
				pages := s3.NewListObjectVersionsPaginator(s.S3, &s3.ListObjectVersionsInput{
					Bucket: v.bucket, MaxKeys: &max, Delimiter: &delimiter,
				})
				for pages.HasMorePages() {
					page, err := pages.NextPage(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					if m := len(page.Versions) + len(page.DeleteMarkers) + len(page.CommonPrefixes); m > int(max) {
						t.Errorf("a page of %d has %d entries", max, m)
					}
					n += len(page.Versions) + len(page.DeleteMarkers)
					prefixes += len(page.CommonPrefixes)
				}
				if delimiter == "" && (n != want || prefixes != 0) ||
					delimiter == "/" && (n != want-8 || prefixes != 1) {
					t.Errorf("max-keys %d, delimiter %q: %d versions, %d prefixes", max, delimiter, n, prefixes)
				}
			})
		}
	}
	enc, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
		Bucket: v.bucket, EncodingType: "url", Prefix: aws.String("c d"), MaxKeys: aws.Int32(1),
	})
	if err != nil || *enc.Versions[0].Key != "c+d" || *enc.Prefix != "c+d" || *enc.NextKeyMarker != "c+d" ||
		*enc.NextVersionIdMarker != *enc.Versions[0].VersionId {
		t.Errorf("%+v %v", enc, err)
	}
	for query, want := range map[string]string{
		"version-id-marker=null":                     "400 InvalidArgument",
		"version-id-marker=":                         "400 InvalidArgument",
		"key-marker=a&version-id-marker=":            "400 InvalidArgument",
		"key-marker=&version-id-marker=null":         "400 InvalidArgument",
		"key-marker=a&version-id-marker=nonsense":    "400 InvalidArgument",
		"key-marker=a&version-id-marker=null":        "200 ",
		"key-marker=nobody&version-id-marker=null":   "200 ",
		"max-keys=-1":                                "400 InvalidArgument",
		"max-keys=x":                                 "400 InvalidArgument",
		"encoding-type=base64":                       "400 InvalidArgument",
		"max-keys=0":                                 "200 ",
		"key-marker=" + strings.Repeat("k", 3000):    "200 ",
		"prefix=a%00&key-marker=a%00z&delimiter=%00": "200 ",
		"key-marker=a%00zz&version-id-marker=" + aws.ToString(o.VersionId): "200 ",
	} {
		t.Run(fmt.Sprintf("%.60s", query), func(t *testing.T) {
			a := send(t, s, raw{method: "GET", target: "/list-versions?versions&" + query})
			if got := fmt.Sprint(a.status, " ", a.code); got != want {
				t.Errorf("%s: %s, want %s", query, got, want)
			}
			if query == "max-keys=0" && !strings.Contains(a.body, "<IsTruncated>false</IsTruncated>") {
				t.Errorf("%s", a.body)
			}
		})
	}
}

// TestVersionsAreOneSequence: versions and markers are interleaved on the wire.
func TestVersionsAreOneSequence(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "sequence")
	v.turn("Enabled")
	v.put("k", "1")
	v.delete("k", nil)
	v.put("k", "2")
	a := send(t, s, raw{method: "GET", target: "/sequence?versions"})
	first, marker, last := strings.Index(a.body, "<Version>"), strings.Index(a.body,
		"<DeleteMarker>"), strings.LastIndex(a.body, "<Version>")
	if a.status != 200 || first < 0 || marker < first || last < marker ||
		!strings.Contains(a.body, "<ListVersionsResult xmlns=") || strings.Contains(a.body, "<Entries>") {
		t.Errorf("%s", a.body)
	}
}

// TestEmptyAVersionedBucket lists and deletes page by page, as clients do.
func TestEmptyAVersionedBucket(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "emptied")
	v.put("k", "null")
	v.turn("Enabled")
	for i := range 5 {
		v.put("k", fmt.Sprint(i))
		v.delete("k", nil)
	}
	in := &s3.ListObjectVersionsInput{Bucket: v.bucket, MaxKeys: aws.Int32(2)}
	for range 20 {
		page, err := s.S3.ListObjectVersions(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Versions {
			v.delete(*o.Key, o.VersionId)
		}
		for _, o := range page.DeleteMarkers {
			v.delete(*o.Key, o.VersionId)
		}
		if !*page.IsTruncated {
			break
		}
		in.KeyMarker, in.VersionIdMarker = page.NextKeyMarker, page.NextVersionIdMarker
	}
	if _, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: v.bucket}); err != nil {
		t.Error(err)
	}
}

// TestVersionsOfLargeObjects: the bytes of replaced versions are removed, those of kept ones stay.
func TestVersionsOfLargeObjects(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "large")
	v.turn("Enabled")
	bodies := [][]byte{randomBody(300_000), randomBody(200_000)}
	ids := []string{v.put("k", string(bodies[0])), v.put("k", string(bodies[1]))}
	for i, id := range ids {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			out, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{
				Bucket: v.bucket, Key: aws.String("k"), VersionId: &id, Range: aws.String("bytes=100-199999"),
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(out.Body)
			if err != nil || !bytes.Equal(got, bodies[i][100:200_000]) || *out.VersionId != id {
				t.Errorf("version %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	v.delete("k", &ids[1])
	if got := v.get("k", nil); got != string(bodies[0]) {
		t.Errorf("%d bytes", len(got))
	}
}
