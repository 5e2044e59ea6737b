package authn

import (
	"bufio"
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/sigv4"
)

// One request, one reading: whatever a sender signs, and in whichever form it is sent, the decoded request
// is the signed one, or the request is refused.

// wireInput has a member of every kind that headers and parameters can fill.
type wireInput struct {
	Bucket  string            `loc:"uri,Bucket"`
	Key     string            `loc:"uri,Key"`
	Version *string           `loc:"query,versionId"`
	ACL     string            `loc:"header,x-amz-acl" empty:"ok"`
	Source  string            `loc:"header,x-amz-copy-source" empty:"ok"`
	Class   string            `loc:"header,x-amz-storage-class"`
	IfMatch *string           `loc:"header,If-Match"`
	List    []string          `loc:"header,x-amz-object-attributes"`
	Meta    map[string]string `loc:"prefix,x-amz-meta-"`
	Body    sigv4.Body        `loc:"stream"`
}

// meant is the request that a sender wants to send, before it is signed. Header values are in canonical
// form.
type meant struct {
	bucket, key, body string
	version           *string
	headers           map[string]string // by lower-case name
	hoist             map[string]bool   // headers that go into the query of a presigned URL
	presigned         bool
	chunked           bool
}

func drawMeant(t *rapid.T) meant {
	value := rapid.StringMatching(`[a-z,/=é]{0,6}( [a-z,/=é]{1,4}){0,2}`)
	m := meant{
		bucket: "bkt", key: rapid.StringMatching(`[a-z+ /%é~*]{1,8}z`).Draw(t, "key"),
		body:    rapid.StringMatching(`[a-z]{0,20}`).Draw(t, "body"),
		headers: map[string]string{}, hoist: map[string]bool{}, presigned: rapid.Bool().Draw(t, "presigned"),
		chunked: rapid.Bool().Draw(t, "chunked"),
	}
	if rapid.Bool().Draw(t, "versioned") {
		v := rapid.StringMatching(`[a-z+ &=]{0,5}`).Draw(t, "version")
		m.version = &v
	}
	for _, name := range []string{
		"x-amz-acl", "x-amz-copy-source", "x-amz-storage-class", "if-match", "x-amz-object-attributes", "x-amz-meta-a",
		"x-amz-meta-b",
	} {
		if !rapid.Bool().Draw(t, name) {
			continue
		}
		m.headers[name] = strings.TrimSpace(value.Draw(t, "value"))
		if m.presigned && strings.HasPrefix(name, "x-amz-") {
			m.hoist[name] = rapid.Bool().Draw(t, "hoist")
		}
	}
	return m
}

// signedRequest is a request as an honest client sends it: hoisted headers are named as
// the JavaScript SDK v2 names them, or are only in the query, as with v3.
type signedRequest struct {
	m       meant
	target  string
	headers [][2]string // as an honest client sends them
	body    string
}

func strict(s string, slash bool) string {
	s = strings.ReplaceAll(url.QueryEscape(s), "+", "%20")
	s = strings.ReplaceAll(s, "%7E", "~")
	if slash {
		s = strings.ReplaceAll(s, "%2F", "/")
	}
	return s
}

func hexMAC(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, text)
	return hex.EncodeToString(h.Sum(nil))
}

func signingKey() []byte {
	key := []byte("AWS4" + secret)
	for _, s := range []string{"20130524", region, "s3", "aws4_request"} {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, s)
		key = h.Sum(nil)
	}
	return key
}

// sign signs a request without any code of the package under test.
func sign(m meant, v2 bool) signedRequest {
	headers := map[string]string{"host": "h:9000"}
	query := map[string]string{}
	if m.version != nil {
		query["versionId"] = *m.version
	}
	payload := unsignedPayload
	if !m.presigned {
		headers["x-amz-date"] = basic
		payload = fmt.Sprintf("%x", sha256.Sum256([]byte(m.body)))
		if m.chunked {
			payload = streamSigned
			headers["x-amz-decoded-content-length"] = fmt.Sprint(len(m.body))
		}
		headers["x-amz-content-sha256"] = payload
	}
	sent := [][2]string{}
	for name, value := range m.headers {
		if m.hoist[name] {
			query[name] = value
			if v2 {
				headers[name] = value
			}
			continue
		}
		headers[name] = value
	}
	names := slices.Sorted(maps.Keys(headers))
	if m.presigned {
		maps.Copy(query, map[string]string{"X-Amz-Algorithm": "AWS4-HMAC-SHA256",
			"X-Amz-Credential": id + "/" + scopeOfTheDay,
			"X-Amz-Date":       basic, "X-Amz-Expires": "60", "X-Amz-SignedHeaders": strings.Join(names, ";")})
	}
	var pairs, lines []string
	for name, value := range query {
		pairs = append(pairs, strict(name, false)+"="+strict(value, false))
	}
	slices.Sort(pairs)
	for _, name := range names {
		lines = append(lines, name+":"+headers[name]+"\n")
		if !m.hoist[name] {
			sent = append(sent, [2]string{name, headers[name]})
		}
	}
	path := "/" + m.bucket + "/" + strict(m.key, true)
	canonical := strings.Join(
		[]string{"PUT", path, strings.Join(pairs, "&"), strings.Join(lines, ""), strings.Join(names, ";"), payload},
		"\n",
	)
	key := signingKey()
	signature := hexMAC(key,
		fmt.Sprintf("AWS4-HMAC-SHA256\n%s\n%s\n%x", basic, scopeOfTheDay, sha256.Sum256([]byte(canonical))))
	if m.presigned {
		pairs = append(pairs, "X-Amz-Signature="+signature)
	} else {
		sent = append(sent, [2]string{
			"authorization",
			"AWS4-HMAC-SHA256 Credential=" + id + "/" + scopeOfTheDay + ", SignedHeaders=" + strings.Join(names, ";") +
				", Signature=" + signature,
		})
	}
	body := m.body
	if m.chunked && !m.presigned {
		body = ""
		previous := signature
		pieces := []string{m.body, ""}
		if m.body == "" {
			pieces = pieces[1:]
		}
		for _, piece := range pieces {
			previous = hexMAC(key,
				fmt.Sprintf("AWS4-HMAC-SHA256-PAYLOAD\n%s\n%s\n%s\n%s\n%x", basic, scopeOfTheDay, previous, emptySum,
					sha256.Sum256([]byte(piece))))
			body += fmt.Sprintf("%x;chunk-signature=%s\r\n%s\r\n", len(piece), previous, piece)
		}
	}
	target := path
	if len(pairs) > 0 {
		target += "?" + strings.Join(pairs, "&")
	}
	return signedRequest{m, target, sent, body}
}

// disturb formats a signed request in another form, which its signature may or may not cover.
func disturb(t *rapid.T, s signedRequest) string {
	var lines []string
	for _, h := range s.headers {
		name, value := h[0], h[1]
		if name == "host" {
			lines = append(lines, "Host: "+value)
			continue
		}
		if rapid.Bool().Draw(t, "case") {
			name = strings.ToUpper(name)
		}
		switch rapid.IntRange(0, 9).Draw(t, "how "+name) {
		case 0: // joined or separate
			if at := strings.IndexByte(value, ','); at >= 0 {
				lines = append(lines, name+": "+value[:at], name+": "+value[at+1:])
				continue
			}
		case 1:
			value = strings.ReplaceAll(value, " ", rapid.StringMatching(`[ \t]{1,3}`).Draw(t, "blanks"))
		case 2:
			value = strings.ReplaceAll(value, " ", "\r\n ")
		case 3:
			value = " \t" + value + "  "
		case 4:
			continue // omit it
		case 5:
			lines = append(lines, name+": other") // twice
		case 6:
			value += rapid.StringMatching(`[a-z ]{1,2}`).Draw(t, "more")
		}
		lines = append(lines, name+":"+value)
	}
	for _, extra := range []string{"x-amz-acl", "X-Amz-Meta-C", "x-amz-copy-source", "X-AMZ-STORAGE-CLASS"} {
		if rapid.IntRange(0, 19).Draw(t, "extra "+extra) == 0 {
			lines = append(lines, extra+": "+rapid.SampledFrom([]string{"", "x"}).Draw(t, "extra value"))
		}
	}
	target := s.target
	switch rapid.IntRange(0, 9).Draw(t, "target") {
	case 0:
		target = strings.ReplaceAll(target, "%20", "+")
	case 1:
		target = strings.ToLower(target)
	case 2:
		target = strings.Replace(target, "x-amz-", "X-Amz-", 1)
	case 3:
		target += "&versionId=other"
	case 4:
		target += rapid.SampledFrom([]string{"&", "&x-amz-acl=x", "&%76ersionId=y", "&X-Amz-Meta-A=x"}).
			Draw(t, "parameter")
	}
	return fmt.Sprintf("PUT %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", target, strings.Join(lines, "\r\n"),
		len(s.body), s.body)
}

// decoded runs a request through the real parsers. ok is false if they refuse it.
func decoded(s3 dialect.Dialect, text string) (in wireInput, body string, ok bool) {
	hr, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		return in, "", false
	}
	r, err := read(hr, s3)
	if err != nil {
		return in, "", false
	}
	if _, err := s3.Match(r); err != nil {
		return in, "", false
	}
	c, stream, err := identifier(people()).Identify(context.Background(), r)
	if err != nil || c.Anonymous() {
		return in, "", false
	}
	if err := s3.Decode(0, r, stream, &in); err != nil {
		return in, "", false
	}
	b, err := io.ReadAll(in.Body)
	return in, string(b), err == nil
}

// differs says where the decoded request differs from the intended one.
func (m meant) differs(in wireInput, body string) string {
	text := func(s *string) string {
		if s == nil {
			return "-"
		}
		return "+" + *s
	}
	header := func(name string) *string {
		if v, ok := m.headers[name]; ok {
			return &v
		}
		return nil
	}
	value := func(name string) string { return m.headers[name] }
	meta := map[string]string{}
	for _, name := range []string{"a", "b"} {
		if v := header("x-amz-meta-" + name); v != nil {
			meta[name] = *v
		}
	}
	var list []string
	if v := header("x-amz-object-attributes"); v != nil {
		for part := range strings.SplitSeq(*v, ",") {
			list = append(list, strings.TrimSpace(part))
		}
	}
	for name, pair := range map[string][2]string{
		"bucket": {m.bucket, in.Bucket}, "key": {m.key, in.Key}, "version": {text(m.version), text(in.Version)},
		"acl":    {value("x-amz-acl"), in.ACL},
		"source": {value("x-amz-copy-source"), in.Source}, "class": {value("x-amz-storage-class"), in.Class},
		"if-match": {text(header("if-match")), text(in.IfMatch)},
		"list":     {strings.Join(list, "|"), strings.Join(in.List, "|")}, "body": {m.body, body},
	} {
		if pair[0] != pair[1] {
			return fmt.Sprintf("%s: %q was signed, %q is read", name, pair[0], pair[1])
		}
	}
	if len(in.Meta)+len(meta) > 0 && !maps.Equal(meta, in.Meta) {
		return fmt.Sprintf("metadata: %q was signed, %q is read", meta, in.Meta)
	}
	return ""
}

// wire returns S3's dialect with two operations that have the members of wireInput.
func wire(t testing.TB) dialect.Dialect {
	t.Helper()
	put := dialect.Operation{
		Name: "Put", Route: rest.At("PUT /{Bucket}/{Key+}"), In: reflect.TypeFor[wireInput](),
		Out: reflect.TypeFor[struct{}](),
	}
	copies := put
	copies.Route = rest.At("PUT /{Bucket}/{Key+}").WithHeader("x-amz-copy-source")
	s3, err := rest.S3([]dialect.Operation{put, copies})
	if err != nil {
		t.Fatal(err)
	}
	return s3
}

func TestWhatIsSignedIsDecoded(t *testing.T) {
	s3 := wire(t)
	taken, honest := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s := sign(drawMeant(t), rapid.Bool().Draw(t, "named"))
		text := disturb(t, s)
		if in, body, ok := decoded(s3, text); ok {
			taken++
			if d := s.m.differs(in, body); d != "" {
				t.Fatalf("%s\n%s", d, text)
			}
		}
	})
	rapid.Check(t, func(t *rapid.T) { // an honest client is accepted
		m := drawMeant(t)
		if v, ok := m.headers["x-amz-storage-class"]; ok && v == "" {
			delete(m.headers, "x-amz-storage-class")
		}
		s := sign(m, rapid.Bool().Draw(t, "named"))
		var lines []string
		for _, h := range s.headers {
			lines = append(lines, h[0]+": "+h[1])
		}
		text := fmt.Sprintf("PUT %s HTTP/1.1\r\n%s\r\nContent-Length: %d\r\n\r\n%s", s.target,
			strings.Join(lines, "\r\n"), len(s.body), s.body)
		in, body, ok := decoded(s3, text)
		if !ok {
			t.Fatalf("refused: %s", text)
		}
		honest++
		if d := s.m.differs(in, body); d != "" {
			t.Fatalf("%s\n%s", d, text)
		}
	})
	if taken == 0 || honest == 0 {
		t.Fatalf("nothing was accepted: %d, %d", taken, honest)
	}
}

// FuzzOneReading changes the bytes of one signed request: a request that is still
// accepted is decoded as it was signed.
func FuzzOneReading(f *testing.F) {
	s3 := wire(f)
	version := "v 1"
	m := meant{bucket: "bkt", key: "a b+c", body: "hello", version: &version,
		headers: map[string]string{
			"x-amz-acl": "a,b", "x-amz-copy-source": "b/to do", "if-match": "", "x-amz-meta-a": "x y",
			"x-amz-meta-b": "",
		}}
	wire := func(m meant) string {
		s := sign(m, true)
		var b bytes.Buffer
		fmt.Fprintf(&b, "PUT %s HTTP/1.1\r\n", s.target)
		for _, h := range s.headers {
			fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
		}
		fmt.Fprintf(&b, "Content-Length: %d\r\n\r\n%s", len(s.body), s.body)
		return b.String()
	}
	f.Add(wire(m))
	m.chunked = true
	f.Add(wire(m))
	m.presigned, m.hoist = true, map[string]bool{"x-amz-acl": true, "x-amz-meta-b": true}
	f.Add(wire(m))
	f.Fuzz(func(t *testing.T, text string) {
		in, body, ok := decoded(s3, text)
		if !ok {
			return
		}
		if m.presigned && strings.Contains(text, unsignedPayload) {
			return
		}
		if !strings.Contains(text, "X-Amz-Signature=") {
			if d := m.differs(in, body); d != "" {
				t.Fatalf("%s\n%s", d, text)
			}
			return
		}
		if d := m.differs(in, m.body); d != "" { // the body of a presigned request is not signed
			t.Fatalf("%s\n%s", d, text)
		}
	})
}
