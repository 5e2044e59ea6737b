package anchor

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/storage/seal"
)

func ring(n byte) *seal.Ring {
	var k seal.Key
	for i := range k {
		k[i] = n
	}
	return seal.NewRing(seal.Generation{Number: 1, Key: k})
}

func example() State {
	s := State{Round: 2, Commit: 0x1234, Frame: 77, File: 3, Serial: 5, At: time.UnixMicro(1_800_000_000_000_000).UTC()}
	copy(s.Store[:], "store-id-16-byte")
	copy(s.Keyring[:], "keyring-16-bytes")
	s.Chain[0], s.FrameChain[31] = 1, 2
	return s
}

// TestFormat: the bytes are those of FORMAT.md, and no bit of them can be changed.
func TestFormat(t *testing.T) {
	b := example().Encode(ring(1))
	const want = "5754414e4348310a" + "73746f72652d69642d31362d62797465" + "0000000000000002" + "0000000000001234" +
		"01" + "00000000000000000000000000000000000000000000000000000000000000" + "000000000000004d" +
		"0000000000000003" +
		"00000000000000000000000000000000000000000000000000000000000000" + "02" + "6b657972696e672d31362d6279746573" +
		"0000000000000005" + "0006651728988000"
	if got := hex.EncodeToString(b[:Size-32]); got != strings.ReplaceAll(want, " ", "") {
		t.Errorf("the anchor is\n%s, want\n%s", got, want)
	}
	s, err := Decode(b, ring(1))
	if err != nil || s != example() {
		t.Errorf("read back %+v, %v", s, err)
	}
	for i := range b {
		b[i] ^= 1
		if _, err := Decode(b, ring(1)); !errors.Is(err, ErrForged) {
			t.Errorf("byte %d can be changed: %v", i, err)
		}
		b[i] ^= 1
	}
	for _, n := range []int{0, 8, Size - 1} {
		if _, err := Decode(b[:n], ring(1)); !errors.Is(err, ErrForged) {
			t.Errorf("%d bytes are an anchor: %v", n, err)
		}
	}
	if _, err := Decode(b, ring(2)); !errors.Is(err, ErrForged) {
		t.Errorf("another root key's anchor: %v", err)
	}
	older := seal.NewRing(seal.Generation{Number: 2, Key: ring(2).Current().Key}, ring(1).Current())
	if _, err := Decode(b, older); err != nil {
		t.Errorf("an earlier generation's anchor: %v", err)
	}
}

func TestNames(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.Symlink(dir, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for name, words := range map[string]string{
		filepath.Join(dir, "anchor"):                   "",
		filepath.Join(dir, "data-of-others", "anchor"): "",
		filepath.Join(data, "anchor"):                  "data directory",
		filepath.Join(data, "not", "yet", "anchor"):    "data directory",
		filepath.Join(dir, "link", "data", "anchor"):   "data directory",
		"https://elsewhere/anchor":                     "no anchors at https://",
		"s3://":                                        "no bucket",
		"s3://bucket":                                  "",
		"s3://bucket/prefix/":                          "",
		"s3://bucket/p?endpoint=http://10.0.0.1":       "https",
		"s3://bucket/p?endpoint=http://127.0.0.1:9":    "",
		"s3://bucket/p?mode=COMPLIANCE":                "go together",
		"s3://bucket/p?retain=24h":                     "go together",
		"s3://bucket/p?mode=SOMETIMES&retain=24h":      "COMPLIANCE or GOVERNANCE",
		"s3://bucket/p?mode=governance&retain=24h":     "",
		"s3://bucket/p?mode=governance&retain=1s":      "would end",
		"s3://bucket/p?mode=governance&retain=x":       "no duration",
		"s3://bucket/p?region=a&region=b":              "more than one",
		"s3://bucket/p?regoin=a":                       "no parameter regoin",
		"s3://user@bucket/p":                           "no bucket",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(name, Options{Data: data})
			if words == "" && err != nil || words != "" && (err == nil || !strings.Contains(err.Error(), words)) {
				t.Errorf("%v, want %q", err, words)
			}
		})
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "mounted")
	p, err := Open(filepath.Join(folder, "anchor"), Options{Data: filepath.Join(dir, "data")})
	if err != nil {
		t.Fatal(err)
	}
	open := func(b []byte) (State, error) { return Decode(b, ring(1)) }
	newest := func(want State, found bool, failed error) {
		t.Helper()
		s, ok, err := p.Newest(context.Background(), open)
		if s != want || ok != found || !errors.Is(err, failed) {
			t.Errorf("%+v, %v, %v", s, ok, err)
		}
	}
	newest(State{}, false, ErrUnreachable) // the disk is not mounted
	if err := p.Put(t.Context(), example(), example().Encode(ring(1))); err == nil {
		t.Error("the missing folder was made")
	}
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	newest(State{}, false, nil)
	if err := p.Put(t.Context(), example(), example().Encode(ring(1))); err != nil {
		t.Fatal(err)
	}
	newest(example(), true, nil)
	for _, text := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte{1}, 1<<20), example().Encode(ring(2))} {
		if err := os.WriteFile(filepath.Join(folder, "anchor"), text, 0o600); err != nil {
			t.Fatal(err)
		}
		newest(State{}, false, ErrForged)
	}
}

// TestUnreadableObject: an object that the other store does not give out ends the search, because it may be the newest
// anchor. The error says which object it is and what to do. A store that does not answer is not blamed on an object.
func TestUnreadableObject(t *testing.T) {
	for name, c := range map[string]struct {
		read    func(http.ResponseWriter)
		has, no []string
	}{
		"refused": {
			func(w http.ResponseWriter) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
			},
			[]string{"store/ff-1", "version v7", "the bucket anchors", "s3:GetObjectVersion", "delete that version",
				"anchor accept"}, nil,
		},
		"no answer": {
			func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
			[]string{"does not answer"}, []string{"delete"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !r.URL.Query().Has("versions") {
					c.read(w)
					return
				}
				fmt.Fprintf(w, "<ListVersionsResult><Version><Key>store/ff-1</Key><VersionId>v7</VersionId>"+
					"<Size>%d</Size></Version></ListVersionsResult>", Size)
			}))
			defer other.Close()
			p, err := Open("s3://anchors/store/?endpoint="+other.URL, Options{
				Data: t.TempDir(), Getenv: func(string) string { return "x" },
			})
			if err != nil {
				t.Fatal(err)
			}
			_, _, err = p.Newest(t.Context(), func(b []byte) (State, error) { return Decode(b, ring(1)) })
			if !errors.Is(err, ErrUnreachable) {
				t.Fatalf("%v", err)
			}
			for _, words := range c.has {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("the error does not say %q: %v", words, err)
				}
			}
			for _, words := range c.no {
				if strings.Contains(err.Error(), words) {
					t.Errorf("the error says %q: %v", words, err)
				}
			}
		})
	}
}
