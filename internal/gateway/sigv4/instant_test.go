package sigv4

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestInstants: times are formatted and parsed as by package time.
func TestInstants(t *testing.T) {
	check := func(t *testing.T, s string) {
		got, err := parseInstant(s)
		want, wantErr := time.Parse(timeFormat, s)
		if got != want || (err == nil) != (wantErr == nil) {
			t.Errorf("%q is %v, %v; want %v, %v", s, got, err, want, wantErr)
		}
	}
	for _, s := range []string{
		"", "20240229T235959Z", "20230229T000000Z", "20240101T240000Z", "20240101T000060Z", "20240101T000000.5Z",
		"00000101T000000Z", "20240101t000000Z", "20240101T000000z", "2024010:T000000Z", "20240101T0000/1Z",
		"99991231T235959Z", "20241301T000000Z", "20240100T000000Z", "-0240101T000000Z",
	} {
		t.Run(s, func(t *testing.T) { check(t, s) })
	}
	t.Run("any", rapid.MakeCheck(func(r *rapid.T) {
		at := time.Unix(rapid.Int64Range(-70_000_000_000, 300_000_000_000).Draw(r, "at"), 7).
			In(time.FixedZone("", rapid.IntRange(-50_000, 50_000).Draw(r, "zone")))
		s := string(appendInstant(nil, at))
		if want := at.UTC().Format(timeFormat); s != want {
			r.Fatalf("%v is %q, want %q", at, s, want)
		}
		b := []byte(s)
		b[rapid.IntRange(0, len(b)-1).Draw(r, "where")] = rapid.SampledFrom([]byte("0123456789TZ:/ -")).Draw(r, "with")
		check(t, s)
		check(t, string(b))
	}))
}
