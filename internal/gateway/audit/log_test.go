package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/fault"
	"watertight/internal/storage/folder"
)

func TestReadsAndChangesAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newStore()
		l := openLog(t, dir)
		early := begin(l, "ListBuckets", "early")
		early.Finish(Outcome{}) // before the store is attached
		attach(t, l, s)
		synctest.Wait()
		for i := range 5 {
			r := begin(l, "PutObject", fmt.Sprint("put", i))
			change(t, s, r)
			r.Finish(Outcome{})
			r.Finish(Outcome{})
			r = begin(l, "GetObject", fmt.Sprint("get", i))
			r.Finish(Outcome{BytesOut: 5})
		}
		time.Sleep(interval)
		synctest.Wait()
		events, groups := readAll(t, dir)
		want := []string{"early", "put0", "put1", "put2", "put3", "put4", "get0", "get1", "get2", "get3", "get4"}
		if !slices.Equal(ids(events), want) {
			t.Errorf("got %v", ids(events))
		}
		if groups > 2 || s.events() != 0 {
			t.Errorf("%d frames, %d events left in the store", groups, s.events())
		}
		r := begin(l, "GetObject", "last")
		r.Finish(Outcome{})
		closeLog(t, l)
		if events, _ := readAll(t, dir); events[len(events)-1].RequestID != "last" {
			t.Error("Close does not write the remaining events")
		}
	})
}

func TestChangesAreMovedInOrderOfCommit(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	records := make([]*Record, 50)
	for i := range records {
		r := begin(l, "PutObject", fmt.Sprint(i))
		r.Event.Time = testTime.Add(time.Duration(rand.IntN(1e9)))
		records[i] = r
	}
	var want []string
	for _, i := range rand.Perm(len(records)) {
		want = append(want, fmt.Sprint(i))
		change(t, s, records[i])
	}
	attach(t, l, s)
	closeLog(t, l)
	events, _ := readAll(t, dir)
	if !slices.Equal(ids(events), want) {
		t.Errorf("got %v\nwant %v", ids(events), want)
	}
	for i, e := range events {
		if e.Commit != uint64(i+1) {
			t.Errorf("event %d has commit %d", i, e.Commit)
		}
	}
}

func TestEntryKeepsItsKeyUntilCommitted(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	r := begin(l, "DeleteObjects", "several")
	k1, v1, _ := r.Entry()
	k2, v2, err := r.Entry()
	if err != nil || !bytes.Equal(k1, k2) || !bytes.Equal(v1, v2) || len(k1) != keySize || string(k1[:2]) != prefix {
		t.Fatalf("%x %x %v", k1, k2, err)
	}
	later := begin(l, "PutObject", "later")
	later.Event.Time = testTime.Add(time.Microsecond)
	if k3, _, _ := later.Entry(); bytes.Compare(k1, k3) >= 0 {
		t.Error("keys do not ascend by time")
	}
	change(t, s, r)
	change(t, s, r) // the request's second change
	r.Finish(Outcome{Err: fault.Of(fault.AccessDenied)})
	attach(t, l, s)
	closeLog(t, l)
	events, _ := readAll(t, dir)
	if len(events) != 3 || events[0].ErrorCode != "" || events[1].ErrorCode != "" ||
		events[2].ErrorCode != "AccessDenied" {
		t.Fatalf("%+v", events)
	}
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.EventID] = true
	}
	if len(seen) != 3 {
		t.Errorf("eventIDs are not unique: %+v", events)
	}
}

func TestCauseAndSecretsStayOut(t *testing.T) {
	const canary = "CANARY-c0ffee"
	dir := t.TempDir()
	l := openLog(t, dir)
	for _, err := range []error{
		errors.New(canary), fault.Of(fault.AccessDenied).Because(errors.New(canary)).With("StringToSign", canary),
	} {
		r := begin(l, "PutObject", "r")
		r.Event.Parameters = []Param{{Name: "X-Amz-Signature", Value: canary}}
		_, v, _ := r.Entry()
		if bytes.Contains(v, []byte(canary)) {
			t.Errorf("entry %s", v)
		}
		r.Finish(Outcome{Err: err, Response: []Param{{Name: "SecretAccessKey", Value: canary}}})
	}
	attach(t, l, newStore())
	closeLog(t, l)
	n := 0
	if err := Read(folder.OS(), dir, testRoot(), func(g Group) error {
		for _, e := range g.Events {
			n++
			if bytes.Contains(e.JSON, []byte(canary)) {
				t.Errorf("event %s", e.JSON)
			}
		}
		return nil
	}); err != nil || n != 2 {
		t.Error(n, err)
	}
}

// TestCrashBetweenAppendAndDeletion ends the log after a frame was written and
// before its events were deleted from the store.
func TestCrashBetweenAppendAndDeletion(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	var want []string
	for start := range 4 {
		l := openLog(t, dir)
		if l.Anchor() > s.Durable() {
			t.Fatal("the anchor is ahead of the store")
		}
		for i := range 3 {
			r := begin(l, "PutObject", fmt.Sprint(start, i))
			change(t, s, r)
			want = append(want, r.Event.RequestID)
		}
		s.set(func() { s.refuse = errors.New("power loss") })
		attach(t, l, s)
		if err := l.Close(t.Context()); err == nil {
			t.Fatal("Close does not report that it could not finish")
		}
		if s.events() == 0 {
			t.Fatal("no event is left to be moved twice")
		}
		s.set(func() { s.refuse = nil })
	}
	l := openLog(t, dir)
	attach(t, l, s)
	closeLog(t, l)
	events, _ := readAll(t, dir)
	if !slices.Equal(ids(events), want) || s.events() != 0 {
		t.Errorf("got %v\nwant %v\n%d left in the store", ids(events), want, s.events())
	}
}

// TestCommitsPastTheDurableMarkWait: events are moved only once their commit is durable; otherwise the
// position could skip earlier commits.
func TestCommitsPastTheDurableMarkWait(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	defer closeLog(t, l)
	for i := range 4 {
		change(t, s, begin(l, "PutObject", fmt.Sprint(i)))
	}
	s.lag = 2
	w := &writer{log: l, journal: l.journal, store: s, backlog: true}
	if _, _, err := w.round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if events, _ := readAll(t, dir); !slices.Equal(ids(events), []string{"0", "1"}) || l.journal.state.anchor != 2 {
		t.Errorf("%v, anchor %d", ids(events), l.journal.state.anchor)
	}
	if _, _, err := w.round(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	if events, _ := readAll(t, dir); !slices.Equal(ids(events), []string{"0", "1", "2", "3"}) || s.events() != 0 {
		t.Errorf("%v, %d left", ids(events), s.events())
	}
}

func TestStoreThatLostItsTailIsRefused(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	change(t, s, begin(l, "PutObject", "0"))
	change(t, s, begin(l, "PutObject", "1"))
	attach(t, l, s)
	closeLog(t, l)
	l = openLog(t, dir)
	defer closeLog(t, l)
	if l.Anchor() != 2 {
		t.Errorf("anchor %d", l.Anchor())
	}
	s.commit = 1
	if err := l.Attach(s); err == nil {
		t.Error("attached to a store that lost a commit")
	}
}

func TestIdleLogRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newStore()
		l := openLog(t, dir)
		attach(t, l, s)
		r := begin(l, "PutObject", "0")
		change(t, s, r)
		r.Finish(Outcome{})
		time.Sleep(3 * interval)
		synctest.Wait()
		_, groups := readAll(t, dir)
		commit := s.Durable()
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, g := readAll(t, dir); g != groups || s.Durable() != commit || groups != 1 {
			t.Errorf("%d frames, then %d; %d commits, then %d", groups, g, commit, s.Durable())
		}
		s.set(func() { s.commit++ }) // a commit without an event
		time.Sleep(2 * interval)
		synctest.Wait()
		// The store's record of the frame is a commit without an event, too.
		if _, g := readAll(t, dir); g != groups+1 || l.journal.state.anchor != s.Durable()-1 {
			t.Errorf("%d frames, anchor %d of %d", g, l.journal.state.anchor, s.Durable())
		}
		closeLog(t, l)
	})
}

func TestBatchOfManyDoesNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newStore()
		l := openLog(t, dir)
		attach(t, l, s)
		synctest.Wait()
		start := time.Now()
		for range wakeChanges {
			change(t, s, begin(l, "PutObject", "p"))
		}
		synctest.Wait()
		if s.events() != 0 || time.Since(start) >= interval {
			t.Errorf("%d events wait for the second", s.events())
		}
		r := begin(l, "GetObject", "g")
		for range wakeBytes/1000 + 1 {
			l.direct(&r.Event, true, 0)
		}
		synctest.Wait()
		if events, _ := readAll(t, dir); events[len(events)-1].RequestID != "g" {
			t.Error("reads wait for the second")
		}
		closeLog(t, l)
	})
}

func TestBacklogIsMovedInRounds(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	const n = 60
	for i := range n {
		r := begin(l, "PutObject", fmt.Sprint(i))
		r.Event.Time = testTime.Add(time.Duration(-i) * time.Hour)
		r.Event.Response = []Param{{Name: "a", Value: strings.Repeat("a", valueLimit)}}
		for j := range 12 {
			r.Event.Response = append(r.Event.Response, Param{
				Name: fmt.Sprint(j), Value: strings.Repeat("b", valueLimit-1),
			})
		}
		change(t, s, r)
	}
	attach(t, l, s)
	closeLog(t, l)
	events, groups := readAll(t, dir)
	if groups < 2 || len(events) != n || s.events() != 0 {
		t.Fatalf("%d frames, %d events, %d left", groups, len(events), s.events())
	}
	for i, e := range events {
		if e.RequestID != fmt.Sprint(i) {
			t.Fatalf("event %d is %s", i, e.RequestID)
		}
	}
}

func TestEarliestIsAnUnbrokenBeginning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) entry {
			id := rapid.Byte().Draw(t, "id")
			return entry{
				position{rapid.Uint64Range(1, 20).Draw(t, "commit"), [16]byte{id}},
				bytes.Repeat([]byte{id}, rapid.IntRange(0, 50).Draw(t, "size")),
			}
		}), 1, 60).Draw(t, "events")
		f := earliest{limit: rapid.IntRange(1, 1000).Draw(t, "limit")}
		var value []byte // as in a scan, only valid for one step
		for _, e := range all {
			value = append(value[:0], e.json...)
			f.offer(e.at, value)
		}
		order := func(a, b entry) int { return a.at.compare(b.at) }
		slices.SortFunc(all, order)
		slices.SortFunc(f.heap, order)
		if len(f.heap) == 0 || f.full == (len(f.heap) == len(all)) || f.bytes > f.limit && len(f.heap) > 1 {
			t.Fatalf("%d of %d kept, %d bytes of %d", len(f.heap), len(all), f.bytes, f.limit)
		}
		for i, e := range f.heap {
			if e.at != all[i].at || bytes.Count(e.json, e.at.id[:1]) != len(e.json) {
				t.Fatalf("kept %v where %v is", e, all[i])
			}
		}
	})
}

func TestManyAtOnce(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	attach(t, l, s)
	const workers, each = 8, 100
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				r := begin(l, "PutObject", fmt.Sprint(w, "-", i))
				if i%2 == 0 {
					change(t, s, r)
				}
				r.Finish(Outcome{})
			}
		})
	}
	wg.Wait()
	closeLog(t, l)
	events, _ := readAll(t, dir)
	seen := map[string]bool{}
	for _, e := range events {
		seen[e.RequestID] = true
	}
	if len(events) != workers*each || len(seen) != len(events) {
		t.Errorf("%d events of %d requests", len(events), len(seen))
	}
}

func TestCloseEndsWithItsContext(t *testing.T) {
	dir, s := t.TempDir(), newStore()
	l := openLog(t, dir)
	attach(t, l, s)
	s.set(func() { s.blind = errors.New("the store is gone") })
	change(t, s, begin(l, "PutObject", "change"))
	begin(l, "GetObject", "read").Finish(Outcome{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Close(ctx); err == nil {
		t.Error("Close reports success")
	}
	<-l.done
	if err := l.Close(t.Context()); err != nil {
		t.Error(err)
	}
	begin(l, "GetObject", "late").Finish(Outcome{})
	if err := l.Attach(s); err == nil {
		t.Error("attached after Close")
	}
	s.blind = nil
	l = openLog(t, dir)
	attach(t, l, s)
	closeLog(t, l)
	if events, _ := readAll(t, dir); !slices.Equal(ids(events), []string{"read", "change"}) {
		t.Errorf("%v", ids(events))
	}
}
