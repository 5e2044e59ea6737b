// Package format compares data directories with docs/FORMAT.md. Its reader was written
// from that page, and package metafiles as well: it shares no code with the server but the engine.
package format

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"google.golang.org/protobuf/encoding/protowire"

	"watertight/test/metafiles"
)

// directory is a data directory that no server runs on.
type directory struct {
	t       *testing.T
	path    string
	root    []generation
	format  byte   // of the store
	id      []byte // the store's
	commit  uint64 // its newest
	records map[string][]byte
}

// derive is HKDF-SHA256 with an info.
func (d *directory) derive(key, salt []byte, info string) []byte {
	k, err := hkdf.Key(sha256.New, key, salt, info, 32)
	if err != nil {
		d.t.Fatal(err)
	}
	return k
}

func gcm(t *testing.T, key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	a, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// open opens AES-256-GCM.
func (d *directory) open(what string, key, nonce, sealed, bound []byte) []byte {
	d.t.Helper()
	plain, err := gcm(d.t, key).Open(nil, nonce, sealed, bound)
	if err != nil {
		d.t.Fatalf("%s: %v", what, err)
	}
	return plain
}

// unwrap opens a wrapped key: nonce 12, key 32, tag 16.
func (d *directory) unwrap(what string, key, wrapped, context []byte) []byte {
	d.t.Helper()
	if len(wrapped) != 60 {
		d.t.Fatalf("%s: a wrapped key of %d bytes", what, len(wrapped))
	}
	return d.open(what, key, wrapped[:12], wrapped[12:], context)
}

// stream opens a stream of chunks of 64 KiB.
func (d *directory) stream(what string, key, sealed []byte) (plain []byte) {
	d.t.Helper()
	for n := uint64(0); ; n++ {
		size := min(len(sealed), 65536+16)
		nonce := make([]byte, 12)
		binary.BigEndian.PutUint64(nonce[3:], n)
		if last := size == len(sealed); last {
			nonce[11] = 1
		}
		plain = append(plain, d.open(what, key, nonce, sealed[:size], nil)...)
		if sealed = sealed[size:]; len(sealed) == 0 {
			return plain
		}
	}
}

func (d *directory) file(name string) []byte {
	d.t.Helper()
	b, err := os.ReadFile(filepath.Join(d.path, name))
	if err != nil {
		d.t.Fatal(err)
	}
	return b
}

// keyFile reads a root key.
func keyFile(t *testing.T, path string) []byte {
	t.Helper()
	line, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(strings.TrimRight(string(line), "\n"), "watertight-root-key-v1:")
	raw, err := base64.StdEncoding.DecodeString(text)
	if sum := sha256.Sum256(raw[:min(32, len(raw))]); !ok || err != nil || len(raw) != 36 ||
		!bytes.Equal(raw[32:], sum[:4]) {
		t.Fatalf("the key file is %q", line)
	}
	return raw[:32]
}

// readDirectory reads everything in a data directory, and fails the test if anything
// differs from the page.
func readDirectory(t *testing.T, path string, format byte, root []generation) *directory {
	t.Helper()
	d := &directory{t: t, path: path, root: root, format: format}
	d.metadata()
	for _, folder := range []string{"blobs", "audit"} {
		d.marker(folder)
	}
	d.audit()
	return d
}

// generations returns the keys of all generations of the root key.
func (d *directory) generations() (all [][]byte) {
	for _, g := range d.root {
		all = append(all, g.key)
	}
	return all
}

// metadata reads the store's own records and every other.
func (d *directory) metadata() {
	d.t.Helper()
	folder := filepath.Join(d.path, "meta")
	value := d.value
	if d.format >= 4 {
		s, err := metafiles.Open(folder, d.generations())
		if err != nil {
			d.t.Fatal(err)
		}
		if s.Format != d.format {
			d.t.Fatalf("STORE has format %d", s.Format)
		}
		d.id, folder = s.ID, d.t.TempDir()
		if err := s.Plain(folder); err != nil {
			d.t.Fatal(err)
		}
	}
	raw := d.raw(folder)
	if d.format < 4 {
		value = d.sealedValues(raw)
	}
	chain, newest := value("\x00c", raw["\x00c"])
	if len(chain) != 40 || binary.BigEndian.Uint64(chain) != newest {
		d.t.Fatalf("the chain is %x", chain)
	}
	d.commit, d.records = newest, map[string][]byte{}
	for key, stored := range raw {
		switch {
		case key[0] != 0:
			plain, commit := value(key, stored)
			if d.records[key] = plain; commit > d.commit {
				d.t.Errorf("%q is of commit %d, after the newest", key, commit)
			}
		case key == "\x00c" || d.format < 4 && (key == "\x00v" || strings.HasPrefix(key, "\x00e")):
		default:
			d.t.Errorf("the page has no own key %q", key)
		}
	}
}

// raw returns everything in an engine.
func (d *directory) raw(folder string) map[string][]byte {
	d.t.Helper()
	db, err := pebble.Open(folder, &pebble.Options{ReadOnly: true, Logger: quiet{}})
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	raw := map[string][]byte{}
	it, err := db.NewIter(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for it.First(); it.Valid(); it.Next() {
		raw[string(it.Key())] = bytes.Clone(it.Value())
	}
	if err := it.Close(); err != nil {
		d.t.Fatal(err)
	}
	return raw
}

// value returns a stored value and the number of its commit.
func (d *directory) value(key string, stored []byte) ([]byte, uint64) {
	d.t.Helper()
	if len(stored) < 9 || stored[0] != 2 {
		d.t.Fatalf("the value of %q is %x", key, stored)
	}
	return stored[9:], binary.BigEndian.Uint64(stored[1:])
}

// sealedValues opens the values of a store up to version 3.
func (d *directory) sealedValues(raw map[string][]byte) func(key string, sealed []byte) ([]byte, uint64) {
	d.t.Helper()
	version := raw["\x00v"]
	if len(version) != 61 || version[0] != d.format {
		d.t.Fatalf("the version record is %x", version)
	}
	d.id = d.opened("the store's id", "watertight kv store", version[1:], []byte("\x00v"))
	epochs := map[uint32][]byte{}
	for key, value := range raw {
		if strings.HasPrefix(key, "\x00e") && len(key) == 6 {
			context := append(slices.Clone(d.id), key[2:]...)
			n := binary.BigEndian.Uint32([]byte(key[2:]))
			epochs[n] = d.opened("an epoch", "watertight kv epoch", value, context)
		}
	}
	return func(key string, sealed []byte) ([]byte, uint64) {
		if len(sealed) < 37 || sealed[0] != 1 {
			d.t.Fatalf("the value of %q is %x", key, sealed)
		}
		epoch := epochs[binary.BigEndian.Uint32(sealed[9:])]
		plain := d.open(fmt.Sprintf("the value of %q", key), epoch, sealed[9:21], sealed[21:],
			append(slices.Clone(sealed[:21]), key...))
		return plain, binary.BigEndian.Uint64(sealed[1:])
	}
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}

func (d *directory) marker(folder string) {
	d.t.Helper()
	b := d.file(folder + "/store.id")
	body, sum := b[:len(b)-32], b[len(b)-32:]
	authentic := false
	for _, g := range d.root {
		m := hmac.New(sha256.New, d.derive(g.key, nil, "watertight kv marker"))
		m.Write(body)
		authentic = authentic || hmac.Equal(m.Sum(nil), sum)
	}
	if string(b[:8]) != "WTSTORE\x02" || !authentic {
		d.t.Errorf("the marker of %s is %x", folder, b)
		return
	}
	public := d.derive(d.id, nil, "watertight kv public id")[:16]
	commit, record, n := binary.BigEndian.Uint64(body[24:]), body[32:93], binary.BigEndian.Uint32(body[93:])
	id := d.opened("a marker's id", "watertight kv store", record[1:], []byte("\x00v"))
	if !bytes.Equal(body[8:24], public) || commit > d.commit || !bytes.Equal(id, d.id) || len(body) != 97+60*int(n) {
		d.t.Errorf("the marker of %s names another store: %x", folder, b)
	}
	if d.format >= 4 && n != 1 || record[0] != d.format {
		d.t.Errorf("the marker of %s has version %d and %d keys", folder, record[0], n)
	}
	for i := range n {
		if d.format >= 4 {
			at := append(slices.Clone(d.id), d.format)
			d.opened("a marker's key of the files", "watertight kv files", body[97:157], at)
			continue
		}
		at := binary.BigEndian.AppendUint32(slices.Clone(d.id), i+1)
		d.opened("a marker's epoch", "watertight kv epoch", body[97+60*i:][:60], at)
	}
}

// audit follows the chain over every frame of the log.
func (d *directory) audit() {
	d.t.Helper()
	files, err := filepath.Glob(filepath.Join(d.path, "audit", "*.wtl"))
	if err != nil || len(files) == 0 {
		d.t.Fatal(files, err)
	}
	sequence, chain, events, version := uint64(1), make([]byte, 32), 0, byte(2)
	for i, path := range files {
		b, err := os.ReadFile(path)
		if err != nil {
			d.t.Fatal(err)
		}
		h := b[:156]
		if filepath.Base(path) != fmt.Sprintf("%06d.wtl", i+1) || string(h[:7]) != "WTAUDIT" ||
			h[7] < version || h[7] > 3 ||
			binary.BigEndian.Uint64(h[8:]) != uint64(i+1) ||
			binary.BigEndian.Uint64(h[16:]) != sequence || !bytes.Equal(h[64:96], chain) {
			d.t.Fatalf("the header of %s is %x", path, h)
		}
		version = h[7]
		key := d.opened("a file of the log", "watertight audit files", h[96:156], h[:96])
		frames, lengths := d.derive(key, nil, "watertight audit frames"), d.derive(key, nil, "watertight audit lengths")
		for b = b[156:]; len(b) > 0; sequence++ {
			n := binary.BigEndian.Uint32(b)
			number := binary.BigEndian.AppendUint64(nil, sequence)
			m := hmac.New(sha256.New, lengths)
			m.Write(append(slices.Clone(number), b[:16]...))
			if !hmac.Equal(m.Sum(nil)[:16], b[16:32]) {
				d.t.Fatalf("the length of frame %d", sequence)
			}
			content := d.open("a frame", frames, b[4:16], b[32:32+n], append(number, b[:32]...))
			if !bytes.Equal(content[:32], chain) {
				d.t.Fatalf("frame %d does not follow", sequence)
			}
			sum := sha256.Sum256(content)
			chain, b = sum[:], b[32+n:]
			count, rest := binary.BigEndian.Uint32(content[72:]), d.events(version, content)
			for range count {
				size := binary.BigEndian.Uint32(rest[8:])
				if !json.Valid(rest[12 : 12+size]) {
					d.t.Errorf("an event of frame %d is %q", sequence, rest[12:12+size])
				}
				rest, events = rest[12+size:], events+1
			}
			if len(rest) > 0 {
				d.t.Errorf("frame %d continues with %x", sequence, rest)
			}
		}
	}
	if events == 0 {
		d.t.Error("the log has no event")
	}
	if d.format >= present && version != 3 {
		d.t.Errorf("the newest file of the log has version %d", version)
	}
	mark := d.records["al"]
	if len(mark) != 97 || mark[0] != 1 || binary.BigEndian.Uint64(mark[25:]) != sequence-1 ||
		!bytes.Equal(mark[33:65], chain) {
		d.t.Errorf("the mark is %x; the log ends at frame %d", mark, sequence-1)
	}
}

func (d *directory) sealedFile(name string) {
	d.t.Helper()
	rest, ok := bytes.CutPrefix(d.file(name), []byte("WTSEAL1\n"))
	if !ok || len(rest) < 32 {
		d.t.Fatalf("%s is not sealed", name)
	}
	for _, g := range d.root {
		key := d.derive(g.key, rest[:32], "watertight file "+name)
		size := min(len(rest)-32, 65536+16)
		nonce := make([]byte, 12)
		if size == len(rest)-32 {
			nonce[11] = 1
		}
		if _, err := gcm(d.t, key).Open(nil, nonce, rest[32:32+size], nil); err != nil {
			continue
		}
		if plain := d.stream(name, key, rest[32:]); !bytes.HasPrefix(plain, []byte("-----BEGIN CERTIFICATE-----")) {
			d.t.Errorf("%s is %.40q", name, plain)
		}
		return
	}
	d.t.Errorf("%s opens under no generation", name)
}

// field is a field of a record: a number or bytes.
type field struct {
	number int
	uint   uint64
	bytes  []byte
}

// fields walks a record: a format byte, then Protocol Buffers.
func fields(b []byte) (out []field, ok bool) {
	if len(b) == 0 || b[0] != 1 {
		return nil, false
	}
	for b = b[1:]; len(b) > 0; {
		n, kind, size := protowire.ConsumeTag(b)
		if size < 0 {
			return nil, false
		}
		b = b[size:]
		f := field{number: int(n)}
		switch kind {
		case protowire.VarintType:
			f.uint, size = protowire.ConsumeVarint(b)
		case protowire.BytesType:
			f.bytes, size = protowire.ConsumeBytes(b)
		default:
			return nil, false
		}
		if size < 0 {
			return nil, false
		}
		out, b = append(out, f), b[size:]
	}
	return out, true
}

// get returns the first field with a number.
func get(all []field, number int) field {
	for _, f := range all {
		if f.number == number {
			return f
		}
	}
	return field{}
}

// object opens the bytes of an object, which must not be made of parts.
func (d *directory) object(bucket, key string) []byte {
	d.t.Helper()
	v, ok := d.version(bucket, key)
	if !ok {
		return nil
	}
	keys := d.dataKeys(v, get(v.all, 18).bytes, v.binding())
	return d.layered(key, keys, d.sealedBytes(v.unique(), get(v.all, 19).bytes))
}

// dataKey opens a stored data key of SSE-S3.
func (d *directory) dataKey(stored, binding []byte) []byte {
	d.t.Helper()
	if len(stored) != 69 || stored[0] != 1 {
		d.t.Fatalf("the data key is %x", stored)
	}
	service := d.service(binary.BigEndian.Uint32(stored[1:]))
	wrapping, err := hkdf.Expand(sha256.New, service, "watertight sse-s3 wrap"+string(stored[5:21]), 32)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.open("a data key", wrapping, make([]byte, 12), stored[21:], append(slices.Clone(stored[:21]), binding...))
}
