package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// interval is the maximum time that an event waits for the writer.
const interval = time.Second

// wakeChanges is the number of changes that wake the writer before the interval ends.
const wakeChanges = 1000

// Options say where and how to log.
type Options struct {
	Dir    string     // contains only the log; created if it is missing
	Files  folder.FS  // holds Dir; nil is the machine's
	Root   *seal.Ring // the root key
	Region string     // awsRegion of events that have none
	Logger *slog.Logger
	Limits Limits // of the files that are kept
	// Salvage opens a log that is too damaged to be opened. It is only for Accept.
	Salvage bool
}

// Log is the audit log of a server.
type Log struct {
	region   string
	limits   Limits
	logger   *slog.Logger
	queue    queue
	refusals refusals
	buffers  sync.Pool
	changes  atomic.Int64 // since the writer last scanned the store
	wake     chan struct{}
	journal  *journal
	anchor   uint64 // its value when the log was opened
	head     atomic.Pointer[Head]

	mu     sync.Mutex
	cancel context.CancelFunc // of the writer; nil if it does not run
	stop   chan struct{}
	done   chan struct{}
	result error
	closed bool
}

// Open verifies the newest file of the log, and the header and size of every other file,
// and locks the folder until Close. It changes nothing. Damage is an error that wraps
// ErrDamaged. Attach decides about damage at the end of the newest file, because a crash
// may have caused it.
func Open(o Options) (*Log, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	j, err := openJournal(folder.Or(o.Files), o.Dir, o.Root)
	if o.Salvage && errors.Is(err, ErrDamaged) {
		j, err = openBroken(folder.Or(o.Files), o.Dir, o.Root, err)
	}
	if err != nil {
		return nil, advised(err)
	}
	l := &Log{
		region: o.Region, logger: o.Logger, limits: o.Limits, journal: j, anchor: j.state.anchor,
		wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}),
	}
	j.limit = o.Limits.fileLimit()
	l.queue.room, l.queue.capacity = make(chan struct{}), queueBytes
	l.buffers.New = func() any { b := make([]byte, 0, 2048); return &b }
	return l, nil
}

// Anchor returns the newest commit number that the log, when it was opened, knew to be
// durable in the store. A store whose newest commit is older has lost its tail.
func (l *Log) Anchor() uint64 { return l.anchor }

// Attach starts the writer, which moves events out of the store until Close. It refuses a
// store that ends before the log's anchor: the events of its next commits would be taken
// for events that were moved long ago. It refuses, with ErrLost or ErrDamaged, a log that
// the store does not remember, or whose end is missing. A refusal changes nothing. It does
// not refuse a log whose oldest files are missing, because an operator may remove those: it
// logs and records that.
func (l *Log) Attach(store kv.Store) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cancel != nil {
		return errors.New("audit: the log is attached or closed")
	}
	if d := store.Durable(); d < l.anchor {
		return fmt.Errorf("audit: the store ends at commit %d, the log knows of %d: the store has lost its tail", d,
			l.anchor)
	}
	ctx, cancel := context.WithCancel(context.Background())
	w, err := l.begin(ctx, store)
	if err != nil {
		cancel()
		return err
	}
	l.cancel = cancel
	go func() {
		defer close(l.done)
		defer cancel()
		l.result = w.run(ctx)
	}()
	return nil
}

// Check refuses what Attach would refuse, and changes neither log nor store.
func (l *Log) Check(ctx context.Context, store kv.Store) error {
	_, _, err := l.agreed(ctx, store)
	return err
}

// agreed returns what the store remembers, if it remembers this log.
func (l *Log) agreed(ctx context.Context, store kv.Store) (mark, bool, error) {
	m, found, err := recall(ctx, store)
	if err != nil {
		return m, false, err
	}
	if err := l.journal.agree(m, found, store.Durable()); err != nil {
		return m, false, advised(err)
	}
	return m, found, nil
}

// advised adds to an error what the operator can do about a refused log.
func advised(err error) error {
	if !errors.Is(err, ErrLost) && !errors.Is(err, ErrDamaged) {
		return err
	}
	return fmt.Errorf(
		"%w. Nothing was changed. Put back what is missing, or go on without it: watertight audit accept-loss "+
			"--reason TEXT",
		err,
	)
}

// begin makes the store and the log agree, and opens the journal for writing.
func (l *Log) begin(ctx context.Context, store kv.Store) (*writer, error) {
	j := l.journal
	m, found, err := l.agreed(ctx, store)
	if err != nil {
		return nil, err
	}
	w := l.newWriter(store)
	if j.tail > 0 {
		l.logger.Warn("audit log: the end of a frame that was not durable is cut off", "file", fileName(j.number), "at",
			j.size, "bytes", j.tail)
	}
	if j.damage != nil {
		w.service("AuditTailCut",
			append((&object{b: []byte{'{'}, text: textLimit}).with("cause", j.damage.Error()).b, '}'))
	}
	if m.number > 0 && j.first > m.first {
		l.logger.Warn("audit log: its oldest files are not there any more", "from", fileName(m.first), "to",
			fileName(j.first-1))
		w.service("AuditFilesMissing", missing(m, j))
	}
	if err := j.prepare(); err != nil {
		return nil, err
	}
	w.remembered(m)
	if !found {
		if j.state.sequence > 0 {
			l.logger.Warn("audit log: the store did not remember this log yet; it does from here on", "frame",
				j.state.sequence)
		}
		err = w.remember(ctx)
	}
	return w, err
}

func (l *Log) newWriter(store kv.Store) *writer {
	return &writer{log: l, journal: l.journal, store: store, backlog: true}
}

// missing returns the details of files that do not exist any more.
func missing(m mark, j *journal) []byte {
	w := &object{b: []byte{'{'}, text: textLimit}
	w.with("firstFile", fileName(m.first)).with("lastFile", fileName(j.first-1))
	w.number("firstFrame", int64(m.from))
	w.number("lastFrame", int64(j.from-1))
	return append(w.b, '}')
}

// Close writes all events that are left and stops the writer. A record that is finished
// after Close is lost. Close must be called before the store's Close. If ctx ends first,
// events of requests that changed nothing may be lost; those of changes stay in the store
// and are moved at the next start.
func (l *Log) Close(ctx context.Context) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	attached := l.cancel != nil
	l.mu.Unlock()
	l.queue.close()
	if !attached {
		l.discard(0)
		return l.journal.close()
	}
	close(l.stop)
	defer context.AfterFunc(ctx, l.cancel)()
	select {
	case <-l.done:
		return l.result
	case <-ctx.Done():
		return fmt.Errorf("audit: closing: %w", context.Cause(ctx))
	}
}

// discard logs how many events are lost for good: those that still wait, and more.
func (l *Log) discard(more int) {
	_, n, lost := l.queue.take(nil)
	if left := uint64(n+more) + lost.count; left > 0 {
		l.logger.Error("audit events lost at the end", "count", left)
	}
	if n := l.refusals.pending(); n > 0 {
		l.logger.Warn("refused requests were not recorded for want of room", "count", n)
	}
}

// direct passes an event of a request that changed nothing to the writer. Space for it may
// have been promised.
func (l *Log) direct(e *Event, granted bool, promised int) {
	e.brief = e.refused(granted)
	if e.brief {
		l.queue.release(promised)
		if !l.refusals.admit(time.Now(), e) {
			return
		}
	}
	buf := l.buffers.Get().(*[]byte)
	*buf = e.appendJSON((*buf)[:0], randomID(), l.region)
	var wake bool
	if e.brief {
		var ok bool
		if ok, wake = l.queue.pushRefused(*buf); !ok {
			l.refusals.count(time.Now(), e)
		}
	} else {
		wake = l.queue.push(*buf, promised)
	}
	if wake {
		l.hurry()
	}
	if cap(*buf) <= 64<<10 {
		l.buffers.Put(buf)
	}
}

// committed records that the store holds one more event.
func (l *Log) committed() {
	if l.changes.Add(1) >= wakeChanges {
		l.hurry()
	}
}

// hurry wakes the writer before the interval ends.
func (l *Log) hurry() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}
