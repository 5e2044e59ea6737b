package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/test/harness"
)

// post is a form as a browser sends it. The zero value is a valid form.
type post struct {
	bucket     string
	fields     map[string]string // replace or add to key, policy and signature; "-" omits one
	more       [][2]string       // further fields, sent as they are
	conditions []any             // replace those that cover the fields
	expires    time.Time
	policy     string // replaces the document
	file       string
	filename   string
	fileField  string
	after      [][2]string // fields after the file
	key        harness.Credentials
	at         time.Time
	unsigned   bool
	change     func(string) string // changes the whole body, at the end
	header     http.Header
	target     string
}

const boundary = "----a-boundary-of-a-browser"

// build signs the form and writes it as a request.
func (p post) build(t *testing.T, s *harness.Server) raw {
	t.Helper()
	key := p.key
	if key.AccessKeyID == "" {
		key = harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	}
	if p.at.IsZero() {
		p.at = time.Now()
	}
	if p.expires.IsZero() {
		p.expires = time.Now().Add(time.Hour)
	}
	date := p.at.UTC().Format("20060102T150405Z")
	scope := date[:8] + "/" + s.Region + "/s3/aws4_request"
	fields := map[string]string{"key": "key"}
	if !p.unsigned {
		fields["x-amz-algorithm"], fields["x-amz-date"] = "AWS4-HMAC-SHA256", date
		fields["x-amz-credential"] = key.AccessKeyID + "/" + scope
	}
	maps.Copy(fields, p.fields)
	if !p.unsigned {
		conditions := p.conditions
		if conditions == nil {
			conditions = []any{map[string]string{"bucket": p.bucket}}
			for name, value := range fields {
				conditions = append(conditions, map[string]string{name: value})
			}
		} else {
			for _, name := range []string{"x-amz-algorithm", "x-amz-credential", "x-amz-date"} {
				conditions = append(conditions, []string{"eq", "$" + name, fields[name]})
			}
		}
		doc, err := json.Marshal(map[string]any{
			"expiration": p.expires.UTC().Format("2006-01-02T15:04:05.000Z"), "conditions": conditions,
		})
		if err != nil {
			t.Fatal(err)
		}
		if p.policy != "" {
			doc = []byte(p.policy)
		}
		encoded := base64.StdEncoding.EncodeToString(doc)
		signing := "AWS4" + key.SecretAccessKey
		for part := range strings.SplitSeq(scope, "/") {
			signing = hmacOf(signing, part)
		}
		for name, value := range map[string]string{
			"policy": encoded, "x-amz-signature": hex.EncodeToString([]byte(hmacOf(signing, encoded))),
		} {
			if _, set := p.fields[name]; !set {
				fields[name] = value
			}
		}
	}
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	w.SetBoundary(boundary)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if fields[name] != "-" {
			w.WriteField(name, fields[name])
		}
	}
	for _, f := range p.more {
		w.WriteField(f[0], f[1])
	}
	if p.fileField == "" {
		p.fileField = "file"
	}
	h := textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="` + p.fileField + `"; filename="` + p.filename + `"`},
		"Content-Type":        {"application/x-of-the-part"},
	}
	part, err := w.CreatePart(h)
	if err != nil {
		t.Fatal(err)
	}
	part.Write([]byte(p.file))
	for _, f := range p.after {
		w.WriteField(f[0], f[1])
	}
	w.Close()
	body := b.String()
	if p.change != nil {
		body = p.change(body)
	}
	r := raw{
		method: "POST", target: "/" + p.bucket, unsigned: true, body: body,
		header: http.Header{"Content-Type": {"multipart/form-data; boundary=" + boundary}},
	}
	maps.Copy(r.header, p.header)
	if p.target != "" {
		r.target = p.target
	}
	return r
}

func TestPostObject(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "post")
	big := string(randomBody(1 << 20))
	crc := base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 0})
	if sum := crc32.ChecksumIEEE([]byte(big)); sum != 0 {
		crc = base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
	}
	for _, c := range []struct {
		name string
		p    post
		want int
		key  string
	}{
		{"plain", post{file: "hello"}, 204, "key"},
		{"empty", post{}, 204, "key"},
		{"large", post{file: big, fields: map[string]string{"x-amz-checksum-crc32": crc}}, 204, "key"},
		{
			"the file's name",
			post{
				file: "x", filename: `C:\temp\photo.jpg`, fields: map[string]string{"key": "user/${filename}"},
				conditions: []any{[]string{"starts-with", "$key", "user/"}},
			},
			204, "user/photo.jpg",
		},
		{
			"names in any case",
			post{
				file: "x", fields: map[string]string{"key": "-", "X-AMZ-Meta-Colour": "blue"},
				more:       [][2]string{{"KEY", "Upper"}},
				conditions: []any{map[string]string{"Key": "Upper"}, []string{"STARTS-WITH", "$x-amz-META-colour", ""}},
			},
			204, "Upper",
		},
		{"status 200", post{file: "x", fields: map[string]string{"success_action_status": "200"}}, 200, "key"},
		{
			"status 201", post{file: "x", fields: map[string]string{"success_action_status": "201", "key": "a b/é"}},
			201, "a b/é",
		},
		{"another status", post{file: "x", fields: map[string]string{"success_action_status": "404"}}, 204, "key"},
		{
			"a redirect",
			post{file: "x", fields: map[string]string{"success_action_redirect": "https://a.example/done?x=1"}}, 303,
			"key",
		},
		{
			"a redirect that cannot be followed",
			post{file: "x", fields: map[string]string{"success_action_redirect": "javascript:alert(1)"}}, 204, "key",
		},
		{"ignored fields", post{file: "x", more: [][2]string{{"x-ignore-a", "1"}, {"X-Ignore-b", "2"}}}, 204, "key"},
		{
			"fields after the file", post{file: "x", after: [][2]string{{"submit", "Upload"}, {"acl", "public-read"}}},
			204, "key",
		},
		{
			"a size in the range",
			post{
				file: "12345", conditions: []any{map[string]string{"key": "key"}, []any{"content-length-range", 5, 5}},
			},
			204, "key",
		},
		{
			"types in a list",
			post{
				file: "x", fields: map[string]string{"Content-Type": "image/png,image/gif"},
				conditions: []any{map[string]string{"key": "key"}, []string{"starts-with", "$Content-Type", "image/"}},
			},
			204, "key",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.bucket = *bucket
			a := send(t, s, c.p.build(t, s))
			if a.status != c.want {
				t.Fatalf("%d %s, want %d\n%s", a.status, a.code, c.want, a.body)
			}
			etag := fmt.Sprintf(`"%x"`, md5Of(c.p.file))
			got, err := readObject(t.Context(), s.S3, bucket, c.key)
			if err != nil || string(got) != c.p.file || a.header.Get("ETag") != etag {
				t.Errorf("read back %d bytes, ETag %s, %v", len(got), a.header.Get("ETag"), err)
			}
			switch location := a.header.Get("Location"); c.want {
			case 201:
				at := s.Endpoint + "/post/a%20b/%C3%A9"
				if want := `<PostResponse><Location>` + at +
					`</Location><Bucket>post</Bucket><Key>a b/é</Key><ETag>` +
					`&quot;` + strings.Trim(etag,
					`"`) + `&quot;</ETag></PostResponse>`; !strings.HasSuffix(a.body, want) || location != at {
					t.Errorf("%s\n%s", location, a.body)
				}
			case 303:
				if want := "https://a.example/done?x=1&bucket=post&key=key&etag=%22" + strings.Trim(etag, `"`) +
					"%22"; location != want || a.body != "" {
					t.Errorf("redirected to %s", location)
				}
			default:
				if a.body != "" {
					t.Errorf("a body: %s", a.body)
				}
			}
		})
	}
	fields := map[string]string{
		"Content-Type": "text/x-test", "Cache-Control": "no-store", "Content-Disposition": "attachment",
		"x-amz-meta-colour": "blue", "x-amz-storage-class": "STANDARD_IA", "x-amz-server-side-encryption": "AES256",
		"acl": "private",
	}
	if a := send(t, s, post{bucket: *bucket, file: "x", fields: fields}.build(t, s)); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	head, err := s.S3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: bucket, Key: aws.String("key")})
	if err != nil || *head.ContentType != "text/x-test" || *head.CacheControl != "no-store" ||
		*head.ContentDisposition != "attachment" ||
		head.Metadata["colour"] != "blue" || head.StorageClass != "STANDARD_IA" {
		t.Errorf("%+v, %v", head, err)
	}
}

// TestSDKPost: a form that the SDK presigns for a browser is accepted.
func TestSDKPost(t *testing.T) {
	s := harness.Start(t)
	bucket := newBucket(t, s, "sdk-post")
	p, err := s3.NewPresignClient(s.S3).PresignPostObject(t.Context(),
		&s3.PutObjectInput{Bucket: bucket, Key: aws.String("dir/${filename}")}, func(o *s3.PresignPostOptions) {
			o.Expires = time.Minute
			o.Conditions = []any{[]any{"content-length-range", 1, 10}, []any{"starts-with", "$key", "dir/"}}
		})
	if err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]int{"hello": 204, "": 400, "eleven byte": 400} {
		t.Run(file, func(t *testing.T) {
			var b bytes.Buffer
			w := multipart.NewWriter(&b)
			for name, value := range p.Values {
				w.WriteField(name, value)
			}
			part, err := w.CreateFormFile("file", "a.txt")
			if err != nil {
				t.Fatal(err)
			}
			part.Write([]byte(file))
			w.Close()
			res, err := http.Post(p.URL, w.FormDataContentType(), &b)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if a := read(t, res); a.status != want {
				t.Errorf("%q: %d %s", file, a.status, a.body)
			}
			if want != 204 {
				return
			}
			if got, err := readObject(t.Context(), s.S3, bucket, "dir/a.txt"); err != nil || string(got) != file {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

// TestPostRefused: each defect of a form has its own error, and nothing is stored (MinIO
// CVE-2021-21362, RustFS GHSA-w5fh).
func TestPostRefused(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "refused")
	newBucket(t, s, "other")
	big := strings.Repeat("x", 100_000)
	f := func(kv ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i]] = kv[i+1]
		}
		return m
	}
	on := func(c ...any) []any { return append([]any{map[string]string{"key": "key"}}, c...) }
	future := `{"expiration":"2099-01-01T00:00:00Z",`
	for _, c := range []struct {
		name string
		p    post
		want int
		code string
		text string
	}{
		{"unsigned", post{unsigned: true, file: "x"}, 403, "AccessDenied", ""},
		{
			"an unknown key",
			post{key: harness.Credentials{AccessKeyID: "AKIAUNKNOWNUNKNOWN12", SecretAccessKey: "no-such-secret"}}, 403,
			"InvalidAccessKeyId", "",
		},
		{
			"a wrong secret",
			post{key: harness.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: "no-such-secret"}}, 403,
			"SignatureDoesNotMatch", "<StringToSign>",
		},
		{
			"another policy",
			post{fields: f("policy", base64.StdEncoding.EncodeToString([]byte(future+`"conditions":[]}`)))}, 403,
			"SignatureDoesNotMatch", "",
		},
		{"a signature cut short", post{fields: f("x-amz-signature", "00")}, 403, "SignatureDoesNotMatch", ""},
		{
			"SigV2",
			post{unsigned: true, fields: f("AWSAccessKeyId", s.AccessKeyID, "signature", "x", "policy", "e30=")}, 400,
			"InvalidRequest", "",
		},
		{
			"no signature", post{fields: f("x-amz-signature", "-")}, 400, "InvalidArgument",
			"<ArgumentName>x-amz-signature</ArgumentName>",
		},
		{
			"no credential", post{fields: f("x-amz-credential", "-")}, 400, "InvalidArgument",
			"<ArgumentName>x-amz-credential</ArgumentName>",
		},
		{
			"no algorithm", post{fields: f("x-amz-algorithm", "-")}, 400, "InvalidArgument",
			"<ArgumentName>x-amz-algorithm</ArgumentName>",
		},
		{
			"no date", post{fields: f("x-amz-date", "-")}, 400, "InvalidArgument",
			"<ArgumentName>x-amz-date</ArgumentName>",
		},
		{"no policy", post{fields: f("policy", "-")}, 400, "InvalidArgument", "<ArgumentName>policy</ArgumentName>"},
		{"another algorithm", post{fields: f("x-amz-algorithm", "AWS4-HMAC-MD5")}, 400, "InvalidArgument", ""},
		{
			"another region", post{fields: f("x-amz-credential", s.AccessKeyID+"/20300101/mars-1/s3/aws4_request")},
			400, "InvalidArgument", "mars-1",
		},
		{
			"another service",
			post{fields: f("x-amz-credential", s.AccessKeyID+"/20300101/us-east-1/sts/aws4_request")}, 400,
			"InvalidArgument", "",
		},
		{"a date in the future", post{at: time.Now().Add(time.Hour)}, 403, "AccessDenied", "not yet valid"},
		{
			"another day than the scope's", post{fields: f("x-amz-date", "20200101T000000Z")}, 403,
			"SignatureDoesNotMatch", "",
		},
		{"a token of a long-lived key", post{fields: f("x-amz-security-token", "x")}, 400, "InvalidToken", ""},
		{"only a token", post{unsigned: true, fields: f("x-amz-security-token", "x")}, 400, "InvalidArgument", ""},
		{
			"a signed request, too",
			post{header: http.Header{
				"Authorization": {
					"AWS4-HMAC-SHA256 Credential=a/20200101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=" +
						strings.Repeat("0", 64),
				},
				"X-Amz-Content-Sha256": {"UNSIGNED-PAYLOAD"},
			}},
			403, "AccessDenied", "",
		},
		{
			"a presigned URL, too", post{target: "/refused?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00"}, 400,
			"AuthorizationQueryParametersError", "",
		},
		{
			"a header that means something", post{header: http.Header{"X-Amz-Acl": {"public-read"}}}, 403,
			"AccessDenied", "<HeadersNotSigned>x-amz-acl</HeadersNotSigned>",
		},

		{"expired", post{expires: time.Now().Add(-time.Second)}, 403, "AccessDenied", "Policy expired."},
		{
			"another bucket", post{conditions: on(map[string]string{"bucket": "other"})}, 403, "AccessDenied",
			`Policy Condition failed: [&quot;eq&quot;, &quot;$bucket&quot;, &quot;other&quot;]`,
		},
		{
			"a bucket field does not count",
			post{fields: f("bucket", "other"), conditions: on(map[string]string{"bucket": "other"})}, 403,
			"AccessDenied", "Policy Condition failed",
		},
		{
			"another key", post{conditions: []any{map[string]string{"key": "yek"}}}, 403, "AccessDenied",
			"Policy Condition failed",
		},
		{
			"another prefix", post{conditions: []any{[]string{"starts-with", "$key", "user/"}}}, 403, "AccessDenied",
			"Policy Condition failed",
		},
		{
			"a prefix in another case", post{conditions: []any{[]string{"starts-with", "$key", "K"}}}, 403,
			"AccessDenied", "Policy Condition failed",
		},
		{
			"a field that is missing", post{conditions: on(map[string]string{"acl": "private"})}, 403, "AccessDenied",
			"Policy Condition failed",
		},
		{
			"a field without its dollar", post{conditions: []any{[]string{"eq", "key", "key"}}}, 403, "AccessDenied",
			"Policy Condition failed",
		},
		{
			"one type of a list",
			post{
				fields:     f("Content-Type", "image/png,text/html"),
				conditions: on([]string{"starts-with", "$Content-Type", "image/"}),
			},
			403, "AccessDenied", "Policy Condition failed",
		},
		{
			"a field not in the policy", post{more: [][2]string{{"x-amz-meta-a", "1"}}}, 403, "AccessDenied",
			"Extra input fields: x-amz-meta-a",
		},
		{
			"an ACL not in the policy", post{more: [][2]string{{"acl", "public-read"}}}, 403, "AccessDenied",
			"Extra input fields: acl",
		},
		{
			"a file that is too large", post{file: big, conditions: on([]any{"content-length-range", 0, 99_999})}, 400,
			"EntityTooLarge", "<MaxSizeAllowed>99999</MaxSizeAllowed>",
		},
		{
			"a file that is too small", post{file: "1234", conditions: on([]any{"content-length-range", 5, 10})}, 400,
			"EntityTooSmall", "<MinSizeAllowed>5</MinSizeAllowed><ProposedSize>4</ProposedSize>",
		},
		{
			"two ranges",
			post{
				file: "12345", conditions: on([]any{"content-length-range", 0, 4}, []any{"content-length-range", 0, 9}),
			},
			400, "EntityTooLarge", "",
		},
		{
			"a range in text", post{conditions: on([]any{"content-length-range", "0", "9"})}, 403, "AccessDenied",
			"Policy Condition failed",
		},

		{"a policy that is not JSON", post{policy: "{"}, 400, "InvalidPolicyDocument", "Invalid JSON"},
		{"a policy and more", post{policy: future + `"conditions":[]} {}`}, 400, "InvalidPolicyDocument", ""},
		{"a policy without end", post{policy: `{"conditions":[]}`}, 400, "InvalidPolicyDocument", "missing expiration"},
		{
			"a policy without conditions", post{policy: `{"expiration":"2099-01-01T00:00:00Z"}`}, 400,
			"InvalidPolicyDocument", "missing conditions",
		},
		{
			"an expiration that is none", post{policy: `{"expiration":"tomorrow","conditions":[]}`}, 400,
			"InvalidPolicyDocument", "",
		},
		{
			"two properties", post{policy: future + `"conditions":[{"key":"key","acl":"private"}]}`}, 400,
			"InvalidPolicyDocument", "Simple-Conditions must have exactly one property",
		},
		{"no property", post{policy: future + `"conditions":[{}]}`}, 400, "InvalidPolicyDocument", ""},
		{
			"an unknown condition", post{policy: future + `"conditions":[["ends-with","$key","y"]]}`}, 400,
			"InvalidPolicyDocument", "",
		},
		{
			"a condition of two", post{policy: future + `"conditions":[["eq","$key"]]}`}, 400, "InvalidPolicyDocument",
			"",
		},

		{"no key", post{fields: f("key", "-")}, 400, "InvalidArgument", "<ArgumentName>key</ArgumentName>"},
		{"a key that climbs", post{fields: f("key", "../x")}, 400, "InvalidURI", ""},
		{"a key of 1,025 bytes", post{fields: f("key", strings.Repeat("k", 1025))}, 400, "KeyTooLongError", ""},
		{
			"two keys", post{more: [][2]string{{"Key", "other"}}}, 400, "InvalidArgument",
			"<ArgumentName>key</ArgumentName>",
		},
		{"a public ACL", post{fields: f("acl", "public-read")}, 400, "AccessControlListNotSupported", ""},
		{"an unknown storage class", post{fields: f("x-amz-storage-class", "CHEAP")}, 400, "InvalidStorageClass", ""},
		{
			"an unknown encryption", post{fields: f("x-amz-server-side-encryption", "ROT13")}, 400,
			"InvalidEncryptionAlgorithmError", "",
		},
		{"a wrong checksum", post{file: "x", fields: f("x-amz-checksum-crc32", "AAAAAA==")}, 400, "BadDigest", ""},
		{
			"a wrong Content-MD5", post{file: "x", fields: f("Content-MD5", "1B2M2Y8AsgTpgAmY7PhCfg==")}, 400,
			"BadDigest", "",
		},
		{"tags that are no XML", post{file: "x", fields: f("tagging", "a=b")}, 400, "MalformedXML", ""},
		{
			"a line break in metadata", post{fields: f("x-amz-meta-a", "b\r\nSet-Cookie: c=d")}, 400, "InvalidArgument",
			"",
		},
		{
			"the owner is another", post{fields: f("x-amz-expected-bucket-owner", "000000000000")}, 403, "AccessDenied",
			"",
		},

		{"an unknown checksum algorithm", post{fields: f("x-amz-checksum-crc16", "AAA=")}, 400, "InvalidRequest", ""},

		{
			"no file", post{fileField: "attachment", conditions: on([]string{"starts-with", "$attachment", ""})}, 400,
			"IncorrectNumberOfFilesInPostRequest", "",
		},
		{"two files", post{after: [][2]string{{"file", "another"}}}, 400, "IncorrectNumberOfFilesInPostRequest", ""},
		{
			"more than 20 KB before the file", post{more: [][2]string{{"x-ignore-a", strings.Repeat("x", 21<<10)}}},
			400, "MaxPostPreDataLengthExceededError", "",
		},
		{"endless fields", post{change: func(string) string {
			return strings.Repeat("--"+boundary+"\r\n\r\n\r\n",
				10_000)
		}}, 400, "MalformedPOSTRequest", ""},
		{"an endless part head", post{change: func(string) string {
			return "--" + boundary + "\r\nX: " + strings.Repeat("x", 1<<20)
		}}, 400, "MaxPostPreDataLengthExceededError", ""},
		{
			"not multipart", post{header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}}, 412,
			"PreconditionFailed",
			"<Condition>Bucket POST must be of the enclosure-type multipart/form-data</Condition>",
		},
		{
			"no boundary", post{header: http.Header{"Content-Type": {"multipart/form-data"}}}, 400,
			"MalformedPOSTRequest", "",
		},
		{
			"another boundary", post{header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}}, 400,
			"MalformedPOSTRequest", "",
		},
		{
			"cut inside the file", post{file: big, change: func(b string) string { return b[:len(b)-1000] }}, 400,
			"MalformedPOSTRequest", "",
		},
		{
			"the last line is cut", post{file: big, change: func(b string) string { return b[:len(b)-4] }}, 400,
			"MalformedPOSTRequest", "",
		},
		{"an empty body", post{change: func(string) string { return "" }}, 400, "MalformedPOSTRequest", ""},
		{
			"endless fields after the file", post{file: "x", after: [][2]string{{"a", strings.Repeat("x", 1<<20)}}},
			400, "MalformedPOSTRequest", "",
		},
		{"no such bucket", post{target: "/absent"}, 403, "AccessDenied", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.p.bucket = "refused"
			a := send(t, s, c.p.build(t, s))
			if a.status != c.want || a.code != c.code || !strings.Contains(a.body, c.text) {
				t.Errorf("%d %s, want %d %s %s\n%s", a.status, a.code, c.want, c.code, c.text, a.body)
			}
		})
	}
	out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("refused")})
	if left := blobs(t, s); err != nil || len(out.Contents) != 0 || len(left) > 0 {
		t.Errorf("%d objects and the files %q are left, %v", len(out.Contents), left, err)
	}
	// A valid signature of the request does not help.
	signed := post{bucket: "refused", file: "x"}.build(t, s)
	signed.unsigned = false
	if a := send(t, s, signed); a.status != 400 || a.code != "InvalidArgument" {
		t.Errorf("two signatures: %d %s", a.status, a.code)
	}
	// The connection ends before the declared length of the file.
	r := post{bucket: "refused", file: big}.build(t, s)
	req, err := http.NewRequest("POST", s.Endpoint+"/refused", strings.NewReader(r.body[:60_000]))
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.ContentLength = r.header, int64(len(r.body))
	if a := overOneConnection(t, s, req, true); a.status != 400 || a.code != "IncompleteBody" {
		t.Errorf("the connection ends: %d %s", a.status, a.code)
	}
}

// TestPostIsJudged: the signer of a form needs the same permissions as for a PUT.
func TestPostIsJudged(t *testing.T) {
	s := harness.Start(t)
	newBucket(t, s, "judged")
	foreign := s.CreateAccount(t, "foreign")
	if a := send(t, s,
		post{bucket: "judged", file: "x", key: foreign}.build(t, s)); a.status != 403 || a.code != "AccessDenied" {
		t.Errorf("another account posts: %d %s", a.status, a.code)
	}
	if !strings.Contains(s.Logs.String(), "operation=PostObject") {
		t.Error("the log does not name the operation")
	}
}
