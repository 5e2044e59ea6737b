package e2e

import (
	"encoding/base64"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// TestDocumentsThatDestroy: a document that protects or destroys data is refused if it has a repeated or
// an unknown element.
func TestDocumentsThatDestroy(t *testing.T) {
	s := harness.Start(t)
	bucket := aws.String("strict")
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: bucket, ObjectLockEnabledForBucket: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	if a := send(t, s, raw{method: "PUT", target: "/strict/k", body: "x"}); a.status != 200 {
		t.Fatal(a.body)
	}
	const (
		rule   = "<Rule><ID>a</ID><Status>Enabled</Status>"
		days   = "<Expiration><Days>9</Days></Expiration>"
		filter = "<Filter><Prefix>a</Prefix></Filter>"
	)
	for name, c := range map[string]struct {
		method, target, root string
		good                 string
		bad                  []string
	}{
		"lifecycle": {"PUT", "/strict?lifecycle", "LifecycleConfiguration",
			rule + filter + days + "</Rule>",
			[]string{
				rule + filter + "<Filter/>" + days + "</Rule>",
				rule + "<Filter/><Expiration><Days>3650</Days><Days>1</Days></Expiration></Rule>",
				rule + "<Filter/>" + days + days + "</Rule>",
				rule + "<Filter/>" + days + "<Evil/></Rule>",
				rule + "<Filter><prefix>a</prefix></Filter>" + days + "</Rule>",
			}},
		"object lock": {"PUT", "/strict?object-lock", "ObjectLockConfiguration",
			"<ObjectLockEnabled>Enabled</ObjectLockEnabled>",
			[]string{
				"<ObjectLockEnabled>Enabled</ObjectLockEnabled>" +
					"<Rule><DefaultRetention><Mode>COMPLIANCE</Mode><Days>9</Days></DefaultRetention></Rule>" +
					"<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>",
				"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rules/>",
			}},
		"retention": {"PUT", "/strict/k?retention", "Retention", "",
			[]string{
				"<Mode>COMPLIANCE</Mode><Mode>GOVERNANCE</Mode>" +
					"<RetainUntilDate>2099-01-01T00:00:00Z</RetainUntilDate>",
				"<mode>COMPLIANCE</mode>",
			}},
		"legal hold": {"PUT", "/strict/k?legal-hold", "LegalHold", "<Status>OFF</Status>",
			[]string{"<Status>ON</Status><Status>OFF</Status>", "<Status>OFF</Status><Evil/>"}},
		"versioning": {"PUT", "/strict?versioning", "VersioningConfiguration", "<Status>Enabled</Status>",
			[]string{"<Status>Suspended</Status><Status>Enabled</Status>", "<Status>Enabled</Status><MFADelete/>"}},
		"delete": {"POST", "/strict?delete", "Delete", "<Object><Key>none</Key></Object>",
			[]string{
				"<Object><Key>a</Key><Key>b</Key></Object>",
				"<Object><Key>a</Key><versionId>x</versionId></Object>",
			}},
	} {
		t.Run(name, func(t *testing.T) {
			document := func(inside, namespace string) raw {
				body := "<" + c.root + namespace + ">" + inside + "</" + c.root + ">"
				return raw{method: c.method, target: c.target, body: body, header: http.Header{
					"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))},
				}}
			}
			for _, namespace := range []string{"", ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`} {
				if a := send(t, s, document(c.good, namespace)); a.status/100 != 2 {
					t.Errorf("%s: %d %s", namespace, a.status, a.body)
				}
			}
			if a := send(t, s, document(c.good, ` xmlns="http://example.com/"`)); a.code != "MalformedXML" {
				t.Errorf("in a foreign namespace: %d %s", a.status, a.body)
			}
			for _, inside := range c.bad {
				if a := send(t, s, document(inside, "")); a.status != 400 || a.code != "MalformedXML" {
					t.Errorf("%s: %d %s", inside, a.status, a.body)
				}
			}
		})
	}
}
