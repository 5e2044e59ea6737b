package bucket

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// lockable makes a bucket with Object Lock.
func (s *Store) lockable(t *testing.T, name string) {
	t.Helper()
	need := func(a policy.Action) authz.Need { return authz.Need{Action: a, Resource: arn.Bucket(name), New: true} }
	needs := []authz.Need{
		need("s3:CreateBucket"), need("s3:PutBucketObjectLockConfiguration"), need("s3:PutBucketVersioning"),
	}
	g := coretest.GrantAll(t, coretest.Root(coretest.Account, nil), needs...)
	if _, err := s.Create(t.Context(), g, CreateInput{Name: name, ObjectLock: true}); err != nil {
		t.Fatal(err)
	}
}

func TestObjectLockFromTheBeginning(t *testing.T) {
	s := open(t)
	s.lockable(t, "vault")
	b, err := s.read(t.Context(), "vault")
	if err != nil || b.Versioning != Enabled || b.ObjectLock != (ObjectLock{Enabled: true}) {
		t.Errorf("%+v, %v", b.Settings, err)
	}
	g := grant(t, coretest.Account, "vault", "s3:PutBucketVersioning")
	err = s.SetVersioning(t.Context(), g, "vault", VersioningInput{State: Suspended})
	wants(t, err, fault.KindConflict, "InvalidBucketState")
	if err := s.SetVersioning(t.Context(), g, "vault", VersioningInput{State: Enabled}); err != nil {
		t.Error(err)
	}
}

func TestObjectLockLater(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "first")
	put := grant(t, coretest.Account, "first", "s3:PutBucketObjectLockConfiguration", "s3:PutBucketVersioning")
	get := grant(t, coretest.Account, "first", "s3:GetBucketObjectLockConfiguration")
	_, err := s.GetObjectLock(t.Context(), get, "first")
	wants(t, err, fault.KindNotFound, "ObjectLockConfigurationNotFoundError", "BucketName", "first")
	for _, state := range []Versioning{Off, Suspended} {
		if state != Off {
			if err := s.SetVersioning(t.Context(), put, "first", VersioningInput{State: state}); err != nil {
				t.Fatal(err)
			}
		}
		wants(t, s.PutObjectLock(t.Context(), put, "first", nil), fault.KindConflict, "InvalidBucketState")
	}
	if err := s.SetVersioning(t.Context(), put, "first", VersioningInput{State: Enabled}); err != nil {
		t.Fatal(err)
	}
	days, years := 30, 7
	for _, step := range []struct {
		d    *DefaultRetention
		want ObjectLock
	}{
		{nil, ObjectLock{Enabled: true}},
		{&DefaultRetention{Mode: Governance, Days: &days}, ObjectLock{Enabled: true, Mode: Governance, Days: 30}},
		{&DefaultRetention{Mode: Compliance, Years: &years}, ObjectLock{Enabled: true, Mode: Compliance, Years: 7}},
		{nil, ObjectLock{Enabled: true}},
	} {
		if err := s.PutObjectLock(t.Context(), put, "first", step.d); err != nil {
			t.Fatal(err)
		}
		if got, err := s.GetObjectLock(t.Context(), get, "first"); err != nil || got != step.want {
			t.Errorf("%+v, want %+v: %v", got, step.want, err)
		}
	}
}

func TestDefaultRetentionIsChecked(t *testing.T) {
	n := func(n int) *int { return &n }
	for name, c := range map[string]struct {
		d    DefaultRetention
		want fault.Code
	}{
		"no mode":        {DefaultRetention{Days: n(1)}, fault.MalformedXML},
		"no period":      {DefaultRetention{Mode: Governance}, fault.MalformedXML},
		"two periods":    {DefaultRetention{Mode: Governance, Days: n(1), Years: n(1)}, fault.MalformedXML},
		"no days":        {DefaultRetention{Mode: Governance, Days: n(0)}, fault.InvalidArgument},
		"negative years": {DefaultRetention{Mode: Compliance, Years: n(-1)}, fault.InvalidArgument},
		"too many days":  {DefaultRetention{Mode: Compliance, Days: n(36501)}, fault.InvalidArgument},
		"too many years": {DefaultRetention{Mode: Compliance, Years: n(101)}, fault.InvalidArgument},
		"days":           {DefaultRetention{Mode: Compliance, Days: n(36500)}, ""},
		"years":          {DefaultRetention{Mode: Governance, Years: n(100)}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := c.d.lock()
			if c.want == "" && (err != nil || !l.valid()) || c.want != "" && !fault.Is(err, c.want) {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
}

// TestUnreadableObjectLock: a bucket with a configuration that this program does not
// understand is refused, so that nothing is stored or removed as if there were none.
func TestUnreadableObjectLock(t *testing.T) {
	for name, fields := range map[string][]byte{
		"unknown state":             record.Uint(nil, fieldObjectLock, 2),
		"unknown mode":              record.Uint(record.Bool(nil, fieldObjectLock, true), fieldLockMode, 3),
		"mode without a period":     record.Uint(record.Bool(nil, fieldObjectLock, true), fieldLockMode, 1),
		"period without a mode":     record.Uint(record.Bool(nil, fieldObjectLock, true), fieldLockDays, 1),
		"retention without a lock":  record.Uint(record.Uint(nil, fieldLockMode, 1), fieldLockDays, 1),
		"more than a hundred years": record.Uint(record.Uint(record.Bool(nil, 12, true), 13, 1), 15, 101),
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t)
			s.make(t, coretest.Account, "first")
			b, err := s.read(t.Context(), "first")
			if err != nil {
				t.Fatal(err)
			}
			err = s.store.Update(t.Context(), func(tx kv.Tx) error {
				tx.Set(bucketKey("first"), append(b.encode(), fields...))
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			g := grant(t, coretest.Account, "first", "s3:PutBucketVersioning", "s3:DeleteBucket")
			err = s.SetVersioning(t.Context(), g, "first", VersioningInput{State: Suspended})
			wants(t, err, fault.KindInternal, "InternalError")
			wants(t, s.Delete(t.Context(), g, "first"), fault.KindInternal, "InternalError")
		})
	}
}

func TestRetainUntil(t *testing.T) {
	made := time.Date(2028, 2, 29, 12, 0, 0, 0, time.UTC)
	for want, l := range map[string]ObjectLock{
		"2028-03-01": {Mode: Governance, Days: 1}, "2029-03-01": {Mode: Compliance, Years: 1},
	} {
		t.Run(want, func(t *testing.T) {
			if got := l.RetainUntil(made).Format(time.DateOnly); got != want {
				t.Errorf("%+v ends on %s, not on %s", l, got, want)
			}
		})
	}
}
