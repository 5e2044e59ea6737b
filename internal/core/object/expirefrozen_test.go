package object

import (
	"errors"
	"testing"

	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
)

func (e *lifecycleEnv) freeze() {
	e.tb.Helper()
	_, err := bucket.NewOperator(e.buckets).Freeze(e.tb.Context(), nil, e.bucket().ID, bucket.Freeze{
		Bucket: "bkt", Holder: "AIDA", ARN: "arn", Since: e.now,
	})
	if err != nil {
		e.tb.Fatal(err)
	}
}

// TestLifecycleWaitsForFrozen: while any principal is frozen in a bucket, the bucket's rules are not
// executed, even if the freeze came after the judgement. They are executed again once it is lifted.
func TestLifecycleWaitsForFrozen(t *testing.T) {
	for _, c := range []struct {
		name   string
		before bool // the pass begins
		judged int
	}{
		{"frozen before", true, 0},
		{"frozen under way", false, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := &lifecycleEnv{env: newEnv(t), now: day(1)}
			keys := []string{"a", "b", "c"}
			for _, key := range keys {
				e.putAt(key, 1, nil, "")
			}
			days := ptr(int32(1))
			e.configure(lifecycle.Rule{Expiration: &lifecycle.Expiration{Days: days}})
			e.now = day(5)
			waits := 0
			l := NewLifecycle(e.objects, func(Happening) authz.Record {
				e.freeze()
				return nil
			}, func(_ string, err error) {
				if !errors.Is(err, ErrFrozen) {
					t.Error(err)
				}
				waits++
			})
			if c.before {
				e.freeze()
			}
			if w := e.pass(l, 0); w != (Worked{Judged: c.judged}) || waits != 1 {
				t.Errorf("%+v, it waited %d times", w, waits)
			}
			p, err := l.Preview(t.Context(), "bkt", e.now, false, 9)
			if err != nil || !p.Frozen || len(p.Items) != 3 {
				t.Errorf("%+v, %v", p, err)
			}
			for key, all := range e.state(keys) {
				if len(all) != 1 {
					t.Errorf("%s has %d versions", key, len(all))
				}
			}
			if _, _, err := bucket.NewOperator(e.buckets).Lift(t.Context(), nil, "bkt", "AIDA"); err != nil {
				t.Fatal(err)
			}
			if w := e.pass(e.lifecycle(portion{}), 0); w.Expired != 3 {
				t.Errorf("after the freeze: %+v", w)
			}
		})
	}
}
