package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/server"
	"watertight/test/harness"
)

// startCDN starts a server with a CDN on a port of its own.
func startCDN(t *testing.T, tool string) client {
	t.Helper()
	harness.NeedTool(t, tool)
	s := harness.Start(t, func(c *server.Config) { c.CDN.Listen = "127.0.0.1:0" })
	return client{t, s, t.TempDir(), s.SecretAccessKey, func(string) []string { return nil }}
}

// page returns what a viewer gets from a distribution, by its id and the path.
func (c client) page(id, path string) string {
	c.t.Helper()
	harness.NeedTool(c.t, "curl")
	return c.run("curl", "-s", "-w", " %{http_code}", c.s.CDN()+"/_/"+id+path)
}

// TestAWSCLICloudFront makes a site with the aws CLI: a private bucket, an origin access
// control, a distribution, the statement of the bucket policy; then it changes a page and
// invalidates it.
func TestAWSCLICloudFront(t *testing.T) {
	c := startCDN(t, "aws")
	aws := func(args ...string) string {
		t.Helper()
		return strings.TrimSpace(c.run("aws", append([]string{"--endpoint-url", c.s.Endpoint, "--output", "text"},
			args...)...))
	}
	cdn := func(args ...string) string { t.Helper(); return aws(append([]string{"cloudfront"}, args...)...) }
	aws("s3", "mb", "s3://site")
	put := func(text string) {
		t.Helper()
		c.text("index.html", text)
		aws("s3", "cp", "index.html", "s3://site/index.html", "--cache-control", "max-age=3600")
	}
	put("one")
	oac := cdn("create-origin-access-control", "--origin-access-control-config",
		"Name=site,SigningProtocol=sigv4,SigningBehavior=always,OriginAccessControlOriginType=s3",
		"--query", "OriginAccessControl.Id")
	// The short form of the command makes a configuration of the older kind.
	id := cdn("create-distribution", "--origin-domain-name", "site.s3.amazonaws.com", "--default-root-object",
		"index.html", "--query", "Distribution.Id")
	var made struct {
		ETag               string
		DistributionConfig map[string]any
	}
	out := c.run("aws", "--endpoint-url", c.s.Endpoint, "cloudfront", "get-distribution-config", "--id", id)
	if err := json.Unmarshal([]byte(out), &made); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	origins := made.DistributionConfig["Origins"].(map[string]any)["Items"].([]any)
	origins[0].(map[string]any)["OriginAccessControlId"] = oac
	config, err := json.Marshal(made.DistributionConfig)
	if err != nil {
		t.Fatal(err)
	}
	c.text("config.json", string(config))
	etag := cdn("update-distribution", "--id", id, "--if-match", made.ETag, "--distribution-config",
		"file://config.json", "--query", "ETag")
	cdn("wait", "distribution-deployed", "--id", id)
	if got := c.page(id, "/"); !strings.HasSuffix(got, " 403") {
		t.Errorf("without a statement in the bucket policy: %s", got)
	}
	arn := cdn("get-distribution", "--id", id, "--query", "Distribution.ARN")
	c.text("policy.json", `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":`+
		`"cloudfront.amazonaws.com"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::site/*","Condition":`+
		`{"StringEquals":{"AWS:SourceArn":"`+arn+`"}}}]}`)
	aws("s3api", "put-bucket-policy", "--bucket", "site", "--policy", "file://policy.json")
	invalidate := func() {
		t.Helper()
		batch := cdn("create-invalidation", "--distribution-id", id, "--paths", "/*", "--query", "Invalidation.Id")
		cdn("wait", "invalidation-completed", "--distribution-id", id, "--id", batch)
	}
	invalidate()
	if got := c.page(id, "/"); got != "one 200" {
		t.Errorf("with one: %s", got)
	}
	put("two")
	if got := c.page(id, "/"); got != "one 200" {
		t.Errorf("from the cache: %s", got)
	}
	invalidate()
	if got := c.page(id, "/"); got != "two 200" {
		t.Errorf("after the invalidation: %s", got)
	}
	bucket := c.s.Endpoint + "/site/index.html"
	if got := c.run("curl", "-s", "-o", os.DevNull, "-w", "%{http_code}", bucket); got != "403" {
		t.Errorf("the bucket itself answers %s", got)
	}
	if got := cdn("list-distributions", "--query", "DistributionList.Items[].Id"); got != id {
		t.Errorf("listed: %s", got)
	}
	made.DistributionConfig["Enabled"] = false
	if config, err = json.Marshal(made.DistributionConfig); err != nil {
		t.Fatal(err)
	}
	c.text("config.json", string(config))
	etag = cdn("update-distribution", "--id", id, "--if-match", etag, "--distribution-config", "file://config.json",
		"--query", "ETag")
	if got := c.page(id, "/"); !strings.HasSuffix(got, " 403") {
		t.Errorf("disabled: %s", got)
	}
	cdn("delete-distribution", "--id", id, "--if-match", etag)
}

// TestTerraformCDN applies a private bucket behind a distribution, finds nothing left to
// do, and destroys it all.
func TestTerraformCDN(t *testing.T) {
	c := startCDN(t, "terraform")
	main, err := os.ReadFile(filepath.Join("testdata", "terraform-cdn", "main.tf"))
	if err != nil {
		t.Fatal(err)
	}
	run := c.terraformed(string(main))
	if out := run("apply", "-auto-approve"); !strings.Contains(out, "0 changed, 0 destroyed") {
		t.Errorf("%s", out)
	}
	if out := run("plan", "-detailed-exitcode"); !strings.Contains(out, "No changes.") {
		t.Errorf("a second plan: %s", out)
	}
	id := strings.TrimSpace(run("output", "-raw", "id"))
	if got := c.page(id, "/"); got != "the first page 200" {
		t.Errorf("%s", got)
	}
	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
	if got := c.page(id, "/"); !strings.HasSuffix(got, " 403") {
		t.Errorf("destroyed: %s", got)
	}
}
