package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestEncryptionVectors: decisions about encryption that were recorded from AWS or are on its pages, by
// their numbers in this project. E10 and E25 to E30 are about KMS alone; its own tests have them.
func TestEncryptionVectors(t *testing.T) {
	c := newSSECast(t)
	for i, v := range []struct {
		name string
		run  func(c sseCast, bucket string)
	}{
		{"E1 no setting: AES256", vectorNoSetting},
		{"E2 default with a bucket key: the bucket is the context", func(c sseCast, b string) {
			vectorContext(c, b,
				true)
		}},
		{"E3 default without one: the object is the context", func(c sseCast, b string) { vectorContext(c, b, false) }},
		{"E4 no kms:GenerateDataKey: no PUT", func(c sseCast, b string) { vectorPut(c, b, 403, "s3:PutObject") }},
		{"E5 no kms:Decrypt: no GET", vectorGet},
		{"E6 kms:Encrypt is not enough", func(c sseCast, b string) {
			vectorPut(c, b, 403, "s3:PutObject",
				"kms:Encrypt")
		}},
		{"E7 a part needs both", vectorPart},
		{"E8 the key policy delegates to IAM", func(c sseCast, b string) {
			vectorPut(c, b, 200, "s3:PutObject", "kms:GenerateDataKey")
		}},
		{"E9 without delegation IAM gives nothing", vectorUndelegated},
		{"E11 kms:ViaService", vectorViaService},
		{"E12 a context of another bucket", vectorOtherBucket},
		{"E13 to E15 disabled, pending deletion, cancelled", vectorStates},
		{"E16 rotation", vectorRotation},
		{"E19h a key that is not there", vectorUnknownKey},
		{"E22 SigV2", vectorSigV2},
		{"E23 anonymous", vectorAnonymous},
		{"E24 the managed key and another account", vectorManagedKey},
		{"E31 the ETag", vectorETag},
		{"E32 a range, and a chunk that was changed", vectorRange},
	} {
		t.Run(v.name, func(t *testing.T) {
			c := c
			c.t, c.TB = t, t
			bucket := fmt.Sprint("vector-", i)
			c.defaults(bucket, sse{})
			v.run(c, bucket)
		})
	}
	t.Run("E17 to E19g, E21 SSE-C", vectorsOfCustomerKeys)
	t.Run("E20 SSE-C over plain HTTP", TestOwnKeyInsecure)
}

// actor is a user of one test, by the bucket's name.
func (c sseCast) actor(bucket string, actions ...string) someone {
	c.Helper()
	return c.user(bucket, everywhere(actions...))
}

func vectorNoSetting(c sseCast, bucket string) {
	out := c.mustPut(bucket, "k", "x", sse{})
	_, got, err := c.get(c.S3, bucket, "k")
	c.ok(err)
	want := described{algorithm: "AES256"}
	for what, d := range map[string]described{
		"PUT":  describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled),
		"GET":  describe(got.ServerSideEncryption, got.SSEKMSKeyId, got.BucketKeyEnabled),
		"HEAD": c.head(bucket, "k"),
	} {
		if d != want {
			c.Errorf("%s: %+v", what, d)
		}
	}
}

// vectorContext: a user may use the key with one encryption context only.
func vectorContext(c sseCast, bucket string, bucketKey bool) {
	key := c.newKey()
	c.defaults(bucket, sse{algorithm: "aws:kms", key: key, bucketKey: &bucketKey})
	u := c.user(bucket, "")
	for at, allowed := range map[string]bool{
		"arn:aws:s3:::" + bucket: bucketKey, "arn:aws:s3:::" + bucket + "/k": !bucketKey,
	} {
		c.grants(bucket, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+
			`{"Effect":"Allow","Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*","Condition":{"StringEquals":{`+
			`"kms:EncryptionContext:aws:s3:arn":"`+at+`"}}}]}`)
		out, err := c.put(u.s3, bucket, "k", "x", sse{})
		if !allowed {
			wantCode(c.t, err, 403, "AccessDenied")
			continue
		}
		c.ok(err)
		want := described{"aws:kms", key, bucketKey}
		if got := describe(out.ServerSideEncryption, out.SSEKMSKeyId, out.BucketKeyEnabled); got != want {
			c.Errorf("%+v, want %+v", got, want)
		}
		if text, _, err := c.get(u.s3, bucket, "k"); err != nil || text != "x" {
			c.Errorf("%q %v", text, err)
		}
	}
}

// vectorPut: a user with exactly some permissions puts an object under a key whose policy delegates to
// IAM.
func vectorPut(c sseCast, bucket string, status int, actions ...string) {
	u := c.actor(bucket, actions...)
	_, err := c.put(u.s3, bucket, "k", "x", underKMS(c.newKey()))
	if status == 200 {
		c.ok(err)
		return
	}
	wantCode(c.t, err, status, "AccessDenied")
	_, _, err = c.get(c.S3, bucket, "k")
	wantCode(c.t, err, 404, "NoSuchKey")
}

func vectorGet(c sseCast, bucket string) {
	key := c.newKey()
	c.mustPut(bucket, "k", "x", underKMS(key))
	u := c.actor(bucket, "s3:GetObject")
	_, _, err := c.get(u.s3, bucket, "k")
	wantCode(c.t, err, 403, "AccessDenied")
	for _, said := range []string{u.arn, "kms:Decrypt", key} {
		if err == nil || !strings.Contains(err.Error(), said) {
			c.Errorf("the error does not name %s: %v", said, err)
		}
	}
	_, err = u.s3.HeadObject(c.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: aws.String("k")})
	c.ok(err)
	_, err = u.s3.HeadObject(c.Context(), &s3.HeadObjectInput{
		Bucket: &bucket, Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled,
	})
	wantCode(c.t, err, 403, "")
}

func vectorPart(c sseCast, bucket string) {
	u := c.actor(bucket, "s3:PutObject")
	up, _, err := c.begin(c.S3, bucket, "k", underKMS(c.newKey()))
	c.ok(err)
	up.by = u.s3
	for _, action := range []string{"kms:GenerateDataKey", "kms:Decrypt"} {
		c.grants(bucket, everywhere("s3:PutObject", action))
		_, err := up.part("x")
		wantCode(c.t, err, 403, "AccessDenied")
	}
	c.grants(bucket, everywhere("s3:PutObject", "kms:GenerateDataKey", "kms:Decrypt"))
	_, err = up.part("x")
	c.ok(err)
	_, err = up.complete()
	c.ok(err)
}

func vectorUndelegated(c sseCast, bucket string) {
	key := c.newKey()
	c.keyPolicy(key, `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"`+c.account+
		`"},"Action":"kms:PutKeyPolicy","Resource":"*"}]}`)
	u := c.actor(bucket, "s3:*", "kms:*")
	_, err := c.put(u.s3, bucket, "k", "x", underKMS(key))
	wantCode(c.t, err, 403, "AccessDenied")
	_, err = c.put(c.S3, bucket, "k", "x", underKMS(key))
	wantCode(c.t, err, 403, "AccessDenied") // the account's root user is no exception
}

func vectorViaService(c sseCast, bucket string) {
	key := c.newKey()
	u := c.actor(bucket, "s3:*")
	c.keyPolicy(key, c.delegating(`{"Effect":"Allow","Principal":{"AWS":"`+u.arn+`"},"Action":"kms:*","Resource":"*",`+
		`"Condition":{"StringEquals":{"kms:ViaService":"s3.`+c.Region+`.amazonaws.com"}}}`))
	_, err := c.put(u.s3, bucket, "k", "x", underKMS(key))
	c.ok(err)
	if text, _, err := c.get(u.s3, bucket, "k"); err != nil || text != "x" {
		c.Errorf("%q %v", text, err)
	}
	_, err = c.as(u).GenerateDataKey(c.Context(), &kms.GenerateDataKeyInput{KeyId: &key, KeySpec: "AES_256"})
	expect(c, err, "AccessDeniedException")
}

func vectorOtherBucket(c sseCast, bucket string) {
	key, other := c.newKey(), bucket+"-other"
	c.defaults(other, sse{})
	u := c.actor(bucket, "s3:*")
	c.keyPolicy(key, c.delegating(`{"Effect":"Allow","Principal":{"AWS":"`+u.arn+`"},"Action":"kms:*","Resource":"*",`+
		`"Condition":{"StringLike":{"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::`+bucket+`/*"}}}`))
	_, err := c.put(u.s3, bucket, "k", "x", underKMS(key))
	c.ok(err)
	c.mustPut(other, "k", "x", underKMS(key))
	_, err = c.put(u.s3, other, "k", "x", underKMS(key))
	wantCode(c.t, err, 403, "AccessDenied")
	_, _, err = c.get(u.s3, other, "k")
	wantCode(c.t, err, 403, "AccessDenied")
}

func vectorStates(c sseCast, bucket string) {
	key := c.newKey()
	c.mustPut(bucket, "k", "x", underKMS(key))
	both := func(code string) {
		c.Helper()
		_, _, err := c.get(c.S3, bucket, "k")
		_, putErr := c.put(c.S3, bucket, "new", "x", underKMS(key))
		if code == "" {
			c.ok(err)
			c.ok(putErr)
			return
		}
		wantCode(c.t, err, 400, code)
		wantCode(c.t, putErr, 400, code)
		if err != nil && !strings.Contains(err.Error(), key) {
			c.Errorf("the error does not name the key: %v", err)
		}
	}
	both("")
	_, err := c.kms.DisableKey(c.Context(), &kms.DisableKeyInput{KeyId: &key})
	c.ok(err)
	both("KMS.DisabledException")
	_, err = c.kms.ScheduleKeyDeletion(c.Context(), &kms.ScheduleKeyDeletionInput{
		KeyId: &key, PendingWindowInDays: aws.Int32(7),
	})
	c.ok(err)
	both("KMS.KMSInvalidStateException")
	_, err = c.kms.CancelKeyDeletion(c.Context(), &kms.CancelKeyDeletionInput{KeyId: &key})
	c.ok(err)
	both("KMS.DisabledException")
	_, err = c.kms.EnableKey(c.Context(), &kms.EnableKeyInput{KeyId: &key})
	c.ok(err)
	both("")
}

func vectorRotation(c sseCast, bucket string) {
	key := c.newKey()
	for i := range 3 {
		c.mustPut(bucket, fmt.Sprint(i), "x", underKMS(key))
		_, err := c.kms.RotateKeyOnDemand(c.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key})
		c.ok(err)
		out, err := c.kms.ListKeyRotations(c.Context(), &kms.ListKeyRotationsInput{KeyId: &key})
		c.ok(err)
		if len(out.Rotations) != i+1 {
			c.Errorf("%d rotations after %d", len(out.Rotations), i+1)
		}
		for old := range i + 1 {
			if text, _, err := c.get(c.S3, bucket, fmt.Sprint(old)); err != nil || text != "x" {
				c.Errorf("object %d after %d rotations: %q %v", old, i+1, text, err)
			}
		}
	}
}

func vectorUnknownKey(c sseCast, bucket string) {
	c.mustPut(bucket, "source", "x", sse{})
	const id = "12345678-1234-1234-1234-123456789012"
	for name, said := range map[string]string{
		id:              "Key 'arn:aws:kms:" + c.Region + ":" + c.account + ":key/" + id + "' does not exist",
		"no-key-at-all": "Invalid keyId 'no-key-at-all'",
		"alias/none":    "alias/none",
		"arn:aws:kms:eu-west-1:" + c.account + ":key/" + id: "Invalid arn eu-west-1",
	} {
		_, err := c.put(c.S3, bucket, "k", "x", underKMS(name))
		wantCode(c.t, err, 400, "KMS.NotFoundException")
		if err == nil || !strings.Contains(err.Error(), said) {
			c.Errorf("%s: %v, want %s", name, err, said)
		}
		_, _, err = c.begin(c.S3, bucket, "k", underKMS(name))
		wantCode(c.t, err, 400, "KMS.NotFoundException")
		_, err = c.S3.CopyObject(c.Context(), &s3.CopyObjectInput{
			Bucket: &bucket, Key: aws.String("k"), CopySource: aws.String(bucket + "/source"),
			ServerSideEncryption: "aws:kms", SSEKMSKeyId: &name,
		})
		wantCode(c.t, err, 400, "KMS.NotFoundException")
	}
}

func vectorSigV2(c sseCast, bucket string) {
	c.mustPut(bucket, "k", "x", underKMS(c.newKey()))
	a := send(c.t, c.Server, raw{method: "GET", unsigned: true, target: fmt.Sprintf(
		"/%s/k?AWSAccessKeyId=%s&Expires=%d&Signature=c2lnbmF0dXJl", bucket, c.AccessKeyID,
		time.Now().Add(time.Hour).Unix())})
	if a.status < 400 || a.status > 403 || strings.Contains(a.body, ">x<") {
		c.Errorf("%d %s", a.status, a.body)
	}
}

func vectorAnonymous(c sseCast, bucket string) {
	c.mustPut(bucket, "k", "x", underKMS(c.newKey()))
	c.mustPut(bucket, "open", "x", sse{})
	blockBucket(c, c.Server, &bucket, blocks{})
	blockAccount(c, c.Server, blocks{})
	c.ok(putPolicy(c, c.S3, &bucket, everybody(&bucket)))
	if a := send(c.t, c.Server, raw{method: "GET", unsigned: true, target: "/" + bucket + "/open"}); a.status != 200 {
		c.Fatalf("not public: %d %s", a.status, a.body)
	}
	for _, method := range []string{"GET", "HEAD"} {
		a := send(c.t, c.Server, raw{
			method: method, unsigned: true, target: "/" + bucket + "/k", header: has("X-Amz-Checksum-Mode", "ENABLED"),
		})
		if a.status != 403 {
			c.Errorf("%s: %d %s", method, a.status, a.body)
		}
	}
}

func vectorManagedKey(c sseCast, bucket string) {
	foreign := c.CreateAccount(c, "foreign")
	out := c.mustPut(bucket, "k", "x", underKMS(""))
	if out.SSEKMSKeyId == nil || !strings.HasPrefix(*out.SSEKMSKeyId, "arn:aws:kms:"+c.Region+":"+c.account+":key/") {
		c.Errorf("the key is %q", aws.ToString(out.SSEKMSKeyId))
	}
	c.ok(putPolicy(c, c.S3, &bucket, `{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"s3:GetObject",`+
		`"Resource":"arn:aws:s3:::%s/*"}`, accountOf(c, c.Server, foreign), bucket))
	_, _, err := c.get(c.Client(foreign), bucket, "k")
	wantCode(c.t, err, 403, "AccessDenied")
	if text, _, err := c.get(c.S3, bucket, "k"); err != nil || text != "x" {
		c.Errorf("%q %v", text, err)
	}
}

func vectorETag(c sseCast, bucket string) {
	key := c.newKey()
	for _, e := range []sse{underKMS(key), underKMS(""), {algorithm: "aws:kms:dsse", key: key}} {
		first, second := c.mustPut(bucket, "k", "x", e), c.mustPut(bucket, "k", "x", e)
		if isMD5(first.ETag, "x") || *first.ETag == *second.ETag || len(*first.ETag) != 34 {
			c.Errorf("%s: %s, then %s", e.algorithm, *first.ETag, *second.ETag)
		}
	}
}

func vectorRange(c sseCast, bucket string) {
	body, others := bigEnough(""), blobs(c.t, c.Server)
	c.mustPut(bucket, "k", body, underKMS(c.newKey()))
	for _, r := range [][2]int{{0, 0}, {65535, 65536}, {70000, 200000}, {len(body) - 1, len(body) - 1}} {
		text, out, err := c.get(c.S3, bucket, "k", func(in *s3.GetObjectInput) {
			in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		})
		if err != nil || text != body[r[0]:r[1]+1] ||
			aws.ToString(out.ContentRange) != fmt.Sprintf("bytes %d-%d/%d", r[0], r[1], len(body)) {
			c.Errorf("%v: %d bytes, %v", r, len(text), err)
		}
	}
	files := slices.DeleteFunc(blobs(c.t, c.Server), func(file string) bool { return slices.Contains(others, file) })
	if len(files) != 1 {
		c.Fatalf("%d blobs", len(files))
	}
	flip(c.t, files[0], 100_000)
	text, _, err := c.get(c.S3, bucket, "k",
		func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=70000-120000") })
	if err == nil || text != "" {
		c.Errorf("a changed chunk is served: %d bytes", len(text))
	}
	if text, _, err := c.get(c.S3, bucket, "k"); err == nil || len(text) > 64<<10 ||
		!strings.HasPrefix(body, text) {
		c.Errorf("all of it: %d bytes, %v", len(text), err)
	}
	if text, _, err := c.get(c.S3, bucket, "k", func(in *s3.GetObjectInput) {
		in.Range = aws.String("bytes=0-9")
	}); err != nil || text != body[:10] {
		c.Errorf("another chunk: %q %v", text, err)
	}
}

// vectorsOfCustomerKeys has the vectors of SSE-C; ssec_test.go has further ones.
func vectorsOfCustomerKeys(t *testing.T) {
	s, bucket := secured(t, "vectors-ssec")
	mine, other := newOwnKey("mine"), newOwnKey("other")
	putOwn(t, s, bucket, "k", []byte("x"), mine)
	_, _, err := getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")}, ownKey{}) // E17
	wantCode(t, err, 400, "InvalidRequest")
	_, err = headOwn(t, s, bucket, "k", ownKey{})
	wantCode(t, err, 400, "")
	_, _, err = getOwn(t, s, s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")}, other) // E18
	wantCode(t, err, 403, "AccessDenied")
	for _, v := range []struct {
		name, method string
		change       func(http.Header)
		status       int
		code         string
	}{
		{"E19 MD5 of another key", "PUT", set("Customer-Key-Md5", *other.md5), 400, "InvalidArgument"},
		{"E19b another encryption besides", "PUT", set("", "aws:kms"), 400, "InvalidArgument"},
		{"E19c another algorithm", "PUT", set("Customer-Algorithm", "AES128"), 400, "InvalidEncryptionAlgorithmError"},
		{"E19c another algorithm", "HEAD", set("Customer-Algorithm", "AES128"), 400, ""},
		{"E19d no algorithm", "PUT", set("Customer-Algorithm", ""), 400, "InvalidArgument"},
		{"E19d no key", "PUT", set("Customer-Key", ""), 400, "InvalidArgument"},
		{"E19d a short key", "PUT", set("Customer-Key", "c2hvcnQ="), 400, "InvalidArgument"},
		{"E19e no MD5", "GET", set("Customer-Key-Md5", ""), 403, "AccessDenied"},
		{"E19e no MD5", "HEAD", set("Customer-Key-Md5", ""), 403, ""},
	} {
		t.Run(v.name+", "+v.method, func(t *testing.T) {
			r := raw{method: v.method, target: "/" + *bucket + "/k", header: mine.header("X-Amz-")}
			v.change(r.header)
			if a := send(t, s, r); a.status != v.status || a.code != v.code {
				t.Errorf("%d %s, want %d %s", a.status, a.body, v.status, v.code)
			}
		})
	}
	for name, keys := range map[string][2]ownKey{ // of CreateMultipartUpload and of UploadPart
		"E19f no key in a part":  {mine, {}},
		"E19f a key in a part":   {{}, mine},
		"E19g another in a part": {mine, other},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := beginOwn(t, s, bucket, "u", keys[0], "").part(1, []byte("x"), keys[1], "")
			wantCode(t, err, 400, "InvalidRequest")
		})
	}
	t.Run("E21 a bucket that blocks SSE-C", func(t *testing.T) {
		if err := putEncryption(t, s, bucket, types.ServerSideEncryptionRule{
			BlockedEncryptionTypes: blocking("SSE-C"),
		}); err != nil {
			t.Fatal(err)
		}
		a := send(t, s, raw{method: "PUT", target: "/" + *bucket + "/k", header: mine.header("X-Amz-")})
		if a.status != 403 || a.code != "AccessDenied" {
			t.Errorf("%d %s", a.status, a.body)
		}
	})
}

// set sets a header of encryption, or removes it.
func set(name, value string) func(http.Header) {
	return func(h http.Header) {
		full := strings.TrimSuffix("X-Amz-Server-Side-Encryption-"+name, "-")
		if h.Set(full, value); value == "" {
			h.Del(full)
		}
	}
}
