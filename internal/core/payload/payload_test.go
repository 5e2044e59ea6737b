package payload

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/crc64"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/sys/unix"

	"watertight/internal/access/authz"
	"watertight/internal/core/keys"
	"watertight/internal/fault"
	"watertight/internal/limit"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/seal"
)

// testKeys wraps data keys under a key for each choice.
type testKeys map[keys.Choice]seal.Key

func (k testKeys) Generate(
	ctx context.Context, g authz.Grant, choice keys.Choice, binding []byte,
) (seal.StreamKey, []byte, error) {
	d := seal.StreamKey{Key: seal.NewKey()}
	if choice.IsKMS() { // in two layers, here
		outer := seal.NewKey()
		d.Outer = &outer
	}
	wrapped, err := k.Wrap(ctx, g, choice, d, binding)
	return d, wrapped, err
}

func (k testKeys) Wrap(
	_ context.Context, _ authz.Grant, choice keys.Choice, plain seal.StreamKey, binding []byte,
) ([]byte, error) {
	wrapped := k[choice].Wrap(plain.Key, binding)
	if plain.Outer != nil {
		wrapped = append(wrapped, k[choice].Wrap(*plain.Outer, binding)...)
	}
	return wrapped, nil
}

func (k testKeys) Open(
	_ context.Context, _ authz.Grant, choice keys.Choice, wrapped, binding []byte,
) (plain seal.StreamKey, err error) {
	if choice.IsKMS() && len(wrapped) > seal.WrappedSize {
		outer, err := k[choice].Unwrap(wrapped[seal.WrappedSize:], binding)
		if err != nil {
			return plain, err
		}
		wrapped, plain.Outer = wrapped[:seal.WrappedSize], &outer
	}
	plain.Key, err = k[choice].Unwrap(wrapped, binding)
	return plain, err
}

// customers are the choices of two clients that keep their keys.
func customers() (mine, other keys.Choice, all testKeys) {
	mine, other = keys.Customer(seal.NewKey()), keys.Customer(seal.NewKey())
	return mine, other, testKeys{{}: seal.NewKey(), mine: seal.NewKey(), other: seal.NewKey()}
}

// get opens the bytes at a location.
func (s *Store) get(at Location, choice keys.Choice, inline []byte, binding string) (*Object, error) {
	k, err := s.OpenKey(context.Background(), authz.Grant{}, at, choice, []byte(binding))
	if err != nil {
		return nil, err
	}
	return s.Open(at, k, inline)
}

// sum opens the checksum of a location.
func (s *Store) sum(at Location, choice keys.Choice, binding string) ([]byte, error) {
	k, err := s.OpenKey(context.Background(), authz.Grant{}, at, choice, []byte(binding))
	if err != nil {
		return nil, err
	}
	return k.OpenSum(at)
}

func open(t testing.TB) (*Store, string) {
	t.Helper()
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Keys: testKeys{{}: seal.NewKey()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s, dir
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// borders returns the sizes around which the storage changes.
func borders() []int {
	return []int{
		0, 1, InlineMax - 1, InlineMax, InlineMax + 1, seal.ChunkSize, pieceSize - 1, pieceSize, pieceSize + 1,
		2 * pieceSize, 5*pieceSize + 3,
	}
}

func files(t testing.TB, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readAll(t testing.TB, s *Store, at Location, off, n int64) ([]byte, error) {
	t.Helper()
	o, err := s.get(at, keys.Choice{}, at.Inline, "b")
	if err != nil {
		return nil, err
	}
	defer o.Close()
	r, err := o.Range(off, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func TestRoundTrip(t *testing.T) {
	s, dir := open(t)
	for _, n := range borders() {
		for _, known := range []bool{true, false} {
			t.Run(fmt.Sprint(known), func(t *testing.T) {
				body := random(n)
				src := Source{
					Body: iotest.HalfReader(bytes.NewReader(body)), Size: -1, Checksum: digest.CRC64NVME,
					Binding: []byte("b"),
				}
				if known {
					src.Size = int64(n)
				}
				at, d, err := s.Write(t.Context(), authz.Grant{}, src)
				if err != nil {
					t.Fatal(n, err)
				}
				crc := crc64.Checksum(body, crc64.MakeTable(0x9a6c9329ac4bc9b5))
				var sum []byte
				for i := 7; i >= 0; i-- {
					sum = append(sum, byte(crc>>(8*i)))
				}
				if d.Size != int64(n) || d.MD5 != md5.Sum(body) || !bytes.Equal(d.Sum, sum) {
					t.Errorf("%d bytes: digests %+v, CRC64NVME %x", n, d, sum)
				}
				if (at.Blob == "") != (n <= InlineMax) {
					t.Errorf("%d bytes: blob %q", n, at.Blob)
				}
				for _, r := range [][2]int{{0, n}, {n / 2, n - n/2}, {n, 0}, {n / 3, min(10, n-n/3)}} {
					got, err := readAll(t, s, at, int64(r[0]), int64(r[1]))
					if err != nil || !bytes.Equal(got, body[r[0]:r[0]+r[1]]) {
						t.Errorf("%d bytes, %v: %d bytes, %v", n, r, len(got), err)
					}
				}
				if n >= 64 {
					for _, f := range files(t, dir) {
						if b, _ := os.ReadFile(f); bytes.Contains(b, body[:32]) {
							t.Errorf("plaintext in %s", f)
						}
					}
				}
				s.Settle(at)
				s.Remove(t.Context(), at)
			})
		}
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %q", left)
	}
}

func TestRefusedBodiesLeaveNothing(t *testing.T) {
	s, dir := open(t)
	bad := errors.New("bad signature")
	for _, n := range []int{10, InlineMax + 10, 3*pieceSize + 10} {
		for name, src := range map[string]Source{
			"an error at the end": {
				Body: io.MultiReader(bytes.NewReader(random(n)), iotest.ErrReader(bad)), Size: int64(n),
			},
			"too short": {Body: bytes.NewReader(random(n - 1)), Size: int64(n)},
			"too long":  {Body: bytes.NewReader(random(n + 1)), Size: int64(n)},
			"cut off": {
				Body: io.MultiReader(bytes.NewReader(random(n-5)), iotest.ErrReader(io.ErrUnexpectedEOF)), Size: -1,
			},
		} {
			t.Run(name, func(t *testing.T) {
				_, _, err := s.Write(t.Context(), authz.Grant{}, src)
				if err == nil {
					t.Errorf("%s, %d bytes: stored", name, n)
				}
				if strings.HasPrefix(name, "too") && !fault.Is(err, fault.IncompleteBody) {
					t.Errorf("%s, %d bytes: %v", name, n, err)
				}
				if name == "an error at the end" && !errors.Is(err, bad) {
					t.Errorf("%s, %d bytes: %v", name, n, err)
				}
			})
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := s.Write(ctx, authz.Grant{}, Source{
		Body: bytes.NewReader(random(pieceSize)), Size: pieceSize,
	}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %q", left)
	}
	if len(s.inFlight) != 0 {
		t.Errorf("in flight: %v", s.inFlight)
	}
}

// TestFlippedBytes: every byte of a small object's file is noticed, and no
// wrong byte is served.
func TestFlippedBytes(t *testing.T) {
	s, dir := open(t)
	body := random(InlineMax + 100)
	at, _, err := s.Write(t.Context(), authz.Grant{}, Source{
		Body: bytes.NewReader(body), Size: int64(len(body)), Binding: []byte("b"),
	})
	if err != nil {
		t.Fatal(err)
	}
	path := files(t, dir)[0]
	sealed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for i := range sealed {
		sealed[i] ^= 0x10
		write(sealed)
		sealed[i] ^= 0x10
		if got, err := readAll(t, s, at, 0, at.Size); err == nil || len(got) != 0 {
			t.Fatalf("byte %d flipped: %d bytes were served, %v", i, len(got), err)
		}
	}
	for i, bad := range [][]byte{sealed[:len(sealed)-1], append(bytes.Clone(sealed), 0), nil} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			write(bad)
			if _, err := readAll(t, s, at, 0, at.Size); !errors.Is(err, seal.ErrCorrupt) {
				t.Errorf("%d bytes instead of %d: %v", len(bad), len(sealed), err)
			}
		})
	}
	write(sealed)
	if got, err := readAll(t, s, at, 0, at.Size); err != nil || !bytes.Equal(got, body) {
		t.Errorf("after the repair: %v", err)
	}
	// Neither do the bytes open as another object's, nor with another binding.
	if _, err := s.get(at, keys.Choice{}, nil, "other"); err == nil {
		t.Error("opens with another binding")
	}
}

func TestFullDisk(t *testing.T) {
	room := &counted{left: -1}
	s, err := Open(Options{Dir: t.TempDir(), Keys: testKeys{{}: seal.NewKey()}, Room: room})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	src := func() Source { return Source{Body: strings.NewReader("x"), Size: 1} }
	if _, _, err := s.Write(t.Context(), authz.Grant{}, src()); fault.From(err).Kind != fault.KindFull {
		t.Errorf("full: %v", err)
	}
	room.left = 10
	if _, _, err := s.Write(t.Context(), authz.Grant{}, src()); err != nil {
		t.Errorf("room again: %v", err)
	}
	if f := fault.From(refused(&os.PathError{Err: unix.ENOSPC})); f.Kind != fault.KindFull {
		t.Errorf("the disk's own error: %v", f)
	}
}

// TestSmallWritesAllocateLittle counts the allocations of a 1 KiB object, without those of its keys.
func TestSmallWritesAllocateLittle(t *testing.T) {
	s, _ := open(t)
	body := random(1 << 10)
	n := testing.AllocsPerRun(200, func() {
		if _, _, err := s.Write(t.Context(), authz.Grant{}, Source{
			Body: bytes.NewReader(body), Size: 1 << 10, Checksum: digest.CRC64NVME,
		}); err != nil {
			t.Fatal(err)
		}
	})
	if n > 20 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkWrite(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1 << 20, "16MiB": 16 << 20} {
		b.Run(name, func(b *testing.B) {
			s, _ := open(b)
			body := random(size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				at, _, err := s.Write(b.Context(), authz.Grant{}, Source{
					Body: bytes.NewReader(body), Size: int64(size), Checksum: digest.CRC64NVME,
				})
				if err != nil {
					b.Fatal(err)
				}
				s.Drop(b.Context(), at)
			}
		})
	}
}

// counted is a disk with a given number of free bytes.
type counted struct{ left, taken int64 }

func (c *counted) Fits(n int64) bool { return n <= c.left }

func (c *counted) Take(n int64) bool {
	if n > c.left {
		return false
	}
	c.left, c.taken = c.left-n, c.taken+n
	return true
}

// TestAnnouncedBytesTakeNoRoom: the declared length of a stalled body reserves no room. A body that
// can't fit is refused before it is read. A body that runs out of room is refused and leaves nothing.
func TestAnnouncedBytesTakeNoRoom(t *testing.T) {
	room := &counted{left: 3 << 30}
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir, Keys: testKeys{{}: seal.NewKey()}, Room: room})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	stalled := errors.New("stands still")
	for _, sent := range []int{0, 1, InlineMax + 1, pieceSize + 1, 5 << 20} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			room.taken = 0
			body := io.MultiReader(bytes.NewReader(random(sent)), readerFunc(func([]byte) (int, error) {
				if most := int64(3*sent + 1<<20); room.taken > most || sent < pieceSize && room.taken > 0 {
					t.Errorf("%d bytes came, %d are taken", sent, room.taken)
				}
				if n := blocks(t, dir); n > int64(3*sent+2<<20) {
					t.Errorf("%d bytes came, the files take %d", sent, n)
				}
				return 0, stalled
			}))
			if _, _, err := s.Write(t.Context(), authz.Grant{}, Source{
				Body: body, Size: 2 << 30,
			}); !errors.Is(err, stalled) {
				t.Fatal(err)
			}
		})
	}
	room.left = 1 << 20
	unread := readerFunc(func([]byte) (int, error) { t.Error("the body is read"); return 0, io.EOF })
	if _, _, err := s.Write(t.Context(), authz.Grant{}, Source{
		Body: unread, Size: 2 << 20,
	}); fault.From(err).Kind != fault.KindFull {
		t.Errorf("a body that can't fit: %v", err)
	}
	if _, _, err := s.Write(t.Context(), authz.Grant{}, Source{
		Body: bytes.NewReader(random(2 << 20)), Size: -1,
	}); fault.From(err).Kind != fault.KindFull {
		t.Errorf("a body that runs out of room: %v", err)
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %q", left)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// blocks are the bytes of the disk that the files of a folder take.
func blocks(t *testing.T, dir string) (n int64) {
	t.Helper()
	for _, f := range files(t, dir) {
		var st unix.Stat_t
		if err := unix.Stat(f, &st); err != nil {
			t.Fatal(err)
		}
		n += st.Blocks * 512
	}
	return n
}

// TestStalledBodiesHoldLittle: the memory of a write grows with the bytes that arrived, counts for
// its request, and is released. Without memory for large buffers a write uses small ones, and
// without any it is refused.
func TestStalledBodiesHoldLittle(t *testing.T) {
	s, dir := open(t)
	m := limit.NewMemory(8 << 20)
	account := func(key string) (context.Context, *limit.Account) {
		a := m.Open(nil)
		if err := a.Verified(t.Context(), limit.Caller, key); err != nil {
			t.Fatal(err)
		}
		return limit.With(t.Context(), a), a
	}
	stalled := errors.New("stands still")
	write := func(ctx context.Context, sent int, then func()) error {
		body := io.MultiReader(bytes.NewReader(random(sent)),
			readerFunc(func([]byte) (int, error) { then(); return 0, stalled }))
		_, _, err := s.Write(ctx, authz.Grant{}, Source{Body: body, Size: 1 << 30})
		return err
	}
	for sent, most := range map[int]int64{
		0: 0, 1: 0, InlineMax + 1: 1, InlineMax + 100: 80 << 10, 100_000: 220 << 10, 2 << 20: 2 << 20,
	} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			ctx, a := account("one")
			if err := write(ctx, sent, func() {
				if m.Held() > most+64<<10 {
					t.Errorf("%d bytes came, %d are held", sent, m.Held())
				}
			}); !errors.Is(err, stalled) {
				t.Error(err)
			}
			if a.Close(); m.Held() != 0 {
				t.Errorf("%d bytes came, %d are held in the end", sent, m.Held())
			}
		})
	}
	other := m.Open(nil)
	ctx, _ := account("two")
	whole := random(3 << 20)
	for _, left := range []int64{400 << 10, 10 << 10} {
		t.Run(fmt.Sprint(left), func(t *testing.T) {
			other.Close()
			if err := errors.Join(other.Verified(t.Context(), limit.Caller, "two"),
				other.Take(t.Context(), limit.Allowance+3<<20-left)); err != nil {
				t.Fatal(err)
			}
			short, cancel := context.WithCancel(ctx)
			if left < 100<<10 {
				cancel() // so that no write waits
			}
			at, _, err := s.Write(short, authz.Grant{}, Source{
				Body: bytes.NewReader(whole), Size: int64(len(whole)), Binding: []byte("b"),
			})
			cancel()
			if (err == nil) != (left > 100<<10) {
				t.Errorf("with %d bytes left: %v", left, err)
			}
			if err == nil {
				if b, err := readAll(t, s, at, 0, at.Size); err != nil || !bytes.Equal(b, whole) {
					t.Errorf("with %d bytes left: %d come back, %v", left, len(b), err)
				}
				s.Settle(at)
				s.Remove(t.Context(), at)
			}
		})
	}
	if left := files(t, dir); len(left) != 0 {
		t.Errorf("files left: %q", left)
	}
}

// Rewrap implements Keys.
func (k testKeys) Rewrap(wrapped, binding []byte) ([]byte, bool, error) { return wrapped, false, nil }
