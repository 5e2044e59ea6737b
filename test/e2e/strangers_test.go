package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

// claim returns an authorization header for a key, with a made-up signature.
func claim(key, service string) string {
	day := time.Now().UTC().Format("20060102")
	return "X-Amz-Date: " + day + "T000000Z\r\nAuthorization: AWS4-HMAC-SHA256 Credential=" + key + "/" + day +
		"/us-east-1/" + service +
		"/aws4_request, SignedHeaders=host;x-amz-date, Signature=" + strings.Repeat("0", 64) + "\r\n"
}

// hostile returns beginnings of requests that never end, or that are refused.
func hostile() map[string]string {
	const form = "Host: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000\r\n"
	const document = "Host: h\r\nContent-Type: application/xml\r\nContent-Length: 4000000\r\n"
	const deep = "<Delete>" + "<a><a><a><a><a><a><a><a><a><a>"
	many := strings.Repeat("N.a.a.a.a.a.a.a=&", 1000)
	var odd strings.Builder // parameters that take much memory while they are read
	for i := range 2000 {
		fmt.Fprintf(&odd, "x%03x:\r\n", i)
	}
	return map[string]string{
		"a header of thousands of names":  "GET / HTTP/1.1\r\nHost: h\r\n" + odd.String(),
		"says nothing":                    "",
		"a refused request, then nothing": "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
		"a header without an end":         "GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ",
		"many headers":                    "GET / HTTP/1.1\r\nHost: h\r\n" + strings.Repeat("X-Many: y\r\n", 500),
		"half a form": "POST / HTTP/1.1\r\n" + form +
			"\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&" + many,
		"half a form of a key that is none": "POST / HTTP/1.1\r\n" + form + claim("AKIAXXXXXXXXXXXXXXXX", "iam") +
			"\r\nAction=ListUsers&" + many,
		"half a form in the root user's name": "POST / HTTP/1.1\r\n" + form + claim(harness.AccessKeyID, "iam") +
			"\r\nAction=ListUsers&" + many,
		"half a document": "POST /b?delete HTTP/1.1\r\n" + document + "\r\n" + deep,
		"half a document of a key": "POST /b?delete HTTP/1.1\r\n" + document + claim(harness.AccessKeyID, "s3") +
			"\r\n" + deep,
		"half an object": "PUT /b/k HTTP/1.1\r\n" + document + "\r\nxxxxxxxx",
		"a giant chunk": "PUT /b/k HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nX-Amz-Content-Sha256: " +
			"STREAMING-UNSIGNED-PAYLOAD-TRAILER\r\n" +
			"X-Amz-Decoded-Content-Length: 4000000000\r\n\r\n20\r\nffffffff\r\n" + strings.Repeat("x", 18),
		"half a POST form": "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\nContent-Type: " +
			"multipart/form-data; boundary=bb\r\n\r\n" +
			"--bb\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n" + strings.Repeat("x", 8000),
		"a flood of requests": strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 200),
	}
}

// write sends a signed request on a connection and returns the answer.
func write(t *testing.T, s *harness.Server, c net.Conn, r raw) *http.Response {
	t.Helper()
	c.SetDeadline(time.Now().Add(30 * time.Second))
	if err := signedRequest(t, s, r).Write(c); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	return res
}

// TestStrangersShutNoOneOut: however many unauthenticated connections there are, and whatever they
// send, new callers can connect, connected ones stay connected, and unauthenticated connections are
// dropped.
func TestStrangersShutNoOneOut(t *testing.T) {
	const most, many = 8, 20
	for name, text := range hostile() {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t, func(c *server.Config) { c.MaxConnections = most })
			list := raw{method: "GET", target: "/"}
			caller := connect(t, s.Endpoint, "")
			if res := write(t, s, caller, list); res.StatusCode != http.StatusOK {
				t.Fatal(res.Status)
			}
			var them []net.Conn
			began := time.Now()
			for range many {
				them = append(them, connect(t, s.Endpoint, text))
			}
			if res := write(t, s, connect(t, s.Endpoint, ""), list); res.StatusCode != http.StatusOK {
				t.Errorf("the root user: %s", res.Status)
			}
			if res := write(t, s, caller, list); res.StatusCode != http.StatusOK {
				t.Errorf("the caller that was connected before: %s", res.Status)
			}
			const want = many + 2 - most
			gone := map[net.Conn]bool{}
			for len(gone) < want && time.Since(began) < 9*time.Second { // after ten, all of them are dropped
				for _, c := range them {
					if !gone[c] && closed(t, c) {
						gone[c] = true
					}
				}
				time.Sleep(time.Millisecond)
			}
			if len(gone) < want {
				t.Errorf("%d of %d strangers were dropped, with room for %d", len(gone), many, most)
			}
		})
	}
}

// upload begins an upload. It returns once the server waits for the body or has refused the request.
func upload(t *testing.T, s *harness.Server, id, secret, path string) (net.Conn, *http.Response) {
	t.Helper()
	req := signedRequest(t, s, raw{method: "PUT", target: path, hash: "UNSIGNED-PAYLOAD", key: id, secret: secret})
	c := connect(t, s.Endpoint, headExpecting(req, path, 4))
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	return c, res
}

// TestOneKeyShutsNoOneOut: if stalled uploads of one key hold most connections, that key gets SlowDown.
// Other keys and the root user can connect, unauthenticated connections make no difference, and the
// uploads can continue.
func TestOneKeyShutsNoOneOut(t *testing.T) {
	const most = 16
	s := harness.Start(t, func(c *server.Config) { c.MaxConnections = most })
	ctx := t.Context()
	if _, err := s.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String("avatars")}); err != nil {
		t.Fatal(err)
	}
	root := rootIAM(s)
	keys := map[string][2]string{}
	for _, name := range []string{"one", "two"} {
		newUser(t, s, name)
		if _, err := root.PutUserPolicy(ctx, &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("put"),
			PolicyDocument: aws.String(
				`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject",` +
					`"Resource":"arn:aws:s3:::avatars/*"}}`)}); err != nil {
			t.Fatal(err)
		}
		k, err := root.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = [2]string{*k.AccessKey.AccessKeyId, *k.AccessKey.SecretAccessKey}
	}
	begin := func(name string, n int) (net.Conn, int) {
		c, res := upload(t, s, keys[name][0], keys[name][1], fmt.Sprintf("/avatars/%s%d", name, n))
		return c, res.StatusCode
	}
	var stalled []net.Conn
	for n := range most - most/4 {
		c, status := begin("one", n)
		if status != http.StatusContinue {
			t.Fatalf("upload %d: %d", n, status)
		}
		stalled = append(stalled, c)
	}
	if _, status := begin("one", most); status != http.StatusServiceUnavailable {
		t.Errorf("one more upload of the same key: %d", status)
	}
	if _, status := begin("two", 0); status != http.StatusContinue {
		t.Errorf("another key: %d", status)
	}
	for _, text := range hostile() {
		connect(t, s.Endpoint, text)
		connect(t, s.Endpoint, text)
	}
	if res := write(t, s, connect(t, s.Endpoint, ""), raw{
		method: "GET", target: "/",
	}); res.StatusCode != http.StatusOK {
		t.Errorf("the root user: %s", res.Status)
	}
	for n, c := range stalled {
		io.WriteString(c, "body")
		if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("upload %d in the end: %v, %v", n, res, err)
		}
	}
}

// TestStrangersFillOnlyTheirShare: unauthenticated clients that send large forms and stop before the
// end get SlowDown, whether they claim a key or not. Callers and the root user are not affected.
func TestStrangersFillOnlyTheirShare(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.MaxDocumentMemory = 1 << 20 })
	_, user, _ := newUser(t, s, "caller")
	if err := attachTo(t, rootIAM(s), "caller", "AmazonS3FullAccess"); err != nil {
		t.Fatal(err)
	}
	const header = "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
		"60000\r\n"
	half := "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken=" + strings.Repeat("x", 50_000)
	for range 8 {
		connect(t, s.Endpoint, header+"\r\n"+half)
		connect(t, s.Endpoint, header+claim(harness.AccessKeyID, "sts")+"\r\n"+half)
	}
	whole := raw{
		method: "POST", target: "/", unsigned: true, body: half,
		header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}},
	}
	deadline := time.Now().Add(30 * time.Second)
	for { // until the first halves have arrived
		a := send(t, s, whole)
		if a.status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("a stranger while the share is full: %d %s", a.status, a.code)
		}
	}
	whole.body = whole.body[:2000]
	if a := send(t, s, whole); a.status == http.StatusServiceUnavailable {
		t.Errorf("a stranger with a small form: %s", a.body)
	}
	bucket := aws.String("caller")
	if _, err := user.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
	document := `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":["arn:aws:s3:::caller/` + strings.Repeat("x", 15_000) + `"]}}`
	if _, err := user.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: bucket, Policy: &document,
	}); err != nil {
		t.Error(err)
	}
	if _, err := rootIAM(s).CreateGroup(t.Context(), &iam.CreateGroupInput{GroupName: aws.String("g")}); err != nil {
		t.Error(err)
	}
}

// TestFormsAndDocumentsAreBounded: a form or document without a verified signature is limited to a small
// size, whatever length it declares, and is not read at all if the request can't be allowed.
func TestFormsAndDocumentsAreBounded(t *testing.T) {
	s, bucket := openServer(t, "open")
	if err := putPolicy(t, s.S3, bucket, "%s", everybody(bucket)); err != nil {
		t.Fatal(err)
	}
	form := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	assume := "Action=AssumeRoleWithWebIdentity&Version=2011-06-15"
	wide := "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 30_000) + "</Delete>"
	for name, c := range map[string]struct {
		request raw
		status  int
		code    string
	}{
		"a form of 65 KiB": {
			raw{
				method: "POST", target: "/", unsigned: true, header: form,
				body: assume + strings.Repeat("&a=b", 16_400),
			},
			400, "RequestEntityTooLarge",
		},
		"a form of many parameters": {
			raw{method: "POST", target: "/", unsigned: true, header: form, body: assume + strings.Repeat("&a=b", 300)},
			400, "",
		},
		"a form that is a deep tree": {
			raw{method: "POST", target: "/", unsigned: true, header: form, body: assume + "&a.a.a.a.a.a.a.a.a.a.a=b"},
			400, "",
		},
		"a document for a bucket that's shut": {
			raw{
				method: "POST", target: "/shut?delete", unsigned: true, body: "<Delete",
				header: http.Header{"Content-Md5": {"x"}},
			},
			403, "AccessDenied",
		},
		"a large document for an open bucket": {
			raw{
				method: "POST", target: "/open?delete", unsigned: true, body: wide + strings.Repeat(" ", 200_000+1<<20),
				header: http.Header{},
			},
			400, "MaxMessageLengthExceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, s, c.request)
			if a.status != c.status || c.code != "" && !strings.Contains(a.body, "<Code>"+c.code+"</Code>") {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		})
	}
}
