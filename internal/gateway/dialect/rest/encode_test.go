package rest

import (
	"net/http"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestHTTPDate: dates are formatted as by package time.
func TestHTTPDate(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		at := time.Unix(rapid.Int64Range(-70_000_000_000, 300_000_000_000).Draw(r, "at"), 7).
			In(time.FixedZone("", rapid.IntRange(-50_000, 50_000).Draw(r, "zone")))
		if got, want := httpDate(at), at.UTC().Format(http.TimeFormat); got != want {
			r.Fatalf("%v is %q, want %q", at, got, want)
		}
	})
}
