package format

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"golang.org/x/crypto/argon2"
)

// source opens the keyring's key: what a lock holds, and what it is bound to.
type source func(wrapped, bound []byte) []byte

// generation is a generation of the root key.
type generation struct {
	number uint32
	key    []byte
}

// fromFile is the source file:PATH.
func fromFile(t *testing.T, path string) source {
	return func(wrapped, bound []byte) []byte {
		d := &directory{t: t}
		return d.unwrap("the keyring's key", d.derive(keyFile(t, path), nil, "watertight keyring"), wrapped, bound)
	}
}

// fromPassphrase is the source passphrase:.
func fromPassphrase(t *testing.T, phrase string) source {
	return func(w, bound []byte) []byte {
		if len(w) != 99 || w[0] != 1 {
			t.Fatalf("the lock of a passphrase is %x", w)
		}
		d, header := &directory{t: t}, w[:39]
		key := argon2.IDKey([]byte(phrase), w[1:33], uint32(w[33]), binary.BigEndian.Uint32(w[35:]), w[34], 32)
		return d.unwrap("the keyring's key", d.derive(key, nil, "watertight keyring"), w[39:],
			append(bytes.Clone(header), bound...))
	}
}

// keyring reads DATA/keyring, and compares its copies with it.
func keyring(t *testing.T, data string, open source) (all []generation) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(data, "keyring"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{"blobs", "audit"} {
		if c, err := os.ReadFile(filepath.Join(data, folder, "keyring")); err != nil || !bytes.Equal(b, c) {
			t.Errorf("the copy in %s differs, %v", folder, err)
		}
	}
	sum := sha256.Sum256(b[:len(b)-8])
	if string(b[:8]) != "WTKEYS1\n" || !bytes.Equal(sum[:8], b[len(b)-8:]) {
		t.Fatalf("the keyring is %x", b)
	}
	at := 33
	var key []byte
	for range b[32] {
		name := int(binary.BigEndian.Uint16(b[at:]))
		at += 2 + name
		wrapped := int(binary.BigEndian.Uint16(b[at:]))
		key = open(b[at+2:at+2+wrapped], append([]byte("watertight keyring\x00"), b[8:24]...))
		at += 2 + wrapped
	}
	size := int(binary.BigEndian.Uint32(b[at:]))
	if at+4+size+8 != len(b) {
		t.Fatalf("the keyring is %x", b)
	}
	sealed, d := b[at+4:at+4+size], &directory{t: t}
	plain := d.open("the generations", key, sealed[:12], sealed[12:], b[:at])
	for ; len(plain) > 0; plain = plain[44:] {
		all = append(all, generation{binary.BigEndian.Uint32(plain), plain[4:36]})
	}
	return all
}

// opened opens a wrapped key under one of the generations; it does not say which.
func (d *directory) opened(what, purpose string, wrapped, context []byte) []byte {
	d.t.Helper()
	if len(wrapped) != 60 {
		d.t.Fatalf("%s: a wrapped key of %d bytes", what, len(wrapped))
	}
	for _, g := range d.root {
		a := gcm(d.t, d.derive(g.key, nil, purpose))
		if key, err := a.Open(nil, wrapped[:12], wrapped[12:], context); err == nil {
			return key
		}
	}
	d.t.Fatalf("%s opens under no generation", what)
	return nil
}

// service returns the service key of SSE-S3 of a generation.
func (d *directory) service(number uint32) []byte {
	d.t.Helper()
	for _, g := range d.root {
		if g.number == number {
			k, err := hkdf.Key(sha256.New, g.key, nil, "watertight sse-s3 service key "+strconv.Itoa(int(number)), 32)
			if err != nil {
				d.t.Fatal(err)
			}
			return k
		}
	}
	d.t.Fatalf("there is no generation %d", number)
	return nil
}
