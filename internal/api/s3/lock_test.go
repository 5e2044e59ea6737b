package s3

import (
	"testing"
	"time"

	"watertight/internal/access/authz"
)

// TestRemainingDays: a begun day counts as a whole one.
func TestRemainingDays(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	for until, want := range map[string]string{
		"2026-12-30T12:00:00Z": "30", "2026-12-30T11:59:59.5Z": "30", "2026-12-30T12:00:01Z": "31",
		"2026-11-30T12:00:01Z": "1", "2026-11-29T00:00:00Z": "0", "20261201T120000Z": "1", "": "",
		"9999-12-31T00:00:00Z": "106752", // of the longest time.Duration
	} {
		t.Run(until, func(t *testing.T) {
			keys, ok := lockKeys("", until)
			if !ok {
				t.Fatal("no date")
			}
			n := authz.Need{Keys: keys}
			addRemainingDays(&n, now)
			got := ""
			if days := n.Keys[lockDaysKey]; len(days) == 1 {
				got = days[0]
			}
			if got != want {
				t.Errorf("%q days, not %q", got, want)
			}
		})
	}
}
