package e2e

import (
	"bytes"
	"encoding/base64"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bodies returns the documents without which operations can't be parsed.
var bodies = map[string]string{
	"CompleteMultipartUpload": `<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>"e"</ETag></Part>` +
		`</CompleteMultipartUpload>`,
	"DeleteObjects": `<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Object><Key>object</Key>` +
		`</Object></Delete>`,
	"PutBucketVersioning": `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
	"PutBucketTagging":    `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
	"PutObjectTagging":    `<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag></TagSet></Tagging>`,
	"PutBucketCors": `<CORSConfiguration><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>` +
		`*</AllowedOrigin></CORSRule></CORSConfiguration>`,
	"PutBucketLifecycleConfiguration": `<LifecycleConfiguration><Rule><Filter/><Status>Disabled</Status>` +
		`<Expiration><Days>1</Days></Expiration></Rule></LifecycleConfiguration>`,
	"PutBucketPolicy": `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",` +
		`"Resource":"arn:aws:s3:::BUCKET/*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}}`,
	"PutPublicAccessBlock": `<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>` +
		`</PublicAccessBlockConfiguration>`,
	"PutBucketOwnershipControls": `<OwnershipControls><Rule><ObjectOwnership>ObjectWriter</ObjectOwnership></Rule>` +
		`</OwnershipControls>`,
	"PutBucketRequestPayment": `<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>`,
	"PutObjectLockConfiguration": `<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled>` +
		`<Rule><DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>` +
		`</ObjectLockConfiguration>`,
	"PutObjectRetention": `<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>2099-01-01T00:00:00Z` +
		`</RetainUntilDate></Retention>`,
	"PutObjectLegalHold":     `<LegalHold><Status>OFF</Status></LegalHold>`,
	"UpdateObjectEncryption": `<ObjectEncryption></ObjectEncryption>`,
	"PutBucketEncryption": `<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault>` +
		`<SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault></Rule>` +
		`</ServerSideEncryptionConfiguration>`,
}

// request builds a request that matches a row.
func request(row dispatch.Row, bucket string) raw {
	method, path, _ := strings.Cut(row.Route().String(), " ")
	r := raw{
		method: method, target: strings.NewReplacer("{Bucket}", bucket, "{Key+}", "object").Replace(path),
		header: http.Header{}, body: strings.ReplaceAll(bodies[row.Name()], "BUCKET", bucket),
	}
	switch row.Name() {
	case "UploadPartCopy", "CopyObject":
		r.header.Set("X-Amz-Copy-Source", bucket+"/object")
		if row.Name() == "CopyObject" {
			r.header.Set("X-Amz-Metadata-Directive", "REPLACE") // a copy onto itself needs it
		}
	case "PutBucketAcl", "PutObjectAcl":
		r.header.Set("X-Amz-Acl", "bucket-owner-full-control")
	case "RollbackBucket":
		r.header.Set("X-Watertight-Rollback-To", time.Now().UTC().Format(time.RFC3339Nano))
	case "GetObjectAttributes":
		r.header.Set("X-Amz-Object-Attributes", "ETag")
	}
	r.target = strings.Replace(r.target, "partNumber", "partNumber=1", 1)
	if r.body != "" {
		r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
	}
	return r
}

// TestAccessMatrix calls every operation as every kind of caller. Reviewers read the golden file.
func TestAccessMatrix(t *testing.T) {
	s := harness.Start(t)
	foreign := s.CreateAccount(t, "foreign")
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-36s %-20s %-26s %-32s %s\n", "operation", "anonymous", "unknown key", "another account's root",
		"owner's root")
	for i, row := range s.Operations("s3") {
		bucket := fmt.Sprintf("matrix-%d", i)
		if row.Name() != "CreateBucket" {
			newBucket(t, s, bucket)
			if a := send(t, s, raw{method: "PUT", target: "/" + bucket + "/object", body: "x"}); a.status != 200 {
				t.Fatalf("%s: put: %d %s", row.Name(), a.status, a.body)
			}
			if ofLocks(row) {
				lockable(t, s, bucket)
			}
			if row.Name() == "DeleteBucket" {
				send(t, s, raw{method: "DELETE", target: "/" + bucket + "/object"})
			}
		}
		callers := 0
		cell := func(change func(*raw)) string {
			name := bucket
			if callers++; row.Name() == "CreateBucket" {
				name += fmt.Sprint("-", callers) // each caller makes another bucket
			}
			r := request(row, name)
			change(&r)
			if row.Route().Sender() == dialect.SignedForm {
				r = post{
					bucket: name, key: harness.Credentials{AccessKeyID: r.key, SecretAccessKey: r.secret},
					unsigned: r.unsigned,
				}.build(t, s)
			}
			a := send(t, s, r)
			_, inner, within := strings.Cut(a.body, "<Error><Key>object</Key><Code>")
			if inner, _, _ = strings.Cut(inner, "<"); within {
				a.code = "(" + inner + " of the key)"
			}
			return strings.TrimSpace(fmt.Sprint(a.status, " ", a.code))
		}
		fmt.Fprintf(&out, "%-36s %-20s %-26s %-32s %s\n", row.Name(),
			cell(func(r *raw) { r.unsigned = true }),
			cell(func(r *raw) { r.key, r.secret = "AKIAUNKNOWNUNKNOWN12", "no-such-secret-no-such-secret-no-such-se" }),
			cell(func(r *raw) { r.key, r.secret = foreign.AccessKeyID, foreign.SecretAccessKey }),
			cell(func(*raw) {}))
	}
	account := accountOf(t, s, rootOf(s))
	for _, row := range s.Operations("s3control") {
		cell := func(change func(*raw)) string {
			r := request(row, "")
			r.header.Set("X-Amz-Account-Id", account)
			change(&r)
			a := send(t, s, r)
			return strings.TrimSpace(fmt.Sprint(a.status, " ", a.code))
		}
		fmt.Fprintf(&out, "%-36s %-20s %-26s %-32s %s\n", row.Name()+" (account)",
			cell(func(r *raw) { r.unsigned = true }),
			cell(func(r *raw) { r.key, r.secret = "AKIAUNKNOWNUNKNOWN12", "no-such-secret-no-such-secret-no-such-se" }),
			cell(func(r *raw) { r.key, r.secret = foreign.AccessKeyID, foreign.SecretAccessKey }),
			cell(func(*raw) {}))
	}
	golden(t, "access-matrix.golden", out.Bytes())
}

// golden compares with a checked-in file, or writes it with -update.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; if the change is intended, run the test with -update and read the difference.\ngot:\n%s",
			path, got)
	}
}

// TestGarbageSignature sends every operation in every authentication mode with a
// signature in which one digit is wrong, after proving that the right signature is
// accepted (MinIO CVE-2026-40344, CVE-2025-31489, SeaweedFS #7954).
func TestGarbageSignature(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "garbage")
	chunked := func(r *raw, hash string) {
		r.hash = hash
		r.header.Set("X-Amz-Decoded-Content-Length", fmt.Sprint(len(r.body)))
		r.header.Set("Content-Encoding", "aws-chunked")
		if strings.HasSuffix(hash, "TRAILER") {
			r.header.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
		}
		signature := ""
		if hash != "STREAMING-UNSIGNED-PAYLOAD-TRAILER" {
			signature = ";chunk-signature=" + strings.Repeat("0", 64)
		}
		data := ""
		if r.body != "" {
			data = fmt.Sprintf("%x%s\r\n%s\r\n", len(r.body), signature, r.body)
		}
		trailer := "\r\n"
		if strings.HasSuffix(hash, "TRAILER") {
			trailer = "x-amz-checksum-crc32:AAAAAA==\r\n\r\n"
		}
		r.body = data + "0" + signature + "\r\n" + trailer
	}
	modes := map[string]func(*raw){
		"header":                      func(*raw) {},
		"presigned":                   func(r *raw) { r.presign = true },
		"UNSIGNED-PAYLOAD":            func(r *raw) { r.hash = "UNSIGNED-PAYLOAD" },
		"streaming":                   func(r *raw) { chunked(r, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD") },
		"streaming with a trailer":    func(r *raw) { chunked(r, "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") },
		"unsigned streaming, trailer": func(r *raw) { chunked(r, "STREAMING-UNSIGNED-PAYLOAD-TRAILER") },
	}
	for _, row := range s.Operations("s3") {
		switch at := row.Route(); {
		case at.Sender() == dialect.Preflight:
			continue // has the signature of the request it asks about, which cannot be checked
		case at.Sender() == dialect.SignedForm:
			continue // refuses these modes; TestPostRefused has its signature
		}
		for mode, change := range modes {
			t.Run(mode, func(t *testing.T) {
				r := request(row, "garbage")
				change(&r)
				if row.Route().Method() != http.MethodDelete && !strings.HasPrefix(mode, "streaming") {
					if a := send(t, s, r); a.code == "SignatureDoesNotMatch" {
						t.Errorf("%s, %s: the right signature is refused", row.Name(), mode)
					}
				}
				r.breakSignature = true
				a := send(t, s, r)
				if a.status != 403 || (a.code != "SignatureDoesNotMatch" && r.method != http.MethodHead) {
					t.Errorf("%s, %s: a wrong signature gets %d %s", row.Name(), mode, a.status, a.code)
				}
			})
		}
	}
}

// TestAuthenticationTraces: a request with any trace of authentication is never
// treated as anonymous, and SigV2 is refused.
func TestAuthenticationTraces(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "traces")
	for name, c := range map[string]struct {
		r      raw
		status int
		code   string
	}{
		"SigV2 header": {
			raw{
				method: "GET", target: "/traces", unsigned: true,
				header: http.Header{"Authorization": {"AWS AKIAEXAMPLE:c2lnbmF0dXJl"}},
			},
			400, "InvalidRequest",
		},
		"SigV2 query": {
			raw{method: "GET", target: "/traces?AWSAccessKeyId=AKIA&Signature=x&Expires=99999999999", unsigned: true},
			400, "InvalidRequest",
		},
		"Basic": {
			raw{method: "GET", target: "/traces", unsigned: true, header: http.Header{"Authorization": {"Basic dTpw"}}},
			400, "InvalidArgument",
		},
		"header and query": {
			raw{method: "GET", target: "/traces?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"}, 400,
			"InvalidArgument",
		},
		"half a presigned query": {
			raw{method: "GET", target: "/traces?X-Amz-Credential=a", unsigned: true}, 400,
			"AuthorizationQueryParametersError",
		},
		"presigned, other method": {
			raw{method: "GET", target: "/traces", presign: true, breakSignature: true}, 403, "SignatureDoesNotMatch",
		},
		"token of a long-lived key": {
			raw{method: "GET", target: "/traces", header: http.Header{"X-Amz-Security-Token": {"x"}}}, 400,
			"InvalidToken",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if a := send(t, s, c.r); a.status != c.status || a.code != c.code {
				t.Errorf("%s: %d %s, want %d %s\n%s", name, a.status, a.code, c.status, c.code, a.body)
			}
		})
	}
}
