package object

import (
	"testing"

	"watertight/internal/core/bucket"
	"watertight/internal/core/lifecycle"
	"watertight/internal/storage/kv"
)

// TestLifecycleKeepsLocked: a version that is due stays while a retention or a legal hold protects
// it, and the preview says so. Delete markers are still added.
func TestLifecycleKeepsLocked(t *testing.T) {
	e := &lifecycleEnv{env: newEnv(t), now: day(1)}
	e.versioning(bucket.Enabled)
	locks := map[string]Lock{
		"free":       {},
		"held":       {Hold: HoldOn},
		"released":   {Hold: HoldOff},
		"retained":   {Retention: Retention{Mode: bucket.Governance, Until: day(30)}},
		"compliance": {Retention: Retention{Mode: bucket.Compliance, Until: day(30)}},
		"ended":      {Retention: Retention{Mode: bucket.Compliance, Until: day(5)}},
	}
	for key, lock := range locks {
		e.putAt(key, 1, nil, "")
		k := slot{e.bucket(), key}
		err := e.store.Update(t.Context(), func(tx kv.Tx) error {
			v, err := k.newest(tx)
			if err == nil {
				v.lock = lock
				tx.Set(k.version(v.seq), v.encode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	e.configure(lifecycle.Rule{
		Expiration:           &lifecycle.Expiration{Days: ptr(int32(1))},
		NoncurrentExpiration: &lifecycle.NoncurrentExpiration{Days: ptr(int32(1))},
	})
	e.now = day(3)
	if w := e.pass(e.lifecycle(portion{}), 0); w.Expired != len(locks) {
		t.Errorf("%+v", w)
	}
	e.now = day(10)
	p, err := e.lifecycle(portion{}).Preview(t.Context(), "bkt", e.now, false, 100)
	if err != nil || len(p.Sums) != 1 || p.Sums[0].Count != 6 || p.Sums[0].Kept != 3 || len(p.Items) != 6 {
		t.Errorf("%+v, %v", p, err)
	}
	if w := e.pass(e.lifecycle(portion{}), 0); w.Removed != 3 || w.Kept != 3 {
		t.Errorf("%+v", w)
	}
	for key := range locks {
		t.Run(key, func(t *testing.T) {
			left := 0
			for _, v := range e.state([]string{key})[key] {
				if !v.marker {
					left++
				}
			}
			want := 0
			if key == "held" || key == "retained" || key == "compliance" {
				want = 1
			}
			if left != want {
				t.Errorf("%d versions are left, not %d", left, want)
			}
		})
	}
	e.now = day(40)
	if w := e.pass(e.lifecycle(portion{}), 0); w.Removed < 2 || w.Kept != 1 {
		t.Errorf("after the retention: %+v", w)
	}
}
