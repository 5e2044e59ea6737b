package signed

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/cloudfront/sign"
	"pgregory.net/rapid"

	"watertight/internal/fault"
)

const (
	host = "https://d111111abcdef8.cloudfront.net"
	now  = 1_767_290_000 // seconds
)

// signers has one pair of keys of each kind, by the ids of the public ones.
func signers(t testing.TB) (map[string]crypto.Signer, Keys) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private := map[string]crypto.Signer{"KRSA": r, "KECDSA": e}
	var keys Keys
	for id, key := range private {
		if err := keys.Add(id, encodeKey(t, key.Public())); err != nil {
			t.Fatal(err)
		}
	}
	return private, keys
}

func encodeKey(t testing.TB, key crypto.PublicKey) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// request is what a viewer sends who follows a URL.
func request(url string) Request {
	base, query, _ := strings.Cut(url, "?")
	return Request{Base: base, Query: query, Viewer: netip.MustParseAddr("192.0.2.7"), Now: time.Unix(now, 0)}
}

func escape(data []byte) string {
	return strings.NewReplacer("+", "-", "=", "_", "/", "~").Replace(base64.StdEncoding.EncodeToString(data))
}

// signWith returns the parameters of a document that is signed as it stands.
func signWith(t testing.TB, key crypto.Signer, id, document string, hash crypto.Hash) string {
	t.Helper()
	h := hash.New()
	h.Write([]byte(document))
	sig, err := key.Sign(rand.Reader, h.Sum(nil), hash)
	if err != nil {
		t.Fatal(err)
	}
	return "Policy=" + escape([]byte(document)) + "&Signature=" + escape(sig) + "&Key-Pair-Id=" + id
}

func code(err error) string {
	if err == nil {
		return "ok"
	}
	f := fault.From(err)
	if f.Kind != fault.KindDenied {
		return fmt.Sprintf("%s with status %d", f.Code, f.Kind.Status())
	}
	return string(f.Code)
}

// TestSDK: what AWS's own signer signs is accepted, with each kind of key, and the viewer's
// query stays as it was.
func TestSDK(t *testing.T) {
	private, keys := signers(t)
	urls := []string{"/", "/image.jpg", "/image.jpg?color=red&size=medium", "/a%20b/c?x=1&x=2&&y", "/?a=b%26c"}
	for id, key := range private {
		for _, url := range urls {
			t.Run(id+url, func(t *testing.T) {
				_, query, _ := strings.Cut(url, "?")
				canned, err := sign.NewURLSigner(id, key).Sign(host+url, time.Unix(now+60, 0))
				if err != nil {
					t.Fatal(err)
				}
				if own, err := Verify(request(canned), keys); err != nil || own != query {
					t.Errorf("canned: %q %v", own, err)
				}
				p := &sign.Policy{Statements: []sign.Statement{{
					Resource: host + "/*",
					Condition: sign.Condition{
						IPAddress:       &sign.IPAddress{SourceIP: "192.0.2.0/24"},
						DateGreaterThan: sign.NewAWSEpochTime(time.Unix(now-60, 0)),
						DateLessThan:    sign.NewAWSEpochTime(time.Unix(now+60, 0)),
					},
				}}}
				custom, err := sign.NewURLSigner(id, key).SignWithPolicy(host+url, p)
				if err != nil {
					t.Fatal(err)
				}
				if own, err := Verify(request(custom), keys); err != nil || own != query {
					t.Errorf("custom: %q %v", own, err)
				}
				rsaKey, ok := key.(*rsa.PrivateKey)
				if !ok {
					return // the signer of cookies takes keys of RSA only
				}
				cookies, err := sign.NewCookieSigner(id, rsaKey).SignWithPolicy(p)
				if err != nil {
					t.Fatal(err)
				}
				r := request(host + url)
				for _, c := range cookies {
					r.Cookies = append(r.Cookies, "theme=dark; "+c.Name+"="+c.Value)
				}
				if own, err := Verify(r, keys); err != nil || own != query {
					t.Errorf("cookies: %q %v", own, err)
				}
			})
		}
	}
}

// TestRefused is a table of CloudFront's errors for requests without a valid signature.
func TestRefused(t *testing.T) {
	private, keys := signers(t)
	key := private["KRSA"]
	good := `{"Statement":[{"Resource":"` + host + `/*","Condition":{"DateLessThan":{"AWS:EpochTime":1767290400}}}]}`
	ok := signWith(t, key, "KRSA", good, crypto.SHA1)
	canned, err := sign.NewURLSigner("KRSA", key).Sign(host+"/a?x=1&y=2", time.Unix(now+1, 0))
	if err != nil {
		t.Fatal(err)
	}
	_, cannedQuery, _ := strings.Cut(canned, "?")
	cases := []struct{ name, query, cookies, want string }{
		{"signed", ok, "", "ok"},
		{"signed, with its own SHA1", ok + "&Hash-Algorithm=SHA1", "", "ok"},
		{"another order", "Key-Pair-Id=KRSA&a=1&" + strings.TrimSuffix(ok, "&Key-Pair-Id=KRSA"), "", "ok"},
		{"SHA-256", signWith(t, key, "KRSA", good, crypto.SHA256) + "&Hash-Algorithm=SHA256", "", "ok"},
		{"SHA-256 not announced", signWith(t, key, "KRSA", good, crypto.SHA256), "", "AccessDenied"},
		{"SHA-1 as SHA-256", ok + "&Hash-Algorithm=SHA256", "", "AccessDenied"},
		{"an unknown hash", ok + "&Hash-Algorithm=MD5", "", "AccessDenied"},
		{"nothing", "", "", "MissingKey"},
		{"an own query", "x=1", "", "MissingKey"},
		{"names in another case", strings.ToLower(ok), "", "MissingKey"},
		{"no key", strings.TrimSuffix(ok, "&Key-Pair-Id=KRSA"), "", "MissingKey"},
		{"an empty key", strings.TrimSuffix(ok, "KRSA"), "", "MissingKey"},
		{"another key", strings.TrimSuffix(ok, "KRSA") + "KECDSA", "", "AccessDenied"},
		{"an unknown key", ok + "X", "", "InvalidKey"},
		{"no signature", "Policy=x&Key-Pair-Id=KRSA", "", "MalformedSignature"},
		{"an empty signature", "Policy=x&Signature=&Key-Pair-Id=KRSA", "", "MalformedSignature"},
		{"a signature in plain base64", "Policy=x&Signature=ab+/&Key-Pair-Id=KRSA", "", "MalformedSignature"},
		{"a signature with a line feed", "Policy=x&Signature=ab%0Aab&Key-Pair-Id=KRSA", "", "MalformedSignature"},
		{"neither policy nor time", strings.Replace(ok, "Policy=", "Poli=", 1), "", "MalformedPolicy"},
		{"policy and time", ok + "&Expires=1767290400", "", "MalformedPolicy"},
		{"a policy twice", ok + "&Policy=e30_", "", "AccessDenied"},
		{"a policy twice, escaped", ok + "&%50olicy=e30_", "", "AccessDenied"},
		{"a key twice, the same", ok + "&Key-Pair-Id=KRSA", "", "AccessDenied"},
		{"only a hash, and good cookies", "Hash-Algorithm=SHA1", cookies(ok), "MissingKey"},
		{"cookies", "x=1", cookies(ok), "ok"},
		{"a cookie twice", "", cookies(ok) + "; CloudFront-Key-Pair-Id=KRSA", "AccessDenied"},
		{"cookies in another case", "", strings.ToLower(cookies(ok)), "MissingKey"},
		{"a URL decides before good cookies", "Expires=1", cookies(ok), "MissingKey"},
		{"canned", cannedQuery, "", "ok"},
		{"canned, another query", strings.Replace(cannedQuery, "x=1", "x=2", 1), "", "AccessDenied"},
		{"canned, another order", strings.Replace(cannedQuery, "x=1&y=2", "y=2&x=1", 1), "", "AccessDenied"},
		{"canned, a further parameter", cannedQuery + "&z=1", "", "AccessDenied"},
		{"canned, a later time", strings.Replace(cannedQuery, "Expires=17", "Expires=27", 1), "", "AccessDenied"},
		{"canned, a signed time", strings.Replace(cannedQuery, "Expires=", "Expires=%2B", 1), "", "MalformedPolicy"},
		{"canned, a time with a zero", strings.Replace(cannedQuery, "Expires=", "Expires=0", 1), "", "MalformedPolicy"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := request(host + "/a?" + c.query)
			r.Cookies = []string{c.cookies}
			if _, err := Verify(r, keys); code(err) != c.want {
				t.Errorf("%s, not %s", code(err), c.want)
			}
		})
	}
}

// cookies turns the parameters of a URL into a header.
func cookies(parameters string) string {
	return "a=b; CloudFront-" + strings.ReplaceAll(parameters, "&", ";CloudFront-")
}

// TestPolicies: what a correctly signed policy allows.
func TestPolicies(t *testing.T) {
	private, keys := signers(t)
	data, err := os.ReadFile("testdata/policies.txt")
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("UNTIL", `"DateLessThan":{"AWS:EpochTime":1767290400}`, "HOST", host)
	for line := range strings.Lines(string(data)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		c := strings.SplitN(strings.TrimSuffix(line, "\n"), " | ", 4)
		t.Run(c[0], func(t *testing.T) {
			document := `{"Statement":[` + values.Replace(c[3]) + `]}`
			r := request(host + "/a?" + signWith(t, private["KECDSA"], "KECDSA", document, crypto.SHA1))
			r.Viewer = netip.MustParseAddr(c[1])
			if _, err := Verify(r, keys); code(err) != c[2] {
				t.Errorf("%s, not %s", code(err), c[2])
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	const d = "d1.cloudfront.net"
	cases := []struct {
		pattern, url string
		want         bool
	}{
		{"https://" + d + "/a", "https://" + d + "/a", true},
		{"https://" + d + "/a", "http://" + d + "/a", false},
		{"*://" + d + "/a", "http://" + d + "/a", true},
		{"http*://" + d + "/a", "https://" + d + "/a", true},
		{"https://" + d + "/A", "https://" + d + "/a", false},
		{"https://" + d + "/a", "https://" + d + "/a?x", false},
		{"https://" + d + "/*", "https://" + d + "/a/b/c?x=1", true},
		{"https://" + d + "/*.jpg", "https://" + d + "/a/b.jpg", true},
		{"https://" + d + "/*.jpg", "https://" + d + "/a/b.jpg?x", false},
		{"https://" + d + "/*.jpg*", "https://" + d + "/a/b.jpg?x", true},
		{"https://" + d + "/*.jpg", "https://" + d + "/secret?x=.jpg", false},
		{"https://" + d + "/*\\?x=*", "https://" + d + "/a?x=1", true},
		{"https://" + d + "/*\\?x=*", "https://" + d + "/a?y=?x=", false},
		{"https://" + d + "/*\\?*x=1", "https://" + d + "/a?y=?x=1", true},
		{"https://" + d + "/a?size=large", "https://" + d + "/a?size=large", true},
		{"https://" + d + "/a?size=*", "https://" + d + "/a?size=large?/b", true},
		{"https://" + d + "/a?", "https://" + d + "/ab", true},
		{"https://" + d + "/a?", "https://" + d + "/abc", false},
		{"https://" + d + "/*a?*z", "https://" + d + "/aaa?xz", true},
		{"https://*.example.com/a", "https://www.example.com/a", true},
		{"https://*.example.com/a", "https://evil.org/.example.com/a", false},
		{"https://*.example.com?a", "https://x.example.com/a", false},
		{"https://d1.*", "https://" + d + "/a?b", true},
		{"https://d1.*/", "https://" + d + "/a", false},
		{"https://*", "https://" + d + "/a?b", true},
		{"https://" + d, "https://" + d + "/", false},
		{"https://" + d + "/**a**", "https://" + d + "/xxay", true},
	}
	for _, c := range cases {
		t.Run(c.pattern+" "+c.url, func(t *testing.T) {
			if !validPattern(c.pattern) {
				t.Fatal("refused")
			}
			if got := matches(c.pattern, c.url); got != c.want {
				t.Error(got)
			}
		})
	}
	for _, pattern := range []string{"", "https://", "ftp://a/b", "a/b", "https:/a", `https://a/\*`, `https://a/\`} {
		if validPattern(pattern) {
			t.Errorf("%q is taken", pattern)
		}
	}
}

// TestChanged: a signed URL with any byte changed is refused, unless the change leaves the
// meaning of the whole as it was.
func TestChanged(t *testing.T) {
	private, keys := signers(t)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.SampledFrom([]string{"KRSA", "KECDSA"}).Draw(t, "key")
		url := host + "/" + rapid.StringMatching(`[a-z/.]{0,12}(\?[a-z]=[0-9]{1,3})?`).Draw(t, "url")
		signed, err := sign.NewURLSigner(id, private[id]).Sign(url, time.Unix(now+60, 0))
		if rapid.Bool().Draw(t, "custom") {
			p := sign.NewCannedPolicy(url, time.Unix(now+60, 0))
			signed, err = sign.NewURLSigner(id, private[id]).SignWithPolicy(url, p)
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Verify(request(signed), keys); err != nil {
			t.Fatal(err)
		}
		b := []byte(signed)
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= byte(rapid.IntRange(1, 127).Draw(t, "bits"))
		r := request(string(b))
		own, err := Verify(r, keys)
		if err != nil {
			return
		}
		if query := ownOf(url); own != query || r.Base != strings.SplitN(url, "?", 2)[0] {
			t.Fatalf("%s is accepted as %s", signed, b)
		}
	})
}

func ownOf(url string) string {
	_, query, _ := strings.Cut(url, "?")
	return query
}

func TestKeys(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := signers(t)
	good := encodeKey(t, private["KECDSA"].Public())
	for _, c := range []struct{ name, key string }{
		{"RSA with 1024 bits", encodeKey(t, &small.PublicKey)},
		{"P-384", encodeKey(t, &curve.PublicKey)},
		{"nothing", ""},
		{"two keys", good + good},
		{"another type", strings.ReplaceAll(good, "PUBLIC", "PRIVATE")},
		{"text after it", good + "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k Keys
			if k.Add("K", c.key) == nil {
				t.Error("it is taken")
			}
		})
	}
}

func TestReservedCookie(t *testing.T) {
	for name, want := range map[string]bool{
		"CloudFront-Policy": true, "CloudFront-Hash-Algorithm": true, "CloudFront-Other": false, "Policy": false,
		"cloudfront-Policy": false,
	} {
		t.Run(name, func(t *testing.T) {
			if ReservedCookie(name) != want {
				t.Error(!want)
			}
		})
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(`{"Statement":[{"Resource":"https://d/*","Condition":{"DateLessThan":{"AWS:EpochTime":1}}}]}`))
	f.Add([]byte(`{"Statement":[{"Condition":{"IpAddress":{"AWS:SourceIp":"1.2.3.4/8"}}}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		s, err := parsePolicy(document)
		if err != nil {
			return
		}
		if !s.anywhere && !validPattern(s.resource) || s.before < 0 || s.viewers.IsValid() && !s.viewers.Addr().Is4() {
			t.Errorf("%+v", s)
		}
		s.allows("https://d/a?b", netip.MustParseAddr("1.2.3.4"), time.Unix(0, 0))
	})
}

// FuzzQuery: the viewer's own query keeps its order and has no reserved parameter.
func FuzzQuery(f *testing.F) {
	f.Add("a=1&")
	f.Add("a=1&Expires=2&b=%41&Key-Pair-Id=x&&c")
	f.Fuzz(func(t *testing.T, query string) {
		own, p, err := split(query)
		if err != nil {
			return
		}
		again, none, err := split(own)
		if err != nil || !none.empty() || again != own || len(own) > len(query) {
			t.Errorf("%q leaves %q, and that %q with %v (%v)", query, own, again, none, err)
		}
		if p.empty() && own != query {
			t.Errorf("%q became %q", query, own)
		}
	})
}

func FuzzCookies(f *testing.F) {
	f.Add("a=b; CloudFront-Policy=x;CloudFront-Signature=y ; CloudFront-Key-Pair-Id=z")
	f.Fuzz(func(t *testing.T, header string) {
		p, err := readCookies([]string{header})
		if err != nil {
			return
		}
		for name, value := range p.values {
			if !isReserved(name) || !strings.Contains(header, cookiePrefix+name) || strings.Contains(value, ";") {
				t.Errorf("%q has %q=%q", header, name, value)
			}
			if data, ok := decode(value); ok && len(data) > 0 {
				if full := escape(data); value != full && value != strings.TrimRight(full, "_") {
					t.Errorf("%q is read as %q", value, data)
				}
			}
		}
	})
}
