package e2e

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

var (
	ransomOverwrites = flag.Int("ransom-overwrites", 10_000, "objects that the attacker of TestRansom overwrites")
	ransomDeletes    = flag.Int("ransom-deletes", 5_000, "objects that it deletes")
)

// attackers is how many requests of TestRansom are sent at the same time.
const attackers = 16

// ransom is a company's bucket, its owner, and somebody who has an administrator's keys.
type ransom struct {
	kmsCast
	bucket  *string
	device  harness.Device
	admin   someone // whose keys are stolen
	stolen  *kms.Client
	company string // ARN of the company's key
	objects int
	mine    ownKey // the key of the company's SSE-C objects
}

func newRansom(t *testing.T, bucket string, objects int, change ...func(*server.Config)) *ransom {
	moved := &clock{}
	r := &ransom{bucket: &bucket, objects: objects, mine: newOwnKey("company")}
	r.kmsCast = kmsCast{t: t, clock: moved, cast: newCast(t, append([]func(*server.Config){
		allowingSSEC, func(c *server.Config) { c.Now = moved.now },
	}, change...)...)}
	r.HTTP.MaxIdleConnsPerHost = attackers
	r.kms = r.kmsOf(rootOf(r.Server), "")
	r.admin = r.user("admin", may("*", "*"))
	r.stolen = r.as(r.admin)
	r.company = r.newKey()
	newBucket(t, r.Server, bucket)
	return r
}

// protect enables versioning and MFA Delete.
func (r *ransom) protect() {
	r.Helper()
	r.device = harness.EnrolRoot(r.t, r.root, "phone", r.clock.now())
	r.ok(r.versioning(r.S3, types.BucketVersioningStatusEnabled, types.MFADeleteEnabled, r.code()))
	r.clock.ahead.Store(0) // the operator's commands use the machine's clock
}

// code returns a code that was not used yet.
func (r *ransom) code() *string {
	r.clock.ahead.Add(int64(90 * time.Second))
	return aws.String(r.device.Serial + " " + r.device.Code(r.t, r.clock.now()))
}

func (r *ransom) versioning(
	who *s3.Client, status types.BucketVersioningStatus, mfa types.MFADelete, code *string,
) error {
	_, err := who.PutBucketVersioning(r.Context(), &s3.PutBucketVersioningInput{
		Bucket: r.bucket, MFA: code, VersioningConfiguration: &types.VersioningConfiguration{
			Status: status, MFADelete: mfa,
		},
	})
	return err
}

func ransomKey(i int) *string { return aws.String(fmt.Sprintf("docs/%02d/%06d.bin", i%37, i)) }

// content returns the object that the company put under a key: small, sometimes large.
func content(i int) []byte {
	size := 200 + i*7919%2000
	if i%97 == 0 {
		size = 70_000
	}
	sum := sha256.Sum256(fmt.Append(nil, "company", i))
	return bytes.Repeat(sum[:], size/32+1)[:size]
}

// isCustomers, isUnderKMS and isTagged say of which kind an object is, by its number.
func isCustomers(i int) bool { return i%50 == 1 }
func isUnderKMS(i int) bool  { return i%50 == 2 }
func isTagged(i int) bool    { return i%50 == 3 }

// each calls fn for the numbers from first to last, some of them concurrently. A refused request does
// not end it.
func (r *ransom) each(first, last int, fn func(i int) error) (done, failed int) {
	r.Helper()
	var next, bad atomic.Int64
	next.Store(int64(first))
	var all sync.WaitGroup
	var once sync.Once
	var why error
	for range attackers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < last; i = int(next.Add(1)) - 1 {
				if err := fn(i); err != nil {
					bad.Add(1)
					once.Do(func() { why = err })
				}
			}
		})
	}
	all.Wait()
	if why != nil {
		r.t.Logf("%d of %d failed, the first: %v", bad.Load(), last-first, why)
	}
	return last - first - int(bad.Load()), int(bad.Load())
}

// all is each, but no request may fail.
func (r *ransom) all(first, last int, fn func(i int) error) {
	r.Helper()
	if _, failed := r.each(first, last, fn); failed > 0 {
		r.t.Fatalf("%d of %d failed", failed, last-first)
	}
}

// populate puts the company's objects: under the server's keys, its own key of KMS, and keys
// of the client, some with metadata and tags.
func (r *ransom) populate() {
	r.Helper()
	r.all(0, r.objects, func(i int) error {
		in := &s3.PutObjectInput{Bucket: r.bucket, Key: ransomKey(i), Body: bytes.NewReader(content(i))}
		switch {
		case isCustomers(i):
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = r.mine.algorithm, r.mine.key, r.mine.md5
		case isUnderKMS(i):
			in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &r.company
		case isTagged(i):
			in.Tagging, in.Metadata = aws.String("class=secret"), map[string]string{"author": "company"}
		}
		_, err := r.S3.PutObject(r.Context(), in)
		return err
	})
}

// encrypt overwrites an object, as ransomware does.
func (r *ransom) encrypt(i int) error {
	_, err := r.admin.s3.PutObject(r.Context(), &s3.PutObjectInput{
		Bucket: r.bucket, Key: ransomKey(i), Body: strings.NewReader("pay us"),
	})
	return err
}

func (r *ransom) deleteSome(first, last int) error {
	for ; first < last; first += 1000 {
		var batch []types.ObjectIdentifier
		for i := first; i < min(first+1000, last); i++ {
			batch = append(batch, types.ObjectIdentifier{Key: ransomKey(i)})
		}
		out, err := r.admin.s3.DeleteObjects(r.Context(), &s3.DeleteObjectsInput{
			Bucket: r.bucket, Delete: &types.Delete{Objects: batch, Quiet: aws.Bool(true)},
		})
		if err != nil {
			return err
		}
		if len(out.Errors) > 0 {
			return fmt.Errorf("%d of %d: %s", len(out.Errors), len(batch), *out.Errors[0].Message)
		}
	}
	return nil
}

// TestRansom simulates an attack. Somebody has an administrator's keys and the root user's key, but no
// device. The attacker overwrites, deletes and re-encrypts the company's objects, and tries to destroy
// the older versions. Then one command restores the bucket, and all objects are read and compared. The
// attacker's versions are still there, as evidence. Run it with -v to see how long it takes.
func TestRansom(t *testing.T) {
	overwrites, deletes := *ransomOverwrites, *ransomDeletes
	if testing.Short() {
		overwrites, deletes = 500, 250
	}
	r := newRansom(t, "company", overwrites+deletes, func(c *server.Config) {
		c.AlarmWindow, c.AlarmOverwrites, c.AlarmDeletes = time.Hour, overwrites/2, deletes/2
	})
	r.protect()
	locked := r.archive()
	began := time.Now()
	r.populate()
	t.Logf("the company has %d objects (%s)", r.objects, time.Since(began).Round(time.Millisecond))
	moment := r.clock.now()

	began = time.Now()
	r.all(0, overwrites, r.encrypt)
	r.ok(r.deleteSome(overwrites, r.objects))
	_, err := r.admin.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: r.bucket, Key: aws.String("READ ME.txt"), Body: strings.NewReader("pay us"),
	})
	r.ok(err)
	t.Logf("%d overwritten, %d deleted (%s)", overwrites, deletes, time.Since(began).Round(time.Millisecond))
	r.makeItFinal()
	r.breakTheLock(locked)
	r.takeTheKeys(min(overwrites, 300))
	if kinds := raisedIn(r.cast, *r.bucket); !strings.Contains(kinds, "overwrites") {
		t.Errorf("no alarm was raised: %q", kinds)
	}

	began = time.Now()
	done, err := operator.Dial(r.Data).Rollback(t.Context(), operator.RollbackCommand{
		Bucket: *r.bucket, To: moment.UTC().Format(time.RFC3339Nano),
	}, func(operator.RollbackProgress) error { return nil })
	r.ok(err)
	t.Logf("rolled back in %s: %d restored, %d changed, %d hidden, %d unchanged", time.Since(began).
		Round(time.Millisecond), done.Restored, done.Changed, done.Hidden, done.Unchanged)
	if done.Changed != overwrites || done.Restored != deletes || done.Hidden != 1 || done.Skipped != 0 {
		t.Errorf("%+v", done)
	}
	r.giveTheKeyBack()
	began = time.Now()
	r.verify()
	t.Logf("all %d objects are read and compared (%s)", r.objects, time.Since(began).Round(time.Millisecond))
	r.evidence(overwrites)
}

// archive makes a bucket whose versions are locked, with one object, and returns its version.
func (r *ransom) archive() *string {
	r.Helper()
	name := aws.String("archive")
	_, err := r.S3.CreateBucket(r.Context(), &s3.CreateBucketInput{
		Bucket: name, ObjectLockEnabledForBucket: aws.Bool(true),
	})
	r.ok(err)
	_, err = r.S3.PutObjectLockConfiguration(r.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket: name, ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled,
			Rule: &types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{
				Mode: types.ObjectLockRetentionModeCompliance, Days: aws.Int32(30),
			}},
		},
	})
	r.ok(err)
	out, err := r.S3.PutObject(r.Context(), &s3.PutObjectInput{
		Bucket: name, Key: aws.String("books"), Body: strings.NewReader("of the year"),
		ChecksumAlgorithm: types.ChecksumAlgorithmCrc32,
	})
	r.ok(err)
	return out.VersionId
}

// makeItFinal tries to destroy versions, with the administrator's keys and the root user's. Every way
// is refused.
func (r *ransom) makeItFinal() {
	r.Helper()
	list, err := r.admin.s3.ListObjectVersions(r.Context(), &s3.ListObjectVersionsInput{Bucket: r.bucket})
	r.ok(err)
	var batch []types.ObjectIdentifier
	for _, v := range list.Versions {
		batch = append(batch, types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
	}
	if len(batch) == 0 {
		r.t.Fatal("no versions are listed")
	}
	for who, c := range map[string]*s3.Client{"admin": r.admin.s3, "root": r.S3} {
		_, err := c.DeleteObject(r.Context(), &s3.DeleteObjectInput{
			Bucket: r.bucket, Key: batch[0].Key, VersionId: batch[0].VersionId,
		})
		r.refused(who+" deletes a version", err, "AccessDenied")
		_, err = c.DeleteObjects(r.Context(), &s3.DeleteObjectsInput{
			Bucket: r.bucket, Delete: &types.Delete{Objects: batch},
		})
		r.refused(who+" deletes many versions", err, "AccessDenied")
		r.refused(who+" suspends versioning",
			r.versioning(c, types.BucketVersioningStatusSuspended, types.MFADeleteEnabled, nil), "AccessDenied")
		r.refused(who+" turns MFA Delete off",
			r.versioning(c, types.BucketVersioningStatusEnabled, types.MFADeleteDisabled,
				aws.String(r.device.Serial+" 123456")), "AccessDenied")
		_, err = c.PutBucketLifecycleConfiguration(r.Context(), expireAll(r.bucket))
		r.refused(who+" expires everything", err, "InvalidRequest")
		_, err = c.DeleteBucket(r.Context(), &s3.DeleteBucketInput{Bucket: r.bucket})
		r.refused(who+" deletes the bucket", err, "BucketNotEmpty")
	}
}

// refused checks that a request was refused for the right reason.
func (r *ransom) refused(what string, err error, code string) {
	r.Helper()
	var e smithy.APIError
	if !errors.As(err, &e) || e.ErrorCode() != code {
		r.t.Errorf("%s: %v, want %s", what, err, code)
	}
}

func expireAll(bucket *string) *s3.PutBucketLifecycleConfigurationInput {
	return &s3.PutBucketLifecycleConfigurationInput{
		Bucket: bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: []types.LifecycleRule{{
			ID: aws.String("gone"), Status: types.ExpirationStatusEnabled,
			Filter:                      &types.LifecycleRuleFilter{Prefix: aws.String("")},
			Expiration:                  &types.LifecycleExpiration{Days: aws.Int32(1)},
			NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1)},
		}}},
	}
}

// breakTheLock tries every way to end the retention of a locked version.
func (r *ransom) breakTheLock(version *string) {
	r.Helper()
	bucket, key := aws.String("archive"), aws.String("books")
	bypass := aws.Bool(true)
	for who, c := range map[string]*s3.Client{"admin": r.admin.s3, "root": r.S3} {
		for _, mode := range []types.ObjectLockRetentionMode{
			types.ObjectLockRetentionModeCompliance, types.ObjectLockRetentionModeGovernance,
		} {
			_, err := c.PutObjectRetention(r.Context(), &s3.PutObjectRetentionInput{
				Bucket: bucket, Key: key, VersionId: version, BypassGovernanceRetention: bypass,
				Retention: &types.ObjectLockRetention{
					Mode: mode, RetainUntilDate: aws.Time(r.clock.now().Add(time.Hour)),
				},
			})
			r.refused(fmt.Sprint(who, " shortens the retention, ", mode), err, "AccessDenied")
		}
		_, err := c.DeleteObject(r.Context(), &s3.DeleteObjectInput{
			Bucket: bucket, Key: key, VersionId: version, BypassGovernanceRetention: bypass,
		})
		r.refused(who+" deletes a locked version", err, "AccessDenied")
	}
	// This bucket accepts a lifecycle rule, which removes no locked version.
	_, err := r.admin.s3.PutBucketLifecycleConfiguration(r.Context(), expireAll(bucket))
	r.ok(err)
	out, err := r.S3.GetObject(r.Context(), &s3.GetObjectInput{Bucket: bucket, Key: key, VersionId: version})
	r.ok(err)
	defer out.Body.Close()
	if text, err := io.ReadAll(out.Body); err != nil || string(text) != "of the year" {
		r.t.Errorf("%q %v", text, err)
	}
}

// takeTheKeys makes a key of the attacker the bucket's default key, copies some objects under it and
// some under a key that only the attacker has, and schedules the deletion of its own and the company's
// key. Moving the originals under the attacker's key is refused.
func (r *ransom) takeTheKeys(n int) {
	r.Helper()
	made, err := r.stolen.CreateKey(r.Context(), &kms.CreateKeyInput{})
	r.ok(err)
	theirs := *made.KeyMetadata.Arn
	_, err = r.admin.s3.PutBucketEncryption(r.Context(), &s3.PutBucketEncryptionInput{
		Bucket: r.bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{
				ApplyServerSideEncryptionByDefault: byDefault("aws:kms", &theirs),
			}},
		},
	})
	r.ok(err)
	secret := newOwnKey("attacker")
	r.all(0, n, func(i int) error {
		_, err := r.admin.s3.CopyObject(r.Context(), &s3.CopyObjectInput{
			Bucket: r.bucket, Key: ransomKey(i), CopySource: aws.String(*r.bucket + "/" + *ransomKey(i)),
			SSECustomerAlgorithm: secret.algorithm, SSECustomerKey: secret.key, SSECustomerKeyMD5: secret.md5,
		})
		return err
	})
	_, err = r.admin.s3.UpdateObjectEncryption(r.Context(), &s3.UpdateObjectEncryptionInput{
		Bucket: r.bucket, Key: ransomKey(n), ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{
			Value: types.SSEKMSEncryption{KMSKeyArn: &theirs},
		},
	})
	r.refused("an original is moved under the attacker's key", err, "AccessDenied")
	for _, key := range []*string{&theirs, &r.company} {
		_, err = r.stolen.ScheduleKeyDeletion(r.Context(), &kms.ScheduleKeyDeletionInput{
			KeyId: key, PendingWindowInDays: aws.Int32(7),
		})
		r.ok(err)
	}
}

// giveTheKeyBack cancels the deletion of the company's key, which takes at least seven days, and
// restores the default encryption.
func (r *ransom) giveTheKeyBack() {
	r.Helper()
	_, err := r.kms.CancelKeyDeletion(r.Context(), &kms.CancelKeyDeletionInput{KeyId: &r.company})
	r.ok(err)
	_, err = r.kms.EnableKey(r.Context(), &kms.EnableKeyInput{KeyId: &r.company})
	r.ok(err)
	_, err = r.S3.PutBucketEncryption(r.Context(), &s3.PutBucketEncryptionInput{
		Bucket: r.bucket, ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: byDefault("AES256", nil)}},
		},
	})
	r.ok(err)
}

// verify reads and compares every object of the company, and counts the listed objects.
func (r *ransom) verify() {
	r.Helper()
	r.all(0, r.objects, func(i int) error {
		in := &s3.GetObjectInput{Bucket: r.bucket, Key: ransomKey(i)}
		if isCustomers(i) {
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = r.mine.algorithm, r.mine.key, r.mine.md5
		}
		out, err := r.S3.GetObject(r.Context(), in)
		if err != nil {
			return fmt.Errorf("%s: %w", *in.Key, err)
		}
		defer out.Body.Close()
		sum := sha256.New()
		if _, err := io.Copy(sum, out.Body); err != nil {
			return err
		}
		if want := sha256.Sum256(content(i)); !bytes.Equal(sum.Sum(nil), want[:]) {
			return fmt.Errorf("%s: the bytes differ", *in.Key)
		}
		if isTagged(i) && (out.Metadata["author"] != "company" || aws.ToInt32(out.TagCount) != 1) {
			return fmt.Errorf("%s: %v, %v tags", *in.Key, out.Metadata, out.TagCount)
		}
		return nil
	})
	listed := 0
	for p := s3.NewListObjectsV2Paginator(r.S3, &s3.ListObjectsV2Input{Bucket: r.bucket}); p.HasMorePages(); {
		page, err := p.NextPage(r.Context())
		r.ok(err)
		listed += len(page.Contents)
	}
	if listed != r.objects {
		r.t.Errorf("%d objects are listed, want %d", listed, r.objects)
	}
}

// evidence checks that all versions of the attacker still exist.
func (r *ransom) evidence(overwrites int) {
	r.Helper()
	theirs, markers, seen := 0, 0, 0
	for p := s3.NewListObjectVersionsPaginator(r.S3, &s3.ListObjectVersionsInput{Bucket: r.bucket}); p.HasMorePages(); {
		page, err := p.NextPage(r.Context())
		r.ok(err)
		for _, v := range page.Versions {
			if aws.ToInt64(v.Size) == int64(len("pay us")) {
				theirs++
			}
			seen++
		}
		markers += len(page.DeleteMarkers)
	}
	// The overwritten objects, the letter, and the copies under another key.
	if theirs < overwrites+1 || markers < r.objects-overwrites+1 {
		r.t.Errorf("%d of %d versions are the attacker's, with %d delete markers", theirs, seen, markers)
	}
	said := ""
	_, err := operator.Dial(r.Data).History(r.Context(), operator.HistoryCommand{Bucket: *r.bucket, Key: *ransomKey(0)},
		func(v operator.Past) error { said += fmt.Sprintf("%+v\n", v); return nil })
	r.ok(err)
	if !strings.Contains(said, r.admin.arn) || !strings.Contains(said, r.admin.key.AccessKeyID) {
		r.t.Errorf("the history of an object does not name the attacker: %s", said)
	}
}

// TestRansomIsStopped: with --freeze-on-alarm, the attack ends at the limit, and the company's own
// programs can still write.
func TestRansomIsStopped(t *testing.T) {
	const limit, objects = 50, 400
	r := newRansom(t, "company", objects, func(c *server.Config) {
		c.AlarmWindow, c.AlarmOverwrites, c.AlarmDeletes, c.FreezeOnAlarm = time.Hour, limit, limit, true
	})
	r.ok(r.versioning(r.S3, types.BucketVersioningStatusEnabled, "", nil))
	r.populate()
	moment := r.clock.now()
	done, _ := r.each(0, objects, r.encrypt)
	if done < limit || done > limit+attackers {
		t.Errorf("%d objects were overwritten, and the limit is %d", done, limit)
	}
	if err := r.deleteSome(0, 10); err == nil {
		t.Error("the attacker can delete")
	}
	r.ok(r.put(r.S3, *r.bucket, "docs/by-the-company"))
	if back, a := rollback(t, r.Server, *r.bucket, moment); back.Changed != done || back.Hidden != 1 {
		t.Errorf("%d %s, and %d were overwritten", a.status, a.body, done)
	}
	r.verify()
	r.refused("the attacker goes on", r.encrypt(objects-1), "AccessDenied")
}
