package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/test/harness"
)

// TestKeyCommands runs the commands about KMS keys on a server without such keys. core/object tests
// what they find.
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
	for _, name := range []string{key, "arn:aws:kms:us-east-1:123456789012:key/" + key, "photos"} {
		for _, command := range [][]string{
			{"usage"}, {"usage", "--json"}, {"shred-report"}, {"shred-report", "--json"}, {"schedule-deletion"},
			{"schedule-deletion", "--yes"},
		} {
			code, out, errs := ran(t, append([]string{"key", command[0], name, "--data", s.Data}, command[1:]...)...)
			if code != exitFailure || out != "" || !strings.Contains(errs, "NotFoundException") {
				t.Errorf("%s %s: %d: %s%s", command, name, code, out, errs)
			}
		}
	}
	known := newKey(t, s)
	if out := must(t, "key", "usage", known, "--data", s.Data); out != "BUCKET  VERSIONS  UPLOADS  BYTES\n" {
		t.Errorf("%q", out)
	}
	var usage []operator.KeyUsage
	if err := json.Unmarshal([]byte(must(t, "key", "usage", known, "--data", s.Data, "--json")), &usage); err != nil ||
		usage == nil || len(usage) != 0 {
		t.Errorf("%+v, %v", usage, err)
	}
	out = must(t, "key", "shred-report", known, "--data", s.Data)
	if out != "0 versions and uploads are unreadable\n" {
		t.Errorf("%q", out)
	}
	if code, _, errs := ran(t, "rewrap", "s3://none", "--data", s.Data); code != exitFailure ||
		!strings.Contains(errs, "NoSuchBucket") {
		t.Errorf("%d: %s", code, errs)
	}
	if code, _, _ := ran(t, "rewrap", "photos", "--data", s.Data); code != exitUsage {
		t.Error("no URI:", code)
	}
}

// keysOf returns a KMS client of a server's root user.
func keysOf(s *harness.Server) *kms.Client {
	return kms.New(kms.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
}

func newKey(t *testing.T, s *harness.Server) (arn string) {
	t.Helper()
	out, err := keysOf(s).CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return *out.KeyMetadata.Arn
}

// TestScheduleKeyDeletion: the command shows which buckets need a key, and changes nothing. With --yes
// the window begins, and the audit log has an event.
func TestScheduleKeyDeletion(t *testing.T) {
	o := console{t, harness.Start(t)}
	ctx, key := t.Context(), newKey(t, o.s)
	id := key[len(key)-36:]
	makeBucket(t, o.s)
	_, err := o.s.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String("photos"), Key: aws.String("sealed"), Body: strings.NewReader("text"),
		ServerSideEncryption: "aws:kms", SSEKMSKeyId: &key,
	})
	if err != nil {
		t.Fatal(err)
	}
	is := func(want types.KeyState, read bool) {
		t.Helper()
		k, err := keysOf(o.s).DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
		if err != nil || k.KeyMetadata.KeyState != want {
			t.Errorf("the key is %+v, %v", k, err)
		}
		out, err := o.s.S3.GetObject(ctx, &s3.GetObjectInput{
			Bucket: aws.String("photos"), Key: aws.String("sealed"),
		})
		if (err == nil) != read {
			t.Errorf("the object is read: %v", err)
		}
		if err == nil {
			out.Body.Close()
		}
	}
	for _, name := range []string{id, key} {
		o.says(exitAsked, key+": Enabled|photos  1         0        4|nothing was scheduled",
			"key", "schedule-deletion", name)
	}
	asked, _, _ := strings.Cut(o.run(exitAsked, "key", "schedule-deletion", id, "--json"), "watertight:")
	var shown deletion
	if err := json.Unmarshal([]byte(asked), &shown); err != nil || shown.Key != key || shown.Scheduled != nil ||
		len(shown.Usage) != 1 || shown.Usage[0].Versions != 1 {
		t.Errorf("%+v, %v", shown, err)
	}
	for _, days := range []string{"6", "31", "0", "-7"} {
		o.run(exitUsage, "key", "schedule-deletion", id, "--yes", "--days="+days)
	}
	is(types.KeyStateEnabled, true)

	asked = o.run(exitOK, "key", "schedule-deletion", id, "--yes", "--days", "8", "--json")
	if err := json.Unmarshal([]byte(asked), &shown); err != nil || shown.State != "PendingDeletion" ||
		shown.Scheduled == nil || shown.Scheduled.KeyARN != key {
		t.Fatalf("%+v, %v", shown, err)
	}
	if left := time.Until(shown.Scheduled.DeletionDate); left > 8*24*time.Hour || left < 7*24*time.Hour {
		t.Errorf("the key is destroyed in %v", left)
	}
	is(types.KeyStatePendingDeletion, false)
	o.says(exitFailure, "KMSInvalidStateException|pending deletion", "key", "schedule-deletion", id, "--yes")
	if _, err := keysOf(o.s).CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: &key}); err != nil {
		t.Fatal(err)
	}
	o.says(exitOK, key+": Disabled|photos|it is destroyed at ", "key", "schedule-deletion", key, "--yes")
	is(types.KeyStatePendingDeletion, false)

	o.s.Stop()
	events := o.run(exitOK, "audit", "export", "--root-key", "file:"+filepath.Join(filepath.Dir(o.s.Data), "root.key"))
	var scheduled []string
	for line := range strings.Lines(events) {
		var e struct {
			EventName, ErrorCode string
			RequestParameters    map[string]string
		}
		if strings.Contains(line, `"eventName":"ScheduleKeyDeletion"`) {
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			scheduled = append(scheduled, fmt.Sprint(e.ErrorCode, " ", e.RequestParameters["keyId"], " ",
				e.RequestParameters["pendingWindowInDays"]))
		}
	}
	want := []string{" " + id + " 8", "KMSInvalidStateException " + id + " 30", " " + key + " 30"}
	slices.Sort(scheduled) // refusals are written later than changes
	slices.Sort(want)
	if !slices.Equal(scheduled, want) {
		t.Errorf("the audit log has %q, want %q", scheduled, want)
	}
}
