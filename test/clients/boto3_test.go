package clients

import (
	"strings"
	"testing"

	"watertight/test/harness"
)

// TestBoto3 runs testdata/boto3_session.py.
func TestBoto3(t *testing.T) {
	c := start(t, "python3")
	if err := c.command("python3", "-c", "import boto3").Run(); err != nil {
		if harness.ToolsRequired() {
			t.Fatal("boto3 is not installed")
		}
		t.Skip("boto3 is not installed; make tools installs it")
	}
	if out := c.run("python3", script(t, "boto3_session.py")); !strings.HasSuffix(out, "done\n") {
		t.Errorf("%s", out)
	}
	c.gone("boto3-client")
}
