package objectkey

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/fault"
)

func TestCheck(t *testing.T) {
	for _, key := range []string{
		"", "a", "/", "//", "a//b", "./a", "a/./b", "a/../b", "..a", "a/b/../../c", "%2F", "+", " ", "é", "*", "~",
		"\n", "\x01", "\U0001F600",
		strings.Repeat("x", 1024), strings.Repeat("é", 512),
	} {
		if err := Check(key); err != nil {
			t.Errorf("%.20q: %v", key, err)
		}
	}
	for key, code := range map[string]string{
		strings.Repeat("x", 1025):        "KeyTooLongError",
		strings.Repeat("é", 512) + "x":   "KeyTooLongError",
		"a\x00b":                         "InvalidURI",
		"\xff":                           "InvalidURI",
		"..":                             "InvalidURI",
		"../a":                           "InvalidURI",
		"a/../../b":                      "InvalidURI",
		"/../a":                          "InvalidURI",
		"./../a":                         "InvalidURI",
		strings.Repeat("../", 300) + "a": "InvalidURI",
	} {
		t.Run(fmt.Sprintf("%.60s", key), func(t *testing.T) {
			if err := Check(key); !fault.Is(err, fault.Code(code)) {
				t.Errorf("%.20q: %v", key, err)
			}
		})
	}
}
