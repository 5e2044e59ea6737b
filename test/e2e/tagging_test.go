package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

func tags(pairs ...string) (set []types.Tag) {
	for i := 0; i < len(pairs); i += 2 {
		set = append(set, types.Tag{Key: &pairs[i], Value: &pairs[i+1]})
	}
	return set
}

func spell(set []types.Tag) string {
	var all []string
	for _, t := range set {
		all = append(all, *t.Key+"="+*t.Value)
	}
	slices.Sort(all)
	return strings.Join(all, "&")
}

func (v *versioned) tags(key string, id *string) string {
	v.t.Helper()
	out, err := v.s.S3.GetObjectTagging(v.t.Context(), &s3.GetObjectTaggingInput{
		Bucket: v.bucket, Key: &key, VersionId: id,
	})
	if err != nil {
		v.t.Fatal(err)
	}
	return spell(out.TagSet)
}

func TestObjectTags(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "object-tags")
	key := aws.String("k")
	put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: v.bucket, Key: key, Body: strings.NewReader("text"), Tagging: aws.String("b=2&a+1=x%2Fy&c"),
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := v.tags("k", nil); got != "a 1=x/y&b=2&c=" {
		t.Errorf("tags of the header: %q", got)
	}
	count := func(want int32) {
		t.Helper()
		get, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: v.bucket, Key: key})
		if err != nil {
			t.Fatal(err)
		}
		get.Body.Close()
		head := send(t, s, raw{method: "HEAD", target: "/object-tags/k"})
		shown := head.header.Get("X-Amz-Tagging-Count")
		if aws.ToInt32(get.TagCount) != want || (want == 0) != (shown == "") || want > 0 && shown != fmt.Sprint(want) ||
			*get.ETag != *put.ETag {
			t.Errorf("count %d and %q, want %d", aws.ToInt32(get.TagCount), shown, want)
		}
	}
	count(3)
	out, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: v.bucket, Key: key, Tagging: &types.Tagging{TagSet: tags("new", "1")},
	})
	if err != nil || out.VersionId != nil || v.tags("k", nil) != "new=1" {
		t.Errorf("%+v %v %q", out, err, v.tags("k", nil))
	}
	count(1)
	if _, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: v.bucket, Key: key, Tagging: &types.Tagging{TagSet: []types.Tag{}},
	}); err != nil || v.tags("k", nil) != "" {
		t.Errorf("%v %q", err, v.tags("k", nil))
	}
	count(0)
	for range 2 {
		if _, err := s.S3.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{
			Bucket: v.bucket, Key: key,
		}); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: v.bucket, Key: key, Body: strings.NewReader("text"), Tagging: aws.String("x=1"),
	}); err != nil {
		t.Fatal(err)
	}
	v.put("k", "text")
	if got := v.tags("k", nil); got != "" {
		t.Errorf("an overwritten object keeps tags: %q", got)
	}
	_, err = s.S3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: v.bucket, Key: aws.String("absent")})
	wantCode(t, err, 404, "NoSuchKey")
}

func TestTagsOfVersions(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "version-tags")
	key := aws.String("k")
	v.put("k", "null")
	v.turn("Enabled")
	v1 := v.put("k", "one")
	v2 := v.put("k", "two")
	put := func(id *string, want string, set ...string) {
		t.Helper()
		out, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
			Bucket: v.bucket, Key: key, VersionId: id, Tagging: &types.Tagging{TagSet: tags(set...)},
		})
		if err != nil || aws.ToString(out.VersionId) != want {
			t.Errorf("%+v %v, want %q", out, err, want)
		}
	}
	put(&v1, v1, "of", "one")
	put(nil, v2, "of", "two")
	put(aws.String("null"), "null", "of", "null")
	if a, b, c := v.tags("k", &v1), v.tags("k", nil), v.tags("k", aws.String("null")); a != "of=one" || b != "of=two" ||
		c != "of=null" {
		t.Errorf("%q %q %q", a, b, c)
	}
	d, err := s.S3.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{
		Bucket: v.bucket, Key: key, VersionId: &v1,
	})
	if err != nil || *d.VersionId != v1 || v.tags("k", &v1) != "" || v.tags("k", &v2) != "of=two" {
		t.Errorf("%+v %v", d, err)
	}
	marker := v.delete("k", nil).VersionId
	for _, id := range []*string{nil, marker} {
		_, err := s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
			Bucket: v.bucket, Key: key, VersionId: id, Tagging: &types.Tagging{TagSet: tags("a", "b")},
		})
		wantCode(t, err, 405, "MethodNotAllowed")
		_, err = s.S3.DeleteObjectTagging(t.Context(), &s3.DeleteObjectTaggingInput{
			Bucket: v.bucket, Key: key, VersionId: id,
		})
		wantCode(t, err, 405, "MethodNotAllowed")
		_, err = s.S3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{
			Bucket: v.bucket, Key: key, VersionId: id,
		})
		wantCode(t, err, 405, "MethodNotAllowed")
	}
	_, err = s.S3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{
		Bucket: v.bucket, Key: key, VersionId: aws.String("nonsense"),
	})
	wantCode(t, err, 400, "InvalidArgument")
	v.delete("k", &v1)
	_, err = s.S3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: v.bucket, Key: key, VersionId: &v1})
	wantCode(t, err, 404, "NoSuchVersion")
}

// TestTagRefusals sends requests that no client library would.
func TestTagRefusals(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "tag-refusals")
	if a := send(t, s, raw{method: "PUT", target: "/tag-refusals/k", body: "x"}); a.status != 200 {
		t.Fatal(a.status)
	}
	doc := func(pairs ...string) string {
		b := "<Tagging><TagSet>"
		for i := 0; i < len(pairs); i += 2 {
			b += "<Tag><Key>" + pairs[i] + "</Key><Value>" + pairs[i+1] + "</Value></Tag>"
		}
		return b + "</TagSet></Tagging>"
	}
	many := func(n int) (pairs []string) {
		for i := range n {
			pairs = append(pairs, fmt.Sprint("k", i), "v")
		}
		return pairs
	}
	put := func(target, body string) answer {
		r := raw{method: "PUT", target: target, body: body, header: http.Header{}}
		r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(body)))
		return send(t, s, r)
	}
	for name, c := range map[string]struct{ body, object, bucket string }{
		"ten":        {doc(many(10)...), "200 ", "204 "},
		"eleven":     {doc(many(11)...), "400 BadRequest", "204 "},
		"fifty":      {doc(many(50)...), "400 BadRequest", "204 "},
		"fifty-one":  {doc(many(51)...), "400 BadRequest", "400 BadRequest"},
		"twice":      {doc("k", "1", "k", "2"), "400 InvalidTag", "400 InvalidTag"},
		"aws:":       {doc("aws:k", "1"), "400 InvalidTag", "400 InvalidTag"},
		"no key":     {doc("", "1"), "400 InvalidTag", "400 InvalidTag"},
		"long key":   {doc(strings.Repeat("k", 129), "1"), "400 InvalidTag", "400 InvalidTag"},
		"long value": {doc("k", strings.Repeat("v", 257)), "400 InvalidTag", "400 InvalidTag"},
		"character":  {doc("k", "a&lt;b"), "400 InvalidTag", "400 InvalidTag"},
		"without a value": {
			"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>", "400 MalformedXML", "400 MalformedXML",
		},
		"without a key": {
			"<Tagging><TagSet><Tag><Value>k</Value></Tag></TagSet></Tagging>", "400 MalformedXML", "400 MalformedXML",
		},
		"without a TagSet": {"<Tagging></Tagging>", "400 MalformedXML", "400 MalformedXML"},
		"another root":     {"<TagSet></TagSet>", "400 MalformedXML", "400 MalformedXML"},
		"no XML":           {"k=v", "400 MalformedXML", "400 MalformedXML"},
		"nothing":          {"", "400 MissingRequestBodyError", "400 MissingRequestBodyError"},
	} {
		t.Run(name, func(t *testing.T) {
			for target, want := range map[string]string{
				"/tag-refusals/k?tagging": c.object, "/tag-refusals?tagging": c.bucket,
			} {
				if a := put(target, c.body); fmt.Sprint(a.status, " ", a.code) != want {
					t.Errorf("%s, %s: %d %s, want %s", target, name, a.status, a.code, want)
				}
			}
		})
	}
	if a := put("/tag-refusals/k?tagging", doc("aws:k", "1")); !strings.Contains(a.body, "<TagKey>aws:k</TagKey>") {
		t.Error(a.body)
	}
	for _, target := range []string{"/tag-refusals/k?tagging", "/tag-refusals?tagging"} {
		if a := send(t, s, raw{
			method: "PUT", target: target, body: doc("k", "v"),
		}); a.status != 400 || a.code != "InvalidRequest" {
			t.Errorf("%s without a checksum: %d %s", target, a.status, a.code)
		}
	}
	for header, want := range map[string]string{
		"a=1&a=2": "400 InvalidArgument", "a=%zz": "400 InvalidArgument", "aws:a=1": "400 InvalidTag",
		"a=%3C":                 "400 InvalidTag",
		"a&b&c&d&e&f&g&h&i&j&k": "400 BadRequest", "": "200 ", "&": "200 ", url.QueryEscape("key é") + "=1": "200 ",
	} {
		t.Run(header, func(t *testing.T) {
			a := send(t, s, raw{
				method: "PUT", target: "/tag-refusals/other", body: "x", header: http.Header{"X-Amz-Tagging": {header}},
			})
			if got := fmt.Sprint(a.status, " ", a.code); got != want {
				t.Errorf("header %q: %s, want %s", header, got, want)
			}
		})
	}
}

func TestBucketTags(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "bucket-tags")
	_, err := s.S3.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: bucket})
	wantCode(t, err, 404, "NoSuchTagSet")
	read := func() string {
		t.Helper()
		out, err := s.S3.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: bucket})
		if err != nil {
			t.Fatal(err)
		}
		return spell(out.TagSet)
	}
	for _, set := range [][]types.Tag{tags("team", "blue", "cost centre", "7"), tags("é", "")} {
		if _, err := s.S3.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{
			Bucket: bucket, Tagging: &types.Tagging{TagSet: set},
		}); err != nil || read() != spell(set) {
			t.Errorf("%v %q", err, read())
		}
	}
	if _, err := s.S3.DeleteBucketTagging(t.Context(), &s3.DeleteBucketTaggingInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
	_, err = s.S3.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: bucket})
	wantCode(t, err, 404, "NoSuchTagSet")
	_, err = s.S3.DeleteBucketTagging(t.Context(), &s3.DeleteBucketTaggingInput{Bucket: aws.String("absent")})
	wantCode(t, err, 404, "NoSuchBucket")

	bucket = aws.String("made-with-tags")
	create := func(set []types.Tag) error {
		_, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{
			Bucket: bucket, CreateBucketConfiguration: &types.CreateBucketConfiguration{Tags: set},
		})
		return err
	}
	wantCode(t, create(tags("aws:team", "blue")), 400, "InvalidTag")
	wantCode(t, create(tags("k", "1", "k", "2")), 400, "InvalidTag")
	_, err = s.S3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
	wantCode(t, err, 404, "")
	if err := create(tags("team", "blue")); err != nil || read() != "team=blue" {
		t.Errorf("%v", err)
	}
}

// TestTagsOfForms: a form has the tags in an XML document.
func TestTagsOfForms(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "form-tags")
	for tagging, want := range map[string]string{
		"<Tagging><TagSet><Tag><Key>a " +
			"b</Key><Value>x&amp;=</Value></Tag></TagSet></Tagging>": "400 InvalidTag",
		"<Tagging><TagSet><Tag><Key>a " +
			"b</Key><Value>x+=/</Value></Tag></TagSet></Tagging>": "204 ",
		"<Tagging><TagSet><Tag><Key>k</Key><Value>1</Value></Tag>" +
			"<Tag><Key>k</Key><Value>2</Value></Tag></TagSet></Tagging>": "400 InvalidTag",
		"<Tagging><TagSet/></Tagging>": "204 ",
		"k=v":                          "400 MalformedXML",
	} {
		t.Run(fmt.Sprintf("%.60s", tagging), func(t *testing.T) {
			a := send(t,
				s, post{
					bucket: *v.bucket, file: "text", fields: map[string]string{"key": "k", "tagging": tagging},
				}.build(t, s))
			if got := fmt.Sprint(a.status, " ", a.code); got != want {
				t.Errorf("%s: %s, want %s", tagging, got, want)
			}
			if strings.Contains(tagging, "x+=/") && v.tags("k", nil) != "a b=x+=/" {
				t.Errorf("%q", v.tags("k", nil))
			}
		})
	}
}

// TestStorageClasses: classes that the server can implement are stored and returned; archive classes
// are refused.
func TestStorageClasses(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "classes")
	for _, c := range types.StorageClass("").Values() {
		key := string(c)
		_, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &key, Body: strings.NewReader("x"), StorageClass: c,
		})
		switch c {
		case "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR":
		default:
			wantCode(t, err, 400, "InvalidStorageClass")
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &key})
		if err != nil || head.StorageClass != c && !(c == "STANDARD" && head.StorageClass == "") {
			t.Errorf("%s: %q %v", c, head.StorageClass, err)
		}
		list, err := s.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{
			Bucket: bucket, Prefix: &key, MaxKeys: aws.Int32(1),
		})
		if err != nil || len(list.Versions) != 1 || string(list.Versions[0].StorageClass) != key {
			t.Errorf("%s: %+v %v", c, list.Versions, err)
		}
	}
	a := send(t, s, raw{
		method: "PUT", target: "/classes/k", body: "x", header: http.Header{"X-Amz-Storage-Class": {"standard"}},
	})
	if a.status != 400 || a.code != "InvalidStorageClass" {
		t.Errorf("%d %s", a.status, a.code)
	}
}
