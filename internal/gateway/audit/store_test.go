package audit

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"testing"

	"watertight/internal/access/action"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// fakeStore is a store whose failures and durable mark a test controls.
type fakeStore struct {
	mu      sync.Mutex
	records map[string]fakeRecord
	commit  uint64
	lag     uint64 // how far Durable is behind
	refuse  error  // what Update returns, without effect
	blind   error  // what View returns
	updates int
}

type fakeRecord struct {
	value  []byte
	commit uint64
}

// newStore returns a store that knows a log without frames.
func newStore() *fakeStore {
	var m mark
	return &fakeStore{records: map[string]fakeRecord{string(markKey()): {value: m.encode()}}}
}

type fakeTx struct {
	s      *fakeStore
	writes map[string][]byte // nil is a deletion
}

func (s *fakeStore) View(ctx context.Context, fn func(kv.Reader) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(ctx.Err(), s.blind); err != nil {
		return err
	}
	defer func() { s.lag = 0 }() // the commits that were read are durable now
	return fn(&fakeTx{s: s})
}

func (s *fakeStore) Update(ctx context.Context, fn func(kv.Tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := errors.Join(ctx.Err(), s.refuse); err != nil {
		return err
	}
	var tx *fakeTx
	for range 2 { // as after a conflict
		tx = &fakeTx{s: s, writes: map[string][]byte{}}
		if err := fn(tx); err != nil {
			return err
		}
	}
	s.updates++
	s.commit++
	for k, v := range tx.writes {
		if v == nil {
			delete(s.records, k)
		} else {
			s.records[k] = fakeRecord{v, s.commit}
		}
	}
	return nil
}

func (s *fakeStore) Durable() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.commit - min(s.lag, s.commit)
}

func (s *fakeStore) Close() error { return nil }

func (s *fakeStore) set(fn func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn()
}

func (s *fakeStore) events() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.records)
	if _, ok := s.records[string(markKey())]; ok {
		n--
	}
	return n
}

func (t *fakeTx) Get(key []byte) ([]byte, error) {
	return slices.Clone(t.s.records[string(key)].value), nil
}
func (t *fakeTx) Set(key, value []byte)      { t.writes[string(key)] = slices.Clone(value) }
func (t *fakeTx) Delete(key []byte)          { t.writes[string(key)] = nil }
func (t *fakeTx) Lock([]byte, kv.Mode) error { return nil }
func (t *fakeTx) Rely(*kv.Witness) error     { return nil }
func (t *fakeTx) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	return func(yield func(kv.Pair, error) bool) {
		var keys []string
		for k := range t.s.records {
			if k >= string(from) && (to == nil || k < string(to)) {
				keys = append(keys, k)
			}
		}
		slices.Sort(keys)
		scratch := []byte{}
		for _, k := range keys {
			r := t.s.records[k]
			scratch = append(scratch[:0], r.value...) // valid until the next step only
			if !yield(kv.Pair{Key: []byte(k), Value: scratch, Commit: r.commit}, nil) {
				return
			}
		}
	}
}

func testRoot() *seal.Ring { return seal.RingOf(seal.Key{1, 2, 3}) }

func openLog(t testing.TB, dir string) *Log {
	t.Helper()
	l, err := Open(Options{Dir: dir, Root: testRoot(), Region: "eu-central-1"})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func attach(t testing.TB, l *Log, s kv.Store) {
	t.Helper()
	if err := l.Attach(s); err != nil {
		t.Fatal(err)
	}
}

func closeLog(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// begin makes a record of an ordinary request.
func begin(l *Log, operation, id string) *Record {
	e := typicalEvent()
	e.Operation, e.RequestID = action.OperationOf("s3", operation), id
	if operation == "GetCallerIdentity" {
		e.Operation = action.OperationOf("sts", operation)
	}
	r := l.Begin(id, testTime)
	r.Event = e
	r.Granted()
	return r
}

// change commits the record's event as a change does.
func change(t testing.TB, s kv.Store, r *Record) {
	t.Helper()
	if err := s.Update(context.Background(), func(tx kv.Tx) error {
		k, v, err := r.Entry()
		if err == nil {
			tx.Set(k, v)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	r.Committed()
}

// logged is an event as read from the log.
type logged struct {
	Commit    uint64 `json:"-"`
	EventID   string
	RequestID string
	EventName string
	ErrorCode string
	Details   map[string]any `json:"serviceEventDetails"`
}

// readAll reads and verifies the log.
func readAll(t testing.TB, dir string) (events []logged, groups int) {
	t.Helper()
	err := Read(folder.OS(), dir, testRoot(), func(g Group) error {
		groups++
		for _, e := range g.Events {
			l := logged{Commit: e.Commit}
			if err := json.Unmarshal(e.JSON, &l); err != nil {
				return err
			}
			events = append(events, l)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, groups
}

// ids returns the request ids in the order of the log.
func ids(events []logged) []string {
	out := make([]string, len(events))
	for i, e := range events {
		out[i] = e.RequestID
	}
	return out
}

// clone returns a store with the same records.
func (s *fakeStore) clone() *fakeStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &fakeStore{records: maps.Clone(s.records), commit: s.commit}
}
