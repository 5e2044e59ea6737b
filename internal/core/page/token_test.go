package page

import (
	"strings"
	"testing"

	"watertight/internal/fault"
)

func TestTokenRoundTrip(t *testing.T) {
	for _, position := range []string{"", "a", "ä/ ?&", strings.Repeat("x", 1024), "\x00\xff"} {
		if got, err := Open("objects\x00b", Token("objects\x00b", position)); err != nil || got != position {
			t.Errorf("%q: %q, %v", position, got, err)
		}
	}
}

func TestChangedTokensAreRefused(t *testing.T) {
	token := Token("scope", "position")
	bad := []string{
		"", "x", token[:len(token)-1], token + "A", token + "=", " " + token, "garbage", token[:4] + "\n" + token[4:],
		token + "\r\n", strings.Repeat("A", 5000),
	}
	for i := range token {
		for _, c := range "Aa0_-=" {
			if changed := token[:i] + string(c) + token[i+1:]; changed != token {
				bad = append(bad, changed)
			}
		}
	}
	for _, b := range bad {
		if _, err := Open("scope", b); !fault.Is(err, "InvalidArgument") ||
			fault.From(err).Members["ArgumentName"] != "continuation-token" {
			t.Errorf("%.40q: %v", b, err)
		}
	}
	if _, err := Open("another", token); !fault.Is(err, "InvalidArgument") {
		t.Errorf("of another listing: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add("s", Token("s", "position"))
	f.Add("s", "!")
	f.Fuzz(func(t *testing.T, scope, token string) {
		position, err := Open(scope, token)
		if err == nil && Token(scope, position) != token {
			t.Fatalf("two tokens for %q", position)
		}
	})
}
