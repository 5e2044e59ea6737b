package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/harness"
)

// TestTerraformProtection applies versioning with MFA Delete and Object Lock, with a code in the provider's
// form, finds nothing left to do, and destroys them, which needs another code to turn MFA Delete off first.
func TestTerraformProtection(t *testing.T) {
	harness.NeedTool(t, "terraform")
	s, c, code := guarded(t)
	main, err := os.ReadFile(filepath.Join("testdata", "terraform-protection", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	run := c.terraformed(string(main))
	with := func(mfa, state string, command ...string) []string {
		return append(command, "-var", mfa, "-var", "mfa_delete="+state)
	}
	first := "mfa=" + code()
	if out := run(with(first, "Enabled", "apply", "-auto-approve")...); !strings.Contains(out, "4 added") {
		t.Errorf("%s", out)
	}
	if out := run(with(first, "Enabled", "plan", "-detailed-exitcode")...); !strings.Contains(out, "No changes.") {
		t.Errorf("a second plan: %s", out)
	}
	v, err := s.S3.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{
		Bucket: aws.String("terraform-ledger"),
	})
	if err != nil || v.MFADelete != types.MFADeleteStatusEnabled || v.Status != types.BucketVersioningStatusEnabled {
		t.Errorf("%+v %v", v, err)
	}
	l, err := s.S3.GetObjectLockConfiguration(t.Context(), &s3.GetObjectLockConfigurationInput{
		Bucket: aws.String("terraform-archive"),
	})
	if err != nil || l.ObjectLockConfiguration.Rule == nil ||
		aws.ToInt32(l.ObjectLockConfiguration.Rule.DefaultRetention.Days) != 30 {
		t.Errorf("%+v %v", l, err)
	}
	destroy := with(first, "Enabled", "destroy", "-auto-approve")
	if out, err := c.terraform(destroy...).CombinedOutput(); err == nil {
		t.Errorf("MFA Delete is suspended without a new code: %s", out)
	}
	last := "mfa=" + code()
	run(with(last, "Disabled", "apply", "-auto-approve")...)
	if out := run(with(last, "Disabled", "destroy", "-auto-approve")...); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
}
