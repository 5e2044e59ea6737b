package rootkey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"watertight/internal/outbound"
	"watertight/internal/storage/seal"
)

// Environment variables of the source vault:.
const (
	VaultTokenVariable     = "WATERTIGHT_VAULT_TOKEN"
	VaultTokenFileVariable = "WATERTIGHT_VAULT_TOKEN_FILE"
)

// vault is a key of the transit secrets engine of HashiCorp Vault or OpenBao. (Vault API,
// "Transit secrets engine": encrypt data, decrypt data.)
type vault struct {
	o                Options
	address          string
	mount, key       string
	peer             *outbound.Peer
	encrypt, decrypt string // paths
}

// newVault parses URL/MOUNT/KEY, such as https://vault.example:8200/transit/watertight.
func newVault(rest string, o Options) (Source, error) {
	const form = "the root key source vault: needs https://HOST:PORT/MOUNT/KEY, such as " +
		"vault:https://vault.example:8200/transit/watertight"
	u, err := url.Parse(rest)
	if err != nil {
		return nil, errors.New(form)
	}
	path := strings.Trim(u.Path, "/")
	cut := strings.LastIndexByte(path, '/')
	if cut <= 0 || cut == len(path)-1 {
		return nil, errors.New(form)
	}
	u.Path = ""
	v := &vault{o: o, address: rest, mount: path[:cut], key: path[cut+1:]}
	if v.peer, err = outbound.NewPeer(u.String()); err != nil {
		return nil, fmt.Errorf("the root key source vault: %w", err)
	}
	v.encrypt = "/v1/" + v.mount + "/encrypt/" + v.key
	v.decrypt = "/v1/" + v.mount + "/decrypt/" + v.key
	return v, nil
}

// Describe implements Source.
func (v *vault) Describe() string { return "vault:" + v.address }

// The plaintext for Vault is the key and the SHA-256 of what it is bound to. The latter is
// also the associated data, but a server that ignores associated data can't remove the
// binding.
const vaultPlain = seal.KeySize + sha256.Size

// Wrap implements Source.
func (v *vault) Wrap(ctx context.Context, key seal.Key, bound []byte) ([]byte, error) {
	sum := sha256.Sum256(bound)
	var out struct {
		Data struct{ Ciphertext string }
	}
	err := v.call(ctx, v.encrypt, map[string]any{
		"plaintext": append(key[:], sum[:]...), "associated_data": sum[:],
	}, &out)
	switch {
	case errors.Is(err, ErrOtherKey):
		return nil, fmt.Errorf("%s refuses to encrypt: is %s a key for that?", v.address, v.key)
	case err != nil:
		return nil, err
	case out.Data.Ciphertext == "":
		return nil, fmt.Errorf("%s answers without a ciphertext", v.address)
	}
	return []byte(out.Data.Ciphertext), nil
}

// Unwrap implements Source.
func (v *vault) Unwrap(ctx context.Context, wrapped, bound []byte) (seal.Key, error) {
	if !bytes.HasPrefix(wrapped, []byte("vault:v")) {
		return seal.Key{}, fmt.Errorf("%s: %w", v.address, ErrOtherKey)
	}
	sum := sha256.Sum256(bound)
	var out struct {
		Data struct{ Plaintext []byte }
	}
	err := v.call(ctx, v.decrypt, map[string]any{
		"ciphertext": string(wrapped), "associated_data": sum[:],
	}, &out)
	if err != nil {
		return seal.Key{}, err
	}
	plain := out.Data.Plaintext
	if len(plain) != vaultPlain || subtle.ConstantTimeCompare(plain[seal.KeySize:], sum[:]) != 1 {
		return seal.Key{}, fmt.Errorf("%s: %w", v.address, ErrOtherKey)
	}
	return seal.Key(plain[:seal.KeySize]), nil
}

// call posts to Vault. Errors do not repeat an answer that may contain what was sent.
func (v *vault) call(ctx context.Context, path string, in map[string]any, out any) error {
	token, err := v.token()
	if err != nil {
		return err
	}
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	status, answer, err := v.peer.Post(ctx, path, map[string]string{"X-Vault-Token": token}, body)
	switch {
	case err != nil:
		return fmt.Errorf("%s does not answer: %w", v.address, err)
	case status == 200:
		if err := json.Unmarshal(answer, out); err != nil {
			return fmt.Errorf("%s does not answer as Vault does", v.address)
		}
		return nil
	case status == 400 && !bytes.Contains(answer, []byte("key not found")):
		return fmt.Errorf("%s: %w", v.address, ErrOtherKey)
	case status == 403:
		return fmt.Errorf("%s refuses the token: it needs update on %s and %s, and may have ended", v.address,
			strings.TrimPrefix(v.encrypt, "/v1/"), strings.TrimPrefix(v.decrypt, "/v1/"))
	case status == 400 || status == 404:
		return fmt.Errorf("%s has no key %s under %s", v.address, v.key, v.mount)
	}
	return fmt.Errorf("%s answers %d; 503 is a Vault that is sealed", v.address, status)
}

// token reads the token each time, because its file may be renewed.
func (v *vault) token() (string, error) {
	getenv := v.o.Getenv
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	token := getenv(VaultTokenVariable)
	if path := getenv(VaultTokenFileVariable); token == "" && path != "" {
		b, err := readPrivate(v.o.files(), path, 16<<10)
		if err != nil {
			return "", fmt.Errorf("reading Vault's token: %w", err)
		}
		token = string(b)
	}
	if token = strings.TrimSpace(token); token == "" {
		return "", fmt.Errorf("the token of Vault is missing; set %s or %s", VaultTokenVariable, VaultTokenFileVariable)
	}
	return token, nil
}
