package audit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv"
)

// Loss is a gap in the log that an operator accepted.
type Loss struct {
	First, Last uint64 // frames; if Last is before First, none
	Cause       string // why the log was refused
	Aside       string // folder to which the files were moved, or ""
}

// Accept lets a log continue that Attach refuses. It records that as the log's next event:
// who accepted it, why, and which frames are missing. If the end of the log is missing, the
// log continues after the frames that are left. If the log is damaged, or belongs to
// another store, all its files are moved to another folder, and a new file continues from
// what the store remembers. If nothing is missing, Accept returns an error and changes
// nothing.
func (l *Log) Accept(ctx context.Context, store kv.Store, who, reason string) (Loss, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cancel != nil {
		return Loss{}, errors.New("audit: the log is attached or closed")
	}
	m, found, err := recall(ctx, store)
	if err != nil {
		return Loss{}, err
	}
	j := l.journal
	refusal := j.agree(m, found, store.Durable())
	switch {
	case refusal == nil:
		return Loss{}, errors.New("audit: the log is the one that the store remembers; nothing is lost")
	case !errors.Is(refusal, ErrLost) && !errors.Is(refusal, ErrDamaged):
		return Loss{}, refusal
	}
	loss := Loss{First: j.state.sequence + 1, Last: m.state.sequence, Cause: refusal.Error()}
	cut := found && j.broken == nil && j.damage == nil && 0 < j.number && j.first <= m.number &&
		j.state.sequence < m.state.sequence && j.state.anchor <= store.Durable()
	if !cut {
		loss.First = min(m.from, m.state.sequence+1)
		if loss.Aside, err = j.setAside(m, time.Now()); err != nil {
			return Loss{}, fmt.Errorf("audit: moving the log aside: %w", err)
		}
	}
	return loss, l.record(ctx, store, "AuditLossAccepted", loss.details(who, reason), nil)
}

// Restored records, as the log's next event, that store and log were restored from a
// backup: who did it, the time of the backup, and the newest commit that was restored. also
// writes into the same transaction. The log must be the one that the store remembers.
func (l *Log) Restored(ctx context.Context, store kv.Store, who, of string, also func(kv.Tx) error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cancel != nil {
		return errors.New("audit: the log is attached or closed")
	}
	if _, _, err := l.agreed(ctx, store); err != nil {
		return err
	}
	w := &object{b: []byte{'{'}, text: textLimit}
	w.with("restoredBy", who).with("backupOf", of)
	w.number("commit", int64(store.Durable()))
	return l.record(ctx, store, "StoreRestored", append(w.b, '}'), also)
}

// AnchorAccepted records, as the log's next event, that an operator accepted a store that was
// not the anchored one: who, why, and what the difference was. also writes into the same
// transaction. The log must be the one that the store remembers.
func (l *Log) AnchorAccepted(
	ctx context.Context, store kv.Store, who, reason, cause string, also func(kv.Tx) error,
) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.cancel != nil {
		return errors.New("audit: the log is attached or closed")
	}
	if _, _, err := l.agreed(ctx, store); err != nil {
		return err
	}
	w := &object{b: []byte{'{'}, text: textLimit}
	w.with("acceptedBy", who).with("reason", reason).with("cause", cause)
	w.number("commit", int64(store.Durable()))
	return l.record(ctx, store, "AnchorAccepted", append(w.b, '}'), also)
}

// record writes an event of the server itself into a log that is not attached. also, which
// may be nil, writes into the transaction in which the store remembers it.
func (l *Log) record(
	ctx context.Context, store kv.Store, event string, details []byte, also func(kv.Tx) error,
) error {
	j := l.journal
	if err := j.prepare(); err != nil {
		return err
	}
	w := l.newWriter(store)
	w.service(event, details)
	if err := j.append(frame{
		written: time.Now(), anchor: store.Durable(), direct: w.batch, count: w.count,
	}); err != nil {
		return err
	}
	m := j.mark()
	err := store.Update(ctx, func(tx kv.Tx) error {
		tx.Set(markKey(), m.encode())
		if also == nil {
			return nil
		}
		return also(tx)
	})
	if err == nil {
		w.remembered(m)
	}
	return err
}

func (l *Loss) details(who, reason string) []byte {
	w := &object{b: []byte{'{'}, text: textLimit}
	w.string("acceptedBy", who)
	w.string("reason", reason)
	w.string("cause", l.Cause)
	if l.First <= l.Last {
		w.number("firstFrame", int64(l.First))
		w.number("lastFrame", int64(l.Last))
	}
	w.optional("movedTo", l.Aside)
	return append(w.b, '}')
}

// setAside moves every file of the log into a new folder, and makes the journal continue
// from the mark.
func (j *journal) setAside(m mark, now time.Time) (string, error) {
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.damage, j.broken, j.chains = nil, nil, nil, nil
	j.state, j.number, j.size, j.tail = m.state, m.number, 0, 0
	found, err := folder.ReadDir(j.fsys, j.dir)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	aside := ""
	for _, f := range found {
		if !strings.HasSuffix(f.Name(), suffix) {
			continue
		}
		if aside == "" {
			aside = filepath.Join(j.dir, "lost-"+now.UTC().Format("20060102T150405.000Z"))
			if err := j.fsys.Mkdir(aside, 0o700); err != nil {
				return "", err
			}
		}
		if err := j.fsys.Rename(filepath.Join(j.dir, f.Name()), filepath.Join(aside, f.Name())); err != nil {
			return "", err
		}
	}
	if j.folder == nil {
		return aside, nil
	}
	return aside, j.folder.Sync()
}
