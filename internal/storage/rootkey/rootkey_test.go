package rootkey

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func getenv(phrase string) func(string) string {
	return func(name string) string {
		if name == PassphraseVariable {
			return phrase
		}
		return ""
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	data, path := filepath.Join(dir, "data"), filepath.Join(dir, "config", "root.key")
	o := Options{DataDir: data, Getenv: getenv("")}
	if _, err := Open("file:"+path, o); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Fatalf("a missing key for existing data: %v", err)
	}
	o.MayCreate = true
	first, err := Open("file:"+path, o)
	if err != nil || !first.Created || first.Where != path {
		t.Fatal(first, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	again, err := Open("file:"+path, o)
	if err != nil || again.Created || again.Key != first.Key {
		t.Error("the second start has another key", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range text {
		bad := append([]byte{}, text...)
		if bad[i] = 'A'; bad[i] == text[i] {
			bad[i] = 'B'
		}
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		root, err := Open("file:"+path, o)
		if err == nil && root.Key != first.Key {
			t.Errorf("character %d changed: another key opened", i)
		}
		if err != nil && (strings.Contains(err.Error(), string(text[30:50])) || strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(first.Key[:16]))) {
			t.Error("the error tells the key")
		}
	}
	os.WriteFile(path, text, 0o600)
	os.Chmod(path, 0o640)
	if _, err := Open("file:"+path, o); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a key that others can read: %v", err)
	}
}

func TestNeverBesideTheData(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		filepath.Join(data, "root.key"), filepath.Join(data, "a", "b"), filepath.Join(data, "..", "data", "k"), filepath.Join(dir, "link", "k"), data,
	} {
		if _, err := Open("file:"+path, Options{DataDir: data, MayCreate: true}); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	for _, path := range []string{filepath.Join(dir, "data-key"), filepath.Join(dir, "..data", "k")} {
		if _, err := Open("file:"+path, Options{DataDir: data, MayCreate: true}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPassphrase(t *testing.T) {
	const phrase = "correct horse battery staple"
	dir := t.TempDir()
	o := Options{DataDir: dir, MayCreate: true, Getenv: getenv(phrase)}
	first, err := Open("passphrase:", o)
	if err != nil || !first.Created {
		t.Fatal(err)
	}
	o.MayCreate = false
	again, err := Open("passphrase:", o)
	if err != nil || again.Key != first.Key || again.Created {
		t.Errorf("the second start: %v", err)
	}
	file := filepath.Join(t.TempDir(), "phrase")
	if err := os.WriteFile(file, []byte(phrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Open("passphrase:file:"+file, Options{DataDir: dir, Getenv: getenv("")}); err != nil || got.Key != first.Key {
		t.Errorf("from a file: %v", err)
	}
	for name, c := range map[string]struct{ source, phrase, want string }{
		"wrong":               {"passphrase:", phrase + "r", "not the one"},
		"none":                {"passphrase:", "", PassphraseVariable},
		"short":               {"passphrase:", "eleven char", "shorter"},
		"on the command line": {"passphrase:" + phrase, "", "command line"},
	} {
		_, err := Open(c.source, Options{DataDir: dir, Getenv: getenv(c.phrase)})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), phrase) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Open("passphrase:", Options{DataDir: t.TempDir(), Getenv: getenv(phrase)}); err == nil {
		t.Error("parameters that are gone were made anew for existing data")
	}
	path := filepath.Join(dir, parameterFile)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hostile := strings.Replace(string(text), `"argon2id_memory_kib":65536`, `"argon2id_memory_kib":4294967295`, 1)
	if hostile == string(text) {
		t.Fatal("the parameters look otherwise")
	}
	if err := os.WriteFile(path, []byte(hostile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("passphrase:", o); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("4 TiB of memory: %v", err)
	}
}

// TestNoFallback: whatever is not understood refuses.
func TestNoFallback(t *testing.T) {
	for _, source := range []string{"", "file", "file:", "vault:x", "plain:key", "none:", "passphrase"} {
		if root, err := Open(source, Options{DataDir: t.TempDir(), MayCreate: true, Getenv: getenv("")}); err == nil {
			t.Errorf("%q gave a key from %s", source, root.Where)
		}
	}
}
