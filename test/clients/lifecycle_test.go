package clients

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestTerraformLifecycle applies a lifecycle configuration, finds nothing left to do, and
// destroys it.
func TestTerraformLifecycle(t *testing.T) {
	c := start(t, "terraform")
	main, err := os.ReadFile(filepath.Join("testdata", "terraform-lifecycle", "main.tf"))
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
	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
}
