package main

import (
	"encoding/json"
	"strings"
	"testing"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// TestKeyCommands: the commands about keys of KMS, on a server without such keys.
// What they find is tested in core/object.
func TestKeyCommands(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 100_000)
	const key = "12345678-1234-1234-1234-123456789012"
	out := must(t, "rewrap", "s3://photos/la", "--data", s.Data)
	if !strings.HasPrefix(out, "0 versions and 0 uploads under keys of KMS; 0 of 0 data keys moved") {
		t.Error(out)
	}
	var done operator.Rewrapped
	if err := json.Unmarshal([]byte(must(t, "rewrap", "s3://photos", "--data", s.Data, "--json")), &done); err != nil ||
		done != (operator.Rewrapped{}) {
		t.Errorf("%+v, %v", done, err)
	}
	if out := must(t, "key", "usage", key, "--data", s.Data); out != "BUCKET  VERSIONS  UPLOADS  BYTES\n" {
		t.Errorf("%q", out)
	}
	var usage []operator.KeyUsage
	if err := json.Unmarshal([]byte(must(t, "key", "usage", key, "--data", s.Data, "--json")), &usage); err != nil ||
		len(usage) != 0 {
		t.Errorf("%+v, %v", usage, err)
	}
	if out := must(t, "key", "shred-report", key, "--data", s.Data); out != "0 versions and uploads are unreadable\n" {
		t.Errorf("%q", out)
	}
	code, out, errs := ran(t, "key", "schedule-deletion", key, "--data", s.Data)
	if code != exitOK || !strings.HasPrefix(out, "BUCKET") || !strings.Contains(errs, "Nothing was scheduled") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	code, _, errs = ran(t, "key", "schedule-deletion", key, "--data", s.Data, "--confirm")
	if code != exitFailure || !strings.Contains(errs, "does not exist") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, errs := ran(t, "rewrap", "s3://none", "--data", s.Data); code != exitFailure ||
		!strings.Contains(errs, "NoSuchBucket") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, _ := ran(t, "rewrap", "photos", "--data", s.Data); code != exitUsage {
		t.Error("no URI:", code)
	}
}
