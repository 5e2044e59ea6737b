package datadir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded"
)

// AuditLoss is a gap in the audit log that was accepted.
type AuditLoss struct {
	Cause                 string
	FirstFrame, LastFrame uint64 `json:",omitempty"`
	MovedTo               string `json:",omitempty"` // folder to which the old files were moved
}

// AcceptAuditLoss allows a server to start on a data directory whose audit log is cut off,
// damaged, missing or another one, and records that as the log's next event. No server may
// be running on the directory.
func AcceptAuditLoss(ctx context.Context, o Options, reason string) (_ AuditLoss, err error) {
	lock, err := Lock(folder.OS(), o.Data)
	if err != nil {
		return AuditLoss{}, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	key, err := o.keyring(ctx)
	if err != nil {
		return AuditLoss{}, err
	}
	trail, err := audit.Open(audit.Options{
		Dir: AuditDir(o.Data), Root: key.Ring, Region: o.Region, Logger: o.Logger, Salvage: true,
	})
	if err != nil {
		return AuditLoss{}, err
	}
	defer func() { err = errors.Join(err, trail.Close(ctx)) }()
	parts, err := Survey(folder.OS(), o.Data)
	if err == nil && parts.Fresh {
		err = errors.New("there is no store")
	}
	if err != nil {
		return AuditLoss{}, err
	}
	parts.Keyring, parts.LogLost = key, true
	store, err := parts.Open(ctx, embedded.Options{Root: key.Ring, AtLeast: trail.Anchor(), Logger: o.Logger})
	if err != nil {
		return AuditLoss{}, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	loss, err := trail.Accept(ctx, store, fmt.Sprintf("uid %d", os.Getuid()), reason)
	out := AuditLoss{Cause: loss.Cause, MovedTo: loss.Aside}
	if loss.First <= loss.Last {
		out.FirstFrame, out.LastFrame = loss.First, loss.Last
	}
	if err != nil {
		return out, err
	}
	return out, parts.Mark(store)
}

// AuditSummary is the result of reading an audit log.
type AuditSummary struct {
	FirstFrame, LastFrame uint64
	Events                uint64
	Written               time.Time // of the last frame
	Anchor                uint64    // newest commit of the store that the log knows of
	// hash of the last frame, in hex: kept elsewhere, it proves that nothing was cut off
	Chain string
}

// ReadAudit verifies the audit log in dir, or the data directory's if dir is
// empty, and passes every event to fn as one line of JSON. A server may be
// running on the data directory.
func ReadAudit(ctx context.Context, o Options, dir string, fn func(json []byte) error) (AuditSummary, error) {
	key, err := o.keyring(ctx)
	if err != nil {
		return AuditSummary{}, err
	}
	if dir == "" {
		dir = AuditDir(o.Data)
	}
	var sum AuditSummary
	err = audit.Read(folder.OS(), dir, key.Ring, func(g audit.Group) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if sum.FirstFrame == 0 {
			sum.FirstFrame = g.Sequence
		}
		sum.LastFrame, sum.Written, sum.Anchor, sum.Chain = g.Sequence, g.Written, g.Anchor, fmt.Sprintf("%x", g.Chain)
		sum.Events += uint64(len(g.Events))
		for _, e := range g.Events {
			if err := fn(e.JSON); err != nil {
				return err
			}
		}
		return nil
	})
	return sum, err
}
