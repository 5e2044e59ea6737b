package rootkey_test

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"watertight/internal/storage/rootkey"
	"watertight/internal/storage/rootkey/rootkeytest"
)

// transit answers as the transit secrets engine of Vault does: encrypt and decrypt of
// aes256-gcm96 keys, with associated data, their versions, and its errors.
type transit struct {
	t     *testing.T
	token string
	keys  map[string][]cipher.AEAD // versions, from 1
	down  atomic.Bool
}

func newTransit(t *testing.T, names ...string) *transit {
	v := &transit{t: t, token: "hvs.SECRETTOKEN", keys: map[string][]cipher.AEAD{}}
	for _, name := range names {
		v.rotate(name)
	}
	return v
}

func (v *transit) rotate(name string) {
	key := make([]byte, 32)
	rand.Read(key)
	block, err := aes.NewCipher(key)
	if err != nil {
		v.t.Fatal(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		v.t.Fatal(err)
	}
	v.keys[name] = append(v.keys[name], a)
}

func (v *transit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := func(status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
	fails := func(status int, text string) { answer(status, map[string][]string{"errors": {text}}) }
	parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/")
	var in struct {
		Plaintext, Ciphertext string
		Associated            string `json:"associated_data"`
	}
	switch err := json.NewDecoder(r.Body).Decode(&in); {
	case v.down.Load():
		fails(503, "Vault is sealed")
		return
	case r.Header.Get("X-Vault-Token") != v.token:
		fails(403, "permission denied")
		return
	case err != nil || r.Method != http.MethodPost || len(parts) != 3 || parts[0] != "transit":
		fails(404, "no handler for route")
		return
	}
	versions := v.keys[parts[2]]
	bound, err := base64.StdEncoding.DecodeString(in.Associated)
	if len(versions) == 0 || err != nil {
		fails(400, "encryption key not found")
		return
	}
	if parts[1] == "encrypt" {
		plain, err := base64.StdEncoding.DecodeString(in.Plaintext)
		if err != nil {
			fails(400, "failed to base64-decode plaintext")
			return
		}
		nonce := make([]byte, 12)
		rand.Read(nonce)
		sealed := versions[len(versions)-1].Seal(nonce, nonce, plain, bound)
		text := fmt.Sprintf("vault:v%d:%s", len(versions), base64.StdEncoding.EncodeToString(sealed))
		answer(200, map[string]any{"data": map[string]any{"ciphertext": text, "key_version": len(versions)}})
		return
	}
	var version int
	var text string
	if n, err := fmt.Sscanf(in.Ciphertext, "vault:v%d:%s", &version, &text); n != 2 || err != nil || version < 1 ||
		version > len(versions) {
		fails(400, "invalid ciphertext: no prefix")
		return
	}
	sealed, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(sealed) < 12 {
		fails(400, "invalid ciphertext: could not decode base64")
		return
	}
	plain, err := versions[version-1].Open(nil, sealed[:12], sealed[12:], bound)
	if err != nil {
		fails(400, "cipher: message authentication failed")
		return
	}
	answer(200, map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
}

func token(value string) func(string) string {
	return func(name string) string {
		if name == rootkey.VaultTokenVariable {
			return value
		}
		return ""
	}
}

func TestVaultSource(t *testing.T) {
	rootkeytest.Run(t, func(t *testing.T) rootkeytest.Case {
		v := newTransit(t, "watertight", "other")
		s := httptest.NewServer(v)
		t.Cleanup(s.Close)
		return rootkeytest.Case{
			Source: source(t, "vault:"+s.URL+"/transit/watertight", token(v.token)),
			Other:  source(t, "vault:"+s.URL+"/transit/other", token(v.token)),
			Lose:   func() { v.down.Store(true) }, Return: func() { v.down.Store(false) }, Secret: v.token,
		}
	})
}

// TestVaultSays: errors of Vault are reported, and not mistaken for a wrong key.
func TestVaultSays(t *testing.T) {
	v := newTransit(t, "watertight")
	s := httptest.NewServer(v)
	defer s.Close()
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(v.token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inFile := func(name string) string {
		if name == rootkey.VaultTokenFileVariable {
			return file
		}
		return ""
	}
	good := "vault:" + s.URL + "/transit/watertight"
	for name, c := range map[string]struct {
		source string
		getenv func(string) string
		want   string
	}{
		"a token in a file":   {good, inFile, ""},
		"no token":            {good, nil, rootkey.VaultTokenVariable},
		"a token that ended":  {good, token("hvs.ENDED"), "refuses the token"},
		"a missing key":       {"vault:" + s.URL + "/transit/none", token(v.token), "no key none"},
		"another engine":      {"vault:" + s.URL + "/kv/watertight", token(v.token), "no key watertight under kv"},
		"nobody listens":      {"vault:http://127.0.0.1:1/transit/watertight", token(v.token), "does not answer"},
		"a certificate's lie": {"vault:" + newTLS(t, v) + "/transit/watertight", token(v.token), "certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := source(t, c.source, c.getenv).Wrap(t.Context(), [32]byte{1}, []byte("bound"))
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("the error is %v", err)
			}
			if err != nil && strings.Contains(err.Error(), v.token) {
				t.Error("the error shows the token")
			}
		})
	}
	for _, text := range []string{
		"vault:", "vault:https://host", "vault:https://host/transit", "vault:http://vault.example/transit/k",
		"vault:https://user:secret@vault.example/transit/k", "awskms:", "awskms:key/x",
		"awskms:arn:aws:kms:us-east-1:111122223333:alias/x", "awskms:arn:aws-cn:kms:cn-north-1:111122223333:key/x",
		"awskms:arn:aws:kms:us-east-1:111122223333:key/x@http://kms.example",
	} {
		_, err := rootkey.NewSource(text, rootkey.Options{})
		if err == nil || strings.Contains(err.Error(), "secret@") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// newTLS starts a server whose certificate is not signed by an authority of the system.
func newTLS(t *testing.T, h http.Handler) string {
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

// TestVaultRotates: a keyring under an older version of Vault's key opens, and each write of the keyring
// seals it under the newest version.
func TestVaultRotates(t *testing.T) {
	v := newTransit(t, "watertight")
	s := httptest.NewServer(v)
	defer s.Close()
	o := rootkey.Options{DataDir: t.TempDir(), MayCreate: true, Getenv: token(v.token)}
	if _, err := rootkey.Open(t.Context(), "vault:"+s.URL+"/transit/watertight", o); err != nil {
		t.Fatal(err)
	}
	v.rotate("watertight")
	o.MayCreate = false
	k, err := rootkey.Open(t.Context(), "vault:"+s.URL+"/transit/watertight", o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Grow(t.Context()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(o.DataDir, rootkey.KeyringFile))
	if err != nil || !strings.Contains(string(b), "vault:v2:") || strings.Contains(string(b), "vault:v1:") {
		t.Errorf("the keyring is not under the newest version, %v", err)
	}
	v.down.Store(true)
	if err := k.Check(t.Context()); err == nil {
		t.Error("a sealed Vault is not noticed")
	}
}
