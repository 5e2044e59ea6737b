package distribution

import (
	"strings"
	"testing"
)

// TestMatches: path patterns as the developer guide describes them.
func TestMatches(t *testing.T) {
	for _, c := range []struct {
		pattern, path string
		want          bool
	}{
		{"*", "/", true},
		{"*.jpg", "/a/b.jpg", true},
		{"*.jpg", "/a/b.JPG", false},
		{"images/*", "/images/", true},
		{"/images/*", "/images/a/b", true},
		{"/images/*", "/images", false},
		{"images/*.jp?", "/images/x.jpg", true},
		{"images/*.jp?", "/images/x.jp", false},
		{"/a?c", "/abc", true},
		{"/a?c", "/abbc", false},
		{"/a*b*c", "/aXbXbYc", true},
		{"/a*b*c", "/aXbXbY", false},
		{"/a**", "/a", true},
		{"/a?c", "/aéc", true},
		{"/a?c", "/a\xffc", true},
		{"/a?c", "/ae\u0301c", false},
		{"/*?c", "/éc", true},
		{"/???", "/é", false},
		{"/a", "/a", true},
		{"/a", "/ab", false},
		{"/*/x", "//x", true},
		{"", "/", true},
		{"", "/a", false},
	} {
		t.Run(c.pattern+" "+c.path, func(t *testing.T) {
			if got := Matches(c.pattern, c.path); got != c.want {
				t.Errorf("got %v", got)
			}
		})
	}
}

// FuzzMatches: no pattern causes a panic, and a path matches itself, its prefix followed by *,
// and * alone.
func FuzzMatches(f *testing.F) {
	f.Add("a*b?c", "/aXbYc")
	f.Add(strings.Repeat("*a", 50), "/"+strings.Repeat("a", 100))
	f.Fuzz(func(t *testing.T, pattern, path string) {
		if Matches(pattern, path) && !Matches(pattern+"*", path) {
			t.Errorf("%q matches %q, but not with a star at its end", pattern, path)
		}
		if plain := "/" + path; !strings.ContainsAny(path, "*?") {
			for _, p := range []string{plain, "*", plain[:1+len(path)/2] + "*"} {
				if !Matches(p, plain) {
					t.Errorf("%q does not match %q", p, plain)
				}
			}
		}
	})
}
