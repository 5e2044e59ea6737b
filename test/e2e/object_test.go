package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// wantCode fails the test unless err is an S3 error with this status and code; HEAD answers have no
// code.
func wantCode(t *testing.T, err error, status int, code string) {
	t.Helper()
	var re *awshttp.ResponseError
	if !errors.As(err, &re) {
		t.Errorf("got %v, want %d %s", err, status, code)
		return
	}
	var ae smithy.APIError
	errors.As(err, &ae)
	if re.HTTPStatusCode() != status || (code != "" && (ae == nil || ae.ErrorCode() != code)) {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func newBucket(t *testing.T, s *harness.Server, name string) *string {
	t.Helper()
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name}); err != nil {
		t.Fatal(err)
	}
	return &name
}

func TestObjectRoundTrip(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "round-trip")
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, size := range []int{0, 1, 1000, 16 << 10, 16<<10 + 1, 64 << 10, 64<<10 + 1, 3 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key := fmt.Sprintf("size/%d", size)
			body := randomBody(size)
			put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: bucket, Key: &key, Body: bytes.NewReader(body), ContentType: aws.String("text/x-test"),
				CacheControl:    aws.String("no-store"),
				ContentLanguage: aws.String("de"), ContentEncoding: aws.String("identity"),
				ContentDisposition: aws.String("attachment"),
				Expires:            &expires, Metadata: map[string]string{"colour": "blue"},
				StorageClass: types.StorageClassStandardIa,
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`"%x"`, md5Of(string(body))); *put.ETag != want ||
				put.ServerSideEncryption != "AES256" {
				t.Errorf("%s: ETag %s, want %s; encryption %s", key, *put.ETag, want, put.ServerSideEncryption)
			}
			got, err := readObject(t.Context(), s.S3, bucket, key)
			if err != nil || !bytes.Equal(got, body) {
				t.Fatalf("%s: %d bytes, %v", key, len(got), err)
			}
			head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			if *head.ContentLength != int64(size) || *head.ETag != *put.ETag || *head.ContentType != "text/x-test" ||
				*head.CacheControl != "no-store" ||
				*head.ContentLanguage != "de" ||
				*head.ContentDisposition != "attachment" || head.Metadata["colour"] != "blue" ||
				head.StorageClass != types.StorageClassStandardIa ||
				*head.AcceptRanges != "bytes" || *head.ExpiresString != expires.Format(http.TimeFormat) {
				t.Errorf("%s: head says %+v", key, head)
			}
		})
	}
}

func TestRanges(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "ranges")
	for _, size := range []int{100, 300_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key := fmt.Sprint(size)
			body := randomBody(size)
			if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: bucket, Key: &key, Body: bytes.NewReader(body),
			}); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				header     string
				from, to   int
				wantStatus int
			}{
				{"bytes=0-9", 0, 10, 206}, {"bytes=5-", 5, size, 206}, {"bytes=-7", size - 7, size, 206},
				{"bytes=0-99999999", 0, size, 206},
				{"bytes=-99999999", 0, size, 206}, {fmt.Sprintf("bytes=%d-%d", size-1, size-1), size - 1, size, 206},
				{"bytes=1-0", 0, size, 200}, {"bytes=0-1,3-4", 0, size, 200}, {"bytes=-", 0, size, 200},
				{"lines=0-1", 0, size, 200}, {"bytes=0--1", 0, size, 200},
			} {
				a := send(t, s, raw{method: "GET", target: "/ranges/" + key, header: http.Header{"Range": {c.header}}})
				if a.status != c.wantStatus || a.body != string(body[c.from:c.to]) {
					t.Errorf("%s of %d: %d, %d bytes", c.header, size, a.status, len(a.body))
				}
				if want := fmt.Sprintf("bytes %d-%d/%d", c.from, c.to-1, size); c.wantStatus == 206 &&
					a.header.Get("Content-Range") != want {
					t.Errorf("%s of %d: Content-Range %q, want %q", c.header, size, a.header.Get("Content-Range"), want)
				}
			}
			for _, h := range []string{"bytes=-0", fmt.Sprintf("bytes=%d-", size)} {
				if a := send(t, s, raw{
					method: "GET", target: "/ranges/" + key, header: http.Header{"Range": {h}},
				}); a.status != 416 || a.code != "InvalidRange" {
					t.Errorf("%s of %d: %d %s", h, size, a.status, a.code)
				}
			}
		})
	}
}

func TestReadConditions(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "conditions")
	put, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("content"),
	})
	if err != nil {
		t.Fatal(err)
	}
	etag := *put.ETag
	modified := send(t, s, raw{method: "HEAD", target: "/conditions/k"}).header.Get("Last-Modified")
	past, future := "Mon, 01 Jan 2001 00:00:00 GMT", time.Now().Add(24*time.Hour).UTC().Format(http.TimeFormat)
	for i, c := range []struct {
		header http.Header
		want   int
	}{
		{http.Header{"If-Match": {etag}}, 200},
		{http.Header{"If-Match": {strings.Trim(etag, `"`)}}, 200},
		{http.Header{"If-Match": {"*"}}, 200},
		{http.Header{"If-Match": {`"other"`}}, 412},
		{http.Header{"If-None-Match": {etag}}, 304},
		{http.Header{"If-None-Match": {`"other"`}}, 200},
		{http.Header{"If-Modified-Since": {past}}, 200},
		{http.Header{"If-Modified-Since": {modified}}, 304},
		{http.Header{"If-Modified-Since": {future}}, 200},
		{http.Header{"If-Unmodified-Since": {past}}, 412},
		{http.Header{"If-Unmodified-Since": {future}}, 200},
		{http.Header{"If-Match": {etag}, "If-Unmodified-Since": {past}}, 200},
		{http.Header{"If-None-Match": {etag}, "If-Modified-Since": {past}}, 304},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, method := range []string{"GET", "HEAD"} {
				a := send(t, s, raw{method: method, target: "/conditions/k", header: c.header})
				if a.status != c.want {
					t.Errorf("%s %v: %d, want %d", method, c.header, a.status, c.want)
				}
				if a.status == 304 && a.body != "" {
					t.Errorf("304 with a body: %q", a.body)
				}
			}
		})
	}
}

func TestResponseOverrides(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "overrides")
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x"),
	}); err != nil {
		t.Fatal(err)
	}
	a := send(t, s, raw{
		method: "GET",
		target: "/overrides/k?response-content-type=text%2Fplain&response-cache-control=no-cache&response-content-disposition=inline&response-content-language=fr&response-content-encoding=x&response-expires=0",
	})
	for h, want := range map[string]string{
		"Content-Type": "text/plain", "Cache-Control": "no-cache", "Content-Disposition": "inline",
		"Content-Language": "fr", "Content-Encoding": "x", "Expires": "0",
	} {
		t.Run(h, func(t *testing.T) {
			if a.header.Get(h) != want {
				t.Errorf("%s is %q, want %q", h, a.header.Get(h), want)
			}
		})
	}
	if a := send(t, s, raw{
		method: "GET", target: "/overrides/k?response-content-type=a%0D%0AX-Evil:1",
	}); a.status != 400 || a.header.Get("X-Evil") != "" {
		t.Errorf("an override with a line break: %d", a.status)
	}
}

func TestDeletes(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "deletes")
	for i := range 20 {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String(fmt.Sprint(i)), Body: bytes.NewReader(randomBody(i * 3000)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket})
	wantCode(t, err, 409, "BucketNotEmpty")
	for _, k := range []string{"0", "0", "never-stored"} {
		if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &k}); err != nil {
			t.Errorf("delete %q: %v", k, err)
		}
	}
	_, err = s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("0")})
	wantCode(t, err, 404, "NoSuchKey")
	_, err = s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("0")})
	wantCode(t, err, 404, "")
	var many []types.ObjectIdentifier
	for i := range 20 {
		many = append(many, types.ObjectIdentifier{Key: aws.String(fmt.Sprint(i))})
	}
	out, err := s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: many},
	})
	if err != nil || len(out.Deleted) != 20 || len(out.Errors) != 0 {
		t.Fatalf("%+v, %v", out, err)
	}
	quiet, err := s.S3.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: many, Quiet: aws.Bool(true)},
	})
	if err != nil || len(quiet.Deleted) != 0 {
		t.Errorf("quiet: %+v, %v", quiet, err)
	}
	if _, err := s.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
	_, err = s.S3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket})
	wantCode(t, err, 404, "")
	_, err = s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("0")})
	wantCode(t, err, 404, "NoSuchBucket")
}

func TestListing(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "listing")
	for _, k := range []string{"a", "b/1", "b/2", "b/c/3", "d", "e/1", "f"} {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &k, Body: strings.NewReader(k),
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, max := range []int32{1, 2, 3, 1000} {
		t.Run(fmt.Sprint(max), func(t *testing.T) {
			var seen []string
			pages := s3.NewListObjectsV2Paginator(s.S3, &s3.ListObjectsV2Input{
				Bucket: bucket, Delimiter: aws.String("/"), MaxKeys: &max,
			})
			for pages.HasMorePages() {
				page, err := pages.NextPage(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if n := len(page.Contents) + len(page.CommonPrefixes); n > int(max) || *page.KeyCount != int32(n) {
					t.Errorf("a page of %d has %d keys, KeyCount %d", max, n, *page.KeyCount)
				}
				for _, o := range page.Contents {
					seen = append(seen, *o.Key)
				}
				for _, p := range page.CommonPrefixes {
					seen = append(seen, *p.Prefix)
				}
			}
			if len(seen) != 5 {
				t.Errorf("max-keys %d: %q", max, seen)
			}
		})
	}
	v1, err := s.S3.ListObjects(t.Context(), &s3.ListObjectsInput{
		Bucket: bucket, Prefix: aws.String("b/"), Delimiter: aws.String("/"), MaxKeys: aws.Int32(2),
	})
	if err != nil || len(v1.Contents) != 2 || !*v1.IsTruncated || *v1.NextMarker != "b/2" ||
		v1.Contents[0].Owner == nil {
		t.Errorf("version 1: %+v, %v", v1, err)
	}
	v1, err = s.S3.ListObjects(t.Context(), &s3.ListObjectsInput{
		Bucket: bucket, Prefix: aws.String("b/"), Delimiter: aws.String("/"), Marker: v1.NextMarker,
	})
	if err != nil || len(v1.Contents) != 0 || len(v1.CommonPrefixes) != 1 || *v1.IsTruncated {
		t.Errorf("version 1, second page: %+v, %v", v1, err)
	}
	v2, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: bucket, StartAfter: aws.String("d"), MaxKeys: aws.Int32(0),
	})
	if err != nil || len(v2.Contents) != 0 || *v2.IsTruncated {
		t.Errorf("max-keys 0: %+v, %v", v2, err)
	}
	v2, err = s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
		Bucket: bucket, StartAfter: aws.String("d"), FetchOwner: aws.Bool(true),
	})
	if err != nil || len(v2.Contents) != 2 || v2.Contents[0].Owner == nil || *v2.StartAfter != "d" {
		t.Errorf("start-after: %+v, %v", v2, err)
	}
}

func TestBuckets(t *testing.T) {
	s := harness.Start(t)
	for i := range 5 {
		newBucket(t, s, fmt.Sprintf("page-%d", i))
	}
	newBucket(t, s, "other")
	var names []string
	pages := s3.NewListBucketsPaginator(s.S3, &s3.ListBucketsInput{
		Prefix: aws.String("page-"), MaxBuckets: aws.Int32(2),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range page.Buckets {
			names = append(names, *b.Name)
		}
	}
	if got := strings.Join(names, " "); got != "page-0 page-1 page-2 page-3 page-4" {
		t.Errorf("listed %q", got)
	}
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("other")}); err != nil {
		t.Errorf("creating it again in us-east-1: %v", err)
	}
	_, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String("other"), ObjectOwnership: types.ObjectOwnershipObjectWriter,
	})
	wantCode(t, err, 409, "BucketAlreadyOwnedByYou")
	loc, err := s.S3.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: aws.String("other")})
	if err != nil || loc.LocationConstraint != "" {
		t.Errorf("location %q, %v; us-east-1 is the empty location", loc.LocationConstraint, err)
	}
	_, err = s.S3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("absent")})
	wantCode(t, err, 404, "")
	_, err = s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("absent"), Key: aws.String("k"), Body: strings.NewReader(""),
	})
	wantCode(t, err, 404, "NoSuchBucket")
}
