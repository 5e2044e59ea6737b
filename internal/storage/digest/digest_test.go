package digest

import (
	"net/http"
	"strings"
	"testing"
)

// TestHeaders: the constant header names agree with the names of the algorithms.
func TestHeaders(t *testing.T) {
	for _, a := range All() {
		if want := "x-amz-checksum-" + strings.ToLower(string(a)); a.Header() != want ||
			a.CanonicalHeader() != http.CanonicalHeaderKey(want) {
			t.Errorf("%s: %q, %q", a, a.Header(), a.CanonicalHeader())
		}
	}
	if None.Header() != "" || None.CanonicalHeader() != "" {
		t.Error("no checksum has a header")
	}
}
