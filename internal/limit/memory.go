package limit

import (
	"context"
	"io"
	"sync"
	"time"

	"watertight/internal/fault"
)

// Memory is one budget, in bytes, for what all requests together hold while
// their documents are read and decoded. Strangers get at most an eighth of it, an
// eighth is reserved for root users, and one access key gets at most half of the
// rest. It is safe for concurrent use.
type Memory struct {
	strangers, callers, key, total int64

	mu    sync.Mutex
	held  [classes]int64
	full  [classes]uint64  // requests that were refused
	keys  map[string]int64 // what each access key of a caller holds
	freed chan struct{}    // closed when memory was released; nil while no request waits

	answers *Memory // see Account.Answers; nil in that of answers itself
}

// Class is what is known about the sender of a request.
type Class uint8

const (
	// Stranger is every sender without a signature, and every other sender until the
	// signature was verified.
	Stranger Class = iota
	// Caller is a sender whose signature was verified.
	Caller
	// Root is a root user.
	Root
	classes = iota
)

const (
	// Allowance is what each request may hold in addition to the budget, in bytes, so that
	// small documents never wait for others. The number of connections bounds the number of
	// allowances.
	Allowance = 16 << 10
	// patience is how long a caller waits for others to release memory.
	patience = 5 * time.Second
)

// NewMemory returns a budget of total bytes, and as many for answers.
func NewMemory(total int64) *Memory {
	m := newMemory(total)
	m.answers = newMemory(total)
	return m
}

func newMemory(total int64) *Memory {
	callers := total - total/8 - total/8
	return &Memory{strangers: total / 8, callers: callers, key: callers / 2, total: total, keys: map[string]int64{}}
}

// Held returns what requests hold in addition to their allowances, in bytes.
func (m *Memory) Held() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.held[Stranger] + m.held[Caller] + m.held[Root]
}

// Open opens the account of one request, whose sender counts as a stranger at first. told,
// if it is not nil, is called when more is known, and may refuse: when the signature was
// verified, or when a stranger's request was allowed.
func (m *Memory) Open(told func(Class, string) error) *Account {
	if m == nil {
		return nil
	}
	return &Account{memory: m, told: told}
}

// fits reports whether a class may hold n more bytes.
func (m *Memory) fits(c Class, key string, n int64) bool {
	switch c {
	case Stranger:
		return m.held[Stranger]+n <= m.strangers
	case Caller:
		return m.held[Caller]+n <= m.callers && m.keys[key]+n <= m.key
	}
	return m.held[Stranger]+m.held[Caller]+m.held[Root]+n <= m.total
}

func (m *Memory) add(c Class, key string, n int64) {
	m.held[c] += n
	if c == Caller {
		if m.keys[key] += n; m.keys[key] <= 0 {
			delete(m.keys, key)
		}
	}
	if n < 0 && m.freed != nil {
		close(m.freed)
		m.freed = nil
	}
}

// try takes n bytes, or returns a channel to wait for.
func (m *Memory) try(c Class, key string, n int64) (freed <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fits(c, key, n) {
		m.add(c, key, n)
		return nil
	}
	if m.freed == nil {
		m.freed = make(chan struct{})
	}
	return m.freed
}

func (m *Memory) take(ctx context.Context, c Class, key string, n int64) error {
	var limit <-chan time.Time
	for {
		freed := m.try(c, key, n)
		if freed == nil {
			return nil
		}
		if c == Stranger {
			return m.refuse(c)
		}
		if limit == nil {
			t := time.NewTimer(patience)
			defer t.Stop()
			limit = t.C
		}
		select {
		case <-freed:
		case <-limit:
			return m.refuse(c)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (m *Memory) give(c Class, key string, n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.add(c, key, -n)
}

// Use is what one class holds of a budget, and may hold, in bytes, and how many of its requests
// were refused because there was no room.
type Use struct {
	Held, Most int64
	Refused    uint64
}

// Use returns the use of a class.
func (m *Memory) Use(c Class) Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	u := Use{Held: m.held[c], Most: m.total, Refused: m.full[c]}
	switch c {
	case Stranger:
		u.Most = m.strangers
	case Caller:
		u.Most = m.callers
	}
	return u
}

func (m *Memory) refuse(c Class) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full[c]++
	return slowDown()
}

func slowDown() error {
	return fault.Of(fault.SlowDown)
}

// Account counts what one request holds. It must not be used concurrently. A nil account
// has no limit: only tests run without an account.
type Account struct {
	memory  *Memory
	told    func(Class, string) error
	class   Class
	key     string
	held    int64
	answers *Account
}

type inContext struct{}

// With returns a request's context with an account.
func With(ctx context.Context, a *Account) context.Context {
	return context.WithValue(ctx, inContext{}, a)
}

// From returns the account of a request's context, or nil.
func From(ctx context.Context) *Account {
	a, _ := ctx.Value(inContext{}).(*Account)
	return a
}

// Take takes n bytes. If there are too few, a stranger is refused immediately, and a caller
// waits a little first. Error: SlowDown.
func (a *Account) Take(ctx context.Context, n int64) error {
	if a == nil {
		return nil
	}
	if more := beyond(a.held+n) - beyond(a.held); more > 0 {
		if err := a.memory.take(ctx, a.class, a.key, more); err != nil {
			return err
		}
	}
	a.held += n
	return nil
}

// Try takes n bytes if they are available immediately.
func (a *Account) Try(n int64) bool {
	if a == nil {
		return true
	}
	more := beyond(a.held+n) - beyond(a.held)
	if more > 0 && a.memory.try(a.class, a.key, more) != nil {
		return false
	}
	a.held += n
	return true
}

// Give releases n bytes.
func (a *Account) Give(n int64) {
	if a == nil {
		return
	}
	if less := beyond(a.held) - beyond(a.held-n); less > 0 {
		a.memory.give(a.class, a.key, less)
	}
	a.held -= n
}

// Answers returns the account of what the request's answer holds until its client has taken it, which may be long. It
// has a budget of its own with the same shares, so that slow readers take nothing from documents. It is asked for when
// it is known who sent the request, and closed with it.
func (a *Account) Answers() *Account {
	if a == nil || a.memory.answers == nil {
		return nil
	}
	if a.answers == nil {
		a.answers = &Account{memory: a.memory.answers, class: a.class, key: a.key}
	}
	return a.answers
}

// beyond returns how many of n bytes are counted.
func beyond(n int64) int64 { return max(n-Allowance, 0) }

// Verified records who sent the request: what it holds counts for that caller from now on.
// Error: SlowDown.
func (a *Account) Verified(ctx context.Context, c Class, key string) error {
	if a == nil {
		return nil
	}
	held := a.held
	a.Give(held)
	a.class, a.key = c, key
	if a.told != nil {
		if err := a.told(c, key); err != nil {
			return err
		}
	}
	return a.Take(ctx, held)
}

// Allowed records that the request was allowed although it has no signature. Error: SlowDown.
func (a *Account) Allowed() error {
	if a == nil || a.told == nil || a.class != Stranger {
		return nil
	}
	return a.told(Stranger, "")
}

// Class returns what is known about the sender so far.
func (a *Account) Class() Class {
	if a == nil {
		return Root
	}
	return a.class
}

// Close releases everything.
func (a *Account) Close() {
	if a != nil {
		a.Give(a.held)
		a.answers.Close()
	}
}

// firstRead is the size of the first buffer for a document, in bytes, and leastRead the
// size for a document with a shorter declared length: most requests have no document.
const (
	firstRead = 4 << 10
	leastRead = 64
)

// Read reads a document to its end, and takes memory for the bytes while they arrive. If
// the document is longer than maximum, Read returns maximum+1 bytes. said is the declared
// length, or -1.
func (a *Account) Read(ctx context.Context, r io.Reader, said, maximum int64) ([]byte, error) {
	first := int64(firstRead)
	if said >= 0 {
		first = min(max(said+1, leastRead), firstRead)
	}
	if err := a.Take(ctx, first); err != nil {
		return nil, err
	}
	b := make([]byte, 0, first)
	for {
		n, err := r.Read(b[len(b):min(int64(cap(b)), maximum+1)])
		b = b[:len(b)+n]
		switch {
		case err == io.EOF, err == nil && int64(len(b)) > maximum:
			return b, nil
		case err != nil:
			return b, err
		case len(b) < cap(b):
			continue
		}
		size := min(2*int64(cap(b)), maximum+1)
		if err := a.Take(ctx, size); err != nil {
			return nil, err
		}
		old := int64(cap(b))
		b = append(make([]byte, 0, size), b...)
		a.Give(old)
	}
}
