package conformance

import (
	"bytes"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A phrase is a message of the server and the suite's version of it. The suite's
// version may name parts of the message by $1, and a parameter of the request by its
// name in braces.
type phrase struct{ ours, suite string }

// phrases are all differences in words. Where AWS's own words are recorded, the server
// uses them.
var phrases = []phrase{
	{`(Authorization header is invalid -- one and only one ' ' \(space\) required)`, "$1."},
	{`(AWS authentication requires a valid Date or x-amz-date header)`, "$1."},
	{`(Request has expired)`, "$1."},
	{`(Access Denied)`, "$1."},
	{`(The specified bucket does not exist)`, "$1."},
	{`(The bucket you tried to delete is not empty)`, "$1."},
	{`(The TagSet does not exist)`, "$1."},
	{`(The bucket policy does not exist)`, "$1."},
	{`(The specified object does not have a ObjectLock configuration)`, "$1."},
	{`(Object Lock configuration does not exist for this bucket)`, "$1."},
	{`(The bucket ownership controls were not found)`, "$1."},
	{`(The bucket does not allow ACLs)`, "$1."},
	{`(Specifying both Canned ACLs and Header Grants is not allowed)`, "$1."},
	{`(This request does not support content)`, "$1."},
	{`(Your request was missing a required header)`, "$1."},
	{`(The XML you provided was not well-formed or did not validate against our published schema)`, "$1."},
	{`(At least one of the pre-conditions you specified did not hold)`, "$1."},
	{`(A header you provided implies functionality that is not implemented)`, "$1."},
	{`(Part number must be an integer between 1 and 10000, inclusive)`, "$1."},
	{`(Specifying both Canned ACLs and Header Grants is not allowed)`, "$1."},
	{`(Your request was missing a required header)`, "$1."},
	{`(This request does not support content)`, "$1."},
	{`(The bucket does not allow ACLs)`, "$1."},
	{`(The bucket ownership controls were not found)`, "$1."},
	{`(The requested partnumber is not satisfiable)`, "$1."},
	{`(.*)the region '(.*)' is wrong; expecting '(.*)'`, `${1}the region "$2" is wrong; expecting "$3"`},
	{`The specified upload does not exist\.(.*)`, "The specified multipart upload does not exist.$1"},
	{`Argument (max-keys|max-parts|max-uploads|part-number-marker) must be (.*)`, "Argument {$1} must be $2"},
	{`Provided (part-number-marker) (not an integer or within integer range)`, "Provided {$1} $2"},
	{`(The provided 'x-amz-mp-object-size' header value )(\d+)( does not match what was computed: )(\d+)`, "$1$4$3$2"},
	{`The Content-MD5 you specified was invalid\.`, "The Content-Md5 you specified is not valid."},
	{`(Your proposed upload exceeds the maximum allowed) size`, "$1 object size."},
	{`Access-Control-Request-Headers "Bad/Header" (.*)`, `Access-Control-Request-Headers " Bad/Header" $1`},
	{`(X-Amz-Algorithm only supports "AWS4-HMAC-SHA256)"`, `$1 and AWS4-ECDSA-P256-SHA256"`},
	{`(Checksum Type mismatch occurred, expected checksum Type: )(\w+)(, actual checksum Type: )(\w+)`, "$1^$2$3^$4"},
	{`The (\w+)( you specified did not match the calculated checksum\.)`, "The ^$1$2"},
	{
		`(User: \S+ is not authorized to perform: )(iam:\w+) with an explicit deny in an identity-based policy`,
		"$1$2 because no identity-based policy allows the $2 action",
	},
	{`(Syntax errors in policy\.) Statement: .*`, "$1"},
	{`(Policy document should not specify a principal\.) Statement\[0\]\.Principal: .*`, "$1"},
}

var (
	message   = regexp.MustCompile(`<Message>([^<]*)</Message>`)
	parameter = regexp.MustCompile(`\{([a-z-]+)\}`)
	upper     = regexp.MustCompile(`\^\w+`) // an algorithm in capitals
)

// translate puts the message of an error document into the suite's words.
func translate(doc []byte, query url.Values) []byte {
	m := message.FindSubmatchIndex(doc)
	if m == nil {
		return doc
	}
	said := html.UnescapeString(string(doc[m[2]:m[3]]))
	for _, p := range phrases {
		ours := regexp.MustCompile("^" + p.ours + "$")
		if !ours.MatchString(said) {
			continue
		}
		said = ours.ReplaceAllString(said, p.suite)
		said = parameter.ReplaceAllStringFunc(said, func(s string) string { return query.Get(strings.Trim(s, "{}")) })
		said = upper.ReplaceAllStringFunc(said, func(s string) string {
			if s == "^null" {
				return s[1:]
			}
			return strings.ToUpper(s[1:])
		})
		break
	}
	return slices.Concat(doc[:m[2]], []byte(html.EscapeString(said)), doc[m[3]:])
}

// translator is a proxy in front of a server that puts its messages into the suite's
// words and changes nothing else. A test that fails only because of words passes here.
func translator(t *testing.T, endpoint string) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = target.Scheme, target.Host
			r.Out.Host = r.In.Host // which is signed
		},
		ModifyResponse: func(res *http.Response) error {
			if res.StatusCode < 300 || !strings.HasSuffix(res.Header.Get("Content-Type"), "/xml") {
				return nil
			}
			doc, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			doc = translate(doc, res.Request.URL.Query())
			res.Body, res.ContentLength = io.NopCloser(bytes.NewReader(doc)), int64(len(doc))
			res.Header.Set("Content-Length", strconv.Itoa(len(doc)))
			return nil
		},
	}
	s := httptest.NewServer(proxy)
	t.Cleanup(s.Close)
	return s.URL
}

func TestTranslate(t *testing.T) {
	for said, want := range map[string]string{
		"The specified bucket does not exist":  "The specified bucket does not exist.",
		"The specified bucket does not exist.": "The specified bucket does not exist.",
		"Argument max-keys must be an integer between 0 and " +
			"2147483647": "Argument -5 must be an integer between 0 and 2147483647",
		"Checksum Type mismatch occurred, expected checksum Type: crc32, actual checksum Type: " +
			"null": "Checksum Type mismatch occurred, expected checksum Type: CRC32, actual checksum Type: null",
		"something else": "something else",
	} {
		t.Run(fmt.Sprintf("%.60s", said), func(t *testing.T) {
			got := translate([]byte("<Error><Code>C</Code><Message>"+said+"</Message><A>b</A></Error>"),
				url.Values{"max-keys": {"-5"}})
			if string(got) != "<Error><Code>C</Code><Message>"+want+"</Message><A>b</A></Error>" {
				t.Errorf("%s", got)
			}
		})
	}
}
