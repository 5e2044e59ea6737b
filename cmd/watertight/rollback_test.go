package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// TestRollback rolls a bucket back with the operator's command, after a dry run. If the command is
// interrupted, it prints how to continue.
func TestRollback(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	ctx, bucket := t.Context(), aws.String("photos")
	if _, err := s.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	}); err != nil {
		t.Fatal(err)
	}
	put(t, s, "changed", 11)
	put(t, s, "deleted", 22)
	put(t, s, "same", 11)
	to := time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(time.Millisecond)
	put(t, s, "changed", 33)
	put(t, s, "new", 11)
	if _, err := s.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("deleted")}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"dry run", []string{"s3://photos", "--to", to, "--dry-run"}, exitOK, []string{
			"change   \"changed\"  version ", " bytes", "restore  \"deleted\"", "hide     \"new\"",
			"would be as it was",
			"1 objects come back, 1 change, 1 are hidden", "1 keys are already",
		}},
		{"dry run in JSON", []string{"s3://photos", "--to", to, "--dry-run", "--json"}, exitOK, []string{
			`{"Key":{"Action":"Change","Key":"changed"`, `"Action":"Hide","Key":"new"`, `{"RolledBack":{"To":"2`,
			`"Restored":1,"Changed":1,"Hidden":1,"Unchanged":1,"Skipped":0`,
		}},
		{"prefix", []string{"s3://photos/new", "--to", to}, exitOK, []string{
			"0 objects come back, 0 change, 1 are hidden",
		}},
		{"after", []string{"s3://photos", "--to", to, "--after", "changed"}, exitOK, []string{
			"1 objects come back, 0 change, 0 are hidden", "2 keys are already",
		}},
		{"all", []string{"s3://photos", "--to", to}, exitOK, []string{"is as it was", "0 objects come back, 1 change"}},
		{"again", []string{"s3://photos", "--to", to}, exitOK, []string{
			"0 objects come back, 0 change, 0 are", "4 keys",
		}},
		{"a moment ago", []string{"s3://photos", "--to", "0s", "--dry-run"}, exitOK, []string{"4 keys are already"}},
		{"no place", []string{"photos", "--to", to}, exitUsage, []string{"is not s3://BUCKET"}},
		{"no moment", []string{"s3://photos", "--to", "yesterday"}, exitFailure, []string{"InvalidArgument"}},
		{"before the bucket", []string{"s3://photos", "--to", "3d"}, exitFailure, []string{"before the bucket"}},
		{"no bucket", []string{"s3://elsewhere", "--to", to}, exitFailure, []string{"NoSuchBucket"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, out, errs := ran(t, append([]string{"rollback", "--data", s.Data}, c.args...)...)
			if code != c.code {
				t.Errorf("exit code %d, want %d", code, c.code)
			}
			left := out + errs
			for _, want := range c.want {
				_, after, ok := strings.Cut(left, want)
				if !ok {
					t.Fatalf("no %q in order in:\n%s%s", want, out, errs)
				}
				left = after
			}
		})
	}
	var errs strings.Builder
	ended, cancel := context.WithCancel(ctx)
	cancel()
	code := run(process{ended, &errs, &errs, func(string) string { return "" }},
		[]string{"rollback", "--data", s.Data, "s3://photos", "--to", to, "--after", "b"})
	if want := `to go on: watertight rollback "s3://photos" --to ` + to + ` --after "b"`; code != exitFailure ||
		!strings.Contains(errs.String(), want) {
		t.Errorf("interrupted: %d, %s", code, errs.String())
	}
}
