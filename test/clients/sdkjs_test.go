package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/test/harness"
)

// script is the path of a program in testdata.
func script(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestSDKForJavaScript runs testdata/javascript_session.cjs with the AWS SDK for
// JavaScript, whose managed upload is a separate library.
func TestSDKForJavaScript(t *testing.T) {
	c := start(t, "node")
	modules, err := filepath.Abs(filepath.Join("..", "..", "bin", "tools", "node", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(modules, "@aws-sdk", "lib-storage")); err != nil {
		if harness.ToolsRequired() {
			t.Fatal("the AWS SDK for JavaScript is not installed")
		}
		t.Skip("the AWS SDK for JavaScript is not installed; make tools installs it")
	}
	c.extra = func(string) []string { return []string{"NODE_PATH=" + modules} }
	if out := c.run("node", script(t, "javascript_session.cjs")); !strings.HasSuffix(out, "done\n") {
		t.Errorf("%s", out)
	}
	c.gone("javascript-client")
}
