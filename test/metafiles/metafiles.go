// Package metafiles opens the sealed files of the metadata of a data directory. It was
// written from docs/FORMAT.md and shares no code with the server, so that the page is
// enough to read them. It must never be used by the server.
package metafiles

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Store is the metadata of a data directory on which no server is running.
type Store struct {
	Format  byte
	ID      []byte   // the store's random id
	Wrapped [][]byte // the wrapped id, and the wrapped key of the files

	dir       string
	key       []byte
	catalogue map[string][]byte // id by kind and number
}

// Open reads the file STORE in dir, under one of the generations of the root key, and the
// catalogue of the manifest in use.
func Open(dir string, root [][]byte) (*Store, error) {
	b, err := os.ReadFile(filepath.Join(dir, "STORE"))
	if err != nil {
		return nil, err
	}
	if len(b) != 136 || string(b[:7]) != "WTMETA\n" {
		return nil, fmt.Errorf("STORE is %x", b)
	}
	if sum := sha256.Sum256(b[:128]); !bytes.Equal(sum[:8], b[128:]) {
		return nil, errors.New("the sum of STORE is wrong")
	}
	s := &Store{Format: b[7], Wrapped: [][]byte{b[8:68], b[68:128]}, dir: dir, catalogue: map[string][]byte{}}
	if s.ID, err = Unwrap(root, "watertight kv store", s.Wrapped[0], []byte("\x00v")); err != nil {
		return nil, fmt.Errorf("the store's id: %w", err)
	}
	bound := append(slices.Clone(s.ID), s.Format)
	if s.key, err = Unwrap(root, "watertight kv files", s.Wrapped[1], bound); err != nil {
		return nil, fmt.Errorf("the key of the files: %w", err)
	}
	current, err := filepath.Glob(filepath.Join(dir, "marker.manifest.*"))
	if err != nil || len(current) != 1 {
		return nil, fmt.Errorf("markers of the manifest: %q, %w", current, err)
	}
	_, err = s.File(current[0][strings.Index(current[0], "MANIFEST-"):])
	return s, err
}

// Unwrap opens a wrapped key of 60 bytes under one of the generations of the root key.
func Unwrap(root [][]byte, purpose string, wrapped, context []byte) ([]byte, error) {
	for _, g := range root {
		k, err := hkdf.Key(sha256.New, g, nil, purpose, 32)
		if err != nil {
			return nil, err
		}
		if plain, err := aead(k).Open(nil, wrapped[:12], wrapped[12:], context); err == nil {
			return plain, nil
		}
	}
	return nil, errors.New("it opens under no generation")
}

func aead(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length of the key is right
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // AES has the block size
	}
	return a
}

// The kinds of files.
const (
	table    = 1
	blob     = 2
	log      = 3
	manifest = 4
	other    = 5
)

// kindOf returns what a file is by its name, and its number. Empty files have kind 0.
func kindOf(name string) (kind byte, number uint64) {
	for _, k := range []struct {
		kind           byte
		prefix, suffix string
	}{{table, "", ".sst"}, {blob, "", ".blob"}, {log, "", ".log"}, {manifest, "MANIFEST-", ""}} {
		if strings.HasPrefix(name, k.prefix) && strings.HasSuffix(name, k.suffix) {
			text := strings.TrimSuffix(strings.TrimPrefix(name, k.prefix), k.suffix)
			if n, err := strconv.ParseUint(text, 10, 64); err == nil {
				return k.kind, n
			}
		}
	}
	if name == "LOCK" || strings.HasPrefix(name, "marker.") {
		return 0, 0
	}
	return other, 0
}

// File returns the plaintext of a file. The manifest in use must have been read before
// tables.
func (s *Store) File(name string) ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return nil, err
	}
	kind, number := kindOf(name)
	if kind == 0 {
		if len(b) > 0 {
			return nil, fmt.Errorf("%s is not empty", name)
		}
		return nil, nil
	}
	if len(b) < 64 || string(b[:8]) != "WTFILE1\n" || b[8] != kind || binary.BigEndian.Uint64(b[9:]) != number {
		return nil, fmt.Errorf("the header of %s is %x", name, b[:min(64, len(b))])
	}
	check, err := hkdf.Expand(sha256.New, s.key, "watertight kv file header", 32)
	if err != nil {
		return nil, err
	}
	m := hmac.New(sha256.New, check)
	m.Write(b[:33])
	if !bytes.Equal(m.Sum(nil)[:31], b[33:64]) {
		return nil, fmt.Errorf("the header of %s does not authenticate", name)
	}
	if id := s.catalogue[string(b[8:17])]; (kind == table || kind == blob) && !bytes.Equal(id, b[17:33]) {
		return nil, fmt.Errorf("%s has not the id that the manifest names: %x, %x", name, b[17:33], id)
	}
	key, err := hkdf.Expand(sha256.New, s.key, "watertight kv file"+string(b[8:33]), 32)
	if err != nil {
		return nil, err
	}
	if kind == log || kind == manifest {
		return s.frames(name, key, b[64:])
	}
	return chunks(name, key, b[64:])
}

func chunks(name string, key, sealed []byte) (plain []byte, err error) {
	a := aead(key)
	for n := uint64(0); ; n++ {
		size := min(len(sealed), 4096+16)
		nonce := make([]byte, 12)
		binary.BigEndian.PutUint64(nonce[3:], n)
		if size == len(sealed) {
			nonce[11] = 1
		}
		if plain, err = a.Open(plain, nonce, sealed[:size], nil); err != nil {
			return nil, fmt.Errorf("chunk %d of %s: %w", n, name, err)
		}
		if sealed = sealed[size:]; len(sealed) == 0 {
			return plain, nil
		}
	}
}

// frames reads frames up to the first bytes that are not a frame. The server was stopped, so
// these bytes are zeros or the rest of an older log.
func (s *Store) frames(name string, key, sealed []byte) (plain []byte, err error) {
	checks, err := hkdf.Expand(sha256.New, key, "watertight kv frame header", 32)
	if err != nil {
		return nil, err
	}
	a, c := aead(key), aead(checks)
	for n := uint32(0); len(sealed) >= 24+16; n++ {
		nonce := binary.BigEndian.AppendUint32(make([]byte, 8), n)
		length := binary.BigEndian.Uint32(sealed)
		if !bytes.Equal(c.Seal(nil, nonce, nil, sealed[:20])[:4], sealed[20:24]) {
			return plain, nil
		}
		if number := binary.BigEndian.Uint32(sealed[4:]); number != n || binary.BigEndian.Uint32(sealed[8:]) > n ||
			binary.BigEndian.Uint64(sealed[12:]) != uint64(len(plain)) {
			return nil, fmt.Errorf("the header of frame %d of %s is %x", n, name, sealed[:24])
		}
		end := 24 + int(length) + 16
		opened, err := a.Open(nil, nonce, sealed[24:end], sealed[:24])
		if err != nil {
			return nil, fmt.Errorf("frame %d of %s: %w", n, name, err)
		}
		if strings.HasPrefix(name, "MANIFEST-") {
			entries := opened[2 : 2+25*int(binary.BigEndian.Uint16(opened))]
			opened = opened[2+len(entries):]
			for ; len(entries) > 0; entries = entries[25:] {
				s.catalogue[string(entries[:9])] = entries[9:25]
			}
		}
		plain, sealed = append(plain, opened...), sealed[end:]
	}
	return plain, nil
}

// Plain writes the plaintexts of all files to a new folder, on which the engine works.
// Tables that the manifest does not name are left out, as are files that are not the
// engine's.
func (s *Store) Plain(to string) error {
	files, err := os.ReadDir(s.dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		name := f.Name()
		kind, number := kindOf(name)
		if name == "STORE" || strings.HasPrefix(name, "marker.format-version.999999.") {
			continue
		}
		if kind == table || kind == blob {
			if _, ok := s.catalogue[string(binary.BigEndian.AppendUint64([]byte{kind}, number))]; !ok {
				continue
			}
		}
		plain, err := s.File(name)
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), plain, 0o600)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
