package server

import (
	"bytes"
	"net/http"
	"testing"
)

// TestAllocationsPerRequest: budgets of the memory allocations of small requests by a user with
// a policy, without connection and client. The test's own request and recorder are part of
// them. A change that needs more says why here.
func TestAllocationsPerRequest(t *testing.T) {
	s := newInHouse(t)
	s.signer.AccessKeyID, s.signer.SecretAccessKey = s.newUser("bench", benchPolicy)
	content := bytes.Repeat([]byte("x"), 1024)
	if code := s.send(http.MethodPut, "/box", nil)(); code != http.StatusOK {
		t.Fatal(code)
	}
	put := s.send(http.MethodPut, "/box/k", content)
	underKMS := s.send(http.MethodPut, "/box/kms", content, "X-Amz-Server-Side-Encryption", "aws:kms",
		"X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true")
	for _, c := range []struct {
		name   string
		do     func() int
		status int
		atMost float64 // one run of the writer or of a compaction may fall into a request
	}{
		{"PUT", put, 200, 135},
		{"GET", s.send(http.MethodGet, "/box/k", nil), 200, 68},
		{"PUT under KMS", underKMS, 200, 146},
		{"GET under KMS", s.send(http.MethodGet, "/box/kms", nil), 200, 65},
		{"HEAD", s.send(http.MethodHead, "/box/k", nil), 200, 34},
		{"DELETE of nothing", s.send(http.MethodDelete, "/box/none", nil), 204, 62},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := testing.AllocsPerRun(200, func() {
				if code := c.do(); code != c.status {
					t.Fatal(code)
				}
			})
			t.Logf("%.0f allocations", n)
			if n > c.atMost {
				t.Errorf("%.0f allocations, want at most %.0f", n, c.atMost)
			}
		})
	}
}
