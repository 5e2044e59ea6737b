package rotation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/rootkey"
)

// room is a room whose records say under which generation they are wrapped.
type room struct {
	o       Options
	records []uint32
	stays   map[uint32]uint64
	broken  int // the record that no generation opens; -1 for none
	fails   func() error
	resumed []string // positions at which portions began
}

const portion = 3

func (r *room) step(_ context.Context, after string) (string, Count, error) {
	r.resumed = append(r.resumed, after)
	at := 0
	if after != "" {
		fmt.Sscan(after, &at)
	}
	n := Count{Needs: map[uint32]uint64{}}
	current := r.o.Keyring.Ring.Current().Number
	for ; at < len(r.records) && n.Seen < portion; at++ {
		if n.Seen++; at == r.broken {
			n.Failed++
		} else if r.records[at] != current {
			r.records[at] = current
			n.Changed++
		}
		n.Needs[r.records[at]]++
	}
	if r.fails != nil {
		if err := r.fails(); err != nil {
			return "", n, err
		}
	}
	if at == len(r.records) {
		return "", n, nil
	}
	return fmt.Sprint(at), n, nil
}

func newRoom(t *testing.T, store kv.Store, data string) *room {
	t.Helper()
	k, err := rootkey.Open(t.Context(), "file:"+filepath.Join(filepath.Dir(data), "root.key"), rootkey.Options{
		DataDir: data, MayCreate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &room{broken: -1}
	r.o = Options{
		Store: store, Keyring: k, Now: func() time.Time { return time.Unix(1000, 0) },
		Logger: slog.New(slog.DiscardHandler),
		Parts:  []Part{{"records", r.step}},
		Wholes: []Whole{{"store", func(context.Context) (int, error) { return 1, nil }}},
		Stays:  func(context.Context) (map[uint32]uint64, error) { return r.stays, nil }, Why: "files",
	}
	for range 10 {
		r.records = append(r.records, k.Ring.Current().Number)
	}
	return r
}

func numbers(k *rootkey.Keyring) (all []uint32) {
	for _, g := range k.Generations() {
		all = append(all, g.Number)
	}
	return all
}

// TestEverythingIsWrappedAnew: afterwards nothing needs the old generation, and it is dropped.
func TestEverythingIsWrappedAnew(t *testing.T) {
	r := newRoom(t, coretest.Store(t), t.TempDir())
	rot := New(r.o)
	for want := uint32(2); want < 4; want++ {
		if err := rot.Begin(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if err := rot.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := numbers(r.o.Keyring); !slices.Equal(got, []uint32{want}) {
			t.Errorf("generations %d", got)
		}
		rep := rot.Report()
		if rep.Ended.IsZero() || rep.Generation != want || len(rep.Remains) > 0 || rep.Parts[0].Rewrapped != 10 ||
			rep.Parts[0].Seen != 10 || rep.Parts[1].Rewrapped != 1 {
			t.Errorf("%+v", rep)
		}
	}
}

// TestKilledAnywhere: a rotation that was killed after any portion continues there at the next start, and
// completes.
func TestKilledAnywhere(t *testing.T) {
	killed := errors.New("killed")
	for n := range 8 { // two passes of four portions
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			store, data := coretest.Store(t), t.TempDir()
			r := newRoom(t, store, data)
			left := n
			r.fails = func() error {
				if left--; left < 0 {
					return killed
				}
				return nil
			}
			rot := New(r.o)
			if err := rot.Begin(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			if err := rot.advance(t.Context()); !errors.Is(err, killed) {
				t.Fatal(err)
			}
			again := newRoom(t, store, data)
			again.records = r.records
			if got := numbers(again.o.Keyring); !slices.Equal(got, []uint32{2, 1}) {
				t.Fatalf("generations %d", got)
			}
			rot = New(again.o)
			if err := rot.Begin(t.Context(), "file:/elsewhere"); !errors.Is(err, ErrUnderWay) {
				t.Errorf("another source meanwhile: %v", err)
			}
			if err := rot.advance(t.Context()); err != nil {
				t.Fatal(err)
			}
			if n > 0 && n < 4 && again.resumed[0] != fmt.Sprint(n*portion) {
				t.Errorf("the rotation continued at %q", again.resumed[0])
			}
			if got := numbers(again.o.Keyring); !slices.Equal(got, []uint32{2}) {
				t.Errorf("generations %d", got)
			}
			if slices.ContainsFunc(again.records, func(g uint32) bool { return g != 2 }) {
				t.Errorf("records %d", again.records)
			}
		})
	}
}

// TestNothingIsDroppedTooEarly: a generation stays while a request that began before it, a record that does
// not open, or a file needs it.
func TestNothingIsDroppedTooEarly(t *testing.T) {
	r := newRoom(t, coretest.Store(t), t.TempDir())
	r.broken, r.stays = 4, map[uint32]uint64{1: 2}
	before := r.o.Keyring.Ring.Hold()
	rot := New(r.o)
	if err := rot.Begin(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*poll)
	defer cancel()
	if err := rot.advance(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a request that began before: %v", err)
	}
	if rep := rot.Report(); rep.Phase != phaseWait || !rep.Ended.IsZero() {
		t.Errorf("%+v", rep)
	}
	r.records = append(r.records, 1) // what that request stores
	before.Release()
	if err := rot.advance(t.Context()); err != nil {
		t.Fatal(err)
	}
	rep := rot.Report()
	if r.records[10] != 2 || rep.Ended.IsZero() || len(rep.Remains) != 2 || rep.Remains[0].Count != 1 ||
		rep.Remains[1].Count != 2 || rep.Parts[0].Failed != 1 {
		t.Errorf("records %d, %+v", r.records, rep)
	}
	if got := numbers(r.o.Keyring); !slices.Equal(got, []uint32{2, 1}) {
		t.Errorf("generations %d", got)
	}
	r.stays = nil
	st, err := rot.load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := rot.advance(t.Context()); err != nil || st.needs[1] != 1 {
		t.Fatal(st.needs, err)
	}
	if got := numbers(r.o.Keyring); len(got) != 2 {
		t.Error("the generation that the record needs was dropped")
	}
}

// TestBegunMeanwhile: a rotation that begins while an older one is resumed loses no generation.
func TestBegunMeanwhile(t *testing.T) {
	r := newRoom(t, coretest.Store(t), t.TempDir())
	rot := New(r.o)
	for range 2 { // before the first rotation, and after it
		st, err := rot.load(t.Context())
		if err != nil || rot.unfinished(st) {
			t.Fatal(err)
		}
		if err := rot.Begin(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		if err := rot.drop(t.Context(), &st); err != nil {
			t.Fatal(err)
		}
		if got := numbers(r.o.Keyring); len(got) != 2 {
			t.Fatalf("generations %d, and the older one is still needed", got)
		}
		if err := rot.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestState: the record is decoded as it was encoded, and one with an unknown field is refused.
func TestState(t *testing.T) {
	at := time.Unix(1000, 0).UTC()
	st := state{Report: Report{Generation: 3, Began: at, Ended: at, Parts: []PartReport{{"records", 9, 8, 1}}}}
	st.part, st.after, st.needs = 1, "v/x", map[uint32]uint64{1: 4}
	got, err := decodeState(st.encode())
	if err != nil || got.Generation != 3 || got.part != 1 || got.after != "v/x" || got.needs[1] != 4 ||
		!got.Ended.Equal(at) || !slices.Equal(got.Parts, st.Parts) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeState(append(st.encode(), 0xf8, 0x01, 1)); err == nil {
		t.Error("an unknown field was ignored")
	}
}
