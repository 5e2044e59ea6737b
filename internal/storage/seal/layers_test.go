package seal

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"
	"pgregory.net/rapid"
)

// layered returns keys of a stream in two layers.
func layered(inner, outer Key) StreamKey { return StreamKey{Key: inner, Outer: &outer} }

func testLayers() StreamKey { return layered(testKey(), testKey().Derive("outer")) }

// TestLayeredVectors: the published examples of streams in two layers. The outer key
// is the test key's, derived for "outer".
func TestLayeredVectors(t *testing.T) {
	var got []vector
	for _, n := range sizes() {
		k := testLayers()
		sealed := k.Seal(nil, pattern(n))
		v := newVector(slices.Concat(k.Key[:], k.Outer[:]), n, sealed, k.SealedSize(int64(n)))
		if v.SealedSize != int64(len(sealed)) || v.SealedSize != LayeredSize(int64(n), true) {
			t.Errorf("SealedSize(%d) is %d, the stream has %d", n, v.SealedSize, len(sealed))
		}
		got = append(got, v)
	}
	checkVectors(t, "layered.json", got)
}

// TestLayersAreTwo: a chunk is the plaintext under ChaCha20-Poly1305 and then under AES-256-GCM, each with
// its own key. The test computes that without the package's code.
func TestLayersAreTwo(t *testing.T) {
	k, plain := testLayers(), pattern(100)
	var n [12]byte
	n[11] = 1 // the only chunk is the last one
	inner, err := k.Outer.AEAD().Open(nil, n[:], k.Seal(nil, plain), nil)
	if err != nil || bytes.Contains(inner, plain[:16]) {
		t.Fatal("the outer layer alone opens the bytes, or nothing:", err)
	}
	a, err := chacha20poly1305.New(k.Key[:])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := a.Open(nil, n[:], inner, nil); err != nil || !bytes.Equal(got, plain) {
		t.Fatal("the inner layer does not open:", err)
	}
}

// TestLayeredRandomAccess: reading a range gives that range of the whole, in whichever pieces the stream was
// sealed.
func TestLayeredRandomAccess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom(sizes()).Draw(t, "size")
		plain, k := pattern(n), layered(NewKey(), NewKey())
		s := NewSealer(k)
		var sealed []byte
		rest := plain
		for piece := rapid.IntRange(1, 2).Draw(t, "piece") * ChunkSize; len(rest) > piece; rest = rest[piece:] {
			sealed = s.Append(sealed, rest[:piece], false)
		}
		sealed = s.Append(sealed, rest, true)
		if !bytes.Equal(sealed, k.Seal(nil, plain)) {
			t.Fatal("sealing in pieces gives another stream")
		}
		off := rapid.IntRange(0, n).Draw(t, "off")
		length := rapid.IntRange(0, n-off).Draw(t, "length")
		var out bytes.Buffer
		m, err := NewReader(bytes.NewReader(sealed), k, int64(n)).WriteRange(&out, int64(off), int64(length), nil)
		if err != nil || m != int64(length) || !bytes.Equal(out.Bytes(), plain[off:off+length]) {
			t.Fatalf("%d bytes from %d of %d: got %d, %v", length, off, n, m, err)
		}
	})
}

// reads reports whether a stream opens as plain, and fails the test if a wrong byte is returned.
func (k StreamKey) reads(t *testing.T, sealed, plain []byte) bool {
	t.Helper()
	var out bytes.Buffer
	_, err := NewReader(bytes.NewReader(sealed), k, int64(len(plain))).WriteRange(&out, 0, int64(len(plain)), nil)
	if !bytes.HasPrefix(plain, out.Bytes()) {
		t.Fatal("the reader returned a wrong byte")
	}
	return err == nil
}

// TestLayeredDamage: no truncated, extended, reordered, changed or repeated stream opens, and neither layer
// opens without the other.
func TestLayeredDamage(t *testing.T) {
	k, plain := layered(NewKey(), NewKey()), pattern(3*ChunkSize+77)
	sealed := k.Seal(nil, plain)
	if !k.reads(t, sealed, plain) {
		t.Fatal("the stream itself does not open")
	}
	chunk := func(i int) []byte { return sealed[i*MaxSealedChunk : min(len(sealed), (i+1)*MaxSealedChunk)] }
	for name, bad := range map[string][]byte{
		"cut to nothing":     {},
		"a byte cut":         sealed[:len(sealed)-1],
		"the last chunk cut": sealed[:3*MaxSealedChunk],
		"the first cut":      sealed[MaxSealedChunk:],
		"a byte more":        append(slices.Clone(sealed), 0),
		"the last repeated":  slices.Concat(sealed, chunk(3)),
		"chunks swapped":     slices.Concat(chunk(1), chunk(0), chunk(2), chunk(3)),
		"a chunk left out":   slices.Concat(chunk(0), chunk(2), chunk(3)),
		"another inner key":  layered(NewKey(), *k.Outer).Seal(nil, plain),
		"another outer key":  layered(k.Key, NewKey()).Seal(nil, plain),
		"keys exchanged":     layered(*k.Outer, k.Key).Seal(nil, plain),
		"one layer":          Seal(k.Key, nil, plain),
		"the outer layer":    Seal(*k.Outer, nil, plain),
	} {
		t.Run(name, func(t *testing.T) {
			if k.reads(t, bad, plain) {
				t.Errorf("%s: opens", name)
			}
		})
	}
	small := pattern(40)
	sealed = k.Seal(nil, small)
	for i := range sealed {
		bad := slices.Clone(sealed)
		bad[i] ^= 1
		if k.reads(t, bad, small) {
			t.Errorf("byte %d flipped: opens", i)
		}
		if k.reads(t, sealed[:i], small) {
			t.Errorf("truncated at %d: opens", i)
		}
	}
}

func FuzzLayered(f *testing.F) {
	k := testLayers()
	sealed := k.Seal(nil, pattern(100))
	f.Add(sealed, 100)
	f.Add(sealed[:50], 18)
	f.Add([]byte{}, 0)
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		if size < 0 || size > 1<<20 {
			return
		}
		var out bytes.Buffer
		_, err := NewReader(bytes.NewReader(b), k, int64(size)).WriteRange(&out, 0, int64(size), nil)
		if err == nil && !bytes.Equal(b, k.Seal(nil, out.Bytes())) {
			t.Fatal("a stream that no Sealer made opens")
		}
	})
}

func TestStreamKeysAreNotPrinted(t *testing.T) {
	k := testLayers()
	for _, s := range []string{fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k)} {
		if strings.Contains(s, "1 2 3") || strings.Contains(s, "0x1, 0x2") {
			t.Errorf("a key is printed: %s", s)
		}
	}
}
