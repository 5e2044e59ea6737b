package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

// TestCDNCacheKey: the key of the CDN's cache is the same after a restart if it is wrapped
// under a key of KMS whose policy lets the CDN use it. Without that statement nothing opens it.
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
	open := func(dir string) (seal.Key, error) { return s.cacheKey(t.Context(), dir, on) }
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
