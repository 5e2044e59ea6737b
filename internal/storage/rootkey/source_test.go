package rootkey_test

import (
	"os"
	"path/filepath"
	"testing"

	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/rootkey/rootkeytest"
)

func source(t *testing.T, text string, getenv func(string) string) rootkey.Source {
	t.Helper()
	s, err := rootkey.NewSource(text, rootkey.Options{DataDir: t.TempDir(), Getenv: getenv})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keyFile makes a key file by opening a new data directory.
func keyFile(t *testing.T, path string) {
	t.Helper()
	if _, err := rootkey.Open(t.Context(), "file:"+path, rootkey.Options{
		DataDir: t.TempDir(), MayCreate: true,
	}); err != nil {
		t.Fatal(err)
	}
}

func move(t *testing.T, from, to string) func() {
	return func() {
		t.Helper()
		if err := os.Rename(from, to); err != nil {
			t.Error(err)
		}
	}
}

func TestFileSource(t *testing.T) {
	rootkeytest.Run(t, func(t *testing.T) rootkeytest.Case {
		dir := t.TempDir()
		path, other := filepath.Join(dir, "root.key"), filepath.Join(dir, "other.key")
		keyFile(t, path)
		keyFile(t, other)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return rootkeytest.Case{
			Source: source(t, "file:"+path, nil), Other: source(t, "file:"+other, nil),
			Lose: move(t, path, path+".away"), Return: move(t, path+".away", path), Secret: string(text[30:50]),
		}
	})
}

func TestPassphraseSource(t *testing.T) {
	const secret = "correct horse battery staple"
	rootkeytest.Run(t, func(t *testing.T) rootkeytest.Case {
		path := filepath.Join(t.TempDir(), "phrase")
		if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return rootkeytest.Case{
			Source: source(t, "passphrase:file:"+path, nil),
			Other:  source(t, "passphrase:", func(string) string { return "another passphrase" }),
			Lose:   move(t, path, path+".away"), Return: move(t, path+".away", path), Secret: secret,
		}
	})
}
