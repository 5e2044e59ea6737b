package limit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"watertight/internal/fault"
)

const total = 8 << 20

// impatient returns a context of a caller that does not wait.
func impatient(t testing.TB) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// fill opens accounts of one kind until one is refused, and returns how much
// they hold.
func fill(t *testing.T, m *Memory, c Class, key string) (held int64, all []*Account, refused error) {
	t.Helper()
	ctx := impatient(t)
	for range 10_000 {
		a := m.Open(nil)
		if err := a.Verified(ctx, c, key); err != nil {
			t.Fatal(err)
		}
		if err := a.Take(ctx, Allowance+64<<10); err != nil {
			return held, all, err
		}
		held += 64 << 10
		all = append(all, a)
	}
	t.Fatal("no account was ever refused")
	return 0, nil, nil
}

// TestShares: strangers get an eighth and are then refused. A key gets its share and can't take that of
// other keys. A root user gets memory in addition to them. A small document always gets memory.
func TestShares(t *testing.T) {
	m := NewMemory(total)
	strangers, all, err := fill(t, m, Stranger, "")
	if strangers != total/8 || !fault.Is(err, "SlowDown") {
		t.Errorf("strangers hold %d: %v", strangers, err)
	}
	one, _, err := fill(t, m, Caller, "one")
	if one != total*3/8 || !errors.Is(err, context.Canceled) {
		t.Errorf("one key holds %d: %v", one, err)
	}
	if n, _, _ := fill(t, m, Caller, "two"); n != total*3/8 {
		t.Errorf("another key holds %d at the same time", n)
	}
	for c, key := range map[Class]string{Stranger: "", Caller: "three"} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			a := m.Open(nil)
			if err := errors.Join(a.Verified(impatient(t), c, key), a.Take(impatient(t), Allowance)); err != nil {
				t.Errorf("class %d with a small document: %v", c, err)
			}
		})
	}
	if n, _, _ := fill(t, m, Root, "root"); n != total/8 {
		t.Errorf("the root user gets %d in addition to all others", n)
	}
	if m.Held() != total {
		t.Errorf("%d bytes are held", m.Held())
	}
	all[0].Close()
	if err := m.Open(nil).Take(t.Context(), Allowance+1); err != nil {
		t.Errorf("a stranger after another one gave back: %v", err)
	}
}

// TestCallersWait: a waiting caller is served when another gives memory back.
func TestCallersWait(t *testing.T) {
	m := NewMemory(total)
	_, all, _ := fill(t, m, Caller, "one")
	done := make(chan error)
	go func() {
		a := m.Open(nil)
		if err := a.Verified(t.Context(), Caller, "one"); err != nil {
			done <- err
			return
		}
		done <- a.Take(t.Context(), Allowance+64<<10)
	}()
	for { // until it waits
		m.mu.Lock()
		waits := m.freed != nil
		m.mu.Unlock()
		if waits {
			break
		}
	}
	all[0].Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestNothingIsLost: after any sequence of operations, no memory is held once all accounts are closed.
func TestNothingIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := NewMemory(1 << 20)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		accounts := make([]*Account, 5)
		for i := range accounts {
			accounts[i] = m.Open(nil)
		}
		for range rapid.IntRange(1, 100).Draw(t, "steps") {
			a := accounts[rapid.IntRange(0, 4).Draw(t, "account")]
			switch n := int64(rapid.IntRange(0, 100<<10).Draw(t, "bytes")); rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				a.Take(ctx, n)
			case 1:
				a.Give(min(n, a.held))
			case 2:
				a.Verified(ctx, Class(rapid.IntRange(0, 2).Draw(t, "class")), fmt.Sprint(n%3))
			}
			var want int64
			for _, a := range accounts {
				want += beyond(a.held)
			}
			if m.Held() != want || want > 1<<20 {
				t.Fatalf("%d bytes are held, the accounts say %d", m.Held(), want)
			}
		}
		for _, a := range accounts {
			a.Close()
		}
		if m.Held() != 0 || len(m.keys) != 0 {
			t.Fatalf("%d bytes are left, of %d keys", m.Held(), len(m.keys))
		}
	})
}

// TestReadTakesWhatItHolds: a stalled body takes at most twice the bytes that arrived. A body that is too
// long is refused, and so is one for which there is no memory.
func TestReadTakesWhatItHolds(t *testing.T) {
	m := NewMemory(total)
	for _, sent := range []int{0, 1, firstRead, firstRead + 1, 100_000, 1 << 20} {
		t.Run(fmt.Sprint(sent), func(t *testing.T) {
			content := bytes.Repeat([]byte("x"), sent)
			a := m.Open(nil)
			if err := a.Verified(t.Context(), Root, "root"); err != nil {
				t.Fatal(err)
			}
			check := iotest.ErrReader(io.EOF)
			b, err := a.Read(t.Context(), io.MultiReader(iotest.HalfReader(bytes.NewReader(content)), check), -1, 1<<20)
			if err != nil || !bytes.Equal(b, content) {
				t.Errorf("%d bytes: %d, %v", sent, len(b), err)
			}
			if most := int64(max(2*sent, firstRead)); a.held > most || a.held < int64(sent) {
				t.Errorf("%d bytes came, %d are taken", sent, a.held)
			}
			a.Close()
		})
	}
	if b, err := m.Open(nil).Read(t.Context(), bytes.NewReader(make([]byte, 5001)), 0,
		5000); err != nil || len(b) != 5001 {
		t.Errorf("one that is too long: %d bytes, %v", len(b), err)
	}
	if _, err := m.Open(nil).Read(t.Context(), bytes.NewReader(make([]byte, 4<<20)), 4<<20,
		8<<20); !fault.Is(err, "SlowDown") {
		t.Errorf("a document for which there is no room: %v", err)
	}
	var none *Account
	if b, err := none.Read(t.Context(), bytes.NewReader(make([]byte, 100_000)), -1,
		1<<20); err != nil || len(b) != 100_000 {
		t.Errorf("without an account: %d bytes, %v", len(b), err)
	}
}

func TestAccountsTogether(t *testing.T) {
	m := NewMemory(total)
	var all sync.WaitGroup
	for w := range 8 {
		all.Go(func() {
			for range 500 {
				a := m.Open(nil)
				if err := a.Verified(t.Context(), Caller, fmt.Sprint(w%2)); err != nil {
					t.Error(err)
				}
				if err := a.Take(t.Context(), 1<<20); err != nil {
					t.Error(err)
				}
				a.Close()
			}
		})
	}
	all.Wait()
	if m.Held() != 0 {
		t.Errorf("%d bytes are left", m.Held())
	}
}

// TestAnswersHaveTheirOwnBudget: answers have the same shares as documents, and take nothing from them.
func TestAnswersHaveTheirOwnBudget(t *testing.T) {
	const total = 1 << 20
	for _, c := range []struct {
		name  string
		class Class
		share int64
	}{{"a stranger", Stranger, total / 8}, {"a caller", Caller, total * 3 / 8}, {"root", Root, total}} {
		t.Run(c.name, func(t *testing.T) {
			m := NewMemory(total)
			a := m.Open(nil)
			if c.class != Stranger {
				if err := a.Verified(t.Context(), c.class, "KEY"); err != nil {
					t.Fatal(err)
				}
			}
			if !a.Answers().Try(c.share + Allowance) {
				t.Error("the share is refused")
			}
			b := m.Open(nil)
			if err := b.Verified(t.Context(), c.class, "KEY"); err != nil {
				t.Fatal(err)
			}
			if b.Answers().Try(1 + Allowance) {
				t.Error("more than the share is given")
			}
			if n := m.Held(); n != 0 || !b.Try(c.share+Allowance) {
				t.Errorf("documents lack %d bytes", n)
			}
			a.Close()
			if !b.Answers().Try(1 + Allowance) {
				t.Error("nothing was given back")
			}
		})
	}
	if !(*Account)(nil).Answers().Try(1 << 40) {
		t.Error("there is a limit without an account")
	}
}
