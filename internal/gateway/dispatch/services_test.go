package dispatch

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
)

// testServices returns services with the names and versions that clients know, and one operation each.
func testServices(t *testing.T) *services {
	t.Helper()
	type empty = struct{}
	done := func(context.Context, authz.Grant, *empty) (*empty, error) { return nil, nil }
	row := func(name string, at dialect.Route) []Row {
		return []Row{Define(name, at, authz.Open[empty]("a test"), done)}
	}
	s, err := newServices([]Table{
		{
			Service: protocol.Service{Name: "s3", SigningName: "s3"}, Dialect: rest.S3,
			Rows: row("GetObject", rest.At("GET /{Bucket}/{Key+}")),
		},
		{
			Service: protocol.Service{Name: "s3control", SigningName: "s3"}, Dialect: rest.Control,
			Rows: row("GetPublicAccessBlock", rest.At("GET /v20180820/x")),
		},
		{
			Service: protocol.Service{Name: "iam", SigningName: "iam"}, Dialect: query.API("2010-05-08", "i"),
			Rows: row("ListUsers", query.Action("ListUsers")),
		},
		{
			Service: protocol.Service{Name: "sts", SigningName: "sts"}, Dialect: query.API("2011-06-15", "s"),
			Rows: row("AssumeRoleWithWebIdentity", query.Action("AssumeRoleWithWebIdentity").Bearer()),
		},
	}, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// catalogue is the real catalogue, as if all its operations were built.
func catalogue(service string) []action.Operation {
	all := action.Parse(service).Operations
	for i := range all {
		all[i].Unbuilt = false
	}
	return all
}

// find parses the bytes of a request and finds its service.
func find(all *services, hr *http.Request) (*protocol.Request, *service, error) {
	r, err := protocol.Parse(hr, protocol.Options{}, "0123456789ABCDEF", time.Unix(0, 0))
	if err != nil {
		return nil, nil, err
	}
	s, err := all.find(r)
	return r, s, err
}

func TestServiceOfAScope(t *testing.T) {
	all := testServices(t)
	for header, want := range map[string]string{
		"": "s3",
		"AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0": "s3",
		"AWS4-HMAC-SHA256 SignedHeaders=host,Credential=AKIA/20130524/us-east-1/iam/aws4_request,Signature=0":  "iam",
		"AWS4-HMAC-SHA256 Credential=AKIA/20130524/us-east-1/evil/aws4_request":                                "s3",
		"Credential=": "s3",
	} {
		t.Run(header, func(t *testing.T) {
			hr := httptest.NewRequest("GET", "http://example.com/v20180820/x", nil)
			hr.RequestURI = "/v20180820/x"
			if header != "" {
				hr.Header.Set("Authorization", header)
			}
			_, s, err := find(all, hr)
			if err != nil || s.Name != want {
				t.Errorf("%q is for %+v, %v; want %s", header, s, err, want)
			}
		})
	}
}

// TestServiceOfARequest: the scope of the signature decides which service gets a
// request; without a useful scope, the version of the Query dialect does. S3 gets
// all requests that are signed for S3.
func TestServiceOfARequest(t *testing.T) {
	const credential = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/%s/aws4_request, SignedHeaders=host, " +
		"Signature=0"
	all := testServices(t)
	for _, c := range []struct{ method, target, authorization, body, want string }{
		{"GET", "/", "", "", "s3"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", "", "", "iam"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", "nonsense", "", "iam"},
		{"GET", "/?Action=GetCallerIdentity&Version=2011-06-15", fmt.Sprintf(credential, "ec2"), "", "sts"},
		{"GET", "/?Action=ListUsers&Version=2010-05-08", fmt.Sprintf(credential, "s3"), "", "s3"},
		{"GET", "/?Action=ListUsers&Version=2009-01-01", "", "", "s3"},
		{"GET", "/?Version=2010-05-08", "", "", "s3"},
		{"GET", "/b?Action=ListUsers&Version=2010-05-08", "", "", "s3"},
		{"POST", "/", fmt.Sprintf(credential, "iam"), "Action=GetCallerIdentity&Version=2011-06-15", "iam"},
		{"POST", "/", "nonsense", "Action=ListUsers&Version=2010-05-08", "iam"},
		{"POST", "/", fmt.Sprintf(credential, "s3"), "Action=ListUsers&Version=2010-05-08", "s3"},
		{"POST", "/b", "", "Action=ListUsers&Version=2010-05-08", "s3"},
	} {
		t.Run(c.method+" "+c.target+" "+c.authorization, func(t *testing.T) {
			hr := httptest.NewRequest(c.method, c.target, strings.NewReader(c.body))
			hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.authorization != "" {
				hr.Header.Set("Authorization", c.authorization)
			}
			_, s, err := find(all, hr)
			if err != nil || s.Name != c.want {
				t.Errorf("%s %s %.40q %q: %+v %v, want %s", c.method, c.target, c.authorization, c.body, s, err, c.want)
			}
		})
	}
}

// TestServicesThatAreNotHere: the answer to a request for one has the service's name, in
// a document that the client can read; a request for S3 with another scope stays S3's.
func TestServicesThatAreNotHere(t *testing.T) {
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	all := testServices(t)
	for _, c := range []struct {
		method, target, scope string
		header                http.Header
		body, want, kind      string
	}{
		{
			"POST", "/", "kms",
			http.Header{"X-Amz-Target": {"TrentService.ListKeys"}, "Content-Type": {"application/x-amz-json-1.1"}},
			"{}", "kms", "json",
		},
		{
			"POST", "/", "cloudtrail",
			http.Header{
				"X-Amz-Target": {"CloudTrail_20131101.DescribeTrails"}, "Content-Type": {"application/x-amz-json-1.1"},
			},
			"{}", "cloudtrail", "json",
		},
		{
			"POST", "/", "ec2", http.Header{"Content-Type": {form}}, "Action=DescribeRegions&Version=2016-11-15", "ec2",
			"Response",
		},
		{
			"POST", "/", "sns", http.Header{"Content-Type": {form}}, "Action=ListTopics&Version=2010-03-31", "sns",
			"ErrorResponse",
		},
		{"GET", "/?Action=ListTopics&Version=2010-03-31", "sns", nil, "", "sns", "ErrorResponse"},
		{"GET", "/2013-04-01/hostedzone", "route53", nil, "", "route53", "ErrorResponse"},
		{"GET", "/2015-03-31/functions/", "lambda", nil, "", "lambda", "json"},
		{"POST", "/", "ec2", http.Header{"Content-Type": {form}}, "Action=ListUsers&Version=2010-05-08", "iam", ""},
		{"GET", "/bucket/key", "ec2", nil, "", "s3", ""},
		{"PUT", "/bucket/key", "Not A Service", http.Header{"X-Amz-Target": {"x"}}, "", "s3", ""},
		{
			"POST", "/", "iam", http.Header{"Content-Type": {form}, "X-Amz-Target": {"x"}},
			"Action=ListUsers&Version=2010-05-08", "iam", "",
		},
	} {
		t.Run(c.method+" "+c.target+" "+c.scope, func(t *testing.T) {
			hr := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			hr.RequestURI = c.target
			for k, v := range c.header {
				hr.Header[k] = v
			}
			hr.Header.Set("Authorization",
				"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/"+c.scope+
					"/aws4_request, SignedHeaders=host, Signature=0")
			r, s, err := find(all, hr)
			if err != nil || s.Name != c.want {
				t.Errorf("%+v: service %+v, %v", c, s, err)
				return
			}
			if c.kind == "" {
				return
			}
			w := httptest.NewRecorder()
			_, refusal := s.Match(r)
			s.WriteError(w, r, fault.From(refusal))
			said := w.Body.String()
			if w.Code != 501 || !strings.Contains(said, "The service "+c.want+" is not implemented here.") {
				t.Errorf("%s: %d %s", c.want, w.Code, said)
			}
			if c.kind == "json" {
				var page struct {
					Type string `json:"__type"`
				}
				if err := json.Unmarshal(w.Body.Bytes(), &page); err != nil || page.Type != "NotImplemented" {
					t.Errorf("%s: %v, %s", c.want, err, said)
				}
				return
			}
			var page struct{ XMLName xml.Name }
			if err := xml.Unmarshal(w.Body.Bytes(), &page); err != nil || page.XMLName.Local != c.kind {
				t.Errorf("%s: %v, %s", c.want, err, said)
			}
		})
	}
}

// TestUnreadableForm tests that the error of a form that can't be read is that of a service
// of the Query dialect, whose error page the client of such a form can read.
func TestUnreadableForm(t *testing.T) {
	const signed = "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/%s/aws4_request, SignedHeaders=h, Signature=0"
	all := testServices(t)
	for name, c := range map[string]struct{ scope, body, want string }{
		"unsigned":          {"", "Action=%zz", "sts"},
		"signed for IAM":    {"iam", "Action=%zz", "iam"},
		"signed for SNS":    {"sns", "Action=%zz", "sts"},
		"unsigned and long": {"", strings.Repeat("x", 65<<10), "sts"},
		"of many members":   {"", strings.Repeat("a=b&", 2000), "sts"},
	} {
		t.Run(name, func(t *testing.T) {
			hr := httptest.NewRequest("POST", "/", strings.NewReader(c.body))
			hr.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.scope != "" {
				hr.Header.Set("Authorization", fmt.Sprintf(signed, c.scope))
			}
			if _, s, err := find(all, hr); err == nil || s == nil || s.Name != c.want {
				t.Errorf("%+v, %v; want an error of %s", s, err, c.want)
			}
		})
	}
}

// TestCallee: a form that names an operation of another service than its signature
// goes to that other service.
func TestCallee(t *testing.T) {
	all := testServices(t)
	for _, c := range []struct{ scope, method, target, body, want string }{
		{"sts", "POST", "/", "Action=ListUsers&Version=2010-05-08", "iam"},
		{"iam", "POST", "/", "Action=AssumeRoleWithWebIdentity&Version=2011-06-15", "sts"},
		{"iam", "GET", "/?Action=AssumeRoleWithWebIdentity&Version=2011-06-15", "", "sts"},
		{"iam", "POST", "/", "Action=AssumeRoleWithWebIdentity&Version=2010-05-08", ""},
		{"sts", "POST", "/", "Action=ListUsers", ""},
		{"sts", "POST", "/x", "Action=ListUsers&Version=2010-05-08", ""},
		{"iam", "GET", "/v20180820/x", "", ""},
	} {
		t.Run(c.scope+" "+c.target+" "+c.body, func(t *testing.T) {
			hr := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
			hr.RequestURI = c.target
			hr.Header.Set("Authorization",
				"AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/"+c.scope+
					"/aws4_request, SignedHeaders=host, Signature=0")
			hr.Header.Set("X-Amz-Account-Id", "111122223333")
			r, s, err := find(all, hr)
			if err != nil || s.Name != c.scope {
				t.Fatalf("%+v, %v", s, err)
			}
			got := ""
			if s := all.callee(r); s != nil {
				got = s.Name
			}
			if got != c.want {
				t.Errorf("the request is for %q, want %q", got, c.want)
			}
		})
	}
}
