package object

import (
	"context"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/storage/kv"
)

// TestLifecycleRaces: if a key changes between the judgement and the transaction, the action is not
// executed on its new state.
func TestLifecycleRaces(t *testing.T) {
	old := lifecycle.Rule{
		Expiration:           &lifecycle.Expiration{Days: ptr(int32(1))},
		NoncurrentExpiration: &lifecycle.NoncurrentExpiration{Days: ptr(int32(1)), Newer: ptr(int32(1))},
	}
	for name, c := range map[string]struct {
		versions int // of the key, from day 1 on, one each day
		marker   bool
		between  func(e *lifecycleEnv, all []shown)
		left     int // of the versions
		changed  bool
	}{
		"nothing":          {3, false, func(*lifecycleEnv, []shown) {}, 3, false}, // a marker, two versions
		"an overwrite":     {1, false, func(e *lifecycleEnv, _ []shown) { e.putAt("k", 1, nil, "") }, 2, false},
		"a delete marker":  {1, false, func(e *lifecycleEnv, _ []shown) { e.deleteAt("k", nil) }, 2, false},
		"its deletion":     {1, false, func(e *lifecycleEnv, all []shown) { e.deleteAt("k", &all[0].id) }, 0, false},
		"a newer one gone": {3, false, func(e *lifecycleEnv, all []shown) { e.deleteAt("k", &all[1].id) }, 3, false},
		"now current": {2, true, func(e *lifecycleEnv, all []shown) {
			e.deleteAt("k", &all[0].id)
			e.deleteAt("k", &all[1].id)
		}, 1, false},
		"a lone marker, and a version": {
			0, true, func(e *lifecycleEnv, _ []shown) { e.putAt("k", 1, nil, "") }, 2, false,
		},
		"another configuration": {3, false, func(e *lifecycleEnv, _ []shown) {
			e.configure(lifecycle.Rule{Expiration: &lifecycle.Expiration{Days: ptr(int32(1000))}})
		}, 3, true},
		"another versioning": {3, false, func(e *lifecycleEnv, _ []shown) { e.versioning(bucket.Suspended) }, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := &lifecycleEnv{env: newEnv(t), now: day(1)}
			e.versioning(bucket.Enabled)
			for range c.versions {
				e.putAt("k", 1, nil, "")
				e.now = e.now.AddDate(0, 0, 1)
			}
			if c.marker {
				e.deleteAt("k", nil)
			}
			e.configure(old)
			e.now = e.now.AddDate(0, 0, 10)
			l, b := e.lifecycle(portion{}), e.bucket()
			pass := &bucketPass{b: *b}
			err := e.store.View(t.Context(), func(r kv.Reader) (err error) {
				rules, err := e.buckets.Rules(r, b)
				if err != nil {
					return err
				}
				pass.judge = expiryJudge{b: b, rules: rules, most: l.most, at: e.now}
				_, err = pass.judge.scan(r, bucket.VersionsOf(b.ID))
				return err
			})
			if err != nil || len(pass.judge.due) == 0 {
				t.Fatal(pass.judge.due, err)
			}
			c.between(e, e.state([]string{"k"})["k"])
			var w Worked
			err = l.apply(t.Context(), pass, pass.judge.due, e.now, &w)
			if got := e.state([]string{"k"})["k"]; len(got) != c.left || (err == errBucketChanged) != c.changed {
				t.Errorf("%d versions are left, not %d: %+v; %v", len(got), c.left, got, err)
			}
		})
	}
}

// TestLifecycleUploads: uploads are aborted, with their parts, once they are old enough; others
// stay.
func TestLifecycleUploads(t *testing.T) {
	e := &lifecycleEnv{env: newEnv(t), now: day(1)}
	e.configure(lifecycle.Rule{
		Filter: &lifecycle.Filter{Predicates: lifecycle.Predicates{Prefix: ptr("a")}},
		Abort:  &lifecycle.Abort{Days: ptr(int32(2))},
	})
	begin := func(key string) {
		c := coretest.RootAt(coretest.Account, e.now)
		g := coretest.Grant(t, c, arn.Object("bkt", key), "s3:PutObject")
		u, err := e.objects.CreateUpload(t.Context(), g, UploadInput{Bucket: "bkt", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		_, err = e.objects.PutPart(t.Context(), g, PartInput{
			Bucket: "bkt", Key: key, UploadID: u.ID, Number: 1, Body: strings.NewReader(long()),
			Size: int64(len(long())),
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		begin("a")
	}
	begin("b")
	e.now = day(3)
	begin("a2")
	for _, step := range []struct {
		at            time.Time
		left, aborted int
	}{
		{time.Date(2026, 11, 3, 23, 59, 59, 0, time.UTC), 22, 0}, {time.Date(2026, 11, 4, 0, 0, 0, 0, time.UTC), 2, 20},
	} {
		e.now = step.at
		w := e.pass(e.lifecycle(portion{versions: 7, due: 9, keep: 1}), 0)
		n := e.refs(uploadPrefix)
		if n != step.left || w.Aborted != step.aborted || len(e.payloads.settled(t)) != step.left {
			t.Errorf("%v: %d uploads are left, not %d: %+v", step.at, n, step.left, w)
		}
	}
}

// noted is an audit event that keeps its notes.
type noted struct {
	name  string
	notes map[string][]string
	ended int
}

func (n *noted) Entry() (key, value []byte, err error) { return []byte("a/" + n.name), []byte{1}, nil }
func (n *noted) Note(name string, values ...string)    { n.notes[name] = values }
func (n *noted) Committed()                            { n.ended++ }

// TestLifecyclePass: each change has an event that names rule, keys and versions. A configuration
// or a version that can't be read does not stop the pass. A bucket is judged once a day.
func TestLifecyclePass(t *testing.T) {
	e := &lifecycleEnv{env: newEnv(t), now: day(1)}
	e.edited = true
	e.putAt("k", 1, nil, "")
	e.putAt("later", 1, nil, "")
	b := e.makeBucket("broken")
	e.configure(lifecycle.Rule{Expiration: &lifecycle.Expiration{Days: ptr(int32(1))}})
	err := e.store.Update(t.Context(), func(tx kv.Tx) error {
		b.Lifecycle = bucket.LifecycleID{1} // without a configuration
		broken, err := tx.Get([]byte("b/broken"))
		if err != nil {
			return err
		}
		tx.Set([]byte("b/broken"), record.Bytes(broken, 17, b.Lifecycle[:]))
		k := slot{e.bucket(), "later"}
		v, err := k.newest(tx)
		if err != nil {
			return err
		}
		tx.Set(k.version(v.seq), record.Uint(v.encode(), record.Ancillary-1, 1))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var events []*noted
	bad := map[string]int{}
	l := NewLifecycle(e.objects, func(h Happening) authz.Record {
		n := &noted{name: h.Bucket + " " + h.Rule, notes: map[string][]string{}}
		events = append(events, n)
		return n
	}, func(name string, err error) { bad[name]++ })
	run := func(ctx context.Context) (w Worked) {
		p := l.Begin(e.now, false)
		for more := true; more; {
			if more, err = p.Step(ctx, e.now); err != nil {
				t.Fatal(err)
			}
		}
		return p.Worked
	}
	e.now = day(5)
	if w := run(t.Context()); w.Expired != 1 || w.Judged != 2 || bad["broken"] != 1 || bad["bkt"] != 1 {
		t.Errorf("%+v, %v", w, bad)
	}
	if len(events) != 1 || events[0].name != "bkt rule-0" || events[0].ended != 1 ||
		strings.Join(events[0].notes["deleted"], " ") != "k?versionId=null" {
		t.Errorf("%+v", events)
	}
	if w := run(t.Context()); w.Judged != 0 {
		t.Errorf("the bucket is judged again: %+v", w)
	}
	if e.now = day(6); run(t.Context()).Judged != 1 {
		t.Error("the bucket is not judged on the next day")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Begin(e.now, true).Step(ctx, e.now); err == nil {
		t.Error("the pass continues after its end")
	}
}
