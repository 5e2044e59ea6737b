package clients

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
	"testing"

	encryption "github.com/aws/amazon-s3-encryption-client-go/v3/client"
	"github.com/aws/amazon-s3-encryption-client-go/v3/materials"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

func kmsOf(s *harness.Server) *kms.Client {
	return kms.New(kms.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, HTTPClient: harness.SDK(s.HTTP), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
}

func newKey(t *testing.T, k *kms.Client) *string {
	t.Helper()
	out, err := k.CreateKey(t.Context(), &kms.CreateKeyInput{})
	if err != nil {
		t.Fatal(err)
	}
	return out.KeyMetadata.Arn
}

// TestSOPS encrypts and decrypts a file under a key, as long as the key can be used.
func TestSOPS(t *testing.T) {
	c := start(t, "sops")
	c.extra = func(string) []string { return []string{"SOPS_DISABLE_VERSION_CHECK=1"} }
	k := kmsOf(c.s)
	key := newKey(t, k)
	const secret = "password: correct-horse-battery-staple\n"
	c.text("secret.yaml", secret)
	sealed := c.run("sops", "encrypt", "--kms", *key, "--encryption-context", "app:shop", "secret.yaml")
	if strings.Contains(sealed, "battery") || !strings.Contains(sealed, *key) {
		t.Errorf("the file is %s", sealed)
	}
	c.text("sealed.yaml", sealed)
	if out := c.run("sops", "decrypt", "sealed.yaml"); out != secret {
		t.Errorf("it decrypts to %q", out)
	}
	c.run("sops", "set", "sealed.yaml", `["more"]`, `"values"`)
	if out := c.run("sops", "decrypt", "--extract", `["more"]`, "sealed.yaml"); out != "values" {
		t.Errorf("the value is %q", out)
	}
	if _, err := k.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: key}); err != nil {
		t.Fatal(err)
	}
	out, err := c.command("sops", "decrypt", "sealed.yaml").CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("DisabledException")) {
		t.Errorf("with a disabled key: %v\n%s", err, out)
	}
}

// TestS3EncryptionClient: the Amazon S3 Encryption Client encrypts objects itself, under data keys of a KMS
// key of this server.
func TestS3EncryptionClient(t *testing.T) {
	s := harness.Start(t)
	ctx, k := t.Context(), kmsOf(s)
	key := newKey(t, k)
	manager, err := materials.NewCryptographicMaterialsManager(materials.NewKmsKeyring(k, *key))
	if err != nil {
		t.Fatal(err)
	}
	client, err := encryption.New(s.S3, manager)
	if err != nil {
		t.Fatal(err)
	}
	bucket, name := aws.String("client-side"), aws.String(odd)
	if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	want := random(100_000)
	if _, err := client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: bucket, Key: name, Body: bytes.NewReader(want),
	}); err != nil {
		t.Fatal(err)
	}
	read := func(get func() (*s3.GetObjectOutput, error)) []byte {
		t.Helper()
		out, err := get()
		if err != nil {
			t.Fatal(err)
		}
		defer out.Body.Close()
		b, err := io.ReadAll(out.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	in := &s3.GetObjectInput{Bucket: bucket, Key: name}
	if got := read(func() (*s3.GetObjectOutput, error) { return client.GetObject(ctx, in) }); !bytes.Equal(got, want) {
		t.Error("not the same bytes")
	}
	stored := read(func() (*s3.GetObjectOutput, error) { return s.S3.GetObject(ctx, in) })
	if bytes.Contains(stored, want[:32]) {
		t.Error("the server was sent the plaintext")
	}
	if _, err := k.DisableKey(ctx, &kms.DisableKeyInput{KeyId: key}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.GetObject(ctx, in); err == nil || !strings.Contains(err.Error(), "DisabledException") {
		t.Errorf("with a disabled key: %v", err)
	}
}

// TestAWSCLIOfKMS is a session of aws kms.
func TestAWSCLIOfKMS(t *testing.T) {
	c := start(t, "aws")
	run := func(args ...string) string {
		t.Helper()
		all := append([]string{"--endpoint-url", c.s.Endpoint, "--output", "text", "kms"}, args...)
		return strings.TrimSpace(c.run("aws", all...))
	}
	same := func(got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	key := run("create-key", "--description", "the shop's", "--tags", "TagKey=team,TagValue=shop", "--query",
		"KeyMetadata.KeyId")
	run("create-alias", "--alias-name", "alias/shop", "--target-key-id", key)
	same(run("describe-key", "--key-id", "alias/shop", "--query", "KeyMetadata.[KeyState,KeyManager,Description]"),
		"Enabled\tCUSTOMER\tthe shop's")
	same(run("list-keys", "--query", "Keys[].KeyId"), key)
	same(run("list-aliases", "--key-id", key, "--query", "Aliases[].AliasName"), "alias/shop")
	same(run("list-resource-tags", "--key-id", key, "--query", "Tags[].TagValue"), "shop")

	c.text("plain", "attack at dawn")
	blob := run("encrypt", "--key-id", "alias/shop", "--plaintext", "fileb://plain", "--encryption-context", "a=b",
		"--query", "CiphertextBlob")
	raw, err := base64.StdEncoding.DecodeString(blob)
	if err != nil {
		t.Fatal(err)
	}
	c.text("sealed", string(raw))
	opened := run("decrypt", "--ciphertext-blob", "fileb://sealed", "--encryption-context", "a=b", "--query",
		"Plaintext")
	same(opened, base64.StdEncoding.EncodeToString([]byte("attack at dawn")))
	c.refusedBecause("InvalidCiphertextException", "decrypt", "--ciphertext-blob", "fileb://sealed")
	if n := len(run("generate-data-key", "--key-id", key, "--key-spec", "AES_256", "--query", "Plaintext")); n != 44 {
		t.Errorf("a data key of %d characters", n)
	}
	same(run("get-key-policy", "--key-id", key, "--policy-name", "default", "--query", "PolicyName"), "default")
	account := run("describe-key", "--key-id", key, "--query", "KeyMetadata.AWSAccountId")
	grant := run("create-grant", "--key-id", key, "--operations", "Decrypt", "--grantee-principal",
		"arn:aws:iam::"+account+":root", "--query", "GrantId")
	same(run("list-grants", "--key-id", key, "--query", "Grants[].GrantId"), grant)
	run("revoke-grant", "--key-id", key, "--grant-id", grant)
	run("enable-key-rotation", "--key-id", key)
	same(run("get-key-rotation-status", "--key-id", key, "--query", "KeyRotationEnabled"), "True")
	run("rotate-key-on-demand", "--key-id", key)
	same(run("list-key-rotations", "--key-id", key, "--query", "Rotations[].RotationType"), "ON_DEMAND")
	same(run("decrypt", "--ciphertext-blob", "fileb://sealed", "--encryption-context", "a=b", "--query", "Plaintext"),
		opened)
	run("disable-key", "--key-id", key)
	c.refusedBecause("DisabledException", "encrypt", "--key-id", key, "--plaintext", "fileb://plain")
	run("enable-key", "--key-id", key)
	same(run("schedule-key-deletion", "--key-id", key, "--pending-window-in-days", "7", "--query", "KeyState"),
		"PendingDeletion")
	run("cancel-key-deletion", "--key-id", key)
	same(run("describe-key", "--key-id", key, "--query", "KeyMetadata.KeyState"), "Disabled")
	run("delete-alias", "--alias-name", "alias/shop")
}

// refusedBecause runs aws kms, which must fail and name the error.
func (c client) refusedBecause(code string, args ...string) {
	c.t.Helper()
	out, err := c.command("aws", append([]string{"--endpoint-url", c.s.Endpoint, "kms"}, args...)...).CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte(code)) {
		c.t.Errorf("aws kms %q: %v, does not say %s:\n%s", args, err, code, out)
	}
}

// TestTerraformOfKMS applies a key with a rotation, a policy, an alias and a grant,
// finds nothing left to do, and destroys them.
func TestTerraformOfKMS(t *testing.T) {
	c := start(t, "terraform")
	run := c.applied("terraform", "kms.tf")
	key := aws.String(strings.TrimSpace(run("output", "-raw", "key")))
	k := kmsOf(c.s)
	status, err := k.GetKeyRotationStatus(t.Context(), &kms.GetKeyRotationStatusInput{KeyId: key})
	if err != nil || !status.KeyRotationEnabled || *status.RotationPeriodInDays != 180 {
		t.Errorf("%+v, %v", status, err)
	}
	policy, err := k.GetKeyPolicy(t.Context(), &kms.GetKeyPolicyInput{KeyId: key})
	if err != nil || !json.Valid([]byte(*policy.Policy)) || !strings.Contains(*policy.Policy, "role/shop-app") {
		t.Errorf("%+v, %v", policy, err)
	}
	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
	gone, err := k.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: key})
	if err != nil || gone.KeyMetadata.KeyState != "PendingDeletion" ||
		*gone.KeyMetadata.PendingDeletionWindowInDays != 7 {
		t.Errorf("%+v, %v", gone, err)
	}
}
