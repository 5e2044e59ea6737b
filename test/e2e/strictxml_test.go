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
		aes    = "<ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>"
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
		"public access block": {"PUT", "/strict?publicAccessBlock", "PublicAccessBlockConfiguration",
			"<BlockPublicAcls>true</BlockPublicAcls><RestrictPublicBuckets>true</RestrictPublicBuckets>",
			[]string{
				"<BlockPublicACLs>true</BlockPublicACLs>",
				"<BlockPublicAcls>true</BlockPublicAcls><BlockPublicPolicies>true</BlockPublicPolicies>",
				"<BlockPublicAcls>true</BlockPublicAcls><BlockPublicAcls>false</BlockPublicAcls>",
				"true<BlockPublicAcls>true</BlockPublicAcls>",
			}},
		"encryption": {"PUT", "/strict?encryption", "ServerSideEncryptionConfiguration",
			"<Rule>" + aes + "<BucketKeyEnabled>false</BucketKeyEnabled></Rule>",
			[]string{
				"<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>" +
					"<KMSMasterKeyId>other</KMSMasterKeyId></ApplyServerSideEncryptionByDefault></Rule>",
				"<Rule>" + aes + "<BlockedEncryptionType/></Rule>",
				"<Rule>" + aes + "<BlockedEncryptionTypes>SSE-C</BlockedEncryptionTypes></Rule>",
				"<Rule>" + aes + aes + "</Rule>",
			}},
		"ownership": {"PUT", "/strict?ownershipControls", "OwnershipControls",
			"<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>",
			[]string{
				"<Rule><ObjectOwnership>ObjectWriter</ObjectOwnership><Enforced>true</Enforced></Rule>",
				"<Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership>" +
					"<ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>",
			}},
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
			for _, namespace := range []string{
				"", ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`,
				` xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="a b"`,
			} {
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

// TestTheAccountsDocument: the document of S3 Control has its own namespace, and is as strict.
func TestTheAccountsDocument(t *testing.T) {
	s := harness.Start(t)
	account := accountOf(t, s, rootOf(s))
	const root, control = "PublicAccessBlockConfiguration", ` xmlns="http://awss3control.amazonaws.com/doc/2018-08-20/"`
	for name, c := range map[string]struct {
		namespace, inside string
		status            int
	}{
		"as SDKs send it":      {control, "<BlockPublicAcls>true</BlockPublicAcls>", 200},
		"without a namespace":  {"", "<BlockPublicAcls>true</BlockPublicAcls>", 200},
		"in a foreign one":     {` xmlns="http://example.com/"`, "<BlockPublicAcls>true</BlockPublicAcls>", 400},
		"a misspelled setting": {control, "<BlockPublicACLs>true</BlockPublicACLs>", 400},
		"an unknown setting":   {control, "<BlockPublicAcls>true</BlockPublicAcls><Evil/>", 400},
	} {
		t.Run(name, func(t *testing.T) {
			a := send(t, s, raw{
				method: "PUT", target: "/v20180820/configuration/publicAccessBlock",
				body:   "<" + root + c.namespace + ">" + c.inside + "</" + root + ">",
				header: http.Header{"X-Amz-Account-Id": {account}},
			})
			if a.status != c.status || c.status == 400 && a.code != "MalformedXML" {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}
