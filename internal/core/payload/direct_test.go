package payload

import (
	"bytes"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
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
