package e2e

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/server"
	"watertight/test/harness"
)

const (
	signedChunks   = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
	signedTrailer  = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
	unsignedChunks = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
)

// framed is an upload in aws-chunked form, possibly with errors.
type framed struct {
	mode     string
	data     []string // of the chunks
	declared int      // added to x-amz-decoded-content-length
	length   string   // replaces x-amz-decoded-content-length; "-" omits it
	trailer  string   // x-amz-trailer; if empty, it names the CRC32 in modes with trailers
	crc      string   // the CRC32 that is sent; empty for the right one
	line     string   // the trailer in place of the CRC32's
	change   func(string) string
	cut      int // bytes that are declared but not sent
}

// chain signs chunks as the S3 user guide says ("Signature calculations for the
// authorization header: transferring payload in multiple chunks").
type chain struct{ key, date, scope, previous string }

func hmacOf(key, text string) string {
	h := hmac.New(sha256.New, []byte(key))
	io.WriteString(h, text)
	return string(h.Sum(nil))
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

func newChain(s *harness.Server, signed *http.Request) *chain {
	date := signed.Header.Get("X-Amz-Date")
	_, seed, _ := strings.Cut(signed.Header.Get("Authorization"), "Signature=")
	c := &chain{
		key: "AWS4" + s.SecretAccessKey, date: date, previous: seed,
		scope: date[:8] + "/" + s.Region + "/s3/aws4_request",
	}
	for part := range strings.SplitSeq(c.scope, "/") {
		c.key = hmacOf(c.key, part)
	}
	return c
}

func (c *chain) sign(kind, rest string) string {
	c.previous = hex.EncodeToString([]byte(hmacOf(c.key,
		strings.Join([]string{kind, c.date, c.scope, c.previous, rest}, "\n"))))
	return c.previous
}

func (f *framed) body(c *chain) string {
	var b strings.Builder
	for _, data := range append(f.data[:len(f.data):len(f.data)], "") {
		fmt.Fprintf(&b, "%x", len(data))
		if f.mode != unsignedChunks {
			b.WriteString(";chunk-signature=" + c.sign("AWS4-HMAC-SHA256-PAYLOAD", emptyHash+"\n"+hexSum(data)))
		}
		b.WriteString("\r\n" + data)
		if data != "" {
			b.WriteString("\r\n")
		}
	}
	if f.mode != signedChunks {
		line := cmp.Or(f.line, "x-amz-checksum-crc32:"+f.checksum())
		b.WriteString(line + "\r\n")
		if f.mode == signedTrailer {
			b.WriteString("x-amz-trailer-signature:" + c.sign("AWS4-HMAC-SHA256-TRAILER", hexSum(line+"\n")) + "\r\n")
		}
	}
	return b.String() + "\r\n"
}

func (f *framed) checksum() string {
	if f.crc != "" {
		return f.crc
	}
	sum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(strings.Join(f.data, ""))))
	return base64.StdEncoding.EncodeToString(sum)
}

// sendFramed signs the headers of an upload and sends it with the frames.
func sendFramed(t *testing.T, s *harness.Server, path string, f framed) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, s.Endpoint+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	h := req.Header
	h.Set("Content-Encoding", "aws-chunked")
	h.Set("X-Amz-Content-Sha256", f.mode)
	switch f.length {
	case "-":
	case "":
		h.Set("X-Amz-Decoded-Content-Length", strconv.Itoa(len(strings.Join(f.data, ""))+f.declared))
	default:
		h.Set("X-Amz-Decoded-Content-Length", f.length)
	}
	if f.trailer != "" {
		h.Set("X-Amz-Trailer", f.trailer)
	} else if f.mode != signedChunks {
		h.Set("X-Amz-Trailer", "x-amz-checksum-crc32")
	}
	cred := aws.Credentials{AccessKeyID: s.AccessKeyID, SecretAccessKey: s.SecretAccessKey}
	signer := v4.NewSigner(func(o *v4.SignerOptions) { o.DisableURIPathEscaping = true })
	if err := signer.SignHTTP(context.Background(), cred, req, f.mode, "s3", s.Region, time.Now()); err != nil {
		t.Fatal(err)
	}
	body := f.body(newChain(s, req))
	if f.change != nil {
		body = f.change(body)
	}
	req.Body, req.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body)+f.cut)
	return overOneConnection(t, s, req, f.cut > 0)
}

// blobs returns the files of large objects, and the extents of those of middle size.
func blobs(t *testing.T, s *harness.Server) (files []string) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(s.Data, "blobs"), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || !d.Type().IsRegular() || slices.Contains([]string{"store.id", "keyring"}, d.Name()):
		case filepath.Ext(path) == ".seg":
			files = append(files, extents(t, path)...)
		default:
			files = append(files, path)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return files
}

// TestBrokenFraming: each defect of an aws-chunked upload has its own error, over plain HTTP and over
// TLS. The upload stores nothing, and the earlier object does not change.
func TestBrokenFraming(t *testing.T) {
	for scheme, change := range map[string]func(*server.Config){
		"http":  func(*server.Config) {},
		"https": func(c *server.Config) { c.TLS.SelfSigned = true },
	} {
		t.Run(scheme, func(t *testing.T) { brokenFraming(t, harness.Start(t, change)) })
	}
}

func brokenFraming(t *testing.T, s *harness.Server) {
	bucket := newBucket(t, s, "framing")
	if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("the one before"),
	}); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("0123456789abcdef", 2<<10) // too large to be stored inline
	data := []string{big, big, "tail"}
	replace := func(old, with string) func(string) string {
		return func(b string) string { return strings.Replace(b, old, with, 1) }
	}
	add := func(tail string) func(string) string { return func(b string) string { return b + tail } }
	keep := func(n int) func(string) string { return func(b string) string { return b[:len(b)+n] } }
	type broken struct {
		name string
		f    framed
		want int
		code string
	}
	all := []broken{
		{
			"cut inside the data", framed{data: data, change: func(b string) string { return b[:len(big)/2] }}, 400,
			"IncompleteBody",
		},
		{
			"cut before the last chunk",
			framed{data: data, change: func(b string) string { return b[:strings.LastIndex(b, "tail")+6] }}, 400,
			"IncompleteBody",
		},
		{
			"cut inside a chunk's header", framed{data: data, change: func(b string) string { return b[:2] }}, 400,
			"IncompleteBody",
		},
		{"no body at all", framed{data: data, change: func(string) string { return "" }}, 400, "IncompleteBody"},
		{
			"the connection ends in the data",
			framed{data: data, change: func(b string) string { return b[:len(big)+200] }, cut: 500}, 400,
			"IncompleteBody",
		},
		{
			"the connection ends before the last line", framed{data: data, change: keep(-2), cut: 2}, 400,
			"IncompleteBody",
		},
		{"decoded length one too small", framed{data: data, declared: -1}, 400, "IncompleteBody"},
		{"decoded length one too large", framed{data: data, declared: 1}, 400, "IncompleteBody"},
		{"decoded length zero", framed{data: data, length: "0"}, 400, "IncompleteBody"},
		{"decoded length missing", framed{data: data, length: "-"}, 411, "MissingContentLength"},
		{"decoded length negative", framed{data: data, length: "-5"}, 411, "MissingContentLength"},
		{"decoded length no number", framed{data: data, length: "5x"}, 411, "MissingContentLength"},
		{"decoded length over 5 GiB", framed{data: data, length: "5368709121"}, 400, "EntityTooLarge"},
		{"bytes after the end", framed{data: data, change: add("x")}, 400, "IncompleteBody"},
		{"a second body", framed{data: data, change: func(b string) string { return b + b }}, 400, "IncompleteBody"},
		{"a small chunk in the middle", framed{data: []string{"small", big}}, 403, "InvalidChunkSizeError"},
		{"a chunk size that is not a number", framed{data: data, change: func(b string) string {
			return "z" +
				b
		}}, 400, "IncompleteBody"},
		{"a chunk larger than the rest", framed{data: data, change: func(b string) string {
			return "f" +
				b
		}}, 400, "IncompleteBody"},
		{
			"no line end after the data", framed{data: data, change: replace("tail\r\n", "tailXX")}, 400,
			"IncompleteBody",
		},
		{"bare line feeds", framed{data: data, change: func(b string) string {
			return strings.ReplaceAll(b, "\r\n",
				"\n")
		}}, 400, "IncompleteBody"},
	}
	for _, mode := range []string{signedChunks, signedTrailer, unsignedChunks} {
		cases := all
		if mode != signedChunks {
			cases = append(cases[:len(cases):len(cases)], []broken{
				{"wrong checksum", framed{data: data, crc: "AAAAAA=="}, 400, "BadDigest"},
				{"checksum of another length", framed{data: data, crc: "AAAA"}, 400, "InvalidRequest"},
				{
					"two checksums announced", framed{data: data, trailer: "x-amz-checksum-crc32,x-amz-checksum-sha1"},
					400, "InvalidRequest",
				},
				{
					"trailer announced and not sent",
					framed{
						data:   data,
						change: func(b string) string { return b[:strings.Index(b, "x-amz-checksum-crc32:")] + "\r\n" },
					},
					400, "MalformedTrailerError",
				},
				{
					"another trailer announced", framed{data: data, trailer: "x-amz-checksum-sha1"}, 400,
					"MalformedTrailerError",
				},
				{
					"trailer without a colon", framed{data: data, change: replace("crc32:", "crc32")}, 400,
					"MalformedTrailerError",
				},
				{"trailer twice", framed{data: data, change: func(b string) string {
					i := strings.Index(b, "x-amz-checksum-crc32:")
					line, _, _ := strings.Cut(b[i:], "\n")
					return b[:i] + line + "\n" + b[i:]
				}}, 400, "MalformedTrailerError"},
				{
					"a trailer that was not announced",
					framed{
						data: data, change: replace("x-amz-checksum-crc32:", "x-amz-meta-a:b\r\nx-amz-checksum-crc32:"),
					},
					400, "MalformedTrailerError",
				},
				{
					"cut inside the trailer",
					framed{data: data, change: func(b string) string { return b[:strings.Index(b, "crc32:")+8] }}, 400,
					"IncompleteBody",
				},
			}...)
		}
		if mode != unsignedChunks {
			cases = append(cases[:len(cases):len(cases)], []broken{
				{"altered data", framed{data: data, change: replace("tail", "tale")}, 403, "SignatureDoesNotMatch"},
				{"a chunk left out", framed{data: data, declared: -len(big), change: func(b string) string {
					frame := len(big) + len("8000;chunk-signature=") + 64 + 4
					return b[:frame] + b[2*frame:]
				}}, 403, "SignatureDoesNotMatch"},
				{"unsigned chunks", framed{data: data, change: func(b string) string {
					return strings.Replace(b,
						";chunk-signature=", ";ignored=", 1)
				}}, 400, "IncompleteBody"},
			}...)
		} else {
			cases = append(cases[:len(cases):len(cases)], broken{
				"signed chunks",
				framed{data: data, change: replace("\r\n", ";chunk-signature="+strings.Repeat("0", 64)+"\r\n")}, 400,
				"IncompleteBody",
			})
		}
		if mode == signedTrailer {
			cases = append(cases[:len(cases):len(cases)], broken{"altered trailer signature",
				framed{data: data, change: func(b string) string {
					return b[:len(b)-68] + strings.Repeat("0", 64) + "\r\n\r\n"
				}}, 403, "SignatureDoesNotMatch"})
		}
		for _, c := range cases {
			c.f.mode = mode
			for _, key := range []string{"new", "k"} {
				a := sendFramed(t, s, "/framing/"+key, c.f)
				if a.status != c.want || a.code != c.code {
					t.Errorf("%s, %s: %d %s, want %d %s\n%s", mode, c.name, a.status, a.code, c.want, c.code, a.body)
				}
			}
			if left := blobs(t, s); len(left) > 0 {
				t.Fatalf("%s, %s: the files %q are left", mode, c.name, left)
			}
		}
		if a := sendFramed(t, s, "/framing/good", framed{mode: mode, data: data}); a.status != 200 {
			t.Fatalf("%s: a valid upload is refused: %d %s", mode, a.status, a.body)
		}
		got, err := readObject(t.Context(), s.S3, bucket, "good")
		if err != nil || string(got) != strings.Join(data, "") {
			t.Fatalf("%s: read back %d bytes, %v", mode, len(got), err)
		}
		if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
			Bucket: bucket, Key: aws.String("good"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := readObject(t.Context(), s.S3, bucket, "k")
	if err != nil || string(got) != "the one before" {
		t.Errorf("the earlier object is %.40q now, %v", got, err)
	}
	out, err := s.S3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
	if err != nil || len(out.Contents) != 1 {
		t.Errorf("%d objects are listed, want the earlier one; %v", len(out.Contents), err)
	}
}

// TestUploadOverTLS: the SDK's default over TLS is an unsigned body with a
// checksum in its trailer.
func TestUploadOverTLS(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) { c.TLS.SelfSigned = true })
	bucket := newBucket(t, s, "over-tls")
	for _, size := range []int{0, 10, 100_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			key, body := fmt.Sprint(size), randomBody(size)
			var sent string
			_, err := s.S3.PutObject(t.Context(),
				&s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(body)}, func(o *s3.Options) {
					// as in a client that config.LoadDefaultConfig configures
					o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported
					o.HTTPClient = spy{
						harness.SDK(s.HTTP).Transport,
						func(r *http.Request) { sent = r.Header.Get("X-Amz-Content-Sha256") },
					}
				})
			if err != nil {
				t.Fatal(err)
			}
			if sent != unsignedChunks && size > 0 {
				t.Errorf("%d bytes: the SDK sent %q; this test needs %s", size, sent, unsignedChunks)
			}
			if got, err := readObject(t.Context(), s.S3, bucket, key); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: read back %d bytes, %v", key, len(got), err)
			}
		})
	}
}

// spy records what the SDK sends.
type spy struct {
	next http.RoundTripper
	see  func(*http.Request)
}

func (s spy) Do(r *http.Request) (*http.Response, error) {
	s.see(r)
	return s.next.RoundTrip(r)
}
