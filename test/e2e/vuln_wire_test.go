package e2e

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/server"
	"watertight/test/harness"
)

// The tests of this file are about bugs of other S3 servers. Each first checks that allowed access
// works, and then that other access does not.

// keysOf returns the keys of a bucket.
func keysOf(t *testing.T, s *harness.Server, bucket string) (keys []string) {
	t.Helper()
	out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// TestUncheckedSignature (MinIO CVE-2026-40344, CVE-2025-31489; SeaweedFS
// #7954): no payload mode bypasses the signature. TestGarbageSignature checks the
// answers to wrong signatures for each operation; here nothing may be stored.
func TestUncheckedSignature(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "modes")
	framed := "1\r\nx\r\n0\r\nx-amz-checksum-crc32:jNwWgw==\r\n\r\n" // chunks without signatures
	for i, hash := range []string{
		"", "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
		"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
		"STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER",
		"STREAMING-UNSIGNED-PAYLOAD", "streaming-unsigned-payload-trailer",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			r := raw{method: "PUT", target: fmt.Sprint("/modes/", i), body: "x", hash: hash, header: http.Header{}}
			if strings.HasPrefix(strings.ToUpper(hash), "STREAMING") {
				r.body = framed
				r.header = http.Header{
					"X-Amz-Decoded-Content-Length": {"1"}, "X-Amz-Trailer": {"x-amz-checksum-crc32"},
					"Content-Encoding": {"aws-chunked"},
				}
			}
			open := send(t, s, r)
			if want := i < 3; (open.status == 200) != want {
				t.Errorf("%q with the right signature: %d %s", hash, open.status, open.code)
			}
			r.target += "-forged"
			r.breakSignature = true
			if a := send(t, s, r); a.status < 400 {
				t.Errorf("%q with a wrong signature: %d", hash, a.status)
			}
			r.breakSignature, r.unsigned = false, true
			r.header.Set("X-Amz-Content-Sha256", hash)
			if a := send(t, s, r); a.status < 400 {
				t.Errorf("%q without a signature: %d", hash, a.status)
			}
			keys, key := keysOf(t, s, "modes"), fmt.Sprint(i)
			if slices.Contains(keys, key) != (i < 3) || slices.Contains(keys, key+"-forged") {
				t.Errorf("stored: %q", keys)
			}
		})
	}
}

// TestCredentialsOfTwoPlaces (MinIO CVE-2026-41145): credential and signature come
// from the same place, never one from the header and one from the query.
func TestCredentialsOfTwoPlaces(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "mixed")
	query := "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=" + s.AccessKeyID +
		"%2F20300101%2Fus-east-1%2Fs3%2Faws4_request"
	forged := "AWS4-HMAC-SHA256 Credential=" + s.AccessKeyID +
		"/20300101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" + strings.Repeat("0", 64)
	for name, r := range map[string]raw{
		"a credential in the query, no signature": {target: "/mixed/k?" + query, unsigned: true},
		"the same with unsigned chunks": {
			target: "/mixed/k?" + query, unsigned: true,
			header: http.Header{
				"X-Amz-Content-Sha256": {"STREAMING-UNSIGNED-PAYLOAD-TRAILER"}, "X-Amz-Decoded-Content-Length": {"1"},
			},
		},
		"a signed header, a credential in the query": {target: "/mixed/k?" + query},
		"a presigned URL and a forged header": {
			target: "/mixed/k", presign: true, header: http.Header{"Authorization": {forged}},
		},
		"only a forged header": {
			target: "/mixed/k", unsigned: true,
			header: http.Header{
				"Authorization": {forged}, "X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
				"X-Amz-Date": {"20300101T000000Z"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r.method, r.body = "PUT", "x"
			if a := send(t, s, r); a.status < 400 || a.status >= 500 {
				t.Errorf("%s: %d %s", name, a.status, a.code)
			}
		})
	}
	if keys := keysOf(t, s, "mixed"); len(keys) > 0 {
		t.Errorf("stored: %q", keys)
	}
}

// TestFormOfAReader (MinIO CVE-2021-21362, RustFS GHSA-w5fh): a form needs what
// a PUT needs. Conditions of its policy are in TestPostRefused, one by one.
func TestFormOfAReader(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "forms")
	root := rootIAM(s)
	allow := func(action string) {
		t.Helper()
		doc := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"` + action +
			`","Resource":"arn:aws:s3:::forms/*"}]}`
		if _, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
			UserName: aws.String("reader"), PolicyName: aws.String("p"), PolicyDocument: &doc,
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("reader")}); err != nil {
		t.Fatal(err)
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("reader")})
	if err != nil {
		t.Fatal(err)
	}
	key := harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey}
	for action, want := range map[string]int{"s3:PutObject": 204, "s3:GetObject": 403} {
		t.Run(action, func(t *testing.T) {
			allow(action)
			if a := send(t, s, post{bucket: "forms", file: "x", key: key}.build(t, s)); a.status != want {
				t.Errorf("a caller with %s only posts: %d %s, want %d", action, a.status, a.code, want)
			}
		})
	}
}

// climbing returns names that lead out of a bucket if a program joins paths.
var climbing = []string{
	"../outside/secret", "a/../../outside/secret", "..%2foutside%2fsecret", "%2e%2e/outside/secret",
	`..\outside\secret`, "/../outside/secret", "..%252foutside", "../../../../../../../etc/passwd",
}

// TestClimbingNames (SeaweedFS CVE-2026-55874, RustFS GHSA-f4vq, GHSA-8r6f;
// MinIO CVE-2026-42600): a key in a copy source, a batch or a form names an
// object of its bucket or nothing, and no key is a path on the disk.
func TestClimbingNames(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "inside")
	newBucket(t, s, "outside")
	if a := send(t, s, raw{method: "PUT", target: "/outside/secret", body: "secret"}); a.status != 200 {
		t.Fatal(a.body)
	}
	before := entries(t, filepath.Dir(s.Data))
	for _, name := range climbing {
		// The same name in a path, in a copy source, in a batch and in a form.
		send(t, s, raw{method: "PUT", target: "/inside/" + name, body: "overwritten"})
		a := send(t, s, raw{
			method: "PUT", target: "/inside/copied", header: http.Header{"X-Amz-Copy-Source": {"inside/" + name}},
		})
		if a.status == 200 && strings.Contains(contents(t, s, "inside", "copied"), "secret") {
			t.Errorf("%q copied the object of another bucket", name)
		}
		body := `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>` + name +
			`</Key></Object></Delete>`
		if a := send(t, s, raw{
			method: "POST", target: "/inside?delete", body: body,
			header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))}},
		}); a.status >= 500 {
			t.Errorf("a batch with %q: %d", name, a.status)
		}
		send(t, s, post{bucket: "inside", file: "overwritten", fields: map[string]string{"key": name}}.build(t, s))
		send(t, s, raw{method: "DELETE", target: "/inside/" + name})
	}
	if got := contents(t, s, "outside", "secret"); got != "secret" {
		t.Errorf("the object of the other bucket is %q", got)
	}
	if after := entries(t, filepath.Dir(s.Data)); !slices.Equal(before, after) {
		t.Errorf("beside the data directory: %q, was %q", after, before)
	}
}

func contents(t *testing.T, s *harness.Server, bucket, key string) string {
	t.Helper()
	b, err := readObject(t.Context(), s.S3, &bucket, key)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// TestNoKeyNoStart (RustFS #3520): without its root key a store with data does not start, and no other
// key is used instead.
func TestNoKeyNoStart(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "kept")
	s.Stop()
	lost := filepath.Join(t.TempDir(), "lost.key")
	if _, err := harness.Try(t, func(c *server.Config) { c.Data, c.RootKey = s.Data, "file:"+lost }); err == nil {
		t.Error("the server starts without its root key")
	}
	if _, err := os.Stat(lost); !os.IsNotExist(err) {
		t.Errorf("a new key was made in place of the lost one: %v", err)
	}
}

// TestOneDoor (MinIO CVE-2025-27414; SeaweedFS CVE-2026-72920, CVE-2026-55873;
// RustFS GHSA-h956, GHSA-3g29): the process listens only on the configured addresses, and only its
// owner can use the operator's socket, so no other protocol bypasses IAM.
func TestOneDoor(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("reads the process's sockets from /proc")
	}
	p := harness.StartProcess(t)
	listening := map[string]bool{}
	for _, table := range []string{"tcp", "tcp6", "udp", "udp6"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/net/%s", p.PID(), table))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		for lines.Scan() {
			if c := strings.Fields(lines.Text()); len(c) > 9 && (c[3] == "0A" || strings.HasPrefix(table, "udp")) {
				listening["socket:["+c[9]+"]"] = true
			}
		}
		f.Close()
	}
	fds, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.PID()))
	if err != nil {
		t.Fatal(err)
	}
	doors := 0
	for _, fd := range fds {
		if to, err := os.Readlink(fd); err == nil && listening[to] {
			doors++
		}
	}
	if doors != 1 {
		t.Errorf("the process listens on %d sockets of the network, want 1", doors)
	}
	sockets := 0
	filepath.WalkDir(p.Data, func(path string, d os.DirEntry, err error) error {
		if err == nil && d.Type()&os.ModeSocket != 0 {
			sockets++
			if at, err := d.Info(); err != nil || at.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v", d.Name(), at.Mode(), err)
			}
		}
		return nil
	})
	if sockets != 1 {
		t.Errorf("%d sockets in the data directory, want the operator's", sockets)
	}
}

// TestHeaderInjection (Ceph CVE-2021-3524, CVE-2020-10753, CVE-2015-5245):
// no stored or requested value can add a header to an answer.
func TestHeaderInjection(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "injected")
	for _, bad := range []string{"http://a\r\nSet-Cookie: a=b", "http://a\nb"} {
		for where, rule := range map[string]types.CORSRule{
			"AllowedOrigin": {AllowedMethods: []string{"GET"}, AllowedOrigins: []string{bad}},
			"ExposeHeader": {
				AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}, ExposeHeaders: []string{bad},
			},
			"AllowedHeader": {
				AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}, AllowedHeaders: []string{bad},
			},
		} {
			t.Run(where+" "+bad, func(t *testing.T) {
				if err := putCORS(t, s, bucket, rule); err == nil {
					t.Errorf("a CORS rule with %q is stored", bad)
				}
			})
		}
	}
	if a := send(t, s, raw{method: "PUT", target: "/injected/k", body: "x"}); a.status != 200 {
		t.Fatal(a.body)
	}
	for _, name := range []string{
		"response-content-type", "response-content-disposition", "response-cache-control", "response-expires",
		"response-content-language", "response-content-encoding",
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, s, raw{method: "GET", target: "/injected/k?" + name + "=a%0D%0ASet-Cookie:%20b=c"})
			if a.header.Get("Set-Cookie") != "" ||
				a.status == 200 && strings.ContainsAny(a.header.Get(strings.TrimPrefix(name, "response-")), "\r\n") {
				t.Errorf("%s: %d %v", name, a.status, a.header)
			}
		})
	}
}

// TestReflectedText (Ceph CVE-2020-1760, CVE-2016-9579; RustFS GHSA-v9fg): an error page is XML that
// escapes the client's text, and no other origin may read answers unless a rule allows it.
func TestReflectedText(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "reflected")
	a := send(t, s, raw{
		method: "GET", target: "/reflected/%3Cscript%3Ealert%281%29%3C/script%3E",
		header: http.Header{"Origin": {"https://evil.example"}},
	})
	if a.status != 404 || a.header.Get("Content-Type") != "application/xml" || strings.Contains(a.body, "<script") {
		t.Errorf("%d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("%s is sent without a rule", name)
		}
	}
}

// TestOddRequestsEndNothing (versitygw GHSA-v2ch; Ceph CVE-2019-10222,
// CVE-2020-12059; MinIO CVE-2022-31028): malformed requests are refused, and
// the server continues. The server package tests stalled clients.
func TestOddRequestsEndNothing(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "odd")
	for i, text := range []string{
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"PUT /odd/k HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"GET /odd?versionId=%00 HTTP/1.1\r\nHost: x\r\nRange: bytes=99999999999999999999-\r\n\r\n",
		"POST /odd?delete HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n<a><b",
		"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x00\x05hello",
		"GET http://[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			c := connect(t, s.Endpoint, text)
			// in the middle of the request; at its end this would cancel it
			if !strings.Contains(text, "\r\n\r\n") {
				c.CloseWrite()
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			c.Close()
			if status := strings.Fields(line); line != "" &&
				(len(status) < 2 || status[1] < "400" || status[1] >= "500" && status[1] != "501") {
				t.Errorf("%q: %q", text, line)
			}
		})
	}
	if a := send(t, s, raw{method: "PUT", target: "/odd/after", body: "x"}); a.status != 200 {
		t.Errorf("afterwards: %d %s", a.status, a.body)
	}
	if logs := s.Logs.String(); strings.Contains(logs, "panic") || strings.Contains(logs, "goroutine ") {
		t.Error("the log has a panic")
	}
	if keys := keysOf(t, s, "odd"); !slices.Equal(keys, []string{"after"}) {
		t.Errorf("stored: %q", keys)
	}
}

// TestQuotesInNames (SeaweedFS CVE-2024-40120): keys and prefixes are compared as
// bytes, even if they look like SQL or another language.
func TestQuotesInNames(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "quotes")
	names := []string{
		`'; DROP TABLE objects; --`, `" OR ""="`, `%`, `_`, `a' UNION SELECT 1`, `$(id)`, "`id`", `{{.}}`, `\'`, `*`,
		`?`, `[a-z]`,
	}
	for _, name := range names {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: &name, Body: strings.NewReader(name),
		}); err != nil {
			t.Fatalf("%q: %v", name, err)
		}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{
				Bucket: bucket, Prefix: &name, Delimiter: aws.String(`'"`),
			})
			if err != nil || len(out.Contents) != 1 || *out.Contents[0].Key != name || len(out.CommonPrefixes) != 0 {
				t.Errorf("prefix %q: %+v, %v", name, out, err)
			}
			if got := contents(t, s, "quotes", name); got != name {
				t.Errorf("%q contains %q", name, got)
			}
		})
	}
}
