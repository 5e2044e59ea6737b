package clients

import (
	"strings"
	"testing"
)

// TestTerraformLifecycle applies a lifecycle configuration, finds nothing left to do, and
// destroys it.
func TestTerraformLifecycle(t *testing.T) {
	c := start(t, "terraform")
	run := c.applied("terraform-lifecycle", "main.tf")
	if out := run("destroy", "-auto-approve"); !strings.Contains(out, "Destroy complete!") {
		t.Errorf("%s", out)
	}
}
