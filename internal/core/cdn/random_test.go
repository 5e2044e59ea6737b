package cdn

import (
	"fmt"
	"strings"
	"testing"
)

// TestRandom: random uses every character of an alphabet and no other, also if the alphabet's
// length divides 256.
func TestRandom(t *testing.T) {
	var all strings.Builder
	for c := range 128 {
		all.WriteByte(byte(c))
	}
	for _, n := range []int{1, 2, 3, 32, 36, 64, 127, 128} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			alphabet := all.String()[:n]
			if s := random(alphabet, 100); len(s) != 100 || strings.Trim(s, alphabet) != "" {
				t.Errorf("%q", s)
			}
		})
	}
}
