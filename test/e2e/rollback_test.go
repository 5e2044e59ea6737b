package e2e

import (
	"encoding/xml"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// rolledBack is the answer of RollbackBucket.
type rolledBack struct {
	Restored, Changed, Hidden, Unchanged, Skipped int
	Public, Private                               int
	Bytes                                         int64
	DryRun, IsTruncated                           bool
	NextAfter                                     string
	Key                                           []struct {
		Name, Action, VersionId string
		Public, Private         bool
	}
}

// rollback sends RollbackBucket as the root user.
func rollback(t *testing.T, s *harness.Server, bucket string, to time.Time, more ...string) (rolledBack, answer) {
	t.Helper()
	return rollbackAs(t, s, rootOf(s), bucket, to, more...)
}

func rollbackAs(
	t *testing.T, s *harness.Server, who harness.Credentials, bucket string, to time.Time, more ...string,
) (rolledBack, answer) {
	t.Helper()
	h := http.Header{"X-Watertight-Rollback-To": {to.UTC().Format(time.RFC3339Nano)}}
	for i := 0; i < len(more); i += 2 {
		h.Set(more[i], more[i+1])
	}
	a := send(t, s, raw{
		method: "POST", target: "/" + bucket, header: h, key: who.AccessKeyID, secret: who.SecretAccessKey,
	})
	var out rolledBack
	if a.status == http.StatusOK {
		if err := xml.Unmarshal([]byte(a.body), &out); err != nil {
			t.Fatal(err)
		}
	}
	return out, a
}

// whole returns all that a client sees of an object, except its version and date.
func (v *versioned) whole(key string, k ownKey) string {
	v.t.Helper()
	out, err := v.s.S3.GetObject(v.t.Context(), &s3.GetObjectInput{
		Bucket: v.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled, SSECustomerAlgorithm: k.algorithm,
		SSECustomerKey: k.key, SSECustomerKeyMD5: k.md5,
	})
	if err != nil {
		return code(err)
	}
	defer out.Body.Close()
	b, err := io.ReadAll(out.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	got, err := v.s.S3.GetObjectTagging(v.t.Context(), &s3.GetObjectTaggingInput{Bucket: v.bucket, Key: &key})
	if err != nil {
		v.t.Fatal(err)
	}
	list, err := v.s.S3.GetObjectAcl(v.t.Context(), &s3.GetObjectAclInput{Bucket: v.bucket, Key: &key})
	if err != nil {
		v.t.Fatal(err)
	}
	text := fmt.Sprintf("%x %s %v %s %s %s %s %s", md5Of(string(b)), *out.ETag, out.Metadata,
		aws.ToString(out.ContentType), out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId),
		aws.ToString(out.SSECustomerKeyMD5), aws.ToString(out.ChecksumCRC64NVME))
	for _, t := range got.TagSet {
		text += " " + *t.Key + "=" + *t.Value
	}
	for _, g := range list.Grants {
		text += fmt.Sprint(" ", aws.ToString(g.Grantee.ID), g.Permission)
	}
	return text
}

// blobFiles returns the files of large objects.
func blobFiles(t *testing.T, s *harness.Server) (all []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.Data, "blobs"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && len(d.Name()) == 32 {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestRollback: overwritten, deleted and new objects return to their old state, bit for bit, in every
// way of encryption, even with a disabled key. No bytes are copied and no version is removed. A second
// rollback changes nothing.
func TestRollback(t *testing.T) {
	c := newKMSCast(t, allowingSSEC)
	v := newVersioned(t, c.Server, "rolled")
	v.turn(types.BucketVersioningStatusEnabled)
	key, err := c.kms.CreateKey(t.Context(), &kms.CreateKeyInput{})
	c.ok(err)
	if _, err := c.S3.PutBucketOwnershipControls(t.Context(), &s3.PutBucketOwnershipControlsInput{
		Bucket: v.bucket, OwnershipControls: &types.OwnershipControls{Rules: []types.OwnershipControlsRule{{
			ObjectOwnership: types.ObjectOwnershipObjectWriter,
		}}},
	}); err != nil {
		t.Fatal(err)
	}
	owned, err := c.S3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	c.ok(err)
	reader := aws.String("id=" + *owned.Owner.ID)
	mine := newOwnKey("mine")
	ways := map[string]sse{"plain": {}, "kms": underKMS(*key.KeyMetadata.Arn), "dsse": {
		algorithm: types.ServerSideEncryptionAwsKmsDsse, key: *key.KeyMetadata.Arn,
	}}
	keys := map[string]ownKey{}
	for way, e := range ways {
		for size, body := range map[string]string{"small": way + " small", "large": way + bigEnough("large")} {
			name := way + "/" + size
			keys[name] = ownKey{}
			_, err := c.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: v.bucket, Key: &name, Body: strings.NewReader(body), ServerSideEncryption: e.algorithm,
				SSEKMSKeyId: pointer(e.key), Metadata: map[string]string{"of": name}, Tagging: aws.String("a=1&b=2"),
				ContentType: aws.String("text/x-" + way), GrantRead: reader,
			})
			c.ok(err)
		}
		u, _, err := sseCast{c}.begin(c.S3, *v.bucket, way+"/parts", e)
		c.ok(err)
		for n := range 3 {
			_, err := u.part(bigEnough(fmt.Sprint(way, n)))
			c.ok(err)
		}
		_, err = u.complete()
		c.ok(err)
		keys[way+"/parts"] = ownKey{}
	}
	for size, body := range map[string]string{"own/small": "small", "own/large": bigEnough("own")} {
		putOwn(t, c.Server, v.bucket, size, []byte(body), mine)
		keys[size] = mine
	}
	v.put("deleted before", "x")
	v.delete("deleted before", nil)
	keys["deleted before"] = ownKey{}
	before := map[string]string{}
	for name, k := range keys {
		before[name] = v.whole(name, k)
	}
	to := time.Now()
	time.Sleep(time.Millisecond)
	for i, name := range slices.Sorted(maps.Keys(keys)) {
		if i%2 == 0 {
			v.delete(name, nil)
		} else {
			v.put(name, "encrypted, pay me")
		}
	}
	v.put("deleted before", "back")
	v.put("ransom note", "pay me")
	_, err = c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key.KeyMetadata.KeyId})
	c.ok(err)
	files, versions := blobFiles(t, c.Server), countVersions(v)

	dry, a := rollback(t, c.Server, *v.bucket, to, "X-Watertight-Dry-Run", "true")
	if a.status != 200 || len(dry.Key) != len(keys)+1 || !dry.DryRun || countVersions(v) != versions {
		t.Fatalf("a dry run: %s", a.body)
	}
	done, a := rollback(t, c.Server, *v.bucket, to)
	if a.status != 200 || done.Restored+done.Changed != len(keys)-1 || done.Hidden != 2 ||
		done.Restored != dry.Restored || done.Changed != dry.Changed || done.Bytes != dry.Bytes || done.Key != nil {
		t.Fatalf("%d objects: %s", len(keys), a.body)
	}
	if got := countVersions(v); got != versions+len(keys)+1 || !slices.Equal(blobFiles(t, c.Server), files) {
		t.Errorf("%d versions of %d before, %d blobs of %d", got, versions, len(blobFiles(t, c.Server)), len(files))
	}
	again, a := rollback(t, c.Server, *v.bucket, to)
	if again.Restored+again.Changed+again.Hidden != 0 || again.Unchanged != len(keys)+1 {
		t.Errorf("the second time: %s", a.body)
	}
	_, err = c.kms.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: key.KeyMetadata.KeyId})
	c.ok(err)
	for name, k := range keys {
		if got := v.whole(name, k); got != before[name] {
			t.Errorf("%s is\n%s, and was\n%s", name, got, before[name])
		}
	}
	if got := v.whole("ransom note", ownKey{}); got != "NoSuchKey" {
		t.Errorf("the note: %s", got)
	}
	v.purgeOlder(t)
	for name, k := range keys {
		if got := v.whole(name, k); got != before[name] {
			t.Errorf("without the older versions, %s is\n%s, and was\n%s", name, got, before[name])
		}
	}
}

// purgeOlder destroys all versions but the current ones.
func (v *versioned) purgeOlder(t *testing.T) {
	t.Helper()
	pages := s3.NewListObjectVersionsPaginator(v.s.S3, &s3.ListObjectVersionsInput{Bucket: v.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Versions {
			if !*o.IsLatest {
				v.delete(*o.Key, o.VersionId)
			}
		}
	}
}

func countVersions(v *versioned) (n int) {
	v.t.Helper()
	pages := s3.NewListObjectVersionsPaginator(v.s.S3, &s3.ListObjectVersionsInput{Bucket: v.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(v.t.Context())
		if err != nil {
			v.t.Fatal(err)
		}
		n += len(page.Versions) + len(page.DeleteMarkers)
	}
	return n
}

// TestRollbackRefusals: impossible rollbacks get an error, and unsigned headers are refused.
func TestRollbackRefusals(t *testing.T) {
	s := harness.Start(t)
	created := time.Now().Add(-time.Hour)
	v := newVersioned(t, s, "rolled")
	if _, a := rollback(t, s, "rolled", time.Now()); a.code != "InvalidBucketState" || a.status != 409 {
		t.Errorf("without versioning: %d %s", a.status, a.body)
	}
	v.turn(types.BucketVersioningStatusEnabled)
	v.put("k", "x")
	now := time.Now()
	for name, c := range map[string]struct {
		bucket string
		to     time.Time
		more   []string
		code   string
	}{
		"in the future":     {"rolled", now.Add(time.Hour), nil, "InvalidArgument"},
		"before the bucket": {"rolled", created, nil, "InvalidArgument"},
		"no bucket":         {"nowhere", now, nil, "NoSuchBucket"},
		"dry or not":        {"rolled", now, []string{"X-Watertight-Dry-Run", "perhaps"}, "InvalidArgument"},
		"a prefix":          {"rolled", now, []string{"X-Watertight-Rollback-Prefix", "%zz"}, "InvalidArgument"},
		"a key":             {"rolled", now, []string{"X-Watertight-Rollback-After", "%"}, "InvalidArgument"},
		"another header":    {"rolled", now, []string{"X-Watertight-Else", "1"}, "NotImplemented"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, a := rollback(t, s, c.bucket, c.to, c.more...); a.code != c.code {
				t.Errorf("%d %s, want %s", a.status, a.body, c.code)
			}
		})
	}
	header := http.Header{"X-Watertight-Rollback-To": {now.UTC().Format(time.RFC3339Nano)}}
	for name, r := range map[string]raw{
		"DeleteObjects": {method: "POST", target: "/rolled?delete", header: header, body: bodies["DeleteObjects"]},
		"PutObject":     {method: "PUT", target: "/rolled/k", header: header, body: "x"},
	} {
		t.Run(name, func(t *testing.T) {
			if a := send(t, s, r); a.code != "NotImplemented" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	a := sendChanged(t, s, raw{method: "POST", target: "/rolled", header: header}, func(r *http.Request) {
		r.Header.Set("X-Watertight-Dry-Run", "true")
	})
	if a.status != 403 || !strings.Contains(a.body, "not signed") {
		t.Errorf("a header that is not signed: %d %s", a.status, a.body)
	}
	form := post{bucket: "rolled", unsigned: true}.build(t, s)
	form.unsigned = true
	form.header.Set("X-Watertight-Rollback-To", now.UTC().Format(time.RFC3339Nano))
	if a := send(t, s, form); a.status != 403 {
		t.Errorf("a form: %d %s", a.status, a.body)
	}
}

// TestRollbackPages: a page changes at most 1,000 keys, and the next one continues after it. A prefix
// limits the keys. Concurrent writes are kept whole.
func TestRollbackPages(t *testing.T) {
	s := harness.Start(t)
	v := newVersioned(t, s, "rolled")
	v.turn(types.BucketVersioningStatusEnabled)
	v.put("a/é 0", "first")
	to := time.Now()
	time.Sleep(time.Millisecond)
	for n := range 1050 {
		v.put(fmt.Sprintf("a/é %d", n), "second")
	}
	v.put("b", "other")
	total, after := rolledBack{}, ""
	pages := 0
	for more := true; more; pages++ {
		args := []string{"X-Watertight-Rollback-Prefix", url.QueryEscape("a/")}
		if after != "" {
			args = append(args, "X-Watertight-Rollback-After", after)
		}
		out, a := rollback(t, s, "rolled", to, args...)
		if a.status != 200 {
			t.Fatal(a.body)
		}
		total.Changed, total.Hidden = total.Changed+out.Changed, total.Hidden+out.Hidden
		more, after = out.IsTruncated, out.NextAfter
	}
	if pages != 2 || total.Changed != 1 || total.Hidden != 1049 || v.get("a/é 0", nil) != "first" ||
		v.get("b", nil) != "other" {
		t.Errorf("%d pages, %+v", pages, total)
	}
}

// TestRollbackKilled: a rollback that is killed can be continued after the last page that it reported.
// Each key comes back once.
func TestRollbackKilled(t *testing.T) {
	p := harness.StartProcess(t)
	v := newVersioned(t, &harness.Server{S3: p.S3}, "rolled")
	v.turn(types.BucketVersioningStatusEnabled)
	const objects = 2500
	write := func(text string) {
		var all sync.WaitGroup
		for w := range 8 {
			all.Go(func() {
				for n := w; n < objects; n += 8 {
					v.at(fmt.Sprintf("k%05d", n), fmt.Sprint(text, n))
				}
			})
		}
		all.Wait()
	}
	write("first ")
	to := time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(time.Millisecond)
	write("second ")
	in := operator.RollbackCommand{Bucket: "rolled", To: to}
	_, err := operator.Dial(p.Data).Rollback(t.Context(), in, func(r operator.RollbackProgress) error {
		if in.After = r.Done.Next; in.After != "" {
			p.Kill()
		}
		return nil
	})
	if err == nil || in.After == "" {
		t.Fatalf("the rollback was not interrupted: %v, after %q", err, in.After)
	}
	p.Restart()
	v.s = &harness.Server{S3: p.S3}
	if done, err := operator.Dial(p.Data).Rollback(t.Context(), in, func(operator.RollbackProgress) error {
		return nil
	}); err != nil || done.Changed+done.Unchanged >= objects || done.Changed == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	for n := range objects {
		if got := v.get(fmt.Sprintf("k%05d", n), nil); got != fmt.Sprint("first ", n) {
			t.Fatalf("k%05d is %q", n, got)
		}
	}
	if got := countVersions(v); got != 3*objects {
		t.Errorf("%d versions, not %d", got, 3*objects)
	}
}

// at stores text under a key, from any goroutine.
func (v *versioned) at(key, text string) {
	_, err := v.s.S3.PutObject(v.t.Context(), &s3.PutObjectInput{
		Bucket: v.bucket, Key: &key, Body: strings.NewReader(text),
	})
	if err != nil {
		v.t.Error(err)
	}
}
