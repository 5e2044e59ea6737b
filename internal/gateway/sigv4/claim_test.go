package sigv4

import (
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"github.com/aws/aws-sdk-go-v2/aws"

	"watertight/internal/fault"
)

func TestPublishedVectors(t *testing.T) {
	v := vectors(t)
	key := testKey()
	if got := hex.EncodeToString(key[:]); got != v["signing-key"] {
		t.Fatalf("signing key %s", got)
	}
	const host = "Host: examplebucket.s3.amazonaws.com"
	tests := []struct {
		name      string
		r         *http.Request
		canonical string
	}{
		{"get",
			request(t, "GET", "/test.txt", host, "Range: bytes=0-9", "x-amz-content-sha256: "+emptySum,
				"x-amz-date: "+testTime,
				"Authorization: "+
					authorization("host;range;x-amz-content-sha256;x-amz-date",
						v["get-signature"])), v["get-canonical"]},
		{"presigned", request(t, "GET", "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential="+testID+
			"%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date="+
			testTime+"&X-Amz-Expires=86400&X-Amz-SignedHeaders=host&X-Amz-Signature="+
			v["presigned-signature"], host), v["presigned-canonical"]},
		{"trailer",
			request(t, "PUT", "/examplebucket/chunkObject.txt", "Host: s3.amazonaws.com",
				"Content-Encoding: aws-chunked",
				"x-amz-content-sha256: "+
					"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-date: "+
					testTime, "x-amz-decoded-content-length: 66560",
				"x-amz-storage-class: REDUCED_REDUNDANCY", "x-amz-trailer: x-amz-checksum-crc32c", "Authorization: "+
					authorization(
						"content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
						v["trailer-seed"],
					)),
			v["trailer-canonical"]},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c, err := parse(test.r, testNow())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(key); err != nil {
				t.Fatal(err)
			}
			c.Signature = strings.Repeat("0", 64)
			f := fault.From(c.Verify(key))
			if f.Code != "SignatureDoesNotMatch" || sha(f.Members["CanonicalRequest"]) != test.canonical {
				t.Fatalf("%s: canonical request\n%s", f.Code, f.Members["CanonicalRequest"])
			}
			want := []string{
				"AWSAccessKeyId", "CanonicalRequest", "CanonicalRequestBytes", "SignatureProvided", "StringToSign",
				"StringToSignBytes",
			}
			if got := slices.Sorted(maps.Keys(f.Members)); !slices.Equal(got, want) {
				t.Fatalf("members %v", got)
			}
		})
	}
}

// TestCanonicalTarget has targets of clients with their canonical forms.
func TestCanonicalTarget(t *testing.T) {
	tests := []struct{ target, uri, query string }{
		{"/", "/", ""},
		{"/b/k", "/b/k", ""},
		{"/b//k", "/b//k", ""},
		{"/b/./k/../l", "/b/./k/../l", ""},
		{"/b/k/", "/b/k/", ""},
		{"/b/a%2Fb", "/b/a/b", ""},
		{"/b/a+b", "/b/a%20b", ""},
		{"/b/a%2bb", "/b/a%2Bb", ""},
		{"/b/a%2bb", "/b/a%2Bb", ""},
		{"/b/a%20b", "/b/a%20b", ""},
		{"/b/%c3%a9", "/b/%C3%A9", ""},
		{"/b/a%2525", "/b/a%2525", ""},
		{"/b/a*~!()'", "/b/a%2A~%21%28%29%27", ""},
		{"/b/a%2A%7e%21", "/b/a%2A~%21", ""},
		{"/b/%0A", "/b/%0A", ""},
		{"/b?acl", "/b", "acl="},
		{"/b?acl=", "/b", "acl="},
		{"/b?prefix=a+b", "/b", "prefix=a%20b"},
		{"/b?prefix=a%2Bb", "/b", "prefix=a%2Bb"},
		{"/b?prefix=a%20b&delimiter=/", "/b", "delimiter=%2F&prefix=a%20b"},
		{"/b?=x", "/b", "=x"},
		{"/b?b=2&a=1&b=1", "/b", "a=1&b=1&b=2"},
		{"/b?a-b=1&a=2", "/b", "a=2&a-b=1"},
		{"/b?k=a=b", "/b", "k=a%3Db"},
		{"/b?p=%c3%a9*~", "/b", "p=%C3%A9%2A~"},
	}
	for _, test := range tests {
		t.Run(test.target, func(t *testing.T) {
			const signed = "host;x-amz-content-sha256;x-amz-date"
			canonical := "GET\n" + test.uri + "\n" + test.query +
				"\nhost:h:9000\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:" +
				testTime + "\n\n" + signed + "\nUNSIGNED-PAYLOAD"
			r := request(t, "GET", test.target, "Host: h:9000", "X-Amz-Date: "+testTime,
				"X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
				"Authorization: "+authorization(signed, signCanonical(canonical)))
			c, err := parse(r, testNow())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(testKey()); err != nil {
				t.Fatalf("canonical request\n%s", fault.From(err).Members["CanonicalRequest"])
			}
		})
	}
}

func TestCanonicalHeaders(t *testing.T) {
	tests := []struct {
		name, canonical string
		headers         []string
	}{
		{"x-amz-meta-a", "b c", []string{"X-Amz-Meta-A:   b   c  "}},
		{"x-amz-meta-a", "b c", []string{"X-Amz-Meta-A: b \t c"}},
		{"x-amz-meta-a", "b,c d", []string{"X-Amz-Meta-A: b", "X-Amz-Meta-A: c  d"}},
		{"x-amz-meta-a", "", []string{"X-Amz-Meta-A:"}},
		{"content-length", "0", []string{"Content-Length: 0"}},
	}
	for _, test := range tests {
		t.Run(test.name+"="+test.canonical, func(t *testing.T) {
			names := []string{"host", "x-amz-content-sha256", "x-amz-date", test.name}
			slices.Sort(names)
			signed := strings.Join(names, ";")
			canonical := "PUT\n/b/k\n\n"
			for _, n := range names {
				value := map[string]string{
					"host": "h", "x-amz-content-sha256": "UNSIGNED-PAYLOAD", "x-amz-date": testTime,
					test.name: test.canonical,
				}[n]
				canonical += n + ":" + value + "\n"
			}
			canonical += "\n" + signed + "\nUNSIGNED-PAYLOAD"
			r := request(t, "PUT", "/b/k",
				append(test.headers, "Host: h", "X-Amz-Date: "+testTime, "X-Amz-Content-Sha256: UNSIGNED-PAYLOAD",
					"Authorization: "+authorization(signed, signCanonical(canonical)))...)
			c, err := parse(r, testNow())
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Verify(testKey()); err != nil {
				t.Fatalf("canonical request\n%s", fault.From(err).Members["CanonicalRequest"])
			}
		})
	}
}

// TestSDKSigner: a request that the AWS SDK signed is verified, and refused after any change.
func TestSDKSigner(t *testing.T) {
	for _, target := range []string{
		"/b/k", "/b/a%20b%2Bc/%C3%A9?prefix=x%2Fy&acl=&versionId=1", "/b//k/?list-type=2&max-keys=3",
	} {
		for _, presigned := range []bool{false, true} {
			t.Run(fmt.Sprint(target, presigned), func(t *testing.T) {
				r := request(t, "GET", sdkTarget(t, target, presigned), sdkHeaders(t, target, presigned)...)
				c, err := parse(r, testNow())
				if err != nil {
					t.Fatal(err)
				}
				if err := c.Verify(testKey()); err != nil {
					t.Fatalf("canonical request\n%s", fault.From(err).Members["CanonicalRequest"])
				}
				r.Method = "HEAD"
				if got := code(c.Verify(testKey())); got != "SignatureDoesNotMatch" {
					t.Fatalf("another method: %q", got)
				}
				if got := code(c.Verify(Key{})); got != "SignatureDoesNotMatch" {
					t.Fatalf("another key: %q", got)
				}
			})
		}
	}
}

func sdkSigned(t *testing.T, target string, presigned bool) (*http.Request, string) {
	t.Helper()
	r, err := http.NewRequest("GET", "http://h:9000"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	cred := aws.Credentials{AccessKeyID: testID, SecretAccessKey: testSecret}
	s3 := func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true }
	if presigned {
		q := r.URL.Query()
		q.Set("X-Amz-Expires", "60")
		r.URL.RawQuery = q.Encode()
		u, _, err := v4.NewSigner().PresignHTTP(t.Context(), cred, r, "UNSIGNED-PAYLOAD", "s3", testRegion, testNow(),
			s3)
		if err != nil {
			t.Fatal(err)
		}
		return r, strings.TrimPrefix(u, "http://h:9000")
	}
	r.Header.Set("X-Amz-Content-Sha256", emptySum)
	r.Header.Set("X-Amz-Meta-Note", " two  blanks ")
	if err := v4.NewSigner().SignHTTP(t.Context(), cred, r, emptySum, "s3", testRegion, testNow(), s3); err != nil {
		t.Fatal(err)
	}
	return r, r.URL.RequestURI()
}

func sdkTarget(t *testing.T, target string, presigned bool) string {
	_, target = sdkSigned(t, target, presigned)
	return target
}

func sdkHeaders(t *testing.T, target string, presigned bool) []string {
	r, _ := sdkSigned(t, target, presigned)
	lines := []string{"Host: h:9000"}
	if presigned {
		return lines
	}
	for name, values := range r.Header {
		for _, v := range values {
			lines = append(lines, name+": "+v)
		}
	}
	return lines
}

// refusal is a request that must be refused, and must not count as anonymous.
type refusal struct {
	name, target string
	headers      []string
	want         string
	kind         fault.Kind
}

func headerAuth(change func(map[string]string)) []string {
	h := map[string]string{"Host": "h", "X-Amz-Date": testTime, "X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
		"Authorization": authorization("host;x-amz-content-sha256;x-amz-date", strings.Repeat("a", 64))}
	change(h)
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(h)) {
		lines = append(lines, name+": "+h[name])
	}
	return lines
}

func set(name, value string) []string {
	return headerAuth(func(h map[string]string) { h[name] = value })
}

func without(name string) []string { return headerAuth(func(h map[string]string) { delete(h, name) }) }

func replaced(old, with string) []string {
	return headerAuth(func(h map[string]string) {
		h["Authorization"] = strings.Replace(h["Authorization"], old, with, 1)
	})
}

func headerRefusals() []refusal {
	const malformed = "AuthorizationHeaderMalformed"
	return []refusal{
		{"two mechanisms", "/b?X-Amz-Signature=1", set("X", ""), "InvalidArgument", fault.KindInvalid},
		{
			"two headers", "/b", append(set("X", ""), "Authorization: AWS4-HMAC-SHA256 x"), "InvalidArgument",
			fault.KindInvalid,
		},
		{"empty", "/b", set("Authorization", ""), "InvalidArgument", fault.KindInvalid},
		{"no blank", "/b", set("Authorization", "AWS4-HMAC-SHA256"), "InvalidArgument", fault.KindInvalid},
		{"scheme", "/b", set("Authorization", "Bearer x"), "InvalidArgument", fault.KindInvalid},
		{"version 2", "/b", set("Authorization", "AWS a:b"), "InvalidRequest", fault.KindInvalid},
		{"no payload line", "/b", without("X-Amz-Content-Sha256"), "InvalidRequest", fault.KindInvalid},
		{"odd payload line", "/b", set("X-Amz-Content-Sha256", "x"), "InvalidArgument", fault.KindInvalid},
		{
			"ecdsa payload", "/b", set("X-Amz-Content-Sha256", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"),
			"InvalidArgument", fault.KindInvalid,
		},
		{"no date", "/b", without("X-Amz-Date"), "AccessDenied", fault.KindDenied},
		{"odd date", "/b", set("X-Amz-Date", "03032006"), "AccessDenied", fault.KindDenied},
		{"no credential", "/b", replaced("Credential=", "x="), malformed, fault.KindInvalid},
		{"no signed headers", "/b", replaced("SignedHeaders=", "x="), malformed, fault.KindInvalid},
		{"no signature", "/b", replaced("Signature=", "x="), malformed, fault.KindInvalid},
		{"four parts", "/b", replaced("/us-east-1", ""), malformed, fault.KindInvalid},
		{"six parts", "/b", replaced("/s3", "/s3/s3"), malformed, fault.KindInvalid},
		{"scope date", "/b", replaced("/20130524", "/2013"), malformed, fault.KindInvalid},
		{"region", "/b", replaced("us-east-1", "eu-west-1"), malformed, fault.KindInvalid},
		{"service", "/b", replaced("/s3/", "/ec2/"), malformed, fault.KindInvalid},
		{"terminator", "/b", replaced("aws4_request", "aws_request"), malformed, fault.KindInvalid},
		{"unsigned x-amz-acl", "/b", set("X-Amz-Acl", "public-read"), "AccessDenied", fault.KindDenied},
		{"unsigned x-watertight", "/b", set("X-Watertight-As-Of", "2026-01-01"), "AccessDenied", fault.KindDenied},
		{"unsigned copy source", "/b", set("X-Amz-Copy-Source", "a/b"), "AccessDenied", fault.KindDenied},
		{"unsigned token", "/b", set("X-Amz-Security-Token", "t"), "AccessDenied", fault.KindDenied},
		{"unsigned md5", "/b", set("Content-Md5", "t"), "AccessDenied", fault.KindDenied},
		{"unsigned host", "/b", replaced("host;", ""), "AccessDenied", fault.KindDenied},
		{"unsigned date", "/b", replaced(";x-amz-date", ""), "AccessDenied", fault.KindDenied},
		{"token alone", "/b", []string{"Host: h", "X-Amz-Security-Token: t"}, "AccessDenied", fault.KindDenied},
		{
			"day of another scope", "/b", replaced("/20130524", "/20130523"), "AuthorizationHeaderMalformed",
			fault.KindInvalid,
		},
		{"garbage signature", "/b", set("X", ""), "SignatureDoesNotMatch", fault.KindDenied},
		{"short signature", "/b", replaced(strings.Repeat("a", 64), "a"), "SignatureDoesNotMatch", fault.KindDenied},
		{"bad escape in the path", "/b/%zz", set("X", ""), "InvalidURI", fault.KindInvalid},
	}
}

func queryRefusals() []refusal {
	const malformed = "AuthorizationQueryParametersError"
	full := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + testID + "/" + testScope + "&X-Amz-Date=" +
		testTime +
		"&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=" + strings.Repeat("a", 64)
	host := []string{"Host: h"}
	list := []refusal{
		{"version 2", "/b?AWSAccessKeyId=a&Signature=b&Expires=1", host, "InvalidRequest", fault.KindInvalid},
		{"signature of version 2 alone", "/b?Signature=b", host, "InvalidRequest", fault.KindInvalid},
		{"lower case", "/b?" + strings.ToLower(full), host, malformed, fault.KindInvalid},
		{"escaped name", "/b?X-Amz-%53ignature=a", host, malformed, fault.KindInvalid},
		{"token alone", "/b?X-Amz-Security-Token=a", host, malformed, fault.KindInvalid},
		{"repeated", "/b?" + full + "&X-Amz-Signature=b", host, malformed, fault.KindInvalid},
		{"garbage signature", "/b?" + full, host, "SignatureDoesNotMatch", fault.KindDenied},
		{"unsigned header", "/b?" + full, append(host, "X-Amz-Acl: public-read"), "AccessDenied", fault.KindDenied},
		{"unsigned md5", "/b?" + full, append(host, "Content-Md5: x"), "AccessDenied", fault.KindDenied},
		{"bad escape in a name", "/b?%zz&" + full, host, "InvalidURI", fault.KindInvalid},
	}
	for _, name := range []string{"Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature"} {
		list = append(list, refusal{
			"no " + name, "/b?" + strings.Replace(full, "X-Amz-"+name+"=", "x=", 1), host, malformed, fault.KindInvalid,
		})
	}
	for _, change := range [][2]string{{"AWS4-HMAC-SHA256", "AWS4-SHA256"}, {"=60", "=x"}, {"=60", "=-1"},
		{"=60", "=0"}, {"=60", "=%2B60"}, {"=60", "=604801"},
		{"=60", "=99999999999999999999"}, {testTime, "20130524"}, {"us-east-1", "eu-west-1"}, {"/s3/", "/ec2/"},
		{"aws4_request", "x"}} {
		list = append(list, refusal{
			change[1], "/b?" + strings.Replace(full, change[0], change[1], 1), host, malformed, fault.KindInvalid,
		})
	}
	return list
}

func TestRefusals(t *testing.T) {
	for _, test := range append(headerRefusals(), queryRefusals()...) {
		t.Run(test.name, func(t *testing.T) {
			target := test.target
			if strings.Contains(target, "%zz") { // net/http refuses it first
				target = "/b"
			}
			r := request(t, "GET", target, test.headers...)
			r.RequestURI = test.target
			c, err := parse(r, testNow())
			if err == nil {
				if c.Mode == None {
					t.Fatal("anonymous")
				}
				err = c.Verify(testKey())
			}
			f := fault.From(err)
			if f == nil || string(f.Code) != test.want || f.Kind != test.kind {
				t.Fatalf("got %v, want %s", f, test.want)
			}
			if strings.Contains(f.Error(), testSecret) {
				t.Fatal("a secret in an error")
			}
		})
	}
}

func TestHeadersNotSignedAreNamed(t *testing.T) {
	r := request(t, "PUT", "/b/k",
		headerAuth(func(h map[string]string) { h["X-Amz-Tagging"], h["X-Amz-Copy-Source"] = "a=b", "a/b" })...)
	_, err := parse(r, testNow())
	if f := fault.From(err); f == nil || f.Members["HeadersNotSigned"] != "x-amz-copy-source, x-amz-tagging" {
		t.Fatalf("%v", f)
	}
	_, err = parse(request(t, "GET", "/b", replaced("us-east-1", "eu-west-1")...), testNow())
	if f := fault.From(err); f == nil || f.Members["Region"] != testRegion {
		t.Fatalf("%v", f)
	}
}

func TestNoTraceIsAnonymous(t *testing.T) {
	c, err := parse(request(t, "GET", "/b/k?prefix=Signature&Expires=1", "Host: h"), testNow())
	if err != nil || c.Mode != None {
		t.Fatalf("%v %v", c, err)
	}
}

func TestSkew(t *testing.T) {
	for _, test := range []struct {
		off  time.Duration
		want string
	}{
		{14*time.Minute + 59*time.Second, ""}, {15 * time.Minute, ""},
		{15*time.Minute + time.Second, "RequestTimeTooSkewed"},
	} {
		t.Run(test.want, func(t *testing.T) {
			for _, off := range []time.Duration{test.off, -test.off} {
				_, err := parse(request(t, "GET", "/b", set("X", "")...), testNow().Add(off))
				if code(err) != test.want {
					t.Errorf("%v: %v", off, err)
				}
				if f := fault.From(err); f != nil &&
					(f.Members["RequestTime"] == "" || f.Members["ServerTime"] == "" ||
						f.Members["MaxAllowedSkewMilliseconds"] != "900000") {
					t.Errorf("members %v", f.Members)
				}
			}
		})
	}
}

func TestPresignedLifetime(t *testing.T) {
	target := "/b?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + testID + "/" + testScope + "&X-Amz-Date=" +
		testTime +
		"&X-Amz-Expires=604800&X-Amz-SignedHeaders=host&X-Amz-Signature=a"
	for _, test := range []struct {
		off  time.Duration
		want string
	}{
		{0, ""}, {604800 * time.Second, ""}, {604801 * time.Second, "Request has expired"}, {-15 * time.Minute, ""},
		{-15*time.Minute - time.Second, "Request is not yet valid"},
	} {
		t.Run(test.want, func(t *testing.T) {
			_, err := parse(request(t, "GET", target, "Host: h"), testNow().Add(test.off))
			f := fault.From(err)
			if test.want == "" && err != nil ||
				test.want != "" && (f == nil || f.Code != "AccessDenied" || f.Message != test.want) {
				t.Errorf("%v: %v", test.off, err)
			}
			if f != nil && f.Message == "Request has expired" &&
				(f.Members["X-Amz-Expires"] != "604800" || f.Members["Expires"] == "" ||
					f.Members["ServerTime"] == "") {
				t.Errorf("members %v", f.Members)
			}
		})
	}
}

func BenchmarkVerify(b *testing.B) {
	v := vectors(b)
	r := request(b, "GET", "/test.txt", "Host: examplebucket.s3.amazonaws.com", "Range: bytes=0-9",
		"x-amz-content-sha256: "+emptySum,
		"x-amz-date: "+
			testTime, "User-Agent: bench", "Authorization: "+
			authorization("host;range;x-amz-content-sha256;x-amz-date", v["get-signature"]))
	key, now := testKey(), testNow()
	b.ReportAllocs()
	for b.Loop() {
		c, err := Parse(r, Target{Path: "/test.txt", Service: "s3", Region: testRegion}, now)
		if err != nil {
			b.Fatal(err)
		}
		if err := c.Verify(key); err != nil {
			b.Fatal(err)
		}
	}
}

// TestRegionElsewhere: another region is accepted only for targets that name it.
func TestRegionElsewhere(t *testing.T) {
	for _, c := range []struct {
		elsewhere, region string
		want              bool
	}{
		{"us-west-2", "us-west-2", true}, {"us-west-2", testRegion, true}, {"us-west-2", "eu-west-1", false},
		{"", "us-west-2", false}, {"", "", false},
	} {
		t.Run(c.elsewhere+" "+c.region, func(t *testing.T) {
			target := Target{Service: "s3", Region: testRegion, Elsewhere: c.elsewhere}
			if target.takes(c.region) != c.want {
				t.Errorf("%+v", c)
			}
		})
	}
}
