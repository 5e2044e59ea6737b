package sigv4

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

// piece is a chunk of a client.
type piece struct{ data, signature string }

// frame returns a body. Every piece but the last must have data.
func frame(signed bool, pieces []piece, trailer string) string {
	var s strings.Builder
	for _, p := range pieces {
		fmt.Fprintf(&s, "%x", len(p.data))
		if signed {
			s.WriteString(";chunk-signature=" + p.signature)
		}
		s.WriteString("\r\n" + p.data)
		if p.data != "" {
			s.WriteString("\r\n")
		}
	}
	return s.String() + trailer
}

// signPieces signs chunks in a chain, including the empty last one.
func signPieces(seed string, data ...string) []piece {
	var list []piece
	for _, d := range append(data, "") {
		seed = chunkSignature(seed, d)
		list = append(list, piece{d, seed})
	}
	return list
}

const testSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"

// bodyOf opens a framed body as that of a verified request.
func bodyOf(t testing.TB, mode, framed string, headers map[string]string) (Body, error) {
	t.Helper()
	r, err := http.NewRequest("PUT", "http://h/b/k", strings.NewReader(framed))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	c := &Claim{Mode: Header, AccessKeyID: testID, Date: "20130524", Region: testRegion, Service: "s3", Time: testNow(),
		Signature: testSeed, Payload: mode, request: r}
	return c.Body(testKey())
}

func readBody(t testing.TB, mode, framed string, headers map[string]string) (string, Body, error) {
	t.Helper()
	b, err := bodyOf(t, mode, framed, headers)
	if err != nil {
		return "", nil, err
	}
	got, err := io.ReadAll(b)
	if err != nil {
		if _, again := b.Read(make([]byte, 1)); again == nil || again == io.EOF {
			t.Fatalf("after %v Read returned %v", err, again)
		}
	}
	return string(got), b, err
}

func length(n int) map[string]string {
	return map[string]string{"X-Amz-Decoded-Content-Length": strconv.Itoa(n)}
}

func announced(n int, names string) map[string]string {
	h := length(n)
	h["X-Amz-Trailer"] = names
	return h
}

func TestPublishedChunks(t *testing.T) {
	v := vectors(t)
	a, b := strings.Repeat("a", 64<<10), strings.Repeat("a", 1<<10)
	got, body, err := readBody(t, streamSigned,
		frame(true, []piece{{a, v["chunked-1"]}, {b, v["chunked-2"]}, {"", v["chunked-3"]}}, "\r\n"), length(66560))
	if err != nil || got != a+b || body.Size() != 66560 {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
}

func TestPublishedTrailer(t *testing.T) {
	v := vectors(t)
	a, b := strings.Repeat("a", 64<<10), strings.Repeat("a", 1<<10)
	pieces := []piece{{a, v["trailer-1"]}, {b, v["trailer-2"]}, {"", v["trailer-3"]}}
	for _, end := range []string{"\r\n", "\n\r\n"} {
		framed := frame(true, pieces,
			"x-amz-checksum-crc32c:sOO8/Q=="+end+"x-amz-trailer-signature:"+v["trailer-signature"]+"\r\n\r\n")
		r, err := http.NewRequest("PUT", "http://h/b/k", strings.NewReader(framed))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Trailer", "x-amz-checksum-crc32c")
		r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
		c := &Claim{Mode: Header, Date: "20130524", Region: testRegion, Service: "s3", Time: testNow(),
			Signature: v["trailer-seed"],
			Payload:   streamSignedTrailer, request: r}
		body, err := c.Body(testKey())
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		if err != nil || string(got) != a+b || body.Trailer("X-Amz-Checksum-CRC32C") != "sOO8/Q==" {
			t.Fatalf("%q: %d bytes, trailer %q, %v", end, len(got), body.Trailer("x-amz-checksum-crc32c"), err)
		}
	}
}

func TestHashedBody(t *testing.T) {
	const text = "Welcome to Amazon S3."
	if got, _, err := readBody(t, sha(text), text, nil); err != nil || got != text {
		t.Fatalf("%q %v", got, err)
	}
	for _, hash := range []string{emptySum, sha("Welcome to Amazon S3")} {
		_, _, err := readBody(t, hash, text, nil)
		f := fault.From(err)
		if f == nil || f.Code != "XAmzContentSHA256Mismatch" || f.Members["ClientComputedContentSHA256"] != hash ||
			f.Members["S3ComputedContentSHA256"] != sha(text) {
			t.Fatalf("%v", f)
		}
	}
}

func TestBrokenConnection(t *testing.T) {
	for i, mode := range []string{UnsignedPayload, sha("x")} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b := &plain{r: iotest.ErrReader(io.ErrUnexpectedEOF), want: "", size: 5}
			if _, err := io.ReadAll(b); code(err) != "IncompleteBody" {
				t.Errorf("%s: %v", mode, err)
			}
		})
	}
}

func TestUnsignedTrailer(t *testing.T) {
	big := strings.Repeat("x", 8<<10)
	got, body, err := readBody(t, streamUnsignedTrailer,
		"2000\r\n"+big+
			"\r\n2\r\nde\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n", announced(8<<10+2, "x-amz-checksum-crc32"))
	if err != nil || got != big+"de" || body.Trailer("x-amz-checksum-crc32") != "AAAAAA==" {
		t.Fatalf("%q %v", got, err)
	}
	if got, _, err = readBody(t, streamUnsignedTrailer, "b\r\nhello world\r\n0\r\n\r\n",
		length(11)); err != nil || got != "hello world" {
		t.Fatalf("without trailer: %q %v", got, err)
	}
	_, _, err = readBody(t, streamUnsignedTrailer, "1fff\r\n"+big[1:]+"\r\n1\r\ny\r\n0\r\n\r\n", length(8<<10))
	if f := fault.From(err); f == nil || f.Code != "InvalidChunkSizeError" || f.Members["Chunk"] != "1" ||
		f.Members["BadChunkSize"] != "8191" {
		t.Fatalf("a small chunk that is not the last: %v", err)
	}
}

// TestBrokenChunks: every body here must end with an error.
func TestBrokenChunks(t *testing.T) {
	big := strings.Repeat("x", 8<<10)
	good := signPieces(testSeed, big, big+"y", "end")
	total := 2*len(big) + 4
	change := func(f func([]piece) []piece) string { return frame(true, f(append([]piece(nil), good...)), "\r\n") }
	whole := change(func(p []piece) []piece { return p })
	if _, _, err := readBody(t, streamSigned, whole, length(total)); err != nil {
		t.Fatal(err)
	}
	small := signPieces(testSeed, "too small", big)
	tests := []struct {
		name, framed string
		size         int
		want         string
	}{
		{"replay", change(func(p []piece) []piece {
			return []piece{
				p[0], p[0], p[2], p[3],
			}
		}), 2*len(big) + 3, "SignatureDoesNotMatch"},
		{
			"reorder", change(func(p []piece) []piece { p[0], p[1] = p[1], p[0]; return p }), total,
			"SignatureDoesNotMatch",
		},
		{"altered data", change(func(p []piece) []piece {
			p[1].data = big +
				"z"
			return p
		}), total, "SignatureDoesNotMatch"},
		{
			"altered last chunk", change(func(p []piece) []piece { p[2].data = "eND"; return p }), total,
			"SignatureDoesNotMatch",
		},
		{
			"final signature", change(func(p []piece) []piece { p[3].signature = p[0].signature; return p }), total,
			"SignatureDoesNotMatch",
		},
		{"chunk left out", change(func(p []piece) []piece {
			return append(p[:1],
				p[2:]...)
		}), len(big) + 3, "SignatureDoesNotMatch"},
		{"no final chunk", frame(true, good[:3], ""), total, "IncompleteBody"},
		{"no final blank line", frame(true, good, ""), total, "IncompleteBody"},
		{"cut in the data", whole[:len(big)], total, "IncompleteBody"},
		{"cut in a header", whole[:40], total, "IncompleteBody"},
		{"empty", "", total, "IncompleteBody"},
		{"extra bytes", whole + "x", total, "IncompleteBody"},
		{"another body", whole + whole, total, "IncompleteBody"},
		{"length one less", whole, total - 1, "IncompleteBody"},
		{"length one more", whole, total + 1, "IncompleteBody"},
		{"small chunk in the middle", frame(true, small, "\r\n"), len(big) + 9, "InvalidChunkSizeError"},
		{"unsigned chunk", frame(false, good, "\r\n"), total, "IncompleteBody"},
		{
			"short signature", strings.Replace(whole, good[0].signature, good[0].signature[:63], 1), total,
			"IncompleteBody",
		},
		{"size is not hex", "j" + whole, total, "IncompleteBody"},
		{"negative size", "-" + whole, total, "IncompleteBody"},
		{"size with a sign", "+" + whole, total, "IncompleteBody"},
		{"size too large for a number", "fffffffffffffffff" + whole, total, "IncompleteBody"},
		{"size larger than the body", "f" + whole, total, "IncompleteBody"},
		{"endless header", strings.Repeat("0", 1<<16), total, "IncompleteBody"},
		{"no line end after the data", strings.Replace(whole, "x\r\n", "xab", 1), total, "IncompleteBody"},
		{"trailers where none may be", frame(true, good, "a:b\r\n\r\n"), total, "IncompleteBody"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := readBody(t, streamSigned, test.framed,
				length(test.size)); err == nil || !strings.Contains(test.want, code(err)) {
				t.Fatalf("got %v, want %s", err, test.want)
			}
		})
	}
}

// TestTrailerEnds: the grammar lets a trailer end with LF CRLF, signed or not;
// SDKs write either (S3 user guide, "Signature calculations for trailing headers").
func TestTrailerEnds(t *testing.T) {
	const body, crc, value = "5\r\nhello\r\n0\r\n", "x-amz-checksum-crc32", "NhCmhg=="
	for i, end := range []string{"\r\n\r\n", "\n\r\n\r\n", "\n\r\n", "\n\n"} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			got, b, err := readBody(t, streamUnsignedTrailer, body+crc+":"+value+end, announced(5, crc))
			if err != nil || got != "hello" || b.Trailer(crc) != value {
				t.Errorf("%q: %q, %v", end, got, err)
			}
		})
	}
	for _, end := range []string{"\n\r\n\r\n\r\n", "\r\n\r\n\r\n", "\n\r\n\r\nx", "\n\r\nx"} {
		if _, _, err := readBody(t, streamUnsignedTrailer, body+crc+":"+value+end, announced(5, crc)); err == nil {
			t.Errorf("%q is accepted", end)
		}
	}
}

func TestBrokenTrailers(t *testing.T) {
	const body, crc, value = "5\r\nhello\r\n0\r\n", "x-amz-checksum-crc32", "NhCmhg=="
	for _, test := range []struct{ name, announced, trailer, want string }{
		{"missing", crc, "\r\n", "MalformedTrailerError"},
		{"another", crc, "x-amz-checksum-sha1:x\r\n\r\n", "MalformedTrailerError"},
		{"unannounced", "", crc + ":" + value + "\r\n\r\n", "MalformedTrailerError"},
		{"one more", crc, crc + ":" + value + "\r\nx-amz-meta-a:b\r\n\r\n", "MalformedTrailerError"},
		{"twice", crc, crc + ":" + value + "\r\n" + crc + ":" + value + "\r\n\r\n", "MalformedTrailerError"},
		{"no name", crc, ":" + value + "\r\n\r\n", "MalformedTrailerError"},
		{"no colon", crc, crc + "\r\n\r\n", "MalformedTrailerError"},
		{
			"an invalid signature", crc, crc + ":" + value + "\r\nx-amz-trailer-signature:" + testSeed + "\r\n\r\n",
			"MalformedTrailerError",
		},
		{"cut", crc, crc + ":" + value + "\r\n", "IncompleteBody"},
		{"extra bytes", crc, crc + ":" + value + "\r\n\r\nx", "IncompleteBody"},
		{"endless", crc, crc + ":" + strings.Repeat("x", 1<<20), "IncompleteBody"},
		{"too many", "a,b,c,d,e,f,g,h,i", "\r\n", "MalformedTrailerError"},
	} {
		t.Run(test.name, func(t *testing.T) {
			if _, _, err := readBody(t, streamUnsignedTrailer, body+test.trailer,
				announced(5, test.announced)); code(err) != test.want {
				t.Fatalf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestSignedTrailer(t *testing.T) {
	const name, value = "x-amz-checksum-crc32", "NhCmhg=="
	p := signPieces(testSeed, "hello")
	sig := trailerSignatureOf(p[1].signature, name+":"+value+"\n")
	line := func(value, sig string) string {
		return name + ":" + value + "\r\nx-amz-trailer-signature:" + sig + "\r\n\r\n"
	}
	for _, test := range []struct{ name, trailer, want string }{
		{"good", line(value, sig), ""},
		{"another value", line("NhCmhA==", sig), "SignatureDoesNotMatch"},
		{"another signature", line(value, testSeed), "SignatureDoesNotMatch"},
		{"no signature", name + ":" + value + "\r\n\r\n", "IncompleteBody SignatureDoesNotMatch MalformedTrailerError"},
		{"no trailer", "\r\n", "MalformedTrailerError"},
		{
			"signature cut short", name + ":" + value + "\r\nx-amz-trailer-signature:" + sig[1:] + "\r\n\r\n",
			"IncompleteBody",
		},
		{
			"another line in the signature's place",
			name + ":" + value + "\r\nx-amz-trailer-signer:" + sig + "\r\n\r\n", "IncompleteBody",
		},
		{
			"signature first", "x-amz-trailer-signature:" + sig + "\r\n" + name + ":" + value + "\r\n\r\n",
			"MalformedTrailerError",
		},
		{
			"two signatures",
			name + ":" + value + "\r\nx-amz-trailer-signature:" + sig + "\r\nx-amz-trailer-signature:" + sig +
				"\r\n\r\n",
			"MalformedTrailerError",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := readBody(t, streamSignedTrailer, frame(true, p, test.trailer), announced(5, name))
			if !strings.Contains(test.want, code(err)) || (test.want == "") != (err == nil) ||
				err == nil && got != "hello" {
				t.Fatalf("%q, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestDecodedLengthIsRequired(t *testing.T) {
	for i, mode := range []string{streamSigned, streamSignedTrailer, streamUnsignedTrailer} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if _, err := bodyOf(t, mode, "", nil); code(err) != "MissingContentLength" ||
				fault.From(err).Kind != fault.KindLengthRequired {
				t.Errorf("%s: %v", mode, err)
			}
			for _, n := range []string{"abc", "12x", "-1", "+1", "99999999999999999999"} {
				if _, err := bodyOf(t, mode, "", map[string]string{"X-Amz-Decoded-Content-Length": n}); err == nil {
					t.Errorf("%s: %s is a length", mode, n)
				}
			}
		})
	}
}

// TestChunksProperty: chunks and reads of any size give the same bytes.
func TestChunksProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var data []string
		whole := ""
		for range rapid.IntRange(0, 3).Draw(t, "chunks") {
			data = append(data,
				strings.Repeat(string(rune('a'+len(data))), rapid.IntRange(8<<10, 9<<10).Draw(t, "size")))
			whole += data[len(data)-1]
		}
		if n := rapid.IntRange(0, 100).Draw(t, "last"); n > 0 {
			data = append(data, strings.Repeat("z", n))
			whole += data[len(data)-1]
		}
		r, err := http.NewRequest("PUT", "http://h/",
			iotest.HalfReader(strings.NewReader(frame(true, signPieces(testSeed, data...), "\r\n"))))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(whole)))
		c := &Claim{
			Mode: Header, Date: "20130524", Region: testRegion, Service: "s3", Time: testNow(), Signature: testSeed,
			Payload: streamSigned, request: r,
		}
		b, err := c.Body(testKey())
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		if _, err := io.CopyBuffer(&got, onlyReader{b},
			make([]byte, rapid.IntRange(1, 20000).Draw(t, "buffer"))); err != nil || got.String() != whole {
			t.Fatalf("%d of %d bytes, %v", got.Len(), len(whole), err)
		}
	})
}

type onlyReader struct{ io.Reader }

func BenchmarkSignedChunks(b *testing.B) {
	chunk := strings.Repeat("x", 64<<10)
	var data []string
	for range 64 {
		data = append(data, chunk)
	}
	framed := frame(true, signPieces(testSeed, data...), "\r\n")
	buffer := make([]byte, 32<<10)
	b.SetBytes(int64(64 * len(chunk)))
	b.ReportAllocs()
	for b.Loop() {
		body, err := bodyOf(b, streamSigned, framed, length(64*len(chunk)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, onlyReader{body}, buffer); err != nil {
			b.Fatal(err)
		}
	}
}
