package clients

import (
	"encoding/json"
	"strings"
	"testing"

	"watertight/test/harness"
)

// TestAWSCLIMFADelete is the life of a bucket under MFA Delete, with the aws CLI.
func TestAWSCLIMFADelete(t *testing.T) {
	harness.NeedTool(t, "aws")
	s, c, code := guarded(t)
	mfa := func() []string { return []string{"--mfa", code()} }
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
	used := mfa()
	run(append(batch, used...))
	suspend := api("put-bucket-versioning", "--versioning-configuration", "Status=Suspended")
	refused(suspend)
	refused(append(suspend, used...))
	run(append(suspend, mfa()...))
	run(api("delete-bucket"))
}
