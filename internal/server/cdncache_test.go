package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/fault"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// TestCDNCacheKey: the key of the CDN's cache is the same after a restart if it is wrapped
// under a key of KMS whose policy lets the CDN use it. Without that statement, the cache's key
// can't be opened.
func TestCDNCacheKey(t *testing.T) {
	s := newBox(t)
	name := s.kms(t, "CreateKey", `{}`)["KeyMetadata"].(map[string]any)["Arn"].(string)
	on, err := arn.Parse(name)
	if err != nil {
		t.Fatal(err)
	}
	allow := func(service string) {
		t.Helper()
		in, err := json.Marshal(map[string]string{"KeyId": name, "PolicyName": "default", "Policy": string(oacPolicy(
			`{"Effect":"Allow","Principal":{"AWS":"`+s.First().AccountID+`"},"Action":"kms:*","Resource":"*"}`,
			`{"Effect":"Allow","Principal":{"Service":"`+service+`"},"Action":["kms:Decrypt","kms:GenerateDataKey"],`+
				`"Resource":"*","Condition":{"StringEquals":{"aws:SourceAccount":"`+on.Account+`"}}}`))})
		if err != nil {
			t.Fatal(err)
		}
		s.kms(t, "PutKeyPolicy", string(in))
	}
	dir := filepath.Join(t.TempDir(), "cache")
	open := func(dir string) (seal.Key, error) { return keptKey(t.Context(), dir, s.ownCacheKey(on)) }
	if _, err := open(dir); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("the key was made: %v", err)
	}
	allow("cloudfront.amazonaws.com")
	first, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := open(dir); err != nil || again != first {
		t.Errorf("another key, or %v", err)
	}
	if other, err := open(filepath.Join(t.TempDir(), "other")); err != nil || other == first {
		t.Errorf("the same key for another cache, or %v", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil || strings.Contains(string(text), string(first[:])) {
		t.Errorf("the file holds the key, or %v", err)
	}
	allow("s3.amazonaws.com")
	if _, err := open(dir); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("the key was opened: %v", err)
	}
}

// TestCacheFolder: inside the data directory, only one folder can be the cache, whatever path
// names it.
func TestCacheFolder(t *testing.T) {
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(root, "data")
	if err := os.MkdirAll(filepath.Join(data, "blobs"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(data, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		dir, want string // below root; want "" is refused
		shared    bool
	}{
		{"", "data/cdn-cache", true},
		{"data/cdn-cache", "data/cdn-cache", true},
		{"link/cdn-cache", "data/cdn-cache", true},
		{"other", "other", false},
		{"other/deep/er", "other/deep/er", false},
		{"data-2", "data-2", false},
		{"data", "", false},
		{"data/", "", false},
		{"link", "", false},
		{"data/blobs", "", false},
		{"data/new/cache", "", false},
		{"link/new/cache", "", false},
		{"other/../data/blobs", "", false},
		{"data/cdn-cache/deeper", "", false},
	} {
		t.Run(c.dir, func(t *testing.T) {
			in := CDNCache{}
			if c.dir != "" {
				in.Dir = root + "/" + c.dir
			}
			dir, shared, err := in.folder(data)
			if c.want == "" {
				if err == nil {
					t.Errorf("accepted as %s", dir)
				}
				return
			}
			if err != nil || dir != filepath.Join(root, c.want) || shared != c.shared {
				t.Errorf("%s, shared %t, %v", dir, shared, err)
			}
		})
	}
}

// TestCDNCacheKeyRefused: a key of KMS that can't be used is named in the log, under a name
// that newLogger doesn't blank, with what its policy must allow.
func TestCDNCacheKeyRefused(t *testing.T) {
	s := newBox(t)
	name := s.kms(t, "CreateKey", `{}`)["KeyMetadata"].(map[string]any)["Arn"].(string)
	var log bytes.Buffer
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.config.CDN.Cache = CDNCache{Dir: filepath.Join(t.TempDir(), "cache"), Bytes: 1 << 20, Key: "kms:" + name}
	c, err := s.openCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, want := range []string{"arn=" + name, "cloudfront.amazonaws.com", "kms:GenerateDataKey", "kms:Decrypt"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not have %s: %s", want, &log)
		}
	}
}

// TestSecondProcessKeepsTheKey: a process that finds the cache's folder taken does not touch the
// key of the one that has it, whatever key it wants itself.
func TestSecondProcessKeepsTheKey(t *testing.T) {
	s := newBox(t)
	dir := filepath.Join(t.TempDir(), "cache")
	s.log = slog.New(slog.DiscardHandler)
	key := func() string {
		name := s.kms(t, "CreateKey", `{}`)["KeyMetadata"].(map[string]any)["Arn"].(string)
		in, err := json.Marshal(map[string]string{"KeyId": name, "PolicyName": "default", "Policy": string(oacPolicy(
			`{"Effect":"Allow","Principal":{"AWS":"`+s.First().AccountID+`"},"Action":"kms:*","Resource":"*"}`,
			`{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":["kms:Decrypt",`+
				`"kms:GenerateDataKey"],"Resource":"*"}`))})
		if err != nil {
			t.Fatal(err)
		}
		s.kms(t, "PutKeyPolicy", string(in))
		return name
	}
	s.config.CDN.Cache = CDNCache{Dir: dir, Bytes: 1 << 20, Key: "kms:" + key()}
	first, err := s.openCache(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	before, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	s.config.CDN.Cache.Key = "kms:" + key()
	if second, err := s.openCache(t.Context()); !errors.Is(err, folder.ErrLocked) {
		second.Close()
		t.Errorf("the folder was taken twice: %v", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "key")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key's file was replaced, or %v", err)
	}
}
