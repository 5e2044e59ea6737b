package mfa

import (
	"bytes"
	"encoding/base32"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// TestSeeds: the forms that vendors print are accepted, and no others.
func TestSeeds(t *testing.T) {
	want := []byte("12345678901234567890")
	for name, c := range map[string]struct {
		text string
		ok   bool
	}{
		"hexadecimal":                 {hex.EncodeToString(want), true},
		"upper case":                  {strings.ToUpper(hex.EncodeToString(want)), true},
		"base32":                      {"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", true},
		"base32 in lower case":        {"gezdgnbvgy3tqojqgezdgnbvgy3tqojq", true},
		"groups, and the end of line": {" GEZD GNBV-GY3T QOJQ\tGEZD GNBV GY3T QOJQ\r\n", true},
		"padding":                     {"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ======", true},
		"none":                        {"", false},
		"a short one":                 {"GEZDGNBV", false},
		"another alphabet":            {"0OIL1OIL1OIL1OIL1OIL1OIL1OIL1OIL", false},
		"a code":                      {"123456", false},
		"odd digits":                  {hex.EncodeToString(want)[1:], false},
		"a very long one":             {strings.Repeat("00", 129), false},
		"padding within":              {"GEZDGNBVGY3TQOJQ=GEZDGNBVGY3TQOJQ", false},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Seed(c.text).bytes()
			if (err == nil) != c.ok || c.ok && !bytes.Equal(got, want) {
				t.Errorf("%x, %v", got, err)
			}
			if c.text != "" && err != nil && strings.Contains(err.Error(), c.text) {
				t.Errorf("the error contains the seed: %v", err)
			}
		})
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x"} {
		if said := fmt.Sprintf(verb, AddInput{Seed: "GEZDGNBV"}); strings.Contains(said, "GEZD") ||
			strings.Contains(said, "47455a44") {
			t.Errorf("%s prints %s", verb, said)
		}
	}
}

// FuzzSeed: a seed is read in either form, and no text makes the reader panic.
func FuzzSeed(f *testing.F) {
	f.Add([]byte("12345678901234567890"), "GEZD GNBV")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		Seed(text).bytes()
		if len(b) < shortestSeed || len(b) > longestSeed {
			return
		}
		if got, err := Seed(hex.EncodeToString(b)).bytes(); err != nil || !bytes.Equal(got, b) {
			t.Errorf("%x, %v", got, err)
		}
		in32 := base32.StdEncoding.EncodeToString(b)
		onlyHex := len(strings.TrimRight(in32, "="))%2 == 0 && strings.Trim(in32, "ABCDEF234567=") == ""
		if got, err := Seed(in32).bytes(); !onlyHex && (err != nil || !bytes.Equal(got, b)) {
			t.Errorf("%x, %v", got, err)
		}
	})
}
