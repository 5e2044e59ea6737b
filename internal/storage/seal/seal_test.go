package seal

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the vectors anew")

// vector is a published example: the plaintext is bytes 0, 1, ... 250, 0, 1, ...
type vector struct {
	Key          string `json:"key"`
	PlainSize    int    `json:"plain_size"`
	SealedSize   int64  `json:"sealed_size"`
	SealedSHA256 string `json:"sealed_sha256"`
	Sealed       string `json:"sealed,omitempty"` // of short ones
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

func testKey() Key {
	var k Key
	for i := range k {
		k[i] = byte(i)
	}
	return k
}

// sizes are lengths around every boundary of the format.
func sizes() []int {
	return []int{
		0, 1, 15, 16, 17, 1000, ChunkSize - 1, ChunkSize, ChunkSize + 1, 2*ChunkSize - 1, 2 * ChunkSize,
		2*ChunkSize + 1, 3*ChunkSize + 77,
	}
}

// newVector returns the example of n bytes; only short ones have the sealed bytes themselves.
func newVector(key []byte, n int, sealed []byte, size int64) vector {
	sum := sha256.Sum256(sealed)
	v := vector{
		Key: hex.EncodeToString(key), PlainSize: n, SealedSize: size, SealedSHA256: hex.EncodeToString(sum[:]),
	}
	if n <= 17 {
		v.Sealed = hex.EncodeToString(sealed)
	}
	return v
}

// checkVectors compares examples with a file in testdata, or writes the file with -update.
func checkVectors(t *testing.T, name string, got []vector) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		b, err := json.MarshalIndent(got, "", "\t")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var want []vector
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Errorf("the format changed; got %+v", got)
	}
}

func TestVectors(t *testing.T) {
	var got []vector
	for _, n := range sizes() {
		sealed := Seal(testKey(), nil, pattern(n))
		k := testKey()
		v := newVector(k[:], n, sealed, SealedSize(int64(n)))
		if v.SealedSize != int64(len(sealed)) {
			t.Errorf("SealedSize(%d) is %d, the stream has %d", n, v.SealedSize, len(sealed))
		}
		got = append(got, v)
	}
	checkVectors(t, "stream.json", got)
}

// TestRandomAccess: reading a range gives that range of the whole.
func TestRandomAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom(sizes()).Draw(t, "size")
		plain := pattern(n)
		key := NewKey()
		r := NewReader(bytes.NewReader(Seal(key, nil, plain)), StreamKey{Key: key}, int64(n))
		off := rapid.IntRange(0, n).Draw(t, "off")
		length := rapid.IntRange(0, n-off).Draw(t, "length")
		var out bytes.Buffer
		m, err := r.WriteRange(&out, int64(off), int64(length), nil)
		if err != nil || m != int64(length) || !bytes.Equal(out.Bytes(), plain[off:off+length]) {
			t.Fatalf("%d bytes from %d of %d: got %d, %v", length, off, n, m, err)
		}
	})
}

// TestPieces: sealing piece by piece gives the same stream as sealing at once.
func TestPieces(t *testing.T) {
	for _, n := range sizes() {
		plain, key := pattern(n), NewKey()
		s := NewSealer(StreamKey{Key: key})
		var sealed []byte
		rest := plain
		for len(rest) > 2*ChunkSize {
			sealed = s.Append(sealed, rest[:2*ChunkSize], false)
			rest = rest[2*ChunkSize:]
		}
		sealed = s.Append(sealed, rest, true)
		if !bytes.Equal(sealed, Seal(key, nil, plain)) {
			t.Errorf("%d bytes sealed in pieces give another stream", n)
		}
	}
}

// opens reports whether a stream opens as n bytes, as a whole or by ranges, and
// fails the test if the result is not the plaintext.
func opens(t *testing.T, key Key, sealed, plain []byte) bool {
	t.Helper()
	whole, err := Open(key, nil, sealed)
	if err == nil && !bytes.Equal(whole, plain) {
		t.Fatal("opened to something else")
	}
	var out bytes.Buffer
	r := NewReader(bytes.NewReader(sealed), StreamKey{Key: key}, int64(len(plain)))
	_, rerr := r.WriteRange(&out, 0, int64(len(plain)), nil)
	if !bytes.HasPrefix(plain, out.Bytes()) {
		t.Fatal("the reader returned a wrong byte")
	}
	if (err == nil) != (rerr == nil) {
		t.Fatalf("Open says %v, Reader says %v", err, rerr)
	}
	return err == nil
}

// TestMalleability: no truncated, extended, reordered, changed or repeated stream opens.
func TestMalleability(t *testing.T) {
	key, plain := NewKey(), pattern(3*ChunkSize+77)
	sealed := Seal(key, nil, plain)
	if !opens(t, key, sealed, plain) {
		t.Fatal("the stream itself does not open")
	}
	chunk := func(i int) []byte { return sealed[i*sealedSize : min(len(sealed), (i+1)*sealedSize)] }
	for name, bad := range map[string][]byte{
		"cut to nothing":     {},
		"a byte cut":         sealed[:len(sealed)-1],
		"the last chunk cut": sealed[:3*sealedSize],
		"the first cut":      sealed[sealedSize:],
		"a byte more":        append(slices.Clone(sealed), 0),
		"the last repeated":  slices.Concat(sealed, chunk(3)),
		"chunks swapped":     slices.Concat(chunk(1), chunk(0), chunk(2), chunk(3)),
		"a chunk left out":   slices.Concat(chunk(0), chunk(2), chunk(3)),
		"another key":        Seal(NewKey(), nil, plain),
	} {
		t.Run(name, func(t *testing.T) {
			if opens(t, key, bad, plain) {
				t.Errorf("%s: opens", name)
			}
		})
	}
	small := pattern(40)
	sealed = Seal(key, nil, small)
	for i := range sealed {
		bad := slices.Clone(sealed)
		bad[i] ^= 1
		if opens(t, key, bad, small) {
			t.Errorf("byte %d flipped: opens", i)
		}
		if opens(t, key, sealed[:i], small) {
			t.Errorf("cut at %d: opens", i)
		}
		// A shorter plaintext must not be readable as a valid object either.
		if _, err := NewReader(bytes.NewReader(sealed), StreamKey{Key: key}, int64(i)).WriteRange(&bytes.Buffer{}, 0,
			int64(min(i, len(small)-1)), nil); err == nil && i < len(small) {
			t.Errorf("reads as %d bytes", i)
		}
	}
}

func FuzzOpen(f *testing.F) {
	key, plain := testKey(), pattern(100)
	sealed := Seal(key, nil, plain)
	f.Add(sealed)
	f.Add(sealed[:50])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := Open(key, nil, b); err == nil && !bytes.Equal(b, Seal(key, nil, got)) {
			t.Fatal("a stream that no Sealer made opens")
		}
	})
}

func TestWrap(t *testing.T) {
	k, inner, context := NewKey(), NewKey(), []byte("context")
	w := k.Wrap(inner, context)
	if got, err := k.Unwrap(w, context); err != nil || got != inner {
		t.Fatal("the key is not unwrapped", err)
	}
	for i := range w {
		bad := slices.Clone(w)
		bad[i] ^= 1
		if _, err := k.Unwrap(bad, context); err == nil {
			t.Errorf("byte %d flipped: opens", i)
		}
	}
	other := NewKey()
	if _, err := other.Unwrap(w, context); err == nil {
		t.Error("opens under another key")
	}
	if _, err := k.Unwrap(w, []byte("else")); err == nil {
		t.Error("opens in another context")
	}
}

func TestKeysAreNotPrinted(t *testing.T) {
	k := testKey()
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k)} {
		if bytes.Contains([]byte(s), []byte("1, 2, 3")) || bytes.Contains([]byte(s), []byte("0x1, 0x2")) ||
			bytes.Contains([]byte(s), []byte("1 2 3")) {
			t.Errorf("a key is printed: %s", s)
		}
	}
	if got := hex.EncodeToString(func() []byte { d := k.Derive("test"); return d[:] }()); got != deriveVector {
		t.Errorf("Derive gives %s", got)
	}
}

// deriveVector is HKDF-SHA256 of bytes 0..31, no salt, info "test", 32 bytes.
const deriveVector = "ee2d74b5581380b94518efd1a6da0de5655d58b2f082dccc9f645e52e0ebfbdb"

func BenchmarkSeal(b *testing.B) {
	plain := make([]byte, 1<<20)
	rand.Read(plain)
	dst := make([]byte, 0, SealedSize(1<<20))
	b.SetBytes(1 << 20)
	for b.Loop() {
		Seal(testKey(), dst, plain)
	}
}
