package clients

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// underKey returns the encryption of an object, and fails the test unless it is under a KMS key.
func (c client) underKey(bucket, key string) {
	c.t.Helper()
	out, err := c.s.S3.HeadObject(c.t.Context(), &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
	if err != nil || out.ServerSideEncryption != "aws:kms" ||
		!strings.HasPrefix(aws.ToString(out.SSEKMSKeyId), "arn:aws:kms:"+c.s.Region+":") {
		c.t.Errorf("%s: %+v %v", key, out, err)
	}
}

// TestAWSCLIUnderKMS: the aws CLI makes a key and stores, copies and reads objects under
// it, in one request and in parts.
func TestAWSCLIUnderKMS(t *testing.T) {
	c := start(t, "aws")
	endpoint := []string{"--endpoint-url", c.s.Endpoint}
	run := func(args ...string) string { t.Helper(); return c.run("aws", append(endpoint, args...)...) }
	key := strings.TrimSpace(run("kms", "create-key", "--query", "KeyMetadata.Arn", "--output", "text"))
	big, small := c.file("big", large), c.file("small", 100)
	run("s3", "mb", "s3://cli-kms")
	for name, content := range map[string][]byte{"big": big, "small": small} {
		run("s3", "cp", name, "s3://cli-kms/"+name, "--sse", "aws:kms", "--sse-kms-key-id", key)
		c.underKey("cli-kms", name)
		run("s3", "cp", "s3://cli-kms/"+name, name+".back")
		c.same(name+".back", content)
		run("s3", "cp", "s3://cli-kms/"+name, "s3://cli-kms/"+name+".copy", "--sse", "aws:kms")
		c.underKey("cli-kms", name+".copy")
		run("s3", "cp", "s3://cli-kms/"+name+".copy", name+".copied")
		c.same(name+".copied", content)
	}
	run("s3api", "put-bucket-encryption", "--bucket", "cli-kms", "--server-side-encryption-configuration",
		`{"Rules":[{"ApplyServerSideEncryptionByDefault":{"SSEAlgorithm":"aws:kms","KMSMasterKeyID":"`+key+
			`"},"BucketKeyEnabled":true}]}`)
	run("s3", "cp", "small", "s3://cli-kms/by-default")
	c.underKey("cli-kms", "by-default")
	run("s3", "rb", "s3://cli-kms", "--force")
	c.gone("cli-kms")
}

// TestBoto3UnderKMS: boto3 stores and reads objects under a key with an encryption
// context, in one request and in parts.
func TestBoto3UnderKMS(t *testing.T) {
	c := start(t, "python3")
	if err := c.command("python3", "-c", "import boto3").Run(); err != nil {
		if harness.ToolsRequired() {
			t.Fatal("boto3 is not installed")
		}
		t.Skip("boto3 is not installed; make tools installs it")
	}
	if out := c.run("python3", script(t, "boto3_kms.py")); !strings.HasSuffix(out, "done\n") {
		t.Errorf("%s", out)
	}
	c.gone("boto3-kms")
}

// TestRcloneUnderKMS: rclone copies a tree under a key and checks what it reads back.
// The MD5s that it stores with large objects are its own.
func TestRcloneUnderKMS(t *testing.T) {
	c := start(t, "rclone")
	c.extra = func(secret string) []string {
		return []string{
			"RCLONE_CONFIG=" + c.home + "/rclone.conf", "RCLONE_CONFIG_WT_TYPE=s3", "RCLONE_CONFIG_WT_PROVIDER=Minio",
			"RCLONE_CONFIG_WT_ENDPOINT=" + c.s.Endpoint, "RCLONE_CONFIG_WT_FORCE_PATH_STYLE=true",
			"RCLONE_CONFIG_WT_REGION=" + c.s.Region, "RCLONE_CONFIG_WT_ACCESS_KEY_ID=" + c.s.AccessKeyID,
			"RCLONE_CONFIG_WT_SECRET_ACCESS_KEY=" + secret, "RCLONE_CONFIG_WT_SERVER_SIDE_ENCRYPTION=aws:kms",
			"RCLONE_CONFIG_WT_UPLOAD_CUTOFF=8M", "RCLONE_CONFIG_WT_CHUNK_SIZE=5M",
			"RCLONE_RETRIES=1", "RCLONE_LOW_LEVEL_RETRIES=1",
		}
	}
	c.text("rclone.conf", "")
	big, small := c.file("tree/big", large), c.file("tree/small", 100)
	c.run("rclone", "mkdir", "wt:rclone-kms")
	c.run("rclone", "copy", "tree", "wt:rclone-kms/tree")
	c.underKey("rclone-kms", "tree/big")
	c.underKey("rclone-kms", "tree/small")
	c.run("rclone", "check", "--download", "tree", "wt:rclone-kms/tree")
	c.run("rclone", "copy", "wt:rclone-kms/tree", "back")
	c.same("back/big", big)
	c.same("back/small", small)
	c.run("rclone", "purge", "wt:rclone-kms")
	c.gone("rclone-kms")
}

// TestTerraformEncryption applies a key of KMS, a bucket that defaults to it, and objects
// under it, finds nothing left to do, and destroys them.
func TestTerraformEncryption(t *testing.T) {
	c := start(t, "terraform")
	run := c.applied("terraform-encryption", "main.tf")
	c.underKey("terraform-records", "by-default")
	c.underKey("terraform-records", "named")
	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
	c.gone("terraform-records")
}
