package identity

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/policy"
)

// TestCachedPoliciesAreCounted: the cache counts a policy with the most memory that one of its
// size can take, so that any number of them stays within the cache's share of memory.
func TestCachedPoliciesAreCounted(t *testing.T) {
	const most = 16 << 20
	d := NewDocuments(most)
	for i := range 500 {
		text := fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",`+
				`"Resource":"arn:aws:s3:::%d%s"}}`,
			i, strings.Repeat("?", 1900),
		)
		if _, err := d.Get(policy.Session, text); err != nil {
			t.Fatal(err)
		}
	}
	if d.cache.Bytes() > most || d.cache.Bytes() < int64(d.Len())*2000 {
		t.Errorf("%d policies, %d bytes", d.Len(), d.cache.Bytes())
	}
}
