package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// alarms gets the changes of all requests (object.Watcher). If a principal's changes in a
// bucket exceed a limit, it writes to the log and the audit log, counts the alarm, and
// freezes the principal if that is configured. It does so before the request is answered,
// so that the principal's next request is refused.
type alarms struct {
	counter *alarm.Counter
	window  time.Duration
	freeze  bool
	buckets *bucket.Operator
	trail   *audit.Log
	log     *slog.Logger
	metrics *metrics
}

// alarmLimits returns the limits of the ransom alarm.
func (c *Config) alarmLimits() alarm.Limits {
	return alarm.Limits{
		Window: c.AlarmWindow, Most: alarm.Counts{
			alarm.Overwrites: c.AlarmOverwrites, alarm.Deletes: c.AlarmDeletes, alarm.KeyChanges: c.AlarmKeyChanges,
		},
	}
}

// checkAlarm refuses limits with which the alarm could not work as intended.
func (c *Config) checkAlarm() error {
	l := c.alarmLimits()
	for k := range alarm.Kinds {
		if l.Most[k] < 0 {
			return errors.New("--alarm-overwrites, --alarm-deletes and --alarm-key-changes must not be negative")
		}
	}
	switch {
	case !l.Off() && l.Window < time.Second:
		return errors.New("--alarm-window must be at least 1s")
	case l.Off() && c.FreezeOnAlarm:
		return errors.New("--freeze-on-alarm needs --alarm-overwrites, --alarm-deletes or --alarm-key-changes")
	}
	return nil
}

// watchChanges registers the alarm for the changes of objects, unless it is off.
func (s *Server) watchChanges() {
	s.metrics = newMetrics(s.countFrozen)
	l := s.config.alarmLimits()
	s.counter = alarm.NewCounter(l)
	if l.Off() {
		return
	}
	s.objects.Watch(&alarms{
		counter: s.counter, window: l.Window, freeze: s.config.FreezeOnAlarm, buckets: bucket.NewOperator(s.buckets),
		trail: s.trail, log: s.log, metrics: s.metrics,
	})
}

// Changed implements object.Watcher.
func (a *alarms) Changed(ctx context.Context, c authz.Caller, b *bucket.Bucket, all alarm.Changes) {
	p := c.Principal()
	who := alarm.Subject{Bucket: b.ID, Principal: p.HolderID()}
	if who.Principal == "" {
		return
	}
	at := c.Now()
	raised, ok := a.counter.Add(at, who, all)
	if !ok {
		return
	}
	reason := fmt.Sprintf("%d overwrites, %d deletes, %d key changes within %s", raised.Counts[alarm.Overwrites],
		raised.Counts[alarm.Deletes], raised.Counts[alarm.KeyChanges], a.window)
	a.metrics.alarms.WithLabelValues(raised.Kind.String()).Inc()
	a.log.Warn("changes in a bucket look like ransomware", "bucket", b.Name, "principal", p.Holder(), "id",
		who.Principal, "caller", p.ARN.String(), "access_key_id", c.AccessKeyID(), "kind", raised.Kind.String(),
		"counts", reason)
	r := a.event("RaiseRansomAlarm", c, b, at, reason)
	r.Finish(audit.Outcome{})
	if !a.freeze {
		return
	}
	ctx = context.WithoutCancel(ctx) // a client that disconnects must not avoid the freeze
	f, err := a.buckets.Freeze(ctx, a.event("FreezePrincipal", c, b, at, reason), b.ID, bucket.Freeze{
		Bucket: b.Name, Holder: who.Principal, ARN: p.Holder(), Since: at.UTC().Truncate(time.Microsecond),
		Reason: reason,
	})
	if err != nil {
		a.log.Error("the principal could not be frozen; its next change is the next try", "bucket", b.Name, "id",
			who.Principal, "err", err)
		a.counter.Again(who)
		return
	}
	a.log.Warn("the principal's writes to the bucket are refused until watertight freeze lift", "bucket", b.Name,
		"principal", f.ARN, "id", f.Holder)
}

// event returns the audit event of an alarm or of a freeze.
func (a *alarms) event(name string, c authz.Caller, b *bucket.Bucket, at time.Time, reason string) *audit.Record {
	p := c.Principal()
	r := a.trail.Begin(protocol.NewRequestID(), at)
	r.Event.Operation = action.OperationOf("watertight", name)
	r.Event.Identity = audit.Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "alarm"}}
	r.Event.SourceIP = c.SourceIP()
	r.Event.Bucket, r.Event.Owner = b.Name, b.Owner
	r.Event.Parameters = []audit.Param{
		{Name: "principalId", Value: p.HolderID()}, {Name: "principalArn", Value: p.Holder()},
		{Name: "callerArn", Value: p.ARN.String()}, {Name: "accessKeyId", Value: c.AccessKeyID()},
		{Name: "reason", Value: reason},
	}
	r.Granted()
	return r
}
