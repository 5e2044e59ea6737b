package payload

import (
	"bytes"
	"context"
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/seal"
)

// operatorKeys opens data keys as testKeys does.
type operatorKeys struct{ testKeys }

func (k operatorKeys) Open(
	ctx context.Context, c keys.Choice, wrapped, binding []byte,
) (seal.StreamKey, error) {
	return k.testKeys.Open(ctx, authz.Grant{}, c, wrapped, binding)
}

// sealed says what the bytes of the world's blobs must be.
func (w *world) sealed(_ context.Context, names []string) ([]*Check, error) {
	all := make([]*Check, len(names))
	for i, n := range names {
		if h, ok := w.blobs[n]; ok {
			all[i] = &Check{At: h.at, Binding: []byte("b")}
		}
	}
	return all, nil
}

// TestCompactionProvesWhatItMoves: bytes that do not authenticate are not moved, although their
// header is right, and their segment stays as it is. With the right bytes, it is compacted.
func TestCompactionProvesWhatItMoves(t *testing.T) {
	const header = 64
	for name, damage := range map[string]func(extent, other []byte){
		"a bit":                   func(extent, _ []byte) { extent[header+5_000] ^= 4 },
		"the last byte":           func(extent, _ []byte) { extent[len(extent)-1] ^= 1 },
		"everything is another's": func(extent, other []byte) { copy(extent[header:], other[header:]) },
		"zeros":                   func(extent, _ []byte) { clear(extent[header:]) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			for w.put(t, 20_000); len(w.segmentFiles(t)) <= 1; w.put(t, 20_000) {
			}
			var first []string // of the first segment, those that stay
			for i, n := range w.names() {
				if p, _, _ := segment.Parse(n); i%8 != 0 {
					w.delete(t, n)
				} else if p.Segment == 1 {
					first = append(first, n)
				}
			}
			w.Close()
			path := segment.Path(segmentsDir(w.dir), 1)
			right := readFile(t, path)
			wrong := bytes.Clone(right)
			of := func(name string) []byte {
				p, size, _ := segment.Parse(name)
				return wrong[p.Offset()-header : p.Offset()+size]
			}
			damage(of(first[1]), of(first[2]))
			writeFile(t, path, wrong)

			w.open(t)
			tidy := func() (Tidied, error) {
				return NewOperator(w.Store, operatorKeys{w.keys}).Tidy(t.Context(), time.Now(), w.sealed)
			}
			if done, err := tidy(); err == nil || done.Removed > 0 || done.Moved != len(first)-1 {
				t.Errorf("with wrong bytes: %+v, %v", done, err)
			}
			if b := readFile(t, path); !bytes.Equal(b[2*segment.Unit:], wrong[2*segment.Unit:]) {
				t.Error("the extents were changed")
			}
			w.Close()
			writeFile(t, path, right)
			w.open(t)
			if done, err := tidy(); err != nil || done.Removed != 1 || done.Moved != 1 {
				t.Errorf("with the right bytes: %+v, %v", done, err)
			}
			w.check(t)
		})
	}
}
