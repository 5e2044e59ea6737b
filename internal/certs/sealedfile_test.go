package certs

import (
	"bytes"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/caddyserver/certmagic"

	"watertight/internal/storage/seal"
)

// TestSealedFile: a file opens only under its own key and name, and only unchanged.
func TestSealedFile(t *testing.T) {
	root, plain := seal.RingOf(seal.NewKey()), bytes.Repeat([]byte("key "), 50_000)
	sealed := sealFile(root, "tls/a", plain)
	if got, err := openFile(root, "tls/a", sealed); err != nil || !bytes.Equal(got, plain) {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("key key")) || bytes.Equal(sealed, sealFile(root, "tls/a", plain)) {
		t.Error("the file is not sealed, or sealing it twice gives the same bytes")
	}
	if _, err := openFile(root, "tls/b", sealed); err == nil {
		t.Error("it opens under another name")
	}
	if _, err := openFile(seal.RingOf(seal.NewKey()), "tls/a", sealed); err == nil {
		t.Error("it opens under another root key")
	}
	small := sealFile(root, "tls/a", []byte("x"))
	for i := range small {
		bad := bytes.Clone(small)
		bad[i] ^= 1
		if _, err := openFile(root, "tls/a", bad); err == nil {
			t.Errorf("with byte %d changed, it opens", i)
		}
		if _, err := openFile(root, "tls/a", small[:i]); err == nil {
			t.Errorf("truncated to %d bytes, it opens", i)
		}
	}
}

// TestCertificateStorageIsSealed: the files of certmagic are sealed, and existing plain files are not
// used.
func TestCertificateStorageIsSealed(t *testing.T) {
	dir, ctx, root := t.TempDir(), t.Context(), seal.RingOf(seal.NewKey())
	var s certmagic.Storage = sealedStorage{&certmagic.FileStorage{Path: dir}, root, &sync.Mutex{}}
	const key, secret = "certificates/x/example.com/example.com.key", "-----BEGIN PRIVATE KEY----- secret"
	if _, err := s.Load(ctx, key); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	if err := s.Store(ctx, key, []byte(secret)); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(ctx, key); err != nil || string(got) != secret {
		t.Errorf("%q, %v", got, err)
	}
	if info, err := s.Stat(ctx, key); err != nil || info.Size != int64(len(secret)) {
		t.Errorf("%+v, %v", info, err)
	}
	plain := filepath.Join(dir, "acme", "users", "old.key")
	if err := os.MkdirAll(filepath.Dir(plain), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plain, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Load(ctx, "acme/users/old.key"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a plain file is used: %q, %v", got, err)
	}
	if err := discardPlain(dir, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil || strings.Contains(string(b), "PRIVATE") {
				t.Errorf("%s: plain, %v", path, err)
			}
		}
		return nil
	})
	if got, err := s.Load(ctx, key); err != nil || string(got) != secret {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

// TestRewrap: afterwards only the new generation opens the files. Files that no generation opens, and
// files that are not sealed, do not change.
func TestRewrap(t *testing.T) {
	dir, root := t.TempDir(), seal.RingOf(seal.NewKey())
	write := func(name string, b []byte) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"tls/self-signed", "acme/certificates/x/example.com.key"}
	for _, name := range names {
		write(name, sealFile(root, name, []byte(name)))
	}
	strange := sealFile(seal.RingOf(seal.NewKey()), "tls/strange", []byte("strange"))
	write("tls/strange", strange)
	write("tls/ca.pem", []byte("plain"))
	root.Add(seal.Generation{Number: 2, Key: seal.NewKey()})
	for _, want := range []int{len(names), 0} {
		if n, err := Rewrap(t.Context(), dir, root, &sync.Mutex{}); err != nil || n != want {
			t.Fatalf("%d files, want %d, %v", n, want, err)
		}
	}
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := openFile(seal.NewRing(root.Current()), name, b); err != nil || string(plain) != name {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
	if b, err := os.ReadFile(filepath.Join(dir, "tls/strange")); err != nil || !bytes.Equal(b, strange) {
		t.Error("a file that no generation opens was changed", err)
	}
}
