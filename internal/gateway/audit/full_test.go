package audit

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/folder"
)

// read simulates a read of the dispatcher: it is answered only if the log has accepted its event.
func read(l *Log, id string) (answered bool) {
	r := begin(l, "GetObject", id)
	r.Granted()
	if err := r.Admit(context.Background()); err != nil {
		r.Finish(Outcome{Err: err})
		return false
	}
	r.Finish(Outcome{BytesOut: 5})
	return true
}

// disk simulates a disk with few free bytes.
type disk struct {
	file
	mu   *sync.Mutex
	free *int64
	held int64 // end of what is allocated or written
}

func (d *disk) take(to int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := to - d.held; n > 0 {
		if n > *d.free {
			return unix.ENOSPC
		}
		*d.free -= n
		d.held = to
	}
	return nil
}

func (d *disk) Allocate(at, n int64) error { return d.take(at + n) }
func (d *disk) WriteAt(b []byte, at int64) (int, error) {
	if err := d.take(at + int64(len(b))); err != nil {
		return 0, err
	}
	return d.file.WriteAt(b, at)
}

// onDisk puts the files of l on a disk with the given number of free bytes.
func onDisk(l *Log, free *int64) *sync.Mutex {
	var mu sync.Mutex
	l.journal.reserve = 128 << 10
	create := l.journal.create
	l.journal.create = func(path string) (file, error) {
		f, err := create(path)
		return &disk{file: f, mu: &mu, free: free}, err
	}
	return &mu
}

// TestFullDisk fills the disk while requests are logged: every answered read is recorded, the other reads
// are refused, changes continue, and no event is lost.
func TestFullDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir, s := t.TempDir(), newStore()
		var said bytes.Buffer
		l, err := Open(Options{Dir: dir, Root: testRoot(), Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		free := int64(4 << 20)
		mu := onDisk(l, &free)
		attach(t, l, s)
		synctest.Wait()
		mu.Lock()
		free = 0 // another program uses the rest
		mu.Unlock()
		answered, refused, changes := 0, 0, 0
		for i := range 4000 {
			switch {
			case i%100 == 7:
				change(t, s, begin(l, "DeleteObject", "change"))
				changes++
			case refused < 3:
				if read(l, "read") {
					answered++
				} else {
					refused++
				}
			}
			stranger := begin(l, "GetObject", "stranger")
			stranger.Event.Identity = Identity{}
			stranger.Event.Key = strings.Repeat("\x01", 1024)
			stranger.Finish(Outcome{Err: fault.Of(fault.AccessDenied)})
			if i%20 == 0 {
				time.Sleep(100 * time.Millisecond)
			}
		}
		if refused == 0 || answered == 0 {
			t.Errorf("%d answered, %d refused on a full disk", answered, refused)
		}
		before, _ := readAll(t, dir)
		if n := count(before, "read"); n != answered {
			t.Errorf("%d reads were answered, %d are recorded while the disk is full", answered, n)
		}
		mu.Lock()
		free = 64 << 20
		mu.Unlock()
		time.Sleep(3 * interval)
		if !read(l, "read") {
			t.Error("a read is refused once the disk has room")
		}
		closeLog(t, l)
		events, _ := readAll(t, dir)
		for _, e := range events {
			if e.EventName == "EventsLost" {
				t.Errorf("events were lost: %v", e.Details)
			}
		}
		if r, c := count(events, "read"), count(events, "change"); r != answered+1+refusedReads(events) ||
			c != changes || s.events() != 0 {
			t.Errorf("%d of %d reads, %d of %d changes are recorded", r, answered+1, c, changes)
		}
		if strings.Contains(said.String(), "audit writer failed") {
			t.Errorf("the writer tried to write on a full disk: %s", said.String())
		}
	})
}

func count(events []logged, id string) (n int) {
	for _, e := range events {
		if e.RequestID == id {
			n++
		}
	}
	return n
}

func refusedReads(events []logged) (n int) {
	for _, e := range events {
		if e.RequestID == "read" && e.ErrorCode != "" {
			n++
		}
	}
	return n
}

// TestFailingDisk lets every write fail for a while: reads wait and are refused. The events of reads that
// were answered before are written afterwards.
func TestFailingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var bad atomic.Bool
		var said bytes.Buffer
		dir, s := t.TempDir(), newStore()
		l, err := Open(Options{Dir: dir, Root: testRoot(), Logger: slog.New(slog.NewTextHandler(&said, nil))})
		if err != nil {
			t.Fatal(err)
		}
		l.journal.failing(func(op string) error {
			if bad.Load() && op != "truncate" {
				return errors.New("input/output error")
			}
			return nil
		})
		attach(t, l, s)
		synctest.Wait()
		bad.Store(true)
		answered := 0
		for read(l, "read") {
			answered++
			time.Sleep(interval / 10)
			if answered > 1000 {
				t.Fatal("reads are answered while nothing is recorded")
			}
		}
		start := time.Now()
		var wg sync.WaitGroup
		waited := false
		wg.Go(func() { waited = read(l, "read") })
		time.Sleep(interval)
		bad.Store(false)
		wg.Wait()
		if !waited || time.Since(start) >= admitTime {
			t.Errorf("a read did not wait for the writer: answered %v after %v", waited, time.Since(start))
		}
		closeLog(t, l)
		events, _ := readAll(t, dir)
		if n := count(events, "read") - refusedReads(events); n != answered+1 {
			t.Errorf("%d answered, %d recorded", answered+1, n)
		}
		for _, line := range []string{"audit writer failed", "audit writer works again"} {
			if strings.Count(said.String(), line) != 1 {
				t.Errorf("the log says %q %d times", line, strings.Count(said.String(), line))
			}
		}
		if strings.Contains(said.String(), "lost") {
			t.Error(said.String())
		}
	})
}

// TestStuckWriter: if a write never ends, reads are refused after a while, whether or not there is room in
// memory.
func TestStuckWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stuck := make(chan struct{})
		var on atomic.Bool
		dir, s := t.TempDir(), newStore()
		l := openLog(t, dir)
		l.journal.failing(func(op string) error {
			if on.Load() && op == "sync" {
				<-stuck
			}
			return nil
		})
		attach(t, l, s)
		synctest.Wait()
		on.Store(true)
		answered := 0
		for start := time.Now(); time.Since(start) < stuckTime+5*interval; time.Sleep(interval / 10) {
			if read(l, "read") {
				answered++
			}
		}
		if read(l, "read") {
			t.Error("a read is answered while the writer is stuck")
		}
		on.Store(false)
		close(stuck)
		closeLog(t, l)
		events, _ := readAll(t, dir)
		if n := count(events, "read") - refusedReads(events); n != answered {
			t.Errorf("%d answered, %d recorded", answered, n)
		}
	})
}

// TestFloodTakesItsOwnShare fills the queue with the events of refused requests
// while the writer is stuck: reads of others still find room.
func TestFloodTakesItsOwnShare(t *testing.T) {
	l := openLog(t, t.TempDir()) // without a writer
	defer l.Close(context.Background())
	big := bytes.Repeat([]byte{'x'}, 4096)
	taken := 0
	for range 2 * queueBytes / len(big) {
		if ok, _ := l.queue.pushRefused(big); ok {
			taken += len(big)
		}
	}
	if taken == 0 || taken > queueBytes/refusedShare {
		t.Errorf("refused requests took %d bytes of %d", taken, queueBytes)
	}
	for i := range 100 {
		if !read(l, fmt.Sprint(i)) {
			t.Fatal("a read found no room beside the flood")
		}
	}
}

// TestSlowDiskIsWaitedFor: with a slow disk, requests wait for a moment before their events are dropped.
func TestSlowDiskIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := openLog(t, t.TempDir()) // without a writer: the slowest
		defer l.Close(context.Background())
		big := make([]byte, queueBytes-eventHeader)
		l.queue.push(big, 0)
		start := time.Now()
		l.queue.push([]byte("late"), 0)
		if time.Since(start) != patience || l.queue.lost.count != 1 {
			t.Errorf("waited %v, lost %d", time.Since(start), l.queue.lost.count)
		}
		var wg sync.WaitGroup
		wg.Go(func() { l.queue.push([]byte("in time"), 0) })
		time.Sleep(patience / 2)
		l.queue.take(nil)
		l.queue.written(queueBytes, false)
		wg.Wait()
		if l.queue.count != 1 || l.queue.lost.count != 0 {
			t.Errorf("%d events, %d lost", l.queue.count, l.queue.lost.count)
		}
	})
}

// TestRefusedRequestsAreCountedPastARate sends floods of refused requests of strangers and of keys,
// together with allowed requests of another key.
func TestRefusedRequestsAreCountedPastARate(t *testing.T) {
	for kind, flood := range map[string]struct {
		who     Identity
		event   string
		granted bool
		code    string
		asks    string // an operation that any caller may use
	}{
		"strangers": {Identity{}, "StrangersRefused", false, "SignatureDoesNotMatch", ""},
		"anonymous": {
			Identity{Principal: &policy.Principal{Kind: policy.Anonymous}}, "StrangersRefused", true, "NoSuchKey", "",
		},
		"a key": {typicalEvent().Identity, "KeysRefused", false, "AccessDenied", ""},
		"a preflight": {
			Identity{Principal: &policy.Principal{Kind: policy.Anonymous}}, "StrangersRefused", true, "PreflightObject",
			"PreflightObject",
		},
		"who a key's user is": {typicalEvent().Identity, "KeysRefused", true, "GetCallerIdentity", "GetCallerIdentity"},
	} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				l := openLog(t, dir)
				attach(t, l, newStore())
				const seconds, each = 10, 2000
				for range seconds {
					for range each {
						r := begin(l, cmp.Or(flood.asks, "GetObject"), "flood")
						r.Event.Identity = flood.who
						r.Event.Key, r.Event.UserAgent, r.Event.Host = strings.Repeat("\x01",
							1024), strings.Repeat("\x80", 7000), strings.Repeat("\"", 500)
						r.granted = flood.granted
						if flood.asks != "" {
							r.Finish(Outcome{})
							continue
						}
						r.Finish(Outcome{Err: fault.New(fault.Code(flood.code), strings.Repeat("\x02", 1000))})
					}
					for range 100 {
						r := begin(l, "GetObject", "known")
						r.Event.Identity.AccessKeyID = "AKIAOTHER"
						r.Granted()
						r.Finish(Outcome{Err: fault.New(fault.NoSuchKey, "")})
						read(l, "read")
					}
					time.Sleep(time.Second)
				}
				closeLog(t, l)
				var whole, counted, bytes int
				if err := Read(folder.OS(), dir, testRoot(), func(g Group) error {
					for _, e := range g.Events {
						if !strings.Contains(string(e.JSON), `"known"`) && !strings.Contains(string(e.JSON), `"read"`) {
							bytes += len(e.JSON)
						}
					}
					return nil
				}); err != nil {
					t.Fatal(err)
				}
				events, _ := readAll(t, dir)
				for _, e := range events {
					switch {
					case e.EventName == flood.event:
						counted += int(e.Details["count"].(float64))
						if e.Details["errorCodes"].(map[string]any)[flood.code] != strconv.Itoa(int(
							e.Details["count"].(float64),
						)) || e.Details["sourceIPAddresses"].(map[string]any)["192.0.2.1"] == nil {
							t.Errorf("%s: details %v", kind, e.Details)
						}
					case e.RequestID == "flood":
						whole++
					}
				}
				if whole+counted != seconds*each || whole == 0 || whole > sourceBurst+sourceRate*(seconds+1) {
					t.Errorf("%s: %d written, %d counted of %d", kind, whole, counted, seconds*each)
				}
				if n := count(events, "known"); n != seconds*100 {
					t.Errorf("%s: %d failures of another key are recorded", kind, n)
				}
				if n := count(events, "read"); n != seconds*100 {
					t.Errorf("%s: %d reads are recorded", kind, n)
				}
				if most := whole*1700 + seconds*1500; bytes > most {
					t.Errorf("%s: the flood costs %d bytes, more than %d", kind, bytes, most)
				}
			})
		})
	}
}

// TestManySourcesCostNoMore sends a flood from very many addresses and keys.
func TestManySourcesCostNoMore(t *testing.T) {
	for _, stranger := range []bool{true, false} {
		t.Run(fmt.Sprint(stranger), func(t *testing.T) {
			var r refusals
			written := 0
			for i := range 50_000 {
				e := typicalEvent()
				e.ErrorCode = fmt.Sprint("Code", i)
				e.Identity.AccessKeyID = fmt.Sprint("AKIA", i)
				if stranger {
					e.Identity = Identity{}
				}
				e.SourceIP = netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)})
				if r.admit(testTime, &e) {
					written++
				}
			}
			if most := max(strangersBurst, keysBurst); written > most || len(r.strangers.each) > sourcesMost ||
				len(r.keys.each) > sourcesMost {
				t.Errorf("%d of 50,000 are written, %d and %d sources remembered", written, len(r.strangers.each),
					len(r.keys.each))
			}
			strangers, keys := r.take(testTime, true)
			d := keys
			if stranger {
				d = strangers
			}
			if len(d) == 0 || len(d) > 3000 || !bytes.Contains(d, []byte(`"other":`)) {
				t.Errorf("%s", d)
			}
			if again, more := r.take(testTime, true); again != nil || more != nil {
				t.Errorf("a source is remembered again: %s %s", again, more)
			}
		})
	}
}
