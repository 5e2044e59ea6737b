package clients

import (
	"encoding/json"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/internal/server"
	"watertight/test/harness"
)

// TestAWSCLIMFADelete is the life of a bucket under MFA Delete, with the aws CLI.
func TestAWSCLIMFADelete(t *testing.T) {
	harness.NeedTool(t, "aws")
	var ahead atomic.Int64 // a code is good once, and a test doesn't wait for the next one
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s := harness.Start(t, func(o *server.Config) { o.Now = now })
	c := client{t, s, t.TempDir(), s.SecretAccessKey, func(string) []string { return nil }}
	root := iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, HTTPClient: harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	device := harness.EnrolRoot(t, root, "phone", now())
	mfa := func() []string {
		ahead.Add(int64(90 * time.Second))
		return []string{"--mfa", device.Serial + " " + device.Code(t, now())}
	}
	// Debian's older ones do not know AWS_ENDPOINT_URL and would ask AWS itself.
	api := func(command string, args ...string) []string {
		return append([]string{
			"--endpoint-url", s.Endpoint, "--output", "json", "s3api", command, "--bucket", "guarded",
		}, args...)
	}
	run := func(args []string) string { t.Helper(); return c.run("aws", args...) }
	refused := func(args []string) {
		t.Helper()
		out, err := c.command("aws", args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "AccessDenied") {
			t.Errorf("aws %q: %v, %s", args, err, out)
		}
	}
	version := func(text string) string {
		t.Helper()
		var out struct{ VersionId string }
		if err := json.Unmarshal([]byte(text), &out); err != nil || out.VersionId == "" {
			t.Fatalf("%s, %v", text, err)
		}
		return out.VersionId
	}
	c.file("data", 100)
	run(api("create-bucket"))
	enable := api("put-bucket-versioning", "--versioning-configuration", "Status=Enabled,MFADelete=Enabled")
	refused(enable)
	run(append(enable, mfa()...))
	if out := run(api("get-bucket-versioning")); !strings.Contains(out, `"MFADelete": "Enabled"`) {
		t.Errorf("%s", out)
	}
	put := api("put-object", "--key", "k", "--body", "data")
	first, second := version(run(put)), version(run(put))
	marker := version(run(api("delete-object", "--key", "k")))
	undelete := api("delete-object", "--key", "k", "--version-id", marker)
	refused(undelete)
	run(append(undelete, mfa()...))
	batch := api("delete-objects", "--delete",
		`{"Objects":[{"Key":"k","VersionId":"`+first+`"},{"Key":"k","VersionId":"`+second+`"}]}`)
	refused(batch)
	code := mfa()
	run(append(batch, code...))
	suspend := api("put-bucket-versioning", "--versioning-configuration", "Status=Suspended")
	refused(suspend)
	refused(append(suspend, code...)) // used already
	run(append(suspend, mfa()...))
	run(api("delete-bucket"))
}
