package authn

import (
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// formRequest returns a POST form signed by a key, with further fields.
func formRequest(t testing.TB, key, secret, token string) *protocol.Request {
	t.Helper()
	fields := [][2]string{
		{"key", "k"}, {"x-amz-algorithm", "AWS4-HMAC-SHA256"}, {"x-amz-credential", key + "/" + scopeOfTheDay},
		{"x-amz-date", basic},
	}
	if token != "" {
		fields = append(fields, [2]string{"x-amz-security-token", token})
	}
	var conditions []string
	for _, f := range fields {
		conditions = append(conditions, fmt.Sprintf(`{%q:%q}`, f[0], f[1]))
	}
	policy := base64.StdEncoding.EncodeToString([]byte(`{"expiration":"2013-05-25T00:00:00Z","conditions":[` +
		strings.Join(conditions, ",") + `]}`))
	fields = append(fields, [2]string{"policy", policy}, [2]string{"x-amz-signature", signText(secret, policy)})
	var b strings.Builder
	for _, f := range fields {
		b.WriteString("--X\r\nContent-Disposition: form-data; name=\"" + f[0] + "\"\r\n\r\n" + f[1] + "\r\n")
	}
	b.WriteString("--X\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nthe file\r\n--X--\r\n")
	return parsed(t,
		fmt.Sprintf(
			"POST /b HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=X\r\nContent-Length: "+
				"%d\r\n\r\n%s",
			b.Len(), b.String(),
		))
}

func TestIdentifyForm(t *testing.T) {
	for _, test := range []struct{ name, key, secret, token, want string }{
		{"a user", id, secret, "", ""},
		{"a session", tempID, secret, token, ""},
		{"a session without its token", tempID, secret, "", "InvalidAccessKeyId"},
		{"another token", tempID, secret, token + "x", "InvalidToken"},
		{"token of a long-lived key", id, secret, token, "InvalidToken"},
		{"another secret", id, "x", "", "SignatureDoesNotMatch"},
		{"unknown key", "AKIANOSUCHKEYEXAMPLE", secret, "", "InvalidAccessKeyId"},
		{"an inactive key", "AKIAINACTIVEEXAMPLE0", secret, "", "InvalidAccessKeyId"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := formRequest(t, test.key, test.secret, test.token)
			c, body, err := identifier(people()).IdentifyForm(t.Context(), r)
			if code(err) != test.want {
				t.Errorf("%s: %v, want %s", test.name, err, test.want)
			}
			if err != nil {
				if c.AccessKeyID() != "" || body != nil {
					t.Errorf("%s: refused, but there is a caller or a body", test.name)
				}
				return
			}
			got, err := io.ReadAll(body)
			if c.AccessKeyID() != test.key || c.Anonymous() || string(got) != "the file" || err != nil || r.Key != "k" {
				t.Errorf("%s: %q for %s, %v", test.name, got, c.AccessKeyID(), err)
			}
		})
	}
}

func TestFormConditionKeys(t *testing.T) {
	r := formRequest(t, id, secret, "")
	r.At = now().Add(1500 * time.Millisecond)
	claim, err := sigv4.ParseForm(func(name string) string {
		return map[string]string{
			"policy": "e30=", "x-amz-algorithm": "AWS4-HMAC-SHA256", "x-amz-credential": id + "/" + scopeOfTheDay,
			"x-amz-date": basic, "x-amz-signature": "x",
		}[name]
	}, sigv4.Target{Service: "s3", Region: region}, r.At)
	if err != nil {
		t.Fatal(err)
	}
	got := conditionKeys(r, origin{}, claim, region, nil)
	for name, want := range map[string]string{
		"s3:authtype": "POST", "s3:signatureage": "1500", "s3:signatureversion": "AWS4-HMAC-SHA256",
	} {
		t.Run(name, func(t *testing.T) {
			if !slices.Equal(got[name], []string{want}) {
				t.Errorf("%s is %q, want %q", name, got[name], want)
			}
		})
	}
}
