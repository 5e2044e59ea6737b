package payload

import (
	"bytes"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/segment"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/folder/foldertest"
	"watertight/internal/storage/seal"
)

// TestLargeFilesGoPastTheCache: all of a large body but its last unit, if the file system can
// do that, and none of a small body. The bytes are the same in any case.
func TestLargeFilesGoPastTheCache(t *testing.T) {
	two := keys.UnderKMS(arn.ARN{}, nil, true)
	all := testKeys{{}: seal.NewKey(), two: seal.NewKey()}
	for name, c := range map[string]struct {
		fs     *foldertest.DirectFS
		size   int
		choice keys.Choice
		past   bool
	}{
		"large":            {fs: &foldertest.DirectFS{}, size: 5<<20 + 12345, past: true},
		"two layers":       {fs: &foldertest.DirectFS{}, size: 5<<20 + 12345, choice: two, past: true},
		"whole pieces":     {fs: &foldertest.DirectFS{}, size: 4 << 20, past: true},
		"small":            {fs: &foldertest.DirectFS{}, size: 3 << 20},
		"no mode for it":   {fs: &foldertest.DirectFS{NoMode: true}, size: 5<<20 + 1},
		"only through":     {fs: &foldertest.DirectFS{NoWrites: true}, size: 5<<20 + 1},
		"the machine's":    {size: 5<<20 + 4097},
		"the machine's, 2": {size: 4<<20 + 1, choice: two},
	} {
		t.Run(name, func(t *testing.T) {
			files := folder.OS()
			if c.fs != nil {
				c.fs.FS, files = files, c.fs
			}
			s, err := Open(Options{Dir: t.TempDir(), Files: files, Keys: all})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			want := random(c.size)
			src := Source{Body: bytes.NewReader(want), Size: int64(c.size), Choice: c.choice, Binding: []byte("b")}
			at, _, err := s.Write(t.Context(), authz.Grant{}, src)
			if err != nil {
				t.Fatal(err)
			}
			o, err := s.get(at, c.choice, nil, "b")
			if err != nil {
				t.Fatal(err)
			}
			readWhole(t, o, want)
			if c.fs == nil {
				return
			}
			past, through := c.fs.Past.Load(), c.fs.Through.Load()
			if sealed := o.blob.Size(); past+through != sealed {
				t.Errorf("%d bytes past the cache and %d through it are not %d", past, through, sealed)
			}
			if c.past && through >= folder.DirectUnit || !c.past && past != 0 {
				t.Errorf("%d bytes went past the cache, %d through it", past, through)
			}
		})
	}
}

// TestSegmentsGoPastTheCache: all of a blob in a segment, if the file system can do that, from the
// first unit to the last.
func TestSegmentsGoPastTheCache(t *testing.T) {
	two := keys.UnderKMS(arn.ARN{}, nil, true)
	for name, c := range map[string]struct {
		fs     *foldertest.DirectFS
		size   int
		choice keys.Choice
		past   bool
	}{
		"smallest":      {fs: &foldertest.DirectFS{}, size: InlineMax + 1, past: true},
		"one chunk":     {fs: &foldertest.DirectFS{}, size: seal.ChunkSize, past: true},
		"some chunks":   {fs: &foldertest.DirectFS{}, size: 128 << 10, past: true},
		"whole units":   {fs: &foldertest.DirectFS{}, size: 32*4096 - 64 - 2*seal.Overhead, past: true},
		"many pieces":   {fs: &foldertest.DirectFS{}, size: 1<<20 - 12345, past: true},
		"largest":       {fs: &foldertest.DirectFS{}, size: SegmentMax, past: true},
		"two layers":    {fs: &foldertest.DirectFS{}, size: SegmentMax, choice: two, past: true},
		"no mode":       {fs: &foldertest.DirectFS{NoMode: true}, size: 300_000},
		"only through":  {fs: &foldertest.DirectFS{NoWrites: true}, size: 300_000},
		"the machine's": {size: 300_000},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.keys[two] = seal.NewKey()
			if w.files = folder.OS(); c.fs != nil {
				c.fs.FS, w.files = w.files, c.fs
			}
			w.Store.Close()
			w.open(t)
			for range 3 { // one behind the other
				var before int64
				if c.fs != nil {
					before = c.fs.Past.Load()
				}
				content := random(c.size)
				at, _, err := w.Write(t.Context(), authz.Grant{}, Source{
					Body: bytes.NewReader(content), Size: int64(c.size), Choice: c.choice, Binding: []byte("b"),
				})
				if err != nil {
					t.Fatal(err)
				}
				w.Settle(at)
				o, err := w.get(at, c.choice, nil, "b")
				if err != nil {
					t.Fatal(err)
				}
				units := segment.Units(o.blob.Size()) * segment.Unit
				readWhole(t, o, content)
				if c.fs == nil {
					continue
				}
				if past := c.fs.Past.Load() - before; c.past && past != units || !c.past && past != 0 {
					t.Errorf("%d bytes of %d went past the cache", past, units)
				}
			}
		})
	}
}

// readWhole compares an object with what was written.
func readWhole(t *testing.T, o *Object, want []byte) {
	t.Helper()
	defer o.Close()
	r, err := o.Range(0, o.Size())
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var got bytes.Buffer
	if _, err := got.ReadFrom(r); err != nil || !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%d of %d bytes come back, %v", got.Len(), len(want), err)
	}
}
