package cdn

import (
	"fmt"
	"strings"
	"testing"
)

// TestRandom: alphabets of every length give their own characters, those whose length divides
// 256 among them.
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
