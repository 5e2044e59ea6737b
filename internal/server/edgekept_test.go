package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/certs"
	"watertight/internal/core/distribution"
	"watertight/internal/edge/remote"
	"watertight/internal/storage/seal"
)

// TestKeptSnapshot: a kept snapshot is used by its edge alone, and only as it was kept.
func TestKeptSnapshot(t *testing.T) {
	key := seal.NewKey()
	at := func(path string, key seal.Key, owner string) *keptSnapshot {
		return &keptSnapshot{path: path, key: key, owner: owner, log: slog.New(slog.DiscardHandler)}
	}
	flip := func(i int) func([]byte) []byte {
		return func(b []byte) []byte {
			b[(len(b)+i)%len(b)] ^= 1
			return b
		}
	}
	for _, c := range []struct {
		name   string
		key    seal.Key
		owner  string
		change func([]byte) []byte
		used   bool
	}{
		{"as it was", key, "A https://store", nil, true},
		{"another key", seal.NewKey(), "A https://store", nil, false},
		{"another edge", key, "B https://store", nil, false},
		{"another store", key, "A https://other", nil, false},
		{"another salt", key, "A https://store", flip(0), false},
		{"another byte", key, "A https://store", flip(keptSalt), false},
		{"another last byte", key, "A https://store", flip(-1), false},
		{"cut", key, "A https://store", func(b []byte) []byte { return b[:len(b)-1] }, false},
		{"cut to the salt", key, "A https://store", func(b []byte) []byte { return b[:keptSalt] }, false},
		{"shorter than the salt", key, "A https://store", func(b []byte) []byte { return b[:keptSalt-1] }, false},
		{"empty", key, "A https://store", func([]byte) []byte { return nil }, false},
		{"longer", key, "A https://store", func(b []byte) []byte { return append(b, 0) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "snapshot")
			s := &distribution.Snapshot{Generation: 7, Sites: []distribution.Site{{ID: "E1", DomainName: "d1.example"}}}
			if err := at(path, key, "A https://store").Keep(s); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(path)
			if err != nil || strings.Contains(string(b), "d1.example") {
				t.Errorf("readable, or %v", err)
			}
			if c.change != nil {
				if err := os.WriteFile(path, c.change(b), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got := at(path, c.key, c.owner).Load()
			if used := got != nil; used != c.used || used && (got.Generation != 7 || got.Sites[0].ID != "E1") {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestKeptSnapshotIsNewest: if a snapshot can't be kept, the one before is not kept either, or
// the caller is told.
func TestKeptSnapshotIsNewest(t *testing.T) {
	dir := t.TempDir()
	k := &keptSnapshot{path: filepath.Join(dir, "snapshot"), key: seal.NewKey(), log: slog.New(slog.DiscardHandler)}
	keep := func(generation uint64) error { return k.Keep(&distribution.Snapshot{Generation: generation}) }
	if err := keep(1); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(k.path+".new", 0o700); err != nil { // where a new file is written
		t.Fatal(err)
	}
	if err := keep(2); err != nil || k.Load() != nil {
		t.Errorf("kept %+v, %v", k.Load(), err)
	}
	if err := os.MkdirAll(filepath.Join(k.path, "full"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := keep(3); err == nil {
		t.Error("it was neither kept nor removed, and nobody is told")
	}
	if err := k.Keep(nil); err == nil {
		t.Error("it was not removed, and nobody is told")
	}
}

// TestKeptFolder: what is kept under a key is gone when the edge was started with another one.
func TestKeptFolder(t *testing.T) {
	dir, key := t.TempDir(), seal.NewKey()
	first, err := keptFolder(dir, key)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{"snapshot": first, "key": dir} {
		if err := os.WriteFile(filepath.Join(file, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if again, err := keptFolder(dir, key); err != nil || again != first {
		t.Errorf("%s, %v", again, err)
	}
	if _, err := os.Stat(filepath.Join(first, "snapshot")); err != nil {
		t.Error(err)
	}
	if other, err := keptFolder(dir, seal.NewKey()); err != nil || other == first {
		t.Errorf("%s, %v", other, err)
	}
	if _, err := os.Stat(first); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "key")); err != nil {
		t.Error(err)
	}
}

// TestEdgeRefused: flags that can't be used together are refused before anything is opened.
func TestEdgeRefused(t *testing.T) {
	dir := t.TempDir()
	outside := CDNCache{Dir: dir, Bytes: 1 << 20, Key: "file:/nowhere/edge.key"}
	under := func(key string) CDNConfig {
		return CDNConfig{Listen: "127.0.0.1:0", Cache: CDNCache{Dir: dir, Bytes: 1 << 20, Key: key}}
	}
	pair := []certs.Pair{{CertFile: "cert", KeyFile: "key"}}
	for _, c := range []struct {
		name   string
		config CDNConfig
		want   string
	}{
		{"no folder", CDNConfig{Listen: "127.0.0.1:0", Cache: CDNCache{Bytes: 1 << 20, Key: outside.Key}}, "--cache,"},
		{"in memory", CDNConfig{Listen: "127.0.0.1:0", Cache: CDNCache{Dir: dir, Key: outside.Key}}, "--cache-size"},
		{"a key in the cache", under("file:" + dir + "/edge.key"), "must lie elsewhere"},
		{"no ARN", under("kms:alias/aws/s3"), "--cache-key"},
		{"no such source", under("disk:/x"), "--cache-key"},
		{"no source", under("key"), "--cache-key"},
		{"ACME under a key in memory", CDNConfig{
			TLSListen: "127.0.0.1:0", TLS: certs.SiteSource{ACME: true}, Cache: CDNCache{Dir: dir, Bytes: 1 << 20},
		}, "--cache-key that outlives"},
		{"ACME without an address", CDNConfig{
			Listen: "127.0.0.1:0", TLS: certs.SiteSource{ACME: true}, Cache: outside,
		}, "--tls-listen"},
		{"no certificates", CDNConfig{TLSListen: "127.0.0.1:0", Cache: outside}, "--acme"},
		{"files and ACME", CDNConfig{
			TLSListen: "127.0.0.1:0", TLS: certs.SiteSource{ACME: true, Pairs: pair}, Cache: outside,
		}, "exclude each other"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := RunEdge(t.Context(), EdgeConfig{Store: remote.Options{Address: "http://127.0.0.1:1"}, CDN: c.config})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v", err)
			}
			if all, err := os.ReadDir(dir); err != nil || len(all) > 0 {
				t.Errorf("%v, %v", all, err)
			}
		})
	}
}
