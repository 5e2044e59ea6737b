package e2e

import (
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"watertight/internal/server"
	"watertight/test/harness"
)

const asOfHeader = "X-Watertight-As-Of"

// asOf makes an SDK client add the header to its requests.
func asOf(at time.Time) func(*s3.Options) {
	return s3.WithAPIOptions(smithyhttp.SetHeaderValue(asOfHeader, at.UTC().Format(time.RFC3339Nano)))
}

func versionedBucket(t *testing.T, s *harness.Server, name string) string {
	t.Helper()
	bucket := *newBucket(t, s, name)
	if _, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	return bucket
}

// pastBucket is a bucket that was overwritten and emptied after an instant.
type pastBucket struct {
	s       *harness.Server
	bucket  string
	before  time.Time // before any object
	at      time.Time // with all objects
	version string    // the key's version at that time
	marker  string
}

func newPast(t *testing.T) *pastBucket {
	t.Helper()
	s := harness.Start(t, func(c *server.Config) { c.AllowCustomerKeys = true })
	p := &pastBucket{s: s, bucket: versionedBucket(t, s, "past"), before: time.Now()}
	put := func(key, text string) string {
		out, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &p.bucket, Key: &key, Body: strings.NewReader(text), Metadata: map[string]string{"m": text},
		})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.VersionId)
	}
	p.version = put("key", "yesterday's text")
	for i := range 5 {
		put(fmt.Sprintf("folder/%d", i), "x")
	}
	p.at = time.Now()
	put("key", "garbage")
	put("late/1", "x")
	for i := range 5 {
		if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
			Bucket: &p.bucket, Key: aws.String(fmt.Sprintf("folder/%d", i)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	out, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &p.bucket, Key: aws.String("key")})
	if err != nil {
		t.Fatal(err)
	}
	p.marker = *out.VersionId
	return p
}

// TestThePastIsNotCached: no answer about the past, not even an error, may be stored by a cache:
// neither the object's own Cache-Control nor one that the request asks for is sent. Answers about the
// present do not change.
func TestThePastIsNotCached(t *testing.T) {
	p := newPast(t)
	ctx, key := t.Context(), aws.String("cached")
	in := s3.PutObjectInput{
		Bucket: &p.bucket, Key: key, CacheControl: aws.String("max-age=9"), Body: strings.NewReader("x"),
	}
	if _, err := p.s.S3.PutObject(ctx, &in); err != nil {
		t.Fatal(err)
	}
	if _, err := p.s.S3.PutBucketCors(ctx, &s3.PutBucketCorsInput{
		Bucket: &p.bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
			AllowedOrigins: []string{"https://a.example"}, AllowedMethods: []string{"GET"},
		}}},
	}); err != nil {
		t.Fatal(err)
	}
	now := time.Now().Format(time.RFC3339Nano)
	for name, c := range map[string]struct {
		method, target, at string
		status             int
		without            string // Cache-Control of the same request about the present
	}{
		"an object":              {"GET", "/past/cached", now, 200, "max-age=9"},
		"its head":               {"HEAD", "/past/cached", now, 200, "max-age=9"},
		"with another directive": {"GET", "/past/cached?response-cache-control=public", now, 200, "public"},
		"a list":                 {"GET", "/past", now, 200, ""},
		"a list, version 2":      {"GET", "/past?list-type=2", now, 200, ""},
		"no object":              {"GET", "/past/none", now, 404, ""},
		"no time":                {"GET", "/past/cached", "yesterday", 400, "max-age=9"},
		"no such operation":      {"GET", "/past?policy", now, 501, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := raw{method: c.method, target: c.target, header: http.Header{"Origin": {"https://a.example"}}}
			a := send(t, p.s, r)
			if got := a.header.Get("Cache-Control"); got != c.without || strings.Contains(vary(a), "watertight") {
				t.Errorf("answer about the present: %q, %q", got, vary(a))
			}
			r.header.Set(asOfHeader, c.at)
			a = send(t, p.s, r)
			if a.status != c.status || a.header.Get("Cache-Control") != "no-store" ||
				!strings.Contains(vary(a), "x-watertight-as-of") {
				t.Errorf("%d %v", a.status, a.header)
			}
			if a.header.Get("Access-Control-Allow-Origin") != "" && !strings.Contains(vary(a), "Origin") {
				t.Errorf("Vary: %q", vary(a))
			}
		})
	}
}

func vary(a answer) string { return strings.Join(a.header["Vary"], ", ") }

// TestBrowseThePast: the SDK's client can add the header, and then reads and lists a bucket as it was.
func TestBrowseThePast(t *testing.T) {
	p := newPast(t)
	ctx, c, key := t.Context(), p.s.S3, aws.String("key")
	got, err := c.GetObject(ctx, &s3.GetObjectInput{
		Bucket: &p.bucket, Key: key, Range: aws.String("bytes=12-15"), ChecksumMode: types.ChecksumModeEnabled,
	}, asOf(p.at))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(got.Body)
	if err != nil || string(text) != "text" || aws.ToString(got.VersionId) != p.version ||
		got.Metadata["m"] != "yesterday's text" {
		t.Errorf("%q, %v, version %s, want %s", text, err, aws.ToString(got.VersionId), p.version)
	}
	head, err := c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.bucket, Key: key, IfMatch: got.ETag}, asOf(p.at))
	if err != nil || aws.ToString(head.VersionId) != p.version || *head.ContentLength != 16 {
		t.Errorf("%+v, %v", head, err)
	}
	_, err = c.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &p.bucket, Key: key, IfMatch: aws.String(`"other"`)},
		asOf(p.at))
	expect(t, err, "PreconditionFailed")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.bucket, Key: key}, asOf(p.before))
	expect(t, err, "NoSuchKey")
	_, err = c.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.bucket, Key: key}, asOf(time.Now().Add(-time.Microsecond)))
	expect(t, err, "NoSuchKey")

	for _, delimiter := range []string{"", "/"} {
		want := []string{"folder/0", "folder/1", "folder/2", "folder/3", "folder/4", "key"}
		if delimiter != "" {
			want = []string{"folder/", "key"}
		}
		var v1, v2 []string
		pages := s3.NewListObjectsV2Paginator(c, &s3.ListObjectsV2Input{
			Bucket: &p.bucket, Delimiter: &delimiter, MaxKeys: aws.Int32(2),
		})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx, asOf(p.at))
			if err != nil {
				t.Fatal(err)
			}
			v2 = append(v2, names(page.CommonPrefixes, page.Contents)...)
		}
		in := &s3.ListObjectsInput{Bucket: &p.bucket, Delimiter: &delimiter, MaxKeys: aws.Int32(2)}
		for {
			page, err := c.ListObjects(ctx, in, asOf(p.at))
			if err != nil {
				t.Fatal(err)
			}
			v1 = append(v1, names(page.CommonPrefixes, page.Contents)...)
			if in.Marker = page.NextMarker; !aws.ToBool(page.IsTruncated) {
				break
			}
		}
		if !slices.Equal(v1, want) || !slices.Equal(v2, want) {
			t.Errorf("delimiter %q: %q and %q, want %q", delimiter, v1, v2, want)
		}
	}
	if a := send(t, p.s, raw{
		method: "GET", target: "/past/key", header: http.Header{asOfHeader: {fmt.Sprintf("%d.%06d", p.at.Unix(),
			p.at.Nanosecond()/1000)}},
	}); a.status != 200 || a.body != "yesterday's text" {
		t.Errorf("with Unix seconds: %+v", a)
	}
}

func names(prefixes []types.CommonPrefix, objects []types.Object) (all []string) {
	for _, p := range prefixes {
		all = append(all, *p.Prefix)
	}
	for _, o := range objects {
		all = append(all, *o.Key)
	}
	return all
}

// TestPastOfCustomersKeys: an old version needs the customer's key that it was encrypted with.
func TestPastOfCustomersKeys(t *testing.T) {
	p := newPast(t)
	secret := strings.Repeat("k", 32)
	sum := md5.Sum([]byte(secret))
	alg, key := aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString([]byte(secret)))
	sums := aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	if _, err := p.s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String("sealed"), Body: strings.NewReader("text"), SSECustomerAlgorithm: alg,
		SSECustomerKey: key, SSECustomerKeyMD5: sums,
	}); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	if _, err := p.s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String("sealed"), Body: strings.NewReader("plain"),
	}); err != nil {
		t.Fatal(err)
	}
	in := &s3.GetObjectInput{Bucket: &p.bucket, Key: aws.String("sealed")}
	_, err := p.s.S3.GetObject(t.Context(), in, asOf(at))
	expect(t, err, "InvalidRequest")
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = alg, key, sums
	got, err := p.s.S3.GetObject(t.Context(), in, asOf(at))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(got.Body); err != nil || string(text) != "text" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestPastUnderKMS: an old version opens with its own key, although newer ones are encrypted otherwise.
func TestPastUnderKMS(t *testing.T) {
	p := newPast(t)
	in := &s3.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String("kms"), Body: strings.NewReader("text"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKms,
	}
	if _, err := p.s.S3.PutObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	in.Body, in.ServerSideEncryption = strings.NewReader("other"), types.ServerSideEncryptionAes256
	if _, err := p.s.S3.PutObject(t.Context(), in); err != nil {
		t.Fatal(err)
	}
	got, err := p.s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &p.bucket, Key: in.Key}, asOf(at))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(got.Body); err != nil || string(text) != "text" ||
		got.ServerSideEncryption != types.ServerSideEncryptionAwsKms {
		t.Errorf("%q, %v, %s", text, err, got.ServerSideEncryption)
	}
}

// TestWhoMayReadThePast: a request with the header needs the permissions for versions, on the version
// that was current then. The permissions for objects are not enough.
func TestWhoMayReadThePast(t *testing.T) {
	p := newPast(t)
	if _, err := p.s.S3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{
		Bucket: &p.bucket, Key: aws.String("key"), VersionId: &p.version,
		Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("was"), Value: aws.String("secret")}}},
	}); err != nil {
		t.Fatal(err)
	}
	_, c, _ := newUser(t, p.s, "reader")
	objects := `"Resource":["arn:aws:s3:::past","arn:aws:s3:::past/*"]`
	allow := func(actions, more string) string {
		return `{"Effect":"Allow","Action":[` + actions + `],` + objects + more + `}`
	}
	deny := func(actions, more string) string {
		return `,{"Effect":"Deny","Action":[` + actions + `],` + objects + more + `}`
	}
	all := allow(`"s3:*"`, "")
	for _, test := range []struct {
		name, statements string
		get, list, gone  string // codes of a read, a listing, and a read of a key that had no object
	}{
		{"objects only", allow(`"s3:GetObject","s3:ListBucket"`, ""), "AccessDenied", "AccessDenied", "AccessDenied"},
		{"versions only", allow(`"s3:GetObjectVersion","s3:ListBucketVersions"`, ""), "", "", "AccessDenied"},
		{"versions, and listing", allow(`"s3:GetObjectVersion","s3:ListBucket"`, ""), "", "AccessDenied", "NoSuchKey"},
		{"everything", all, "", "", "NoSuchKey"},
		{"no versions", all + deny(`"s3:GetObjectVersion"`, ""), "AccessDenied", "", "AccessDenied"},
		{"no listing of versions", all + deny(`"s3:ListBucketVersions"`, ""), "", "AccessDenied", "NoSuchKey"},
		{
			"not this version",
			all + deny(`"s3:GetObjectVersion"`, `,"Condition":{"StringEquals":{"s3:VersionId":"`+p.version+`"}}`),
			"AccessDenied", "", "NoSuchKey",
		},
		{
			"not its tags",
			all + deny(`"s3:GetObjectVersion"`, `,"Condition":{"StringEquals":{"s3:ExistingObjectTag/was":"secret"}}`),
			"AccessDenied", "", "NoSuchKey",
		},
		{
			"a prefix", allow(`"s3:ListBucketVersions"`, `,"Condition":{"StringEquals":{"s3:prefix":"folder/"}}`),
			"AccessDenied", "AccessDenied", "AccessDenied",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, err := rootIAM(p.s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
				UserName: aws.String("reader"), PolicyName: aws.String("p"),
				PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + test.statements + `]}`),
			}); err != nil {
				t.Fatal(err)
			}
			key := &s3.GetObjectInput{Bucket: &p.bucket, Key: aws.String("key")}
			_, err := c.GetObject(t.Context(), key, asOf(p.at))
			expect(t, err, test.get)
			_, err = c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &p.bucket}, asOf(p.at))
			expect(t, err, test.list)
			_, err = c.ListObjects(t.Context(), &s3.ListObjectsInput{Bucket: &p.bucket}, asOf(p.at))
			expect(t, err, test.list)
			for _, at := range []time.Time{p.before, time.Now().Add(-time.Microsecond)} { // never there; deleted
				_, err = c.GetObject(t.Context(), key, asOf(at))
				expect(t, err, test.gone)
			}
		})
	}
}

// TestPastIsNeverPassedOver: the header is refused on operations that don't have it, if it is
// malformed, and if it is not signed.
func TestPastIsNeverPassedOver(t *testing.T) {
	p := newPast(t)
	at := p.at.UTC().Format(time.RFC3339Nano)
	for _, c := range []struct {
		method, target, value string
		code                  string
	}{
		{"GET", "/past/key", "", "InvalidArgument"},
		{"GET", "/past/key", "yesterday", "InvalidArgument"},
		{"GET", "/past?list-type=2", "2026-02-30T00:00:00Z", "InvalidArgument"},
		{"GET", "/past", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "InvalidArgument"},
		{"GET", "/past/key", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "InvalidArgument"},
		{"GET", "/past/key?versionId=" + p.version, at, "InvalidArgument"},
		{"PUT", "/past/key", at, "NotImplemented"},
		{"DELETE", "/past/key", at, "NotImplemented"},
		{"POST", "/past/key?uploads", at, "NotImplemented"},
		{"GET", "/past/key?tagging", at, "NotImplemented"},
		{"GET", "/past/key?acl", at, "NotImplemented"},
		{"GET", "/past/key?attributes", at, "NotImplemented"},
		{"GET", "/past?versions", at, "NotImplemented"},
		{"GET", "/past?uploads", at, "NotImplemented"},
		{"GET", "/past?versioning", at, "NotImplemented"},
		{"POST", "/past?delete", at, "NotImplemented"},
		{"GET", "/", at, "NotImplemented"},
		{"DELETE", "/past", at, "NotImplemented"},
	} {
		t.Run(c.method+" "+c.target+" "+c.value, func(t *testing.T) {
			a := send(t, p.s, raw{
				method: c.method, target: c.target, header: http.Header{asOfHeader: {c.value}},
			})
			if a.code != c.code {
				t.Errorf("%d %s, want %s", a.status, a.body, c.code)
			}
		})
	}
	read := raw{method: "GET", target: "/past/key"}
	a := sendChanged(t, p.s, read, func(r *http.Request) { r.Header.Set(asOfHeader, at) })
	if a.code != "AccessDenied" || !strings.Contains(a.body, "x-watertight-as-of") {
		t.Errorf("unsigned: %d %s", a.status, a.body)
	}
	read.header = http.Header{asOfHeader: {at}}
	read.presign = true
	if a := send(t, p.s, read); a.status != 200 || a.body != "yesterday's text" {
		t.Errorf("presigned: %d %s", a.status, a.body)
	}
	if a := sendChanged(t, p.s, read, func(r *http.Request) { r.Header.Del(asOfHeader) }); a.status != 403 {
		t.Errorf("presigned, without the header: %d %s", a.status, a.body)
	}
	if a := send(t, p.s, raw{method: "GET", target: "/past/key?x-watertight-as-of=" + at}); a.status == 200 {
		t.Errorf("as a parameter: %s", a.body)
	}
	if a := send(t, p.s, raw{method: "GET", target: "/past/key", header: http.Header{asOfHeader: {at}}}); a.header.Get(
		"X-Amz-Version-Id") != p.version {
		t.Errorf("%+v", a.header)
	}
	now := time.Now().UTC().Format(time.RFC3339Nano)
	if a := send(t, p.s, raw{
		method: "GET", target: "/past/key", header: http.Header{asOfHeader: {now}},
	}); a.status != 404 || a.header.Get("X-Amz-Delete-Marker") != "true" ||
		a.header.Get("X-Amz-Version-Id") != p.marker {
		t.Errorf("of a delete marker: %d %+v", a.status, a.header)
	}
}
