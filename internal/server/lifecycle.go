package server

import (
	"context"
	"errors"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/object"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// lifecycleCheck is how often the server checks whether a new day has begun, and how long
// it waits before it repeats a pass that failed.
const lifecycleCheck = 10 * time.Minute

// keepLifecycle executes the buckets' lifecycle configurations: at the start, and then
// after each midnight UTC, when actions by age become due. If an interval is configured, it
// makes a pass at that interval, and every pass judges everything.
func (s *Server) keepLifecycle(ctx context.Context) {
	const day = 24 * time.Hour
	every := s.config.LifecycleInterval
	var done time.Time // the day whose pass has ended
	for {
		now := s.config.Now().UTC()
		if today := now.Truncate(day); every > 0 || !today.Equal(done) {
			err := s.lifecyclePass(ctx, every > 0)
			if ctx.Err() != nil {
				return
			}
			if done = today; err != nil {
				s.log.Error("lifecycle", "err", err)
				done = time.Time{}
			}
		}
		wait := min(lifecycleCheck, now.Truncate(day).Add(day).Sub(now)+time.Second)
		if every > 0 {
			wait = every
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}

// sleep waits for d. It returns false if ctx ends first.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

func (s *Server) lifecycle() *object.Lifecycle {
	return object.NewLifecycle(s.objects, s.lifecycleEvent, func(bucket string, err error) {
		if errors.Is(err, object.ErrFrozen) {
			s.log.Warn("lifecycle rules wait until watertight freeze lift: somebody is frozen", "bucket", bucket)
			return
		}
		s.log.Error("lifecycle", "bucket", bucket, "err", err)
	})
}

// lifecyclePass goes through all buckets once. After each step it pauses for as long as the
// step took, so that requests get at least half of the machine.
func (s *Server) lifecyclePass(ctx context.Context, again bool) error {
	pass := s.lifecycle().Begin(s.config.Now(), again)
	for more := true; more; {
		began := time.Now()
		var err error
		if more, err = pass.Step(ctx, s.config.Now()); err != nil {
			return err
		}
		if !sleep(ctx, time.Since(began)) {
			return ctx.Err()
		}
	}
	if w := pass.Worked; w.Expired+w.Removed+w.Moved+w.Aborted+w.Kept > 0 {
		s.log.Info("lifecycle", "judged", w.Judged, "expired", w.Expired, "removed", w.Removed, "transitioned", w.Moved,
			"aborted", w.Aborted, "kept", w.Kept)
	}
	return nil
}

// lifecycleEvent returns the audit event of an action of a lifecycle rule. CloudTrail has
// no such events; their names are those of S3's server access logs (S3 user guide, "Amazon
// S3 server access log format").
func (s *Server) lifecycleEvent(h object.Happening) authz.Record {
	r := s.trail.Begin(protocol.NewRequestID(), s.config.Now())
	r.Event.Operation = action.OperationOf("s3", lifecycleOperation(h))
	r.Event.Identity = audit.Identity{
		Principal: &policy.Principal{Kind: policy.Service, Name: lifecycle.Service},
	}
	r.Event.Bucket, r.Event.Owner = h.Bucket, h.Owner
	r.Event.Parameters = []audit.Param{{Name: "rule", Value: h.Rule}}
	if h.Class != "" {
		r.Event.Parameters = append(r.Event.Parameters, audit.Param{Name: "storageClass", Value: h.Class})
	}
	return r
}

func lifecycleOperation(h object.Happening) string {
	switch {
	case h.Marker:
		return "S3.CREATE.DELETEMARKER"
	case h.Kind == lifecycle.Move:
		return "S3.TRANSITION.OBJECT"
	case h.Kind == lifecycle.AbortUpload:
		return "S3.DELETE.UPLOAD"
	}
	return "S3.EXPIRE.OBJECT"
}
