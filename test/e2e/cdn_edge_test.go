package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/gateway/dialect"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// farEdge is an edge on another machine, with the credential that it has.
type farEdge struct {
	addr, secure string // of its listeners
	key          harness.Credentials
	stop         func()
}

// newFarEdge enrolls an edge and starts it.
func (s *oacSite) newFarEdge(name string, only ...string) *farEdge {
	s.t.Helper()
	return s.startEdge(s.enroll(name, only...))
}

// enroll enrolls an edge, and returns how it is started.
func (s *oacSite) enroll(name string, only ...string) server.EdgeConfig {
	s.t.Helper()
	made, err := operator.Dial(s.Data).EnrollEdge(s.t.Context(), operator.EdgeCommand{
		Name: name, AccountID: s.account, Distributions: only,
	})
	s.ok(err)
	file := filepath.Join(s.t.TempDir(), "edge.json")
	b, err := json.Marshal(map[string]string{
		"AccessKeyId": made.AccessKeyID, "SecretAccessKey": made.SecretAccessKey, "Region": made.Region,
	})
	s.ok(err)
	s.ok(os.WriteFile(file, b, 0o600))
	store, err := server.StoreOf(s.Endpoint, file)
	s.ok(err)
	return server.EdgeConfig{Store: store, CDN: server.CDNConfig{Listen: "127.0.0.1:0"}}
}

// startEdge starts an edge.
func (s *oacSite) startEdge(c server.EdgeConfig) *farEdge {
	s.t.Helper()
	ready, ended := make(chan [2]string, 1), make(chan error, 1)
	c.Ready = func(plain, secure, _ string) { ready <- [2]string{plain, secure} }
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	go func() { ended <- server.RunEdge(ctx, c) }()
	e := &farEdge{key: edgeKeyOf(c)}
	e.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("the edge ended: %v", err)
		}
	}
	select {
	case at := <-ready:
		e.addr, e.secure = at[0], at[1]
	case err := <-ended:
		s.t.Fatalf("the edge did not start: %v", err)
	}
	return e
}

// edgeKeyOf returns the credential of an edge.
func edgeKeyOf(c server.EdgeConfig) harness.Credentials {
	key := c.Store.Credential
	return harness.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: string(key.SecretAccessKey)}
}

// get asks the edge until it answers with a status.
func (e *farEdge) get(t *testing.T, d *types.Distribution, path string, want int) (text string) {
	t.Helper()
	got := 0
	for range 200 { // the edge listens before it has its configuration
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+e.addr+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = *d.DomainName
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		a := read(t, res)
		res.Body.Close()
		if got, text = a.status, a.body; got == want {
			return text
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("GET %s: %d %s, want %d", path, got, text, want)
	return text
}

// until asks the edge until it answers with a text.
func (e *farEdge) until(t *testing.T, d *types.Distribution, text string) {
	t.Helper()
	got := ""
	for range 600 { // the edge asks a store that was away after up to 30 seconds
		if got = e.get(t, d, "/page", 200); got == text {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Errorf("the edge answers %q, want %q", got, text)
}

// TestFarEdge: an edge on another machine serves its distributions like the edge in process,
// and follows changes. It keeps its configuration while the store can't be reached.
func TestFarEdge(t *testing.T) {
	s := newOACSite(t)
	own := s.own.Distribution
	cached := s.newCached()
	other := s.newDistribution(with(s.control)).Distribution
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	e := s.newFarEdge("berlin", *own.Id, *cached.Id)
	if text := e.get(t, own, "/page", 200); text != "private" {
		t.Errorf("got %q", text)
	}
	e.get(t, cached, "/page", 200)
	e.get(t, other, "/page", 403) // not one of its own
	e.get(t, own, "/none", 403)
	s.policy("AWS:SourceArn", *own.ARN, "s3:GetObject")
	e.get(t, own, "/page", 200)

	// The change is deployed once the edge confirmed it.
	s.changed(func(d *types.DistributionConfig) { d.Enabled = aws.Bool(false) })
	e.get(t, own, "/page", 403)
	s.changed(func(d *types.DistributionConfig) { d.Enabled = aws.Bool(true) })
	e.get(t, own, "/page", 200)
	deployed := false
	for range 200 {
		out, err := s.cdn.GetDistribution(t.Context(), &cloudfront.GetDistributionInput{Id: own.Id})
		s.ok(err)
		if deployed = *out.Distribution.Status == "Deployed"; deployed {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if !deployed {
		t.Error("the distribution is never deployed")
	}
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	if text := e.get(t, cached, "/page", 200); text != "private" {
		t.Errorf("the cache has %q", text)
	}
	s.replaced(cached, "second")
	e.until(t, cached, "second")
	s.Stop()
	if text := e.get(t, cached, "/page", 200); text != "second" {
		t.Errorf("while the store is away: %q", text)
	}
	e.get(t, own, "/page", 502)
	e.stop()
}

// TestRemovedEdge: an edge whose credential was removed stops serving, including what is in
// its cache.
func TestRemovedEdge(t *testing.T) {
	s := newOACSite(t)
	cached := s.newCached()
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	e := s.newFarEdge("lost")
	defer e.stop()
	e.get(t, s.own.Distribution, "/page", 200)
	e.get(t, cached, "/page", 200)
	e.get(t, cached, "/page", 200)
	list, err := operator.Dial(s.Data).Edges(t.Context())
	s.ok(err)
	if len(list) != 1 || list[0].Name != "lost" || list[0].Seen == nil {
		t.Errorf("listed %+v", list)
	}
	_, err = operator.Dial(s.Data).RemoveEdge(t.Context(), "lost")
	s.ok(err)
	e.get(t, cached, "/page", 403)
	e.get(t, s.own.Distribution, "/page", 403)
}

// TestStolenEdgeCredential: the credential of an edge can read what bucket policies allow its
// distributions, and is refused everything else, although the bucket policy allows everything.
func TestStolenEdgeCredential(t *testing.T) {
	s := newOACSite(t)
	own := s.own.Distribution
	other := s.newDistribution(with(s.control)).Distribution
	s.policy("aws:SourceAccount", s.account, "s3:*")
	made, err := operator.Dial(s.Data).EnrollEdge(t.Context(), operator.EdgeCommand{
		Name: "stolen", AccountID: s.account, Distributions: []string{*own.Id},
	})
	s.ok(err)
	key := harness.Credentials{AccessKeyID: made.AccessKeyID, SecretAccessKey: made.SecretAccessKey}
	newBucket(t, s.Server, "second")
	_, err = s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("second"), Policy: aws.String(statements(`{"Effect":"Allow","Principal":{"Service":` +
			`"cloudfront.amazonaws.com"},"Action":"s3:*","Resource":["arn:aws:s3:::second","arn:aws:s3:::second/*"],` +
			`"Condition":{"StringEquals":{"aws:SourceAccount":"` + s.account + `"}}}`)),
	})
	s.ok(err)
	for name, c := range map[string]struct {
		token, target, method string
		want                  int
	}{
		"its object": {*own.Id, "/bkt/page", "GET", 200}, "its head": {*own.Id, "/bkt/page", "HEAD", 200},
		"its list": {*own.Id, "/bkt?list-type=2", "GET", 200}, "no distribution": {"", "/bkt/page", "GET", 403},
		"another distribution":       {*other.Id, "/bkt/page", "GET", 403},
		"none":                       {"E0000000000000", "/bkt/page", "GET", 403},
		"a bucket that is no origin": {*own.Id, "/second/page", "GET", 403},
		"a method not allowed":       {*own.Id, "/bkt/new", "PUT", 403},
		"the bucket's policy":        {*own.Id, "/bkt?policy", "GET", 403}, "all buckets": {*own.Id, "/", "GET", 403},
	} {
		t.Run(name, func(t *testing.T) {
			r := raw{method: c.method, target: c.target, header: http.Header{}}
			if c.token != "" {
				r.header.Set("X-Amz-Security-Token", c.token)
			}
			by(key)(&r)
			if a := send(t, s.Server, r); a.status != c.want {
				t.Errorf("%d %s, want %d", a.status, a.body, c.want)
			}
		})
	}
	for query, want := range map[string]int{"after=0": 200, "after=0&x=1": 400, "after=0&after=1": 400, "": 400} {
		t.Run("snapshot "+query, func(t *testing.T) {
			r := raw{method: "GET", target: "/2020-05-31/edge/snapshot?" + query, header: http.Header{}}
			r.service = "cloudfront"
			by(key)(&r)
			if a := send(t, s.Server, r); a.status != want {
				t.Errorf("%d %s, want %d", a.status, a.body, want)
			}
		})
	}
	for _, service := range []string{"s3", "s3control", "iam", "sts", "kms", "cloudfront"} {
		for _, row := range s.Operations(service) {
			t.Run(service+"/"+row.Name(), func(t *testing.T) {
				if row.Route().Sender() == dialect.Preflight || row.Route().Sender() == dialect.Bearer {
					t.Skip("it takes no signature")
				}
				for _, token := range []string{"", *own.Id} {
					r := stolenRequest(service, row.Name(), row.Route().String())
					if service == "s3" {
						r = request(row, "bkt")
					}
					if service == "s3" && token != "" && (r.method == "GET" || r.method == "HEAD") &&
						(strings.Contains(r.target, "/object") || strings.HasPrefix(row.Name(), "ListObjects") ||
							row.Name() == "HeadBucket") {
						continue // the policy of the bucket decides, and allows it here
					}
					if r.header == nil {
						r.header = http.Header{}
					}
					if token != "" {
						r.header.Set("X-Amz-Security-Token", token)
					}
					by(key)(&r)
					if a := send(t, s.Server, r); a.status < 400 || a.status >= 500 {
						t.Errorf("token %q: %d %s", token, a.status, a.body)
					}
				}
			})
		}
	}
}

// TestStolenEdgeCredentialCopies: the credential of an edge copies no object of a bucket that is not
// an origin of its distribution, also if the policies of both buckets would let it.
func TestStolenEdgeCredentialCopies(t *testing.T) {
	s := newOACSite(t)
	d := s.newDistribution(with(s.control), func(d *types.DistributionConfig) {
		d.DefaultCacheBehavior.AllowedMethods = &types.AllowedMethods{Quantity: aws.Int32(7), Items: []types.Method{
			"GET", "HEAD", "OPTIONS", "PUT", "POST", "PATCH", "DELETE",
		}}
	}).Distribution
	s.policy("aws:SourceAccount", s.account, "s3:*")
	newBucket(t, s.Server, "second")
	_, err := s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
		Bucket: aws.String("second"), Policy: aws.String(statements(`{"Effect":"Allow","Principal":{"Service":` +
			`"cloudfront.amazonaws.com"},"Action":"s3:*","Resource":"arn:aws:s3:::second/*",` +
			`"Condition":{"StringEquals":{"aws:SourceAccount":"` + s.account + `"}}}`)),
	})
	s.ok(err)
	for _, b := range []string{"bkt", "second"} {
		_, err = s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String(b), Key: aws.String("a b"), Body: strings.NewReader("private"),
		})
		s.ok(err)
	}
	up, err := s.S3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: aws.String("bkt"), Key: aws.String("parts"),
	})
	s.ok(err)
	key := edgeKeyOf(s.enroll("stolen", *d.Id))
	part := "/bkt/parts?partNumber=1&uploadId=" + url.QueryEscape(*up.UploadId)
	for source, want := range map[string]int{
		"": 200, "bkt/a%20b": 200, "/bkt/a+b": 200, "second/a%20b": 403, "/second/a+b": 403, "second%2Fa%20b": 403,
		"%2Fsecond/a%20b": 403, "s%65cond/a%20b": 403, "//second/a%20b": 403, "bkt?/../second/a%20b": 403,
		"bkt/../second/a%20b": 400,
	} {
		for name, target := range map[string]string{"object": "/bkt/copy", "part": part} {
			t.Run(name+" from "+source, func(t *testing.T) {
				r := raw{method: "PUT", target: target, header: http.Header{"X-Amz-Security-Token": {*d.Id}}}
				if source != "" {
					r.header.Set("X-Amz-Copy-Source", source)
				}
				by(key)(&r)
				if a := send(t, s.Server, r); a.status != want {
					t.Errorf("%d %s, want %d", a.status, a.body, want)
				}
			})
		}
	}
}

// stolenRequest is a request for an operation of a service that is not S3.
func stolenRequest(service, name, route string) raw {
	switch service {
	case "iam", "sts":
		version := map[string]string{"iam": "2010-05-08", "sts": "2011-06-15"}[service]
		return raw{
			method: "POST", target: "/", body: fmt.Sprintf("Action=%s&Version=%s", name, version), service: service,
			header: http.Header{"Content-Type": {"application/x-www-form-urlencoded; charset=utf-8"}},
		}
	case "kms":
		return raw{method: "POST", target: "/", body: "{}", service: service, header: http.Header{
			"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService." + name},
		}}
	}
	method, path, _ := strings.Cut(route, " ")
	r := raw{method: method, target: strings.NewReplacer("{", "", "}", "", "+", "").Replace(path), service: service}
	if service == "s3control" {
		r.service, r.header = "s3", http.Header{"X-Amz-Account-Id": {"111122223333"}}
	}
	return r
}
