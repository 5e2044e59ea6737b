package e2e

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// lockVault is a server with a bucket that has Object Lock. Tests set the system's clock, and advance
// the monotonic clock.
type lockVault struct {
	cast
	t       *testing.T
	clock   *clock
	elapsed atomic.Int64
	bucket  *string
	c       *s3.Client // the root user's
}

func newVault(t *testing.T) *lockVault {
	t.Helper()
	v := &lockVault{t: t, clock: &clock{}, bucket: aws.String("vault")}
	start := time.Now()
	v.cast = newCast(t, func(o *server.Config) {
		o.Now = v.clock.now
		o.Elapsed = func() time.Duration { return time.Since(start) + time.Duration(v.elapsed.Load()) }
	})
	v.c = v.as(rootOf(v.Server))
	_, err := v.c.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: v.bucket, ObjectLockEnabledForBucket: aws.Bool(true),
	})
	v.ok(err)
	return v
}

// as returns a client that signs at the server's time.
func (v *lockVault) as(key harness.Credentials) *s3.Client {
	return v.Client(key, func(o *s3.Options) {
		o.HTTPSignerV4 = signer{v.clock, v4.NewSigner()}
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported // as by default
	})
}

// set moves the system's clock; pass also advances the monotonic clock.
func (v *lockVault) set(d time.Duration) { v.clock.ahead.Add(int64(d)) }
func (v *lockVault) pass(d time.Duration) {
	v.set(d)
	v.elapsed.Add(int64(d))
}

// in returns the instant that is d after the system's time.
func (v *lockVault) in(d time.Duration) *time.Time { return aws.Time(v.clock.now().Add(d)) }

// put stores a version, which change may lock, and returns its id.
func (v *lockVault) put(key string, change ...func(*s3.PutObjectInput)) *string {
	v.t.Helper()
	in := &s3.PutObjectInput{Bucket: v.bucket, Key: &key, Body: strings.NewReader(key)}
	for _, f := range change {
		f(in)
	}
	out, err := v.c.PutObject(v.t.Context(), in)
	v.ok(err)
	return out.VersionId
}

func (v *lockVault) retained(mode types.ObjectLockMode, d time.Duration) func(*s3.PutObjectInput) {
	return func(in *s3.PutObjectInput) { in.ObjectLockMode, in.ObjectLockRetainUntilDate = mode, v.in(d) }
}

// destroy deletes a version as somebody.
func (v *lockVault) destroy(c *s3.Client, key string, id *string, bypass bool) error {
	in := &s3.DeleteObjectInput{Bucket: v.bucket, Key: &key, VersionId: id}
	if bypass {
		in.BypassGovernanceRetention = &bypass
	}
	_, err := c.DeleteObject(v.t.Context(), in)
	return err
}

// kept fails the test unless the deletion was refused and the version still exists.
func (v *lockVault) kept(err error, key string, id *string) {
	v.t.Helper()
	wantCode(v.t, err, 403, "AccessDenied")
	in := &s3.GetObjectInput{Bucket: v.bucket, Key: &key, VersionId: id}
	if _, err := v.c.GetObject(v.t.Context(), in); err != nil {
		v.t.Errorf("the version is gone: %v", err)
	}
}

func (v *lockVault) retain(mode types.ObjectLockRetentionMode, until *time.Time, key string, bypass bool) error {
	in := &s3.PutObjectRetentionInput{Bucket: v.bucket, Key: &key, Retention: &types.ObjectLockRetention{
		Mode: mode, RetainUntilDate: until,
	}}
	if bypass {
		in.BypassGovernanceRetention = &bypass
	}
	_, err := v.c.PutObjectRetention(v.t.Context(), in)
	return err
}

func (v *lockVault) hold(key string, status types.ObjectLockLegalHoldStatus) {
	v.t.Helper()
	_, err := v.c.PutObjectLegalHold(v.t.Context(), &s3.PutObjectLegalHoldInput{
		Bucket: v.bucket, Key: &key, LegalHold: &types.ObjectLockLegalHold{Status: status},
	})
	v.ok(err)
}

func (v *lockVault) byDefault(mode types.ObjectLockRetentionMode, days int32) {
	v.t.Helper()
	rule := types.ObjectLockRule{DefaultRetention: &types.DefaultRetention{Mode: mode, Days: &days}}
	_, err := v.c.PutObjectLockConfiguration(v.t.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket: v.bucket,
		ObjectLockConfiguration: &types.ObjectLockConfiguration{
			ObjectLockEnabled: types.ObjectLockEnabledEnabled, Rule: &rule,
		},
	})
	v.ok(err)
}

const (
	governance = types.ObjectLockModeGovernance
	compliance = types.ObjectLockModeCompliance
	day        = 24 * time.Hour
)

// remover returns a policy that allows to delete versions, and the given actions.
func remover(actions string) string {
	return `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:DeleteObjectVersion"` + actions +
		`],"Resource":"*"}]}`
}

// TestLockGovernance is L1 to L4: a version in governance mode is deleted only with both the header
// and the permission. A Deny of the permission counts.
func TestLockGovernance(t *testing.T) {
	v := newVault(t)
	key, may := v.as(v.user("plain", remover("")).key), v.as(v.user("bypasser",
		remover(`,"s3:BypassGovernanceRetention"`)).key)
	denied := v.as(v.user("denied", strings.Replace(remover(`,"s3:BypassGovernanceRetention"`), `[{"Effect":"Allow"`,
		`[{"Effect":"Deny","Action":"s3:BypassGovernanceRetention","Resource":"arn:aws:s3:::vault/g*"},`+
			`{"Effect":"Allow"`, 1)).key)
	id := v.put("governed", v.retained(governance, day))
	v.kept(v.destroy(v.c, "governed", id, false), "governed", id)   // L1
	v.kept(v.destroy(key, "governed", id, true), "governed", id)    // L2
	v.kept(v.destroy(may, "governed", id, false), "governed", id)   // L3
	v.kept(v.destroy(denied, "governed", id, true), "governed", id) // and L2 with a Deny
	v.ok(v.destroy(may, "governed", id, true))                      // L4
	free := v.put("free")
	v.ok(v.destroy(key, "free", free, true)) // without a retention there is nothing to bypass
}

// TestLockCompliance is L5 and L6: nobody can weaken compliance mode, not even the root user.
func TestLockCompliance(t *testing.T) {
	v := newVault(t)
	id := v.put("k", v.retained(compliance, day))
	v.kept(v.destroy(v.c, "k", id, true), "k", id)
	mode, weaker := types.ObjectLockRetentionModeCompliance, types.ObjectLockRetentionModeGovernance
	v.ok(v.retain(mode, v.in(2*day), "k", false))
	for _, bypass := range []bool{false, true} {
		v.kept(v.retain(mode, v.in(day), "k", bypass), "k", id)
		v.kept(v.retain(weaker, v.in(9*day), "k", bypass), "k", id)
		v.kept(v.retain("", nil, "k", bypass), "k", id)
	}
	v.pass(day + time.Hour)
	v.kept(v.destroy(v.c, "k", id, true), "k", id)
	v.pass(day)
	v.ok(v.destroy(v.c, "k", id, false))
}

// TestLockLegalHold is L7.
func TestLockLegalHold(t *testing.T) {
	v := newVault(t)
	id := v.put("k", v.retained(governance, time.Hour))
	v.hold("k", types.ObjectLockLegalHoldStatusOn)
	v.pass(2 * time.Hour)
	v.kept(v.destroy(v.c, "k", id, true), "k", id)
	v.hold("k", types.ObjectLockLegalHoldStatusOff)
	v.ok(v.destroy(v.c, "k", id, false))
}

// TestLockDeleteMarker is L8: a key can be deleted and overwritten; its locked versions stay. Delete
// markers are never locked.
func TestLockDeleteMarker(t *testing.T) {
	v := newVault(t)
	v.byDefault(types.ObjectLockRetentionModeCompliance, 1)
	id := v.put("k")
	out, err := v.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: v.bucket, Key: aws.String("k")})
	v.ok(err)
	if !aws.ToBool(out.DeleteMarker) {
		t.Error("no delete marker")
	}
	v.kept(v.destroy(v.c, "k", id, true), "k", id)
	_, err = v.c.PutObjectRetention(t.Context(), &s3.PutObjectRetentionInput{
		Bucket: v.bucket, Key: aws.String("k"), Retention: &types.ObjectLockRetention{
			Mode: types.ObjectLockRetentionModeGovernance, RetainUntilDate: v.in(day),
		},
	})
	wantCode(t, err, 405, "MethodNotAllowed")
	_, err = v.c.GetObjectRetention(t.Context(), &s3.GetObjectRetentionInput{Bucket: v.bucket, Key: aws.String("k")})
	wantCode(t, err, 405, "MethodNotAllowed")
	v.ok(v.destroy(v.c, "k", out.VersionId, false))
	over := v.put("k")
	v.kept(v.destroy(v.c, "k", over, false), "k", over)
}

// TestLockDefaultRetention is L9: a new default applies to new versions only. A retention in the
// request takes precedence.
func TestLockDefaultRetention(t *testing.T) {
	v := newVault(t)
	v.byDefault(types.ObjectLockRetentionModeGovernance, 1)
	first := v.put("first")
	v.byDefault(types.ObjectLockRetentionModeCompliance, 10)
	second := v.put("second")
	named := v.put("named", v.retained(governance, 2*day))
	for key, want := range map[string]struct {
		id   *string
		mode types.ObjectLockRetentionMode
		ends time.Duration
	}{
		"first":  {first, types.ObjectLockRetentionModeGovernance, day},
		"second": {second, types.ObjectLockRetentionModeCompliance, 10 * day},
		"named":  {named, types.ObjectLockRetentionModeGovernance, 2 * day},
	} {
		t.Run(key, func(t *testing.T) {
			out, err := v.c.GetObjectRetention(t.Context(), &s3.GetObjectRetentionInput{
				Bucket: v.bucket, Key: &key, VersionId: want.id,
			})
			if err != nil {
				t.Fatal(err)
			}
			left := out.Retention.RetainUntilDate.Sub(v.clock.now())
			if out.Retention.Mode != want.mode || (left-want.ends).Abs() > time.Hour {
				t.Errorf("%s for %v, want %s for %v", out.Retention.Mode, left, want.mode, want.ends)
			}
		})
	}
}

// TestLockOfTheBucket is L10 and L11.
func TestLockOfTheBucket(t *testing.T) {
	v := newVault(t)
	id := v.put("k", v.retained(compliance, day))
	_, err := v.c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  v.bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusSuspended},
	})
	wantCode(t, err, 409, "InvalidBucketState")
	_, err = v.c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: v.bucket})
	wantCode(t, err, 409, "BucketNotEmpty")
	v.kept(v.destroy(v.c, "k", id, false), "k", id)
}

// TestLockInABatch is L12: each key of a batch has an answer of its own.
func TestLockInABatch(t *testing.T) {
	v := newVault(t)
	locked, free := v.put("locked", v.retained(compliance, day)), v.put("free")
	governed := v.put("governed", v.retained(governance, day))
	out, err := v.c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{
		Bucket: v.bucket, BypassGovernanceRetention: aws.Bool(true),
		Delete: &types.Delete{Objects: []types.ObjectIdentifier{
			{Key: aws.String("locked"), VersionId: locked}, {Key: aws.String("free"), VersionId: free},
			{Key: aws.String("governed"), VersionId: governed},
		}},
	})
	v.ok(err)
	if len(out.Deleted) != 2 || len(out.Errors) != 1 || *out.Errors[0].Key != "locked" ||
		*out.Errors[0].Code != "AccessDenied" ||
		*out.Errors[0].Message != "Access Denied because object protected by object lock." {
		t.Errorf("deleted %d, errors %+v", len(out.Deleted), out.Errors)
	}
}

// TestLockHeadersAreChecked is L13 and L14, and has further invalid headers.
func TestLockHeadersAreChecked(t *testing.T) {
	v := newVault(t)
	plain := newBucketOf(t, v.c, "plain")
	for name, c := range map[string]struct {
		bucket *string
		change func(*s3.PutObjectInput)
		code   string
	}{
		"a mode without a date": {v.bucket, func(in *s3.PutObjectInput) { in.ObjectLockMode = governance },
			"InvalidArgument"},
		"a date without a mode": {v.bucket, func(in *s3.PutObjectInput) { in.ObjectLockRetainUntilDate = v.in(day) },
			"InvalidArgument"},
		"an unknown mode":           {v.bucket, v.retained("NOTHING", day), "InvalidArgument"},
		"a date that is past":       {v.bucket, v.retained(governance, -day), "InvalidArgument"},
		"more than a hundred years": {v.bucket, v.retained(governance, 101*366*day), "InvalidArgument"},
		"a legal hold that is not one": {v.bucket, func(in *s3.PutObjectInput) {
			in.ObjectLockLegalHoldStatus = "x"
		}, "InvalidArgument"},
		"a retention without Object Lock": {plain, v.retained(governance, day), "InvalidRequest"},
		"a legal hold without Object Lock": {plain, func(in *s3.PutObjectInput) {
			in.ObjectLockLegalHoldStatus = types.ObjectLockLegalHoldStatusOn
		}, "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			in := &s3.PutObjectInput{Bucket: c.bucket, Key: aws.String("k"), Body: strings.NewReader("x")}
			c.change(in)
			_, err := v.c.PutObject(t.Context(), in)
			wantCode(t, err, 400, c.code)
		})
	}
}

// TestLockAndTheClock is L15: no retention ends early, neither because the clock is set back nor
// because it jumps forward.
func TestLockAndTheClock(t *testing.T) {
	v := newVault(t)
	id := v.put("k", v.retained(compliance, day))
	v.byDefault(types.ObjectLockRetentionModeCompliance, 1)
	v.set(2 * day)
	v.kept(v.destroy(v.c, "k", id, false), "k", id)
	v.set(-30 * day)
	v.kept(v.destroy(v.c, "k", id, false), "k", id)
	later := v.put("later") // its day must not begin a month ago
	v.set(28 * day)
	v.pass(23 * time.Hour)
	v.kept(v.destroy(v.c, "k", id, false), "k", id)
	v.kept(v.destroy(v.c, "later", later, false), "later", later)
	v.pass(2 * time.Hour)
	v.ok(v.destroy(v.c, "k", id, false))
	v.ok(v.destroy(v.c, "later", later, false))
}
