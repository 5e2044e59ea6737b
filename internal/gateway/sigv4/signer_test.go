package sigv4

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"watertight/internal/fault"
)

const (
	testID     = "AKIAIOSFODNN7EXAMPLE"
	testSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
	testRegion = "us-east-1"
	testTime   = "20130524T000000Z"
	testScope  = "20130524/us-east-1/s3/aws4_request"
	emptySum   = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
)

func testNow() time.Time { return time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC) }

func testKey() Key { return DeriveKey(testSecret, "20130524", testRegion, "s3") }

// The signer of these tests shares no code with the package: every test has its own canonical request.

func hmacHex(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

func signText(text string) string {
	key := []byte("AWS4" + testSecret)
	for _, s := range []string{"20130524", testRegion, "s3", "aws4_request"} {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, s)
		key = h.Sum(nil)
	}
	return hmacHex(key, text)
}

func sha(s string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(s))) }

func signCanonical(canonical string) string {
	return signText("AWS4-HMAC-SHA256\n" + testTime + "\n" + testScope + "\n" + sha(canonical))
}

func authorization(signed, signature string) string {
	return "AWS4-HMAC-SHA256 Credential=" + testID + "/" + testScope + ", SignedHeaders=" + signed + ", Signature=" +
		signature
}

func chunkSignature(previous, data string) string {
	return signText("AWS4-HMAC-SHA256-PAYLOAD\n" + testTime + "\n" + testScope + "\n" + previous + "\n" + emptySum +
		"\n" + sha(data))
}

func trailerSignatureOf(previous, text string) string {
	return signText("AWS4-HMAC-SHA256-TRAILER\n" + testTime + "\n" + testScope + "\n" + previous + "\n" + sha(text))
}

// request parses the bytes of a request with net/http.
func request(t testing.TB, method, target string, headers ...string) *http.Request {
	t.Helper()
	text := method + " " + target + " HTTP/1.1\r\n" + strings.Join(headers, "\r\n") + "\r\n\r\n"
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return r
}

func parse(r *http.Request, now time.Time) (*Claim, error) {
	path, query, _ := strings.Cut(r.RequestURI, "?")
	return Parse(r, Target{Path: path, Query: query, Service: "s3", Region: testRegion}, now)
}

func code(err error) string {
	if err == nil {
		return ""
	}
	return string(fault.From(err).Code)
}

// vectors reads the published values.
func vectors(t testing.TB) map[string]string {
	t.Helper()
	b, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name != "#" {
			m[name] = value
		}
	}
	return m
}
