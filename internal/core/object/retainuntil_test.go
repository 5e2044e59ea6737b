package object

import (
	"testing"
	"time"
)

// FuzzParseRetainUntil: every accepted date can be written in RFC 3339 in UTC, which is read as the
// same date. The date is never earlier than the one that was sent.
func FuzzParseRetainUntil(f *testing.F) {
	for _, s := range []string{
		"2030-01-01T00:00:00Z", "20300101T000000Z", "2030-01-01T00:00:00,5Z", "2030-01-01T00:00:00.123456789+23:59",
		"9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59",
		"2030-02-30T00:00:00Z", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := ParseRetainUntil(s)
		if !ok {
			return
		}
		text := got.Format(time.RFC3339Nano)
		again, err := time.Parse(time.RFC3339, text)
		if err != nil || !again.Equal(got) || got.Location() != time.UTC {
			t.Errorf("%q is %v, %q, %v", s, got, text, err)
		}
		if sent, err := time.Parse(time.RFC3339, s); err == nil && got.Before(sent) {
			t.Errorf("%q became %q", s, text)
		}
	})
}
