package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
	"watertight/internal/storage/seal"
)

type in struct {
	Bucket string `loc:"uri,Bucket"`
}

type out struct {
	Said string `loc:"header,X-Said"`
}

// facts implements authz.Facts. The zero value allows anonymous callers nothing.
type facts struct{}

func (facts) Principal(context.Context, *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{}, nil
}

func (facts) Resource(context.Context, arn.ARN, time.Time) (*authz.ResourceLaws, error) {
	return &authz.ResourceLaws{Owner: "111122223333"}, nil
}

func (facts) Object(context.Context, arn.ARN, *string) (authz.ObjectLaws, error) {
	return authz.ObjectLaws{}, nil
}

func (facts) Grants(context.Context, arn.ARN, *policy.Principal) ([]*policy.Document, error) {
	return nil, nil
}

func (facts) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) {
	return nil, nil
}

type nobody struct{}

func (nobody) Lookup(context.Context, string) (*credential.Credential, error) {
	return nil, nil
}

func build(t *testing.T, rows ...Row) (*Dispatcher, error) {
	t.Helper()
	log, err := audit.Open(audit.Options{Dir: t.TempDir(), Root: seal.RingOf(seal.NewKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close(context.Background()) })
	return New(authn.New(nobody{}, authn.Options{Region: "us-east-1"}), authz.New(facts{}), log,
		Options{
			Logger: slog.New(slog.DiscardHandler),
		}, Table{Service: protocol.Service{Name: "s3", SigningName: "s3"}, Dialect: rest.S3, Rows: rows})
}

func say(context.Context, authz.Grant, *in) (*out, error) { return &out{"done"}, nil }

func get(t *testing.T, d *Dispatcher, target string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, target, nil)
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// TestUnguardedOperationsDoNotStart is the second check of ARCHITECTURE's five: the error names every
// operation without an access.
func TestUnguardedOperationsDoNotStart(t *testing.T) {
	_, err := build(t,
		Define("ListObjects", rest.At("GET /{Bucket}"), authz.Access[in]{}, say),
		Define("CreateBucket", rest.At("PUT /{Bucket}"), authz.Open[in]("a test"), say),
		Define("DeleteObjects", rest.At("POST /{Bucket}"), authz.Ask[in](nil), say),
		Define("DeleteBucket", rest.At("DELETE /{Bucket}"), authz.Ask1[in](nil), say),
		Define[in, out]("HeadBucket", rest.At("HEAD /{Bucket}"), authz.Open[in]("a test"), nil),
		Define("ListBuckets", rest.At("GET /"), authz.Open[in](""), say),
		Define("Frobnicate", rest.At("GET /{Bucket}?frobnicate"), authz.Open[in]("no table has it"), say),
		Define("RestoreObject", rest.At("GET /{Bucket}?restore"), authz.Open[in]("it is marked unbuilt"), say),
	)
	if err == nil {
		t.Fatal("New accepted it")
	}
	for _, name := range []string{
		"ListObjects ", "DeleteObjects", "DeleteBucket", "HeadBucket", "ListBuckets", "Frobnicate", "RestoreObject",
	} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "CreateBucket") {
		t.Errorf("CreateBucket is named: %v", err)
	}
	if _, err := build(t, Define("ListObjects", rest.At("GET /{Bucket}"), authz.Open[in]("a test"), say),
		Define("GetBucketAcl", rest.At("GET /{Bucket}"), authz.Open[in]("a test"), say)); err == nil {
		t.Error("two operations for one request start")
	}
}

// TestNoNeedsIsDenied is the third check. An operation that is open to all has to say why.
func TestNoNeedsIsDenied(t *testing.T) {
	called := false
	do := func(ctx context.Context, g authz.Grant, i *in) (*out, error) { called = true; return say(ctx, g, i) }
	d, err := build(t,
		Define("ListObjects", rest.At("GET /{Bucket}"), authz.Ask(func(*in) ([]authz.Need, error) { return nil, nil }),
			do),
		Define("ListBuckets", rest.At("GET /"), authz.Open[in]("a test"), say),
		Define("GetBucketAcl", rest.At("GET /{Bucket}?acl"), authz.Ask1(func(i *in) authz.Need {
			return authz.Need{Action: "s3:GetBucketAcl", Resource: arn.Bucket(i.Bucket)}
		}), do),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"/b", "/b?acl"} {
		if w := get(t, d, target); w.Code != 403 || called {
			t.Errorf("%s: %d, the handler ran: %v", target, w.Code, called)
		}
	}
	if w := get(t, d, "/"); w.Code != 200 || w.Header().Get("X-Said") != "done" {
		t.Errorf("the open operation: %d", w.Code)
	}
	if Openness(d.Operations("s3")[1]) != "a test" {
		t.Error("an open operation does not say why")
	}
}

// TestForgedGrant is the fourth check.
func TestForgedGrant(t *testing.T) {
	var g authz.Grant
	if g.Demand("s3:GetObject", arn.Object("b", "k")) == nil || g.Allows("s3:GetObject", arn.Object("b", "k")) {
		t.Error("the zero grant covers something")
	}
	if _, err := authz.New(facts{}).Authorize(t.Context(), authz.Caller{}, authz.Need{
		Action: "a:B", Resource: arn.Any(),
	}); err == nil {
		t.Error("the zero caller is authorized")
	}
}

// TestConceal: 404 becomes 403 for a caller that may not list the bucket, and the
// cause of an error reaches no client.
func TestConceal(t *testing.T) {
	for _, code := range []fault.Code{fault.NoSuchKey, fault.NoSuchVersion} {
		f := authz.Grant{}.Conceal(fault.Of(code).With("Key", "secret"), "b")
		if f.Kind != fault.KindDenied || f.Code != "AccessDenied" || len(f.Members) != 0 {
			t.Errorf("%s: %+v", code, f)
		}
	}
	if f := (authz.Grant{}).Conceal(fault.New(fault.NoSuchBucket, ""), "b"); f.Code != "NoSuchBucket" {
		t.Errorf("another code: %+v", f)
	}
	d, err := build(t,
		Define("ListBuckets", rest.At("GET /"), authz.Open[in]("a test"),
			func(context.Context, authz.Grant, *in) (*out, error) {
				return nil, errors.New("SECRET CAUSE")
			}))
	if err != nil {
		t.Fatal(err)
	}
	if w := get(t, d, "/"); w.Code != 500 || strings.Contains(w.Body.String(), "SECRET") ||
		!strings.Contains(w.Body.String(), "<Code>InternalError</Code>") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// asked counts how often CORS rules are asked for.
type asked struct{ times int }

func (a *asked) Share(context.Context, string, string, string, []string) (*protocol.Sharing, error) {
	a.times++
	return &protocol.Sharing{Any: true, Methods: []string{"GET"}}, nil
}

// TestSharing: CORS rules are not read for a request that names no origin, and
// New refuses a preflight that needs an identified caller.
func TestSharing(t *testing.T) {
	d, err := build(t, Define("GetBucketAcl", rest.At("GET /{Bucket}"), authz.Open[in]("a test"), say))
	if err != nil {
		t.Fatal(err)
	}
	a := &asked{}
	d.options.Sharing = a
	if get(t, d, "/b"); a.times != 0 {
		t.Error("the rules are read without an origin")
	}
	r := httptest.NewRequest(http.MethodGet, "/b", nil)
	r.Header.Set("Origin", "https://a.example")
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	if a.times != 1 || w.Header().Get("Access-Control-Allow-Origin") != "*" ||
		w.Header().Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("asked %d times; %v", a.times, w.Header())
	}
	_, err = build(t,
		Define("PreflightBucket", rest.At("OPTIONS /{Bucket}").Preflight(), authz.Ask1(func(i *in) authz.Need {
			return authz.Need{Action: "s3:GetObject", Resource: arn.Bucket(i.Bucket)}
		}), say))
	if err == nil || !strings.Contains(err.Error(), "PreflightBucket") {
		t.Errorf("a preflight that asks for a permission starts: %v", err)
	}
}
