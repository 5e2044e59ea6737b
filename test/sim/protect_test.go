package sim

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/core/bucket"
	"watertight/test/harness"
	"watertight/test/s3model"
)

// Buckets whose versions are protected.
const (
	lockBucket = "sim-lock" // by Object Lock; versioning is always enabled
	mfaBucket  = "sim-mfa"  // by MFA Delete
)

const accessDenied = "AccessDenied"

// device is the MFA device of the root user, who sends all requests.
type device struct {
	harness.Device
	t    *testing.T
	used int64 // newest step of 30 seconds whose code was sent
}

func newDevice(t *testing.T, endpoint string) *device {
	t.Helper()
	now := time.Now()
	root := iam.New(iam.Options{
		Region: harness.Region, BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider(harness.AccessKeyID, harness.SecretAccessKey, ""),
	})
	return &device{harness.EnrolRoot(t, root, "root-account-mfa-device", now), t, step(now)}
}

func step(at time.Time) int64 { return at.Unix() / 30 }

// next returns serial number and code, or nil while the device shows no new one. A code
// may come a step before its time.
func (d *device) next() *string {
	now := step(time.Now())
	at := max(d.used+1, now)
	if at > now+1 {
		return nil
	}
	d.used = at
	return aws.String(d.Serial + " " + d.Code(d.t, time.Unix(at*30, 0)))
}

// protect makes a bucket with Object Lock and one with MFA Delete.
func (s *sim) protect() {
	s.t.Helper()
	s.device = newDevice(s.t, s.p.Endpoint)
	s.setVersioning(lockBucket, bucket.Enabled, nil)
	s.setVersioning(mfaBucket, bucket.Enabled, s.device.next())
	_, err := s.p.S3.PutObjectLockConfiguration(s.t.Context(), &s3.PutObjectLockConfigurationInput{
		Bucket:                  aws.String(lockBucket),
		ObjectLockConfiguration: &types.ObjectLockConfiguration{ObjectLockEnabled: types.ObjectLockEnabledEnabled},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range s.writers {
		w.locks = w.bucket == lockBucket
		if w.bucket == mfaBucket {
			w.device = s.device
		}
	}
}

// needsCode returns the code of the refusal of a write without a code of the device, or "".
func (w *writer) needsCode(key string) string {
	if w.state.MFADelete && w.state.Destroys(key) {
		return accessDenied
	}
	return ""
}

// code draws whether a request comes with a code of the device.
func (w *writer) code() *string {
	if w.device == nil || !w.in(8) {
		return nil
	}
	return w.device.next()
}

// bypass draws whether a request asks to bypass GOVERNANCE.
func (w *writer) bypass() *bool {
	if !w.locks || !w.in(3) {
		return nil
	}
	return aws.Bool(true)
}

// protection is what a write asks of Object Lock.
type protection struct {
	mode string
	hold bool
}

// String is for messages.
func (p protection) String() string { return fmt.Sprintf("lock %q, hold %v", p.mode, p.hold) }

// until is when retention ends: after the test.
func until() *time.Time { return aws.Time(time.Date(2090, 1, 1, 0, 0, 0, 0, time.UTC)) }

func (p protection) headers() (types.ObjectLockMode, *time.Time, types.ObjectLockLegalHoldStatus) {
	hold := types.ObjectLockLegalHoldStatus("")
	if p.hold {
		hold = types.ObjectLockLegalHoldStatusOn
	}
	if p.mode == "" {
		return "", nil, hold
	}
	return types.ObjectLockMode(p.mode), until(), hold
}

// protection draws what a write asks of Object Lock.
func (w *writer) protection() protection {
	if !w.locks {
		return protection{}
	}
	return protection{draw(w.rng, "", "", "", "GOVERNANCE", "COMPLIANCE"), w.in(8)}
}

// lock changes the retention or the legal hold of a version.
func (w *writer) lock(ctx context.Context) error {
	if !w.locks {
		return nil
	}
	key := w.existing()
	var v *s3model.Version
	if all := w.state.Keys[key]; len(all) > 0 {
		v = &all[w.rng.IntN(len(all))]
	}
	if v == nil || v.Marker {
		return nil
	}
	id := v.ID
	if w.in(2) {
		return w.hold(ctx, key, id)
	}
	return w.retain(ctx, key, v)
}

func (w *writer) hold(ctx context.Context, key, id string) error {
	on := w.in(2)
	return w.run(ctx, request{
		what: fmt.Sprintf("hold %q version %s: %v", key, id, on),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			status := types.ObjectLockLegalHoldStatusOff
			if on {
				status = types.ObjectLockLegalHoldStatusOn
			}
			_, err := client.PutObjectLegalHold(ctx, &s3.PutObjectLegalHoldInput{
				Bucket: &w.bucket, Key: &key, VersionId: &id, LegalHold: &types.ObjectLockLegalHold{Status: status},
			})
			return answer{}, err
		},
		then: func(s *state, _ answer) { s.Version(key, &id).Hold = on },
	})
}

// retain sets or removes the retention of a version. An existing retention can only be changed in GOVERNANCE,
// with a bypass; the same retention again changes nothing.
func (w *writer) retain(ctx context.Context, key string, v *s3model.Version) error {
	id, mode, bypass := v.ID, draw(w.rng, "", "GOVERNANCE", "COMPLIANCE"), w.bypass()
	code := ""
	if v.Mode != "" && v.Mode != mode && (v.Mode != "GOVERNANCE" || bypass == nil) {
		code = accessDenied
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("retain %q version %s: %q, bypass %v", key, id, mode, bypass != nil),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			r := &types.ObjectLockRetention{}
			if mode != "" {
				r.Mode, r.RetainUntilDate = types.ObjectLockRetentionMode(mode), until()
			}
			_, err := client.PutObjectRetention(ctx, &s3.PutObjectRetentionInput{
				Bucket: &w.bucket, Key: &key, VersionId: &id, Retention: r, BypassGovernanceRetention: bypass,
			})
			return answer{}, err
		},
		then: func(s *state, _ answer) { s.Version(key, &id).Mode = mode },
	})
}
