package bucket

import (
	"reflect"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

func TestVersioning(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "first")
	put := grant(t, coretest.Account, "first", "s3:PutBucketVersioning")
	get := grant(t, coretest.Account, "first", "s3:GetBucketVersioning")
	state := func() Versioning {
		t.Helper()
		v, _, err := s.GetVersioning(t.Context(), get, "first")
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if state() != Off {
		t.Error("a new bucket is versioned")
	}
	for _, to := range []Versioning{Suspended, Enabled, Enabled, Suspended, Enabled} {
		if err := s.SetVersioning(t.Context(), put, "first", VersioningInput{State: to}); err != nil || state() != to {
			t.Errorf("to %d: %d, %v", to, state(), err)
		}
	}
	for _, to := range []Versioning{Off, 3} {
		wants(t, s.SetVersioning(t.Context(), put, "first", VersioningInput{State: to}), fault.KindInvalid,
			"IllegalVersioningConfigurationException")
	}
	if state() != Enabled {
		t.Error("versioning can be set back to Off")
	}
	for _, g := range []authz.Grant{{}, get, grant(t, coretest.Account, "second", "s3:PutBucketVersioning")} {
		wants(t, s.SetVersioning(t.Context(), g, "first", VersioningInput{State: Suspended}), fault.KindDenied,
			"AccessDenied")
	}
	_, _, err := s.GetVersioning(t.Context(), put, "first")
	wants(t, err, fault.KindDenied, "AccessDenied")
	absent := grant(t, coretest.Account, "absent", "s3:PutBucketVersioning", "s3:GetBucketVersioning")
	wants(t, s.SetVersioning(t.Context(), absent, "absent", VersioningInput{State: Enabled}), fault.KindNotFound,
		"NoSuchBucket", "BucketName", "absent")
	_, _, err = s.GetVersioning(t.Context(), absent, "absent")
	wants(t, err, fault.KindNotFound, "NoSuchBucket")
}

// TestVersioningKeepsTheOtherSettings: they stay although the whole record is written again.
func TestVersioningKeepsTheOtherSettings(t *testing.T) {
	s := open(t)
	want := s.make(t, coretest.Account, "first")
	if err := s.SetVersioning(t.Context(), grant(t, coretest.Account, "first", "s3:PutBucketVersioning"), "first",
		VersioningInput{State: Enabled}); err != nil {
		t.Fatal(err)
	}
	want.Versioning = Enabled
	if b, err := s.Head(t.Context(), grant(t, coretest.Account, "first", "s3:ListBucket"),
		"first"); err != nil || !reflect.DeepEqual(b, want) {
		t.Errorf("%+v %v, want %+v", b, err, want)
	}
}
