package protocol

import (
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// TestServicesThatAreNotHere: a request for one is told its name, in a document
// that its client can read; one for S3 with another scope stays one for S3.
func TestServicesThatAreNotHere(t *testing.T) {
	const form = "application/x-www-form-urlencoded; charset=utf-8"
	for _, c := range []struct {
		method, target, scope string
		header                http.Header
		body, want, kind      string
	}{
		{"POST", "/", "kms", http.Header{"X-Amz-Target": {"TrentService.ListKeys"}, "Content-Type": {"application/x-amz-json-1.1"}}, "{}", "kms", "json"},
		{"POST", "/", "cloudtrail", http.Header{"X-Amz-Target": {"CloudTrail_20131101.DescribeTrails"}, "Content-Type": {"application/x-amz-json-1.1"}}, "{}", "cloudtrail", "json"},
		{"POST", "/", "ec2", http.Header{"Content-Type": {form}}, "Action=DescribeRegions&Version=2016-11-15", "ec2", "Response"},
		{"POST", "/", "sns", http.Header{"Content-Type": {form}}, "Action=ListTopics&Version=2010-03-31", "sns", "ErrorResponse"},
		{"GET", "/?Action=ListTopics&Version=2010-03-31", "sns", nil, "", "sns", "ErrorResponse"},
		{"GET", "/2020-05-31/distribution", "cloudfront", nil, "", "cloudfront", "ErrorResponse"},
		{"GET", "/2015-03-31/functions/", "lambda", nil, "", "lambda", "json"},
		{"POST", "/", "ec2", http.Header{"Content-Type": {form}}, "Action=ListUsers&Version=2010-05-08", "iam", ""},
		{"GET", "/bucket/key", "ec2", nil, "", "s3", ""},
		{"PUT", "/bucket/key", "Not A Service", http.Header{"X-Amz-Target": {"x"}}, "", "s3", ""},
		{"POST", "/", "iam", http.Header{"Content-Type": {form}, "X-Amz-Target": {"x"}}, "Action=ListUsers&Version=2010-05-08", "iam", ""},
	} {
		hr := httptest.NewRequest(c.method, "/", strings.NewReader(c.body))
		hr.RequestURI = c.target
		for k, v := range c.header {
			hr.Header[k] = v
		}
		hr.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20260101/us-east-1/"+c.scope+"/aws4_request, SignedHeaders=host, Signature=0")
		r, err := Parse(hr, Options{}, "0123456789ABCDEF", time.Unix(0, 0))
		if err != nil || r.Service != c.want {
			t.Errorf("%+v: service %q, %v", c, r.Service, err)
			continue
		}
		if c.kind == "" {
			continue
		}
		w := httptest.NewRecorder()
		WriteError(w, r, r.NoService())
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
			continue
		}
		var page struct{ XMLName xml.Name }
		if err := xml.Unmarshal(w.Body.Bytes(), &page); err != nil || page.XMLName.Local != c.kind {
			t.Errorf("%s: %v, %s", c.want, err, said)
		}
	}
}
