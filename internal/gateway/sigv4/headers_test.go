package sigv4

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// TestCanonical: the form of a value that is signed, in one line.
func TestCanonical(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := string(rapid.SliceOfN(rapid.SampledFrom([]byte("ab  \t\x80")), 0, 20).Draw(r, "s"))
		want := strings.Join(strings.FieldsFunc(s, func(c rune) bool { return c == ' ' || c == '\t' }), " ")
		if got := Canonical(s); got != want {
			r.Fatalf("%q is %q, want %q", s, got, want)
		}
		if got := string(appendTrimmed([]byte("x"), s)); got != "x"+want {
			r.Fatalf("%q is appended as %q, want %q", s, got, want)
		}
	})
}

// TestMustSign: which headers a signature must cover, in any case, and which of them it does.
func TestMustSign(t *testing.T) {
	names := []string{
		"x-amz-acl", "x-amz-", "x-amz", "x-amz-content-sha256", "x-amz-date", "x-watertight-as-of", "x-watertight",
		"content-md5", "content-md50", "content-type", "range", "", "x", "c", "host",
	}
	rapid.Check(t, func(r *rapid.T) {
		lower := rapid.SampledFrom(names).Draw(r, "name")
		name := []byte(lower)
		for i := range name {
			if rapid.Bool().Draw(r, "upper") {
				name[i] = strings.ToUpper(lower)[i]
			}
		}
		want := strings.HasPrefix(lower, "x-amz-") && lower != "x-amz-content-sha256" ||
			strings.HasPrefix(lower, "x-watertight-") || lower == "content-md5"
		if got := mustSign(string(name)); got != want {
			r.Fatalf("%s: %v", name, got)
		}
		c := &Claim{signed: []string{"host", lower, "ABC"}}
		if !c.signs(string(name)) || c.signs(string(name)+"x") || c.signs("abc") {
			r.Fatalf("%s: what is signed", name)
		}
	})
}
