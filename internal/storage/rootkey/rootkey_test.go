package rootkey

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"watertight/internal/storage/seal"
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
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "file:"+path, o); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Fatalf("a missing key for existing data: %v", err)
	}
	o.MayCreate = true
	first, err := Open(t.Context(), "file:"+path, o)
	if err != nil || !first.Created || first.Where != "file:"+path {
		t.Fatal(first, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	secret := first.Ring.Current().Key
	again, err := Open(t.Context(), "file:"+path, o)
	if err != nil || again.Created || again.Ring.Current() != first.Ring.Current() {
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
		root, err := Open(t.Context(), "file:"+path, o)
		if err == nil && root.Ring.Current() != first.Ring.Current() {
			t.Errorf("character %d changed: another key opened", i)
		}
		if err != nil &&
			(strings.Contains(err.Error(), string(text[30:50])) ||
				strings.Contains(err.Error(), base64.StdEncoding.EncodeToString(secret[:16]))) {
			t.Error("the error contains the key")
		}
	}
	os.WriteFile(path, text, 0o600)
	os.Chmod(path, 0o604)
	if _, err := Open(t.Context(), "file:"+path, o); err == nil || !strings.Contains(err.Error(), "chmod 600") {
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
		filepath.Join(data, "root.key"), filepath.Join(data, "a", "b"), filepath.Join(data, "..", "data", "k"),
		filepath.Join(dir, "link", "k"), data,
	} {
		if _, err := Open(t.Context(), "file:"+path, Options{DataDir: data, MayCreate: true}); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	for _, path := range []string{filepath.Join(dir, "data-key"), filepath.Join(dir, "..data", "k")} {
		if _, err := NewSource("file:"+path, Options{DataDir: data}); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestPassphrase(t *testing.T) {
	const phrase = "correct horse battery staple"
	dir := t.TempDir()
	o := Options{DataDir: dir, MayCreate: true, Getenv: getenv(phrase)}
	first, err := Open(t.Context(), "passphrase:", o)
	if err != nil {
		t.Fatal(err)
	}
	o.MayCreate = false
	again, err := Open(t.Context(), "passphrase:", o)
	if err != nil || again.Ring.Current() != first.Ring.Current() || again.Created {
		t.Errorf("the second start: %v", err)
	}
	file := filepath.Join(t.TempDir(), "phrase")
	if err := os.WriteFile(file, []byte(phrase+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, err := Open(t.Context(), "passphrase:file:"+file, Options{
		DataDir: dir, Getenv: getenv(""),
	}); err != nil || got.Ring.Current() != first.Ring.Current() {
		t.Errorf("from a file: %v", err)
	}
	if got, err := Open(t.Context(), "passphrase:", Options{
		DataDir: dir, Getenv: getenv(phrase + "\n"),
	}); err != nil || got.Ring.Current() != first.Ring.Current() {
		t.Errorf("from a variable with an end of the line: %v", err)
	}
	for name, c := range map[string]struct{ source, phrase, want string }{
		"wrong":               {"passphrase:", phrase + "r", "not the one"},
		"none":                {"passphrase:", "", PassphraseVariable},
		"short":               {"passphrase:", "eleven char", "shorter"},
		"on the command line": {"passphrase:" + phrase, "", "command line"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(t.Context(), c.source, Options{DataDir: dir, Getenv: getenv(c.phrase)})
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), phrase) {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if _, err := Open(t.Context(), "passphrase:", Options{DataDir: t.TempDir(), Getenv: getenv(phrase)}); err == nil {
		t.Error("a new keyring was made for existing data without one")
	}
}

// writeParameters writes the parameters of a passphrase as versions without a keyring did,
// and returns the root key.
func writeParameters(t *testing.T, dir, phrase string) (seal.Key, []byte) {
	t.Helper()
	p := parameters{Version: 1, Salt: make([]byte, 32), Time: argonTime, Memory: 8 << 10, Threads: argonThreads}
	key, err := p.derive(phrase)
	if err != nil {
		t.Fatal(err)
	}
	p.Check = check(key)
	p.Sum = p.sum()
	text, err := json.Marshal(p)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, parameterFile), text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key, text
}

// TestEarlierPassphrase: the parameters of a directory without a keyring give its root
// key, which becomes generation 1.
func TestEarlierPassphrase(t *testing.T) {
	const phrase = "correct horse battery staple"
	dir := t.TempDir()
	want, text := writeParameters(t, dir, phrase)
	path := filepath.Join(dir, parameterFile)
	o := Options{DataDir: dir, Getenv: getenv(phrase)}
	k, err := Open(t.Context(), "passphrase:", o)
	if err != nil || k.Ring.Current() != (seal.Generation{Number: 1, Key: want}) || !k.Migrates() {
		t.Fatal(err)
	}
	for i := range text {
		bad := append([]byte{}, text...)
		bad[i] ^= 1
		key, err := openParameters(bad, phrase)
		if err == nil && key != want {
			t.Errorf("byte %d changed: another key opened", i)
		}
		if err != nil && !strings.Contains(err.Error(), "damaged") {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	var unsummed parameters
	if err := json.Unmarshal(text, &unsummed); err != nil {
		t.Fatal(err)
	}
	unsummed.Sum = nil
	earlier, err := json.Marshal(unsummed)
	if err != nil {
		t.Fatal(err)
	}
	if key, err := openParameters(earlier, phrase); err != nil || key != want {
		t.Errorf("a file of an earlier version: %v", err)
	}
	if err := os.Chmod(path, 0o660); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "passphrase:", o); err != nil {
		t.Errorf("a group of ours may write: %v", err)
	}
	if err := os.Chmod(path, 0o604); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "passphrase:", o); err == nil {
		t.Error("others may read the parameters")
	}
	os.Chmod(path, 0o600)
	hostile := strings.Replace(string(text), `"argon2id_memory_kib":8192`, `"argon2id_memory_kib":4294967295`, 1)
	if hostile == string(text) {
		t.Fatal("the parameters have an unexpected form")
	}
	if err := os.WriteFile(path, []byte(hostile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), "passphrase:", o); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("4 TiB of memory: %v", err)
	}
}

// TestNoFallback: an unknown source is refused.
func TestNoFallback(t *testing.T) {
	for _, source := range []string{"", "file", "file:", "vault:x", "plain:key", "none:", "passphrase"} {
		o := Options{DataDir: t.TempDir(), MayCreate: true, Getenv: getenv("")}
		if root, err := Open(t.Context(), source, o); err == nil {
			t.Errorf("%q gave a key from %s", source, root.Where)
		}
	}
}

// TestWhereTheKeyLies: a key is found through links as Kubernetes makes them. It is refused in a folder in
// which everybody may replace it, or if everybody may read it.
func TestWhereTheKeyLies(t *testing.T) {
	dir := t.TempDir()
	o := Options{DataDir: filepath.Join(dir, "data"), MayCreate: true, Getenv: getenv("")}
	if err := os.Mkdir(o.DataDir, 0o700); err != nil {
		t.Fatal(err)
	}
	version := filepath.Join(dir, "secret", "..2026_11_29")
	first, err := Open(t.Context(), "file:"+filepath.Join(version, "root.key"), o)
	if err != nil {
		t.Fatal(err)
	}
	o.MayCreate = false
	for link, to := range map[string]string{"..data": "..2026_11_29", "root.key": "..data/root.key"} {
		if err := os.Symlink(to, filepath.Join(dir, "secret", link)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "secret", "root.key")
	for i, test := range []struct {
		folder, file os.FileMode
		fine         bool
	}{
		{0o700, 0o600, true}, {0o700, 0o400, true}, {0o755, 0o400, true}, {os.ModeSticky | 0o777, 0o400, true},
		{0o770, 0o400, true},
		{0o777, 0o400, false}, {0o702, 0o400, false}, {0o700, 0o444, false}, {0o700, 0o604, false},
		{0o700, 0o602, false}, {0o700, 0o660, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, d := range []string{version, filepath.Dir(path)} {
				for _, change := range []error{os.Chmod(d, test.folder), os.Chmod(path, test.file)} {
					if change != nil {
						t.Fatal(change)
					}
				}
				got, err := Open(t.Context(), "file:"+path, o)
				if (err == nil) != test.fine || err == nil && got.Ring.Current() != first.Ring.Current() {
					t.Errorf("%s %v, key %v: %v", filepath.Base(d), test.folder, test.file, err)
				}
				os.Chmod(d, 0o700)
			}
		})
	}
	if err := os.Chmod(filepath.Join(dir, "secret"), 0o777); err != nil {
		t.Fatal(err)
	}
	o.MayCreate = true
	if _, err := Open(t.Context(), "file:"+filepath.Join(dir, "secret", "new.key"), o); err == nil {
		t.Error("a key was made in a folder where everybody may replace it")
	}
}

// TestPipe: a pipe is refused, and opening it does not wait.
func TestPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "root.key")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), "file:"+path, Options{})
	if err == nil || !strings.Contains(err.Error(), "regular file") {
		t.Error(err)
	}
}
