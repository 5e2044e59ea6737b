package s3

import (
	"fmt"
	"testing"
	"time"

	"watertight/internal/fault"
)

func TestInstants(t *testing.T) {
	at := func(seconds, micros int64) string {
		return time.Unix(seconds, 1000*micros).UTC().Format(time.RFC3339Nano)
	}
	for _, c := range []struct{ value, want string }{
		{"2026-11-30T06:50:00Z", "2026-11-30T06:50:00Z"},
		{"2026-11-30T06:50:00.123456Z", "2026-11-30T06:50:00.123456Z"},
		{"2026-11-30T08:50:00+02:00", "2026-11-30T06:50:00Z"},
		{"0", at(0, 0)},
		{"1700000000", at(1_700_000_000, 0)},
		{"1700000000.000001", at(1_700_000_000, 1)},
		{"1700000000.5", at(1_700_000_000, 500_000)},
		{"1700000000.1234567891", "2023-11-14T22:13:20.123456789Z"},
		{"253402300799", at(latestSecond, 0)},
		{"253402300800", ""},
		{"", ""},
		{"yesterday", ""},
		{"2026-11-30", ""},
		{"2026-11-30T06:50:00", ""},
		{"0001-01-01T00:00:00Z", ""},
		{"1969-12-31T23:59:59Z", ""},
		{"-1", ""},
		{"+1", ""},
		{"1.", ""},
		{".5", ""},
		{"1.-5", ""},
		{"1e9", ""},
		{"1_000", ""},
		{" 1", ""},
		{"18446744073709551617", ""},
	} {
		t.Run(c.value, func(t *testing.T) {
			got, err := instantOf(asOf, c.value)
			if c.want == "" && !fault.Is(err, fault.InvalidArgument) {
				t.Errorf("%v, %v", got, err)
			}
			if c.want != "" && (err != nil || got.Format(time.RFC3339Nano) != c.want) {
				t.Errorf("%v, %v, want %s", got, err, c.want)
			}
		})
	}
}

// FuzzInstant: an accepted instant is never the zero time, which would mean now, and is parsed back from
// both forms.
func FuzzInstant(f *testing.F) {
	f.Add("2026-11-30T06:50:00Z", int64(1))
	f.Add("1700000000.5", int64(1_700_000_000_000_000))
	f.Fuzz(func(t *testing.T, value string, micros int64) {
		if at, err := instantOf(asOf, value); err == nil && (at.IsZero() || at.UnixMicro() < 0) {
			t.Errorf("%q is %v", value, at)
		}
		if micros < 0 || micros/1_000_000 > latestSecond {
			return
		}
		at := time.UnixMicro(micros).UTC()
		for _, form := range []string{
			at.Format(time.RFC3339Nano), fmt.Sprintf("%d.%06d", micros/1_000_000, micros%1_000_000),
		} {
			if got, err := instantOf(asOf, form); err != nil || !got.Equal(at) {
				t.Errorf("%q is %v, %v", form, got, err)
			}
		}
	})
}
