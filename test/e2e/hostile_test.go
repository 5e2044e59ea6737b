package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// resident returns the resident memory of a process in MB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("the resident memory of the process is not known")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1000
}

// thief adds the requests that a thief can begin with the stolen key of a user who may only put
// objects.
func thief(t *testing.T, p *harness.Process, texts map[string]string) {
	t.Helper()
	s := &harness.Server{
		Endpoint: p.Endpoint, AccessKeyID: harness.AccessKeyID, SecretAccessKey: harness.SecretAccessKey,
		Region: harness.Region,
	}
	newUser(t, s, "avatars")
	root := rootIAM(s)
	if _, err := root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: aws.String("avatars"),
		PolicyName: aws.String("put"), PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:PutObject",` +
				`"Resource":"arn:aws:s3:::avatars/*"}}`)}); err != nil {
		t.Fatal(err)
	}
	k, err := root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("avatars")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("avatars")}); err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]raw{
		"half an object of a thief": {method: "PUT", target: "/avatars/k", body: strings.Repeat("x", 100_000)},
		"half a document of a thief": {
			method: "POST", target: "/avatars?delete",
			body: "<Delete>" + strings.Repeat("<Object><Key>k</Key></Object>", 20_000),
		},
		"half a part of a thief": {
			method: "PUT", target: "/avatars/k?partNumber=1&uploadId=x", body: strings.Repeat("x", 1000),
		},
		"half a policy of a thief": {method: "PUT", target: "/avatars?policy", body: strings.Repeat(" ", 500_000)},
	} {
		r.key, r.secret, r.hash = *k.AccessKey.AccessKeyId, *k.AccessKey.SecretAccessKey, "UNSIGNED-PAYLOAD"
		body := r.body
		r.body = ""
		req := signedRequest(t, s, r)
		text := r.method + " " + r.target + " HTTP/1.1\r\nHost: " + req.Host + "\r\nContent-Length: 3000000\r\n"
		for name, v := range req.Header {
			text += name + ": " + v[0] + "\r\n"
		}
		texts[name] = text + "\r\n" + body
	}
}

// TestThousandsOfStrangers measures the cost of 4,096 unauthenticated
// connections: it must stay under 512 MB, and the root user must get answers within a second
// meanwhile. Each connection sends the beginning of a request and then a byte from time to time.
func TestThousandsOfStrangers(t *testing.T) {
	if os.Getenv("WATERTIGHT_MEASURE") == "" {
		t.Skip("this is a measurement that needs an idle machine; set WATERTIGHT_MEASURE")
	}
	const many = 4096
	texts := hostile()
	form := "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: " +
		"1000000\r\n"
	texts["60 KB of a form"] = form + "\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&a=" +
		strings.Repeat("x", 60_000)
	texts["1 MB of a form in the root user's name"] = form + claim(harness.AccessKeyID, "iam") +
		"\r\nAction=ListUsers&Version=2010-05-08&a=" + strings.Repeat("x", 990_000)
	p := harness.StartProcess(t)
	thief(t, p, texts)
	kinds := slices.Sorted(maps.Keys(texts))
	before := resident(t, p.PID())
	t.Logf("%d MB before", before)
	most := before
	look := func(what string) {
		most = max(most, resident(t, p.PID()))
		began := time.Now()
		if _, err := p.S3.ListBuckets(t.Context(), nil); err != nil {
			t.Fatalf("%s: root: %v", what, err)
		}
		took := time.Since(began)
		t.Logf("%s: %d MB, root answered after %v", what, resident(t, p.PID()), took.Round(time.Millisecond))
		if took > time.Second {
			t.Errorf("%s: root waited for %v", what, took)
		}
	}
	for round, only := range append([]string{""}, kinds...) {
		n := many
		if round > 0 {
			n = many / 8 // of one kind, in addition to the earlier ones
		}
		for i := range n {
			text := texts[kinds[i%len(kinds)]]
			if only != "" {
				text = texts[only]
			}
			c := connect(t, p.Endpoint, "")
			c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			fmt.Fprint(c, text)
			go func() { // sends a byte from time to time
				for range 20 {
					time.Sleep(2 * time.Second)
					c.SetWriteDeadline(time.Now().Add(time.Second))
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
				}
			}()
			if i%512 == 0 {
				most = max(most, resident(t, p.PID()))
			}
		}
		look(fmt.Sprintf("%d of %q", n, only))
	}
	if most > 512 {
		t.Errorf("%d MB at most, %d before", most, before)
	}
}
