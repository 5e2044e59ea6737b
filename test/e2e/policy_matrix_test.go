package e2e

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dispatch"
	"watertight/test/harness"
)

// permission is one action on one resource.
type permission struct{ action, resource string }

func (p permission) statement(effect string) string {
	b, _ := json.Marshal(map[string]string{"Effect": effect, "Action": p.action, "Resource": p.resource})
	return string(b)
}

// in returns the permission for another bucket of the matrix.
func (p permission) in(from, to string) permission {
	p.resource = strings.Replace(p.resource, ":::"+from, ":::"+to, 1)
	return p
}

// unsaid returns the permissions of requests whose refusals have no body, and so can't name them.
var unsaid = map[string]permission{
	"HeadBucket":            {"s3:ListBucket", "arn:aws:s3:::BUCKET"},
	"HeadObject":            {"s3:GetObject", "arn:aws:s3:::BUCKET/object"},
	"HeadObject ?versionId": {"s3:GetObjectVersion", "arn:aws:s3:::BUCKET/object"},
}

// variants returns requests of an operation that need other permissions than its plain request.
var variants = map[string]map[string]func(*raw){
	"GetObject":           {"?versionId": version},
	"HeadObject":          {"?versionId": version},
	"DeleteObject":        {"?versionId": version},
	"GetObjectTagging":    {"?versionId": version},
	"PutObjectTagging":    {"?versionId": version},
	"DeleteObjectTagging": {"?versionId": version},
	"GetObjectAttributes": {"?versionId": version},
	"GetObjectAcl":        {"?versionId": version},
	"PutObjectAcl":        {"?versionId": version},
	"PutObject": {
		"with tags": tagged, "with an ACL": handedOver, "with a retention": retained, "with a legal hold": held,
	},
	"CreateMultipartUpload": {
		"with tags": tagged, "with an ACL": handedOver, "with a retention": retained, "with a legal hold": held,
	},
	"PutObjectRetention": {"?versionId": version},
	"GetObjectRetention": {"?versionId": version},
	"PutObjectLegalHold": {"?versionId": version},
	"GetObjectLegalHold": {"?versionId": version},
	"CreateBucket": {
		"with Object Lock": func(r *raw) { r.header.Set("X-Amz-Bucket-Object-Lock-Enabled", "true") },
		"with ownership":   func(r *raw) { r.header.Set("X-Amz-Object-Ownership", "ObjectWriter") },
		"with an ACL": func(r *raw) {
			r.header.Set("X-Amz-Object-Ownership", "ObjectWriter")
			r.header.Set("X-Amz-Grant-Write", `uri="http://acs.amazonaws.com/groups/s3/LogDelivery"`)
		},
	},
	"CopyObject": {
		"with a retention":  retained,
		"with a legal hold": held,
		"with an ACL":       handedOver,
		"with tags":         func(r *raw) { tagged(r); r.header.Set("X-Amz-Tagging-Directive", "REPLACE") },
		"of a version": func(r *raw) {
			r.header.Set("X-Amz-Copy-Source", r.header.Get("X-Amz-Copy-Source")+"?versionId=null")
		},
	},
}

func version(r *raw) {
	joint := "?"
	if strings.Contains(r.target, "?") {
		joint = "&"
	}
	r.target += joint + "versionId=null"
}

func handedOver(r *raw) { r.header.Set("X-Amz-Acl", "bucket-owner-full-control") }

func retained(r *raw) {
	r.header.Set("X-Amz-Object-Lock-Mode", "GOVERNANCE")
	r.header.Set("X-Amz-Object-Lock-Retain-Until-Date", "2099-01-01T00:00:00Z")
}

func held(r *raw) { r.header.Set("X-Amz-Object-Lock-Legal-Hold", "ON") }

func tagged(r *raw) { r.header.Set("X-Amz-Tagging", "k=v") }

// policyMatrix sends requests as one user, and changes that user's only policy.
type policyMatrix struct {
	*testing.T
	s       *harness.Server
	root    *iam.Client
	key     harness.Credentials
	buckets int
	keys    *kms.Client
	under   string                  // ARN of the default key of new buckets; "" for SSE-S3
	uploads map[string]matrixUpload // by bucket: an upload, if the bucket has such a key
}

// matrixUpload is a multipart upload with one part.
type matrixUpload struct{ id, etag string }

func (m *policyMatrix) may(statements ...string) {
	m.Helper()
	statements = append(statements, permission{"sts:Nothing", "*"}.statement("Allow"))
	_, err := m.root.PutUserPolicy(m.Context(), &iam.PutUserPolicyInput{
		UserName: aws.String("caller"), PolicyName: aws.String("p"),
		PolicyDocument: aws.String(`{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`),
	})
	if err != nil {
		m.Fatal(err)
	}
}

// bucket makes a bucket with an object, for one request.
func (m *policyMatrix) bucket(row dispatch.Row) string {
	m.Helper()
	m.buckets++
	name := fmt.Sprintf("policies-%d", m.buckets)
	if row.Name() == "CreateBucket" {
		return name
	}
	newBucket(m.T, m.s, name)
	if m.under != "" {
		if err := putEncryption(m.T, m.s, &name, types.ServerSideEncryptionRule{
			ApplyServerSideEncryptionByDefault: byDefault("aws:kms", &m.under),
		}); err != nil {
			m.Fatal(err)
		}
	}
	if row.Name() != "DeleteBucket" {
		if a := send(m.T, m.s, raw{method: "PUT", target: "/" + name + "/object", body: "x"}); a.status != 200 {
			m.Fatalf("put: %d %s", a.status, a.body)
		}
	}
	if ofLocks(row) {
		lockable(m.T, m.s, name)
	}
	if m.under != "" && strings.Contains(row.Route().String(), "uploadId") {
		m.begin(name)
	}
	return name
}

// begin begins an upload in a bucket; the bucket's requests then use it.
func (m *policyMatrix) begin(bucket string) {
	m.Helper()
	up, err := m.s.S3.CreateMultipartUpload(m.Context(), &s3.CreateMultipartUploadInput{
		Bucket: &bucket, Key: aws.String("object"),
	})
	if err != nil {
		m.Fatal(err)
	}
	part, err := m.s.S3.UploadPart(m.Context(), &s3.UploadPartInput{
		Bucket: &bucket, Key: aws.String("object"), UploadId: up.UploadId, PartNumber: aws.Int32(1),
		Body: strings.NewReader("x"),
	})
	if err != nil {
		m.Fatal(err)
	}
	m.uploads[bucket] = matrixUpload{*up.UploadId, *part.ETag}
}

func (m *policyMatrix) ask(row dispatch.Row, change func(*raw), bucket string) answer {
	m.Helper()
	r := request(row, bucket)
	if row.Route().Sender() == dialect.SignedForm {
		r = post{bucket: bucket, key: m.key}.build(m.T, m.s)
	} else if change != nil {
		change(&r)
	}
	if u, begun := m.uploads[bucket]; begun {
		r.target = strings.Replace(r.target, "uploadId", "uploadId="+u.id, 1)
		r.body = strings.Replace(r.body, `"e"`, u.etag, 1)
		r.header.Del("Content-Md5")
	}
	if m.under != "" && row.Name() == "UpdateObjectEncryption" {
		r.body = "<ObjectEncryption><SSE-KMS><KMSKeyArn>" + m.under + "</KMSKeyArn></SSE-KMS></ObjectEncryption>"
		r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
	}
	r.key, r.secret = m.key.AccessKeyID, m.key.SecretAccessKey
	if row.Route().Sender() == dialect.SignedForm {
		r.unsigned = true
	}
	return send(m.T, m.s, r)
}

// refused reports whether the request, or one key in a batch, was refused.
func refused(a answer) bool {
	return a.status == http.StatusForbidden || strings.Contains(a.body, "<Code>AccessDenied</Code>")
}

var saysWhy = regexp.MustCompile(`User: arn:aws:iam::\d{12}:user/caller is not authorized to perform: (\w+:\w+) on ` +
	`resource: "?([^"]+?)"? because no identity-based policy allows the (\w+:\w+) action`)

// learn finds the permissions of a request: its refusals name the missing ones.
func (m *policyMatrix) learn(name string, row dispatch.Row, change func(*raw), bucket string) (needs []permission) {
	m.Helper()
	var statements []string
	for range 8 {
		m.may(statements...)
		a := m.ask(row, change, bucket)
		if !refused(a) {
			return needs
		}
		said := saysWhy.FindStringSubmatch(html.UnescapeString(a.body))
		need, known := unsaid[name]
		switch {
		case said != nil && said[1] == said[3]:
			need = permission{said[1], said[2]}
		case !known:
			m.Fatalf("%s: a refusal that names no permission: %d %s", name, a.status, a.body)
		}
		need.resource = strings.Replace(need.resource, "BUCKET", bucket, 1)
		needs = append(needs, need)
		statements = append(statements, need.statement("Allow"))
	}
	m.Fatalf("%s: refused although this is allowed: %v", name, needs)
	return nil
}

// row writes what a request needs, and proves it: with exactly these permissions
// it is not refused; it is refused if one of them is denied or missing, or with
// every action but these.
func (m *policyMatrix) row(out *bytes.Buffer, name string, row dispatch.Row, change func(*raw)) {
	m.Helper()
	first := m.bucket(row)
	needs := m.learn(name, row, change, first)
	shut := func(what, bucket string, statements ...string) {
		m.Helper()
		m.may(statements...)
		if a := m.ask(row, change, bucket); !refused(a) {
			m.Errorf("%s is open %s: %d %s", name, what, a.status, a.body)
		}
	}
	exact := func(bucket string, but int) (statements []string) {
		for i, n := range needs {
			if i != but {
				statements = append(statements, n.in(first, bucket).statement("Allow"))
			}
		}
		return statements
	}
	b := m.bucket(row)
	m.may(exact(b, -1)...)
	a := m.ask(row, change, b)
	if refused(a) {
		m.Errorf("%s with exactly its policy: %d %s", name, a.status, a.body)
	}
	var said []string
	var actions []string
	for i, n := range needs {
		said = append(said, n.action+" on "+strings.TrimPrefix(n.in(first, "B").resource, "arn:aws:s3:::"))
		actions = append(actions, n.action)
		b := m.bucket(row)
		shut("with a Deny of "+n.action, b, append(exact(b, -1), n.in(first, b).statement("Deny"))...)
		shut("without "+n.action, b, exact(b, i)...)
	}
	if len(needs) > 0 {
		all, _ := json.Marshal(map[string]any{"Effect": "Allow", "NotAction": actions, "Resource": "*"})
		shut("with every other action", m.bucket(row), string(all))
		shut("on other resources alone", m.bucket(row),
			`{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::elsewhere/*"}`)
	}
	fmt.Fprintf(out, "%-36s %-34s %-38s %s\n", name, strings.TrimSpace(fmt.Sprint(a.status, " ", a.code)),
		cmp.Or(strings.Join(m.ofKey(name, row, change), ", "), "-"), strings.Join(said, ", "))
}

// ofKey returns the permissions that a request needs on the KMS key of a bucket's objects, and proves
// it: with these and its permissions in S3 the request is not refused, and it is refused if one of
// them is denied or missing, or if the key is disabled.
func (m *policyMatrix) ofKey(name string, row dispatch.Row, change func(*raw)) (actions []string) {
	m.Helper()
	if row.Name() == "CreateBucket" || row.Name() == "ListBuckets" {
		return nil
	}
	key, err := m.keys.CreateKey(m.Context(), &kms.CreateKeyInput{})
	if err != nil {
		m.Fatal(err)
	}
	m.under = *key.KeyMetadata.Arn
	defer func() { m.under = "" }()
	first := m.bucket(row)
	needs := m.learn(name, row, change, first)
	statements := func(bucket string, but int) (all []string) {
		for i, n := range needs {
			if i != but {
				all = append(all, n.in(first, bucket).statement("Allow"))
			}
		}
		return all
	}
	for i, n := range needs {
		if n.resource != m.under {
			continue
		}
		actions = append(actions, n.action)
		for what, statements := range map[string][]string{
			"with a Deny of ": append(statements(first, -1), n.statement("Deny")), "without ": statements(first, i),
		} {
			m.may(statements...)
			if a := m.ask(row, change, first); !refused(a) {
				m.Errorf("%s is open %s%s: %d %s", name, what, n.action, a.status, a.body)
			}
		}
	}
	if actions == nil {
		return nil
	}
	if _, err := m.keys.DisableKey(m.Context(), &kms.DisableKeyInput{KeyId: &m.under}); err != nil {
		m.Fatal(err)
	}
	m.may(statements(first, -1)...)
	a := m.ask(row, change, first)
	if a.status != 400 || a.code != "KMS.DisabledException" {
		m.Errorf("%s with a disabled key: %d %s", name, a.status, a.body)
	}
	return actions
}

// TestPolicyMatrix calls every operation of S3 as a user: without a policy, with exactly the needed
// policy, and with that policy and a Deny of each permission in turn. The permissions are those that
// the refusals name. Reviewers read the golden file.
func TestPolicyMatrix(t *testing.T) {
	s := harness.Start(t)
	m := &policyMatrix{T: t, s: s, root: rootIAM(s), uploads: map[string]matrixUpload{}}
	m.keys = kms.New(kms.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, HTTPClient: harness.SDK(s.HTTP), RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	_, err := m.root.CreateUser(t.Context(), &iam.CreateUserInput{UserName: aws.String("caller")})
	expect(t, err, "")
	k, err := m.root.CreateAccessKey(t.Context(), &iam.CreateAccessKeyInput{UserName: aws.String("caller")})
	if err != nil {
		t.Fatal(err)
	}
	m.key = harness.Credentials{AccessKeyID: *k.AccessKey.AccessKeyId, SecretAccessKey: *k.AccessKey.SecretAccessKey}
	var out bytes.Buffer
	fmt.Fprintf(&out, "%-36s %-34s %-38s %s\n", "operation", "with exactly its policy", "under a key, also on the key",
		"which is (refused with any of it denied or missing)")
	for _, row := range s.Operations("s3") {
		if row.Route().Sender() == dialect.Preflight {
			continue // anonymous by design; TestAccessMatrix covers them
		}
		m.row(&out, row.Name(), row, nil)
		for _, name := range slices.Sorted(maps.Keys(variants[row.Name()])) {
			m.row(&out, row.Name()+" "+name, row, variants[row.Name()][name])
		}
	}
	golden(t, "policy-matrix.golden", out.Bytes())
}
