package operator

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watertight/internal/core/object"
	"watertight/internal/fault"
)

// RollbackCommand asks to roll a bucket back to an instant.
type RollbackCommand struct {
	Bucket, Prefix string
	// To is the instant: a time of RFC 3339, a date (its beginning in UTC), or a duration
	// before now such as 90m, 2h or 3d.
	To     string
	After  string // only keys after this one
	DryRun bool
}

// RollbackProgress is one page of a rollback. The first one is no page: it only reports the
// instant that the server read from To.
type RollbackProgress struct {
	Entries []object.RollbackEntry `json:",omitempty"`
	Done    Rollback               // the totals so far
}

// RollbackEntry is what a rollback does to one key.
type RollbackEntry = object.RollbackEntry

// Rollback holds the totals of a rollback.
type Rollback struct {
	To                                            time.Time
	Restored, Changed, Hidden, Unchanged, Skipped int // keys, see object.RolledBack
	Public, Private                               int
	Bytes                                         int64
	Next                                          string `json:",omitempty"` // the After to continue with
}

func (n *Rollback) add(page *object.RolledBack) {
	n.Restored, n.Changed, n.Hidden = n.Restored+page.Restored, n.Changed+page.Changed, n.Hidden+page.Hidden
	n.Unchanged, n.Skipped = n.Unchanged+page.Unchanged, n.Skipped+page.Skipped
	n.Public, n.Private = n.Public+page.Public, n.Private+page.Private
	n.Bytes += page.Bytes
	n.Next = page.Next
}

// Rollback rolls a bucket back to an instant, page by page. It calls told before the first
// page and after each page.
// After an error, a new rollback can continue with the Next of the last page. Errors:
// NoSuchBucket, InvalidArgument, InvalidBucketState.
func (c *Client) Rollback(
	ctx context.Context, in RollbackCommand, told func(RollbackProgress) error,
) (Rollback, error) {
	return follow[RollbackProgress, Rollback](ctx, c, "/rollback", in, told)
}

func (c commands) rollbacks(m *http.ServeMux) {
	m.HandleFunc("POST /rollback", stream(c, "RollbackBucket", c.rollback))
}

func (c commands) rollback(
	ctx context.Context, cl *call, in RollbackCommand, tell func(RollbackProgress, bool) error,
) (done Rollback, err error) {
	cl.record.Event.Bucket = in.Bucket
	cl.param("prefix", in.Prefix)
	cl.param("dryRun", strconv.FormatBool(in.DryRun))
	to, err := moment(in.To, cl.at)
	if err != nil {
		return done, err
	}
	cl.param("to", to.Format(time.RFC3339Nano))
	done.To, done.Next = to, in.After
	if err := tell(RollbackProgress{Done: done}, true); err != nil {
		return done, err
	}
	page := object.RollbackInput{Bucket: in.Bucket, Prefix: in.Prefix, To: to, After: in.After, DryRun: in.DryRun}
	for more := true; more; more = page.After != "" {
		n, err := c.rollbackPage(ctx, cl, page)
		if err != nil {
			return done, err
		}
		done.add(&n)
		page.After = n.Next
		if err := tell(RollbackProgress{n.Entries, done}, true); err != nil {
			return done, err
		}
	}
	return done, nil
}

// rollbackPage executes one page. It holds the generation of the root key under which data
// keys are wrapped until they are stored.
func (c commands) rollbackPage(ctx context.Context, cl *call, in object.RollbackInput) (object.RolledBack, error) {
	defer c.RootKey.Ring.Hold().Release()
	return c.Objects.Rollback(ctx, cl.record, cl.at, in)
}

// moment reads a RollbackCommand's To. at is the time of the command.
func moment(text string, at time.Time) (time.Time, error) {
	if to, err := time.Parse(time.RFC3339, text); err == nil {
		return to.UTC(), nil
	}
	if to, err := time.Parse(time.DateOnly, text); err == nil {
		return to, nil
	}
	if ago, err := time.ParseDuration(text); err == nil && ago >= 0 {
		return at.Add(-ago).UTC(), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return at.Add(-time.Duration(n) * 24 * time.Hour).UTC(), nil
		}
	}
	return time.Time{}, fault.New(fault.InvalidArgument, fmt.Sprintf(
		"%q is no time of RFC 3339, no date and no duration such as 90m, 2h or 3d.", text))
}
