package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"watertight/test/harness"
)

// TestDeclaredEncodings: documents may declare the encodings that XML libraries write by default.
func TestDeclaredEncodings(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "encodings")
	for _, c := range []struct {
		label, key, stored string
		status             int
	}{
		{"US-ASCII", "a", "a", 200},
		{"us-ascii", "&#233;", "é", 200},
		{"us-ascii", "é", "", 400},
		{"ISO-8859-1", "\xe9", "é", 200},
		{"iso-8859-1", strings.Repeat("\xe9\xff", 400), strings.Repeat("éÿ", 400), 200},
		{"utf-16", "a", "", 400},
		{"UTF8", "é", "é", 200},
		{"utf-7", "a", "", 400},
		{"x-unknown", "a", "", 400},
	} {
		t.Run(fmt.Sprintf("%s %.4q", c.label, c.key), func(t *testing.T) {
			body := `<?xml version="1.0" encoding="` + c.label + `"?><Delete><Object><Key>` + c.key +
				`</Key></Object></Delete>`
			a := send(t, s, raw{method: "POST", target: "/encodings?delete", body: body, header: http.Header{
				"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))},
			}})
			if a.status != c.status || c.status == 200 && !strings.Contains(a.body, "<Key>"+c.stored+"</Key>") {
				t.Error(a.status, a.body)
			}
		})
	}
}
