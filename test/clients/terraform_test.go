package clients

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/test/harness"
)

// terraform runs one command of Terraform in a separate folder. The provider comes
// from where Terraform is configured to find it.
func (c client) terraform(args ...string) *exec.Cmd {
	cmd := c.command("terraform", append(args, "-no-color")...)
	for _, name := range []string{"TF_CLI_CONFIG_FILE", "TF_PLUGIN_CACHE_DIR"} {
		v := os.Getenv(name)
		if _, err := os.Stat(v); err == nil {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, "TF_IN_AUTOMATION=1", "TF_INPUT=0", "CHECKPOINT_DISABLE=1",
		"AWS_S3_US_EAST_1_REGIONAL_ENDPOINT=regional")
	return cmd
}

// mirrored makes Terraform use the provider from a mirror on this machine, if there is
// one: in its own folders, or in one under /opt.
func mirrored(t *testing.T, home string) []string {
	t.Helper()
	for _, place := range []string{
		home + "/.terraform.d/plugins", "/usr/local/share/terraform/plugins", "/usr/share/terraform/plugins", "/opt/*",
	} {
		found, err := filepath.Glob(place + "/*/hashicorp/aws")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) > 0 {
			return []string{"-plugin-dir=" + filepath.Join(found[0], "../../..")}
		}
	}
	return nil
}

// terraformed makes a folder for one configuration, and returns a function that runs a command there; the
// command must succeed.
func (c client) terraformed(main string) func(args ...string) string {
	c.t.Helper()
	c.text("main.tf", main)
	home, err := os.UserHomeDir()
	if err != nil {
		c.t.Fatal(err)
	}
	init := c.terraform(append([]string{"init"}, mirrored(c.t, home)...)...)
	// The configuration of Terraform, if there is one, is in the home folder.
	for i, v := range init.Env {
		if strings.HasPrefix(v, "HOME=") {
			init.Env[i] = "HOME=" + home
		}
	}
	if out, err := init.CombinedOutput(); err != nil {
		c.t.Skipf("Terraform finds no hashicorp/aws provider on this machine: %v\n%s", err, out)
	}
	return func(args ...string) string {
		c.t.Helper()
		out, err := c.terraform(args...).CombinedOutput()
		if err != nil {
			c.t.Fatalf("terraform %q: %v\n%s", args, err, out)
		}
		return string(out)
	}
}

// applied applies the configuration in a file of testdata, and checks that a second plan has nothing left to
// do. It returns what terraformed returns.
func (c client) applied(path ...string) func(args ...string) string {
	c.t.Helper()
	main, err := os.ReadFile(filepath.Join(append([]string{"testdata"}, path...)...))
	if err != nil {
		c.t.Fatal(err)
	}
	run := c.terraformed(string(main))
	if out := run("apply", "-auto-approve"); !strings.Contains(out, "0 changed, 0 destroyed") {
		c.t.Errorf("%s", out)
	}
	if out := run("plan", "-detailed-exitcode"); !strings.Contains(out, "No changes.") {
		c.t.Errorf("a second plan: %s", out)
	}
	return run
}

// TestTerraform applies users, roles, policies and a bucket, finds nothing left to do,
// and destroys them. The provider also reads features that do not exist here. The
// answers must be true, or the second plan would not be empty.
func TestTerraform(t *testing.T) {
	c := start(t, "terraform")
	run := c.applied("terraform", "main.tf")
	key := strings.Fields(run("output", "-raw", "key"))
	role := strings.TrimSpace(run("output", "-raw", "role"))
	if len(key) != 2 || !strings.HasSuffix(role, ":role/shop/uploader") {
		t.Fatalf("%d words, %s", len(key), role)
	}
	// The applied policies work: the app may put, as itself and as the role, and nothing
	// else.
	asApp := harness.Credentials{AccessKeyID: key[0], SecretAccessKey: key[1]}
	c.as(asApp, true, "s3api", "put-object", "--bucket", "terraform-uploads", "--key", "by-app")
	c.as(asApp, false, "s3api", "get-object", "--bucket", "terraform-uploads", "--key", "by-app", "stolen")
	c.as(asApp, true, "sts", "assume-role", "--role-arn", role, "--role-session-name", "one", "--duration-seconds",
		"7200")
	c.as(asApp, false, "iam", "list-users")

	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
	root := iam.New(iam.Options{
		Region: c.s.Region, BaseEndpoint: &c.s.Endpoint, HTTPClient: harness.SDK(c.s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(c.s.AccessKeyID, c.s.SecretAccessKey, ""),
	})
	users, err := root.ListUsers(t.Context(), &iam.ListUsersInput{})
	if err != nil || len(users.Users) != 0 {
		t.Errorf("%+v, %v", users, err)
	}
	roles, err := root.ListRoles(t.Context(), &iam.ListRolesInput{})
	if err != nil || len(roles.Roles) != 0 {
		t.Errorf("%+v, %v", roles, err)
	}
	c.as(asApp, false, "sts", "get-caller-identity")
}

// as runs the aws CLI with other credentials; it must succeed or be refused.
func (c client) as(k harness.Credentials, allowed bool, args ...string) {
	c.t.Helper()
	harness.NeedTool(c.t, "aws")
	cmd := c.command("aws", args...)
	cmd.Env = append(cmd.Env, "AWS_ACCESS_KEY_ID="+k.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+k.SecretAccessKey)
	out, err := cmd.CombinedOutput()
	if (err == nil) != allowed {
		c.t.Errorf("aws %q: %v, allowed is to be %v\n%s", args, err, allowed, out)
	}
}
