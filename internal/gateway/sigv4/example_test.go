package sigv4_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"time"

	"watertight/internal/gateway/sigv4"
)

// A presigned URL of the S3 user guide ("Authenticating requests: using query
// parameters") is verified: first its claim, which names a sender, is parsed, then the
// signature is verified with that sender's key.
func Example() {
	const url = "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256" +
		"&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
		"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host" +
		"&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
	r := httptest.NewRequest("GET", url, nil)
	_, query, _ := strings.Cut(url, "?")
	target := sigv4.Target{Path: "/test.txt", Query: query, Service: "s3", Region: "us-east-1"}
	now := time.Date(2013, 5, 24, 12, 0, 0, 0, time.UTC)

	claim, err := sigv4.Parse(r, target, now)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("sender:", claim.AccessKeyID, "for", claim.Expires)

	key := sigv4.DeriveKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", claim.Date, claim.Region, claim.Service)
	fmt.Println("signed by it:", claim.Verify(key) == nil)
	fmt.Println("signed by another:", claim.Verify(sigv4.Key{}) == nil)

	_, err = sigv4.Parse(r, target, now.Add(24*time.Hour))
	fmt.Println("a day later:", err)
	// Output:
	// sender: AKIAIOSFODNN7EXAMPLE for 24h0m0s
	// signed by it: true
	// signed by another: false
	// a day later: AccessDenied: Request has expired
}
