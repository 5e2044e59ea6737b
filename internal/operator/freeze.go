package operator

import (
	"context"
	"net/http"
	"time"

	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
)

// FreezeCommand names frozen principals: those of a bucket, or all. To lift one, it names a
// principal by its unique id or ARN.
type FreezeCommand struct{ Bucket, Principal string }

// Frozen is a principal that may change nothing in a bucket.
type Frozen struct {
	Bucket      string
	PrincipalID string `json:"PrincipalId"` // unique id of a user or role, account id of a root user, * is all
	Principal   string // ARN when it was frozen
	Since       time.Time
	Reason      string
}

// Freezes lists the frozen principals of a bucket, or of all buckets if it is empty.
func (c *Client) Freezes(ctx context.Context, bucket string) (out []Frozen, err error) {
	return out, c.do(ctx, http.MethodPost, "/freezes", FreezeCommand{Bucket: bucket}, &out)
}

// LiftFreeze ends a freeze and returns it.
func (c *Client) LiftFreeze(ctx context.Context, bucket, principal string) (out Frozen, err error) {
	return out, c.do(ctx, http.MethodPost, "/freezes/lift", FreezeCommand{bucket, principal}, &out)
}

func (c commands) freezes(m *http.ServeMux) {
	m.HandleFunc("POST /freezes", handle(c, "ListFreezes", c.listFreezes))
	m.HandleFunc("POST /freezes/lift", handle(c, "LiftFreeze", c.liftFreeze))
}

func shownFreeze(f *bucket.Freeze) Frozen {
	return Frozen{Bucket: f.Bucket, PrincipalID: f.Holder, Principal: f.ARN, Since: f.Since, Reason: f.Reason}
}

func (c commands) listFreezes(ctx context.Context, cl *call, in FreezeCommand) ([]Frozen, error) {
	cl.record.Event.Bucket = in.Bucket
	all, err := c.Buckets.Freezes(ctx, in.Bucket)
	out := make([]Frozen, len(all))
	for i := range all {
		out[i] = shownFreeze(&all[i])
	}
	return out, err
}

func (c commands) liftFreeze(ctx context.Context, cl *call, in FreezeCommand) (Frozen, error) {
	cl.record.Event.Bucket = in.Bucket
	cl.param("principal", in.Principal)
	id, f, err := c.Buckets.Lift(ctx, cl.record, in.Bucket, in.Principal)
	if err != nil {
		return Frozen{}, err
	}
	c.Alarm.Forget(alarm.Subject{Bucket: id, Principal: f.Holder})
	return shownFreeze(&f), nil
}
