package object

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/keys"
	"watertight/internal/core/payload"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

func (e *env) rollback(in RollbackInput) (RolledBack, error) {
	e.tb.Helper()
	in.Bucket = "bkt"
	return e.objects.Rollback(e.tb.Context(), e.grant(arn.Bucket("bkt"), "watertight:RollbackBucket"), in)
}

// now returns an instant after all earlier writes and before all later ones.
func now() time.Time {
	at := time.Now()
	time.Sleep(2 * time.Microsecond)
	return at
}

// scanCounter counts scans, and the records that they read.
type scanCounter struct {
	kv.Reader
	scans, records int
}

func (c *scanCounter) Scan(from, to []byte) iter.Seq2[kv.Pair, error] {
	c.scans++
	return func(yield func(kv.Pair, error) bool) {
		for p, err := range c.Reader.Scan(from, to) {
			if c.records++; !yield(p, err) {
				return
			}
		}
	}
}

// TestRollbackSkipsVersions: the plan reads a few records of a key, however many versions the key
// has before and after the instant.
func TestRollbackSkipsVersions(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	const versions, keys = 300, 3
	var to time.Time
	for _, many := range []string{"before", "after"} {
		for n := range keys {
			for i := range versions {
				e.mustPut(fmt.Sprint(many, n), fmt.Sprint(i))
			}
			if many == "before" {
				to = now()
			}
		}
	}
	for n := range keys {
		e.mustPut(fmt.Sprint("before", n), "newest")
	}
	k := e.slot("")
	err := e.store.View(t.Context(), func(r kv.Reader) error {
		c := &scanCounter{Reader: r}
		p := rollbackPlan{in: &RollbackInput{Bucket: "bkt", To: to, DryRun: true}, at: time.Now(), b: k.b}
		if err := p.run(c); err != nil {
			return err
		}
		p.conclude(func(string) bool { return true })
		if p.out.Changed != keys || p.out.Hidden != keys || c.records > 2*keys*(maxSteps+2) || c.scans > 3*keys+1 {
			t.Errorf("%+v: %d scans, %d records", p.out, c.scans, c.records)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestRollbackAmongWriters: keys that others write during a rollback end either in the old state or
// with the new write, and all counts stay right.
func TestRollbackAmongWriters(t *testing.T) {
	s := newScrubbing(t)
	const keys = 40
	for n := range keys {
		s.mustPut(fmt.Sprint("w", n), "first")
	}
	to := now()
	for n := range keys {
		s.mustPut(fmt.Sprint("w", n), "second")
	}
	var all sync.WaitGroup
	errs := make([]error, 4)
	for w := range errs {
		all.Go(func() {
			for n := w; n < keys && errs[w] == nil; n += len(errs) {
				key := fmt.Sprint("w", n)
				ctx := context.Background()
				switch n % 3 {
				case 0:
					_, errs[w] = s.objects.Put(ctx, s.grant(arn.Object("bkt", key), "s3:PutObject"), PutInput{
						Bucket: "bkt", Key: key, Body: strings.NewReader("third"), Size: 5,
					})
				case 1:
					_, errs[w] = s.objects.Delete(ctx, s.grant(arn.Object("bkt", key), "s3:DeleteObject"), "bkt",
						DeleteInput{Key: key})
				}
				_, err := s.rollback(RollbackInput{To: to, Prefix: "w"})
				if err != nil && !fault.Is(err, fault.OperationAborted) {
					errs[w] = err
				}
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	done, err := s.rollback(RollbackInput{To: to, Prefix: "w"})
	if err != nil || done.Restored+done.Changed+done.Unchanged != keys {
		t.Errorf("%+v, %v", done, err)
	}
	for n := range keys {
		if _, text, err := s.get(GetInput{Key: fmt.Sprint("w", n)}); err != nil || text != "first" {
			t.Errorf("w%d is %q, %v", n, text, err)
		}
	}
	if found, _ := s.scrub(ScrubInput{}); len(found) > 0 {
		t.Error(found)
	}
}

// TestRollbackOfWhatChangesInPlace: a version whose tags changed after it was restored is restored
// again. While public ACLs are blocked, a rollback removes public grants, and a second one changes
// nothing.
func TestRollbackOfWhatChangesInPlace(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	e.mustPut("k", "first")
	k := e.slot("k")
	public := acl.List{{Group: acl.AllUsers, Permission: acl.Read}, {Account: "444455556666", Permission: acl.Read}}
	err := e.store.Update(t.Context(), func(tx kv.Tx) error {
		v, err := k.newest(tx)
		v.acl = public
		tx.Set(k.version(v.seq), v.encode())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	to := now()
	e.mustPut("k", "second")
	for n, step := range []RolledBack{
		{Changed: 1, Private: 1, Bytes: 5, First: "k", Last: "k"}, {Unchanged: 1, First: "k", Last: "k"},
	} {
		if got, err := e.rollback(RollbackInput{To: to}); err != nil || fmt.Sprint(got) != fmt.Sprint(step) {
			t.Errorf("%d: %+v, want %+v; %v", n, got, step, err)
		}
	}
	if got := allVersions(e, k)[0].acl; len(got) != 1 || got.Public() {
		t.Errorf("the object comes back with %v", got)
	}
	if _, err := e.objects.PutTags(t.Context(), e.grant(arn.Object("bkt", "k"), "s3:PutObjectTagging"),
		VersionInput{Bucket: "bkt", Key: "k"}, tag.Set{{Key: "a", Value: "b"}}); err != nil {
		t.Fatal(err)
	}
	if got, err := e.rollback(RollbackInput{To: to}); err != nil || got.Changed != 1 {
		t.Errorf("after its tags changed: %+v, %v", got, err)
	}
	if n := len(allVersions(e, k)); n != 4 {
		t.Errorf("%d versions", n)
	}
}

// TestRollbackLocks: a version that a rollback adds has the bucket's default retention, not the lock
// of the old version. Locked versions stay.
func TestRollbackLocks(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	e.mustPut("k", "first")
	k := e.slot("k")
	to := now()
	err := e.store.Update(t.Context(), func(tx kv.Tx) error {
		v, err := k.newest(tx)
		v.lock = Lock{Retention{bucket.Compliance, day(1).AddDate(50, 0, 0)}, HoldOn}
		tx.Set(k.version(v.seq), v.encode())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	e.mustPut("k", "second")
	for _, days := range []int{0, 10} {
		if days > 0 {
			g := e.grant(arn.Bucket("bkt"), "s3:PutBucketObjectLockConfiguration")
			if err := e.buckets.PutObjectLock(t.Context(), g, "bkt", &bucket.DefaultRetention{
				Mode: bucket.Governance, Days: &days,
			}); err != nil {
				t.Fatal(err)
			}
			sum := md5.Sum([]byte("third"))
			if _, err := e.put(PutInput{
				Key: "k", Body: strings.NewReader("third"), Size: 5, MD5: sum[:],
			}); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := e.rollback(RollbackInput{To: to}); err != nil || got.Changed != 1 {
			t.Fatal(got, err)
		}
		all := allVersions(e, k)
		want := Lock{}
		if days > 0 {
			want.Retention = Retention{bucket.Governance, roundUp(all[0].modified.AddDate(0, 0, days))}
		}
		if got := all[0].lock; got.Mode != want.Mode || !got.Until.Equal(want.Until) || got.Hold != HoldNever {
			t.Errorf("the new version has the lock %+v, want %+v", got, want)
		}
		if old := all[len(all)-1].lock; old.Mode != bucket.Compliance || old.Hold != HoldOn {
			t.Errorf("the old version has the lock %+v", old)
		}
	}
}

// TestRollbackSkipsWhatItCannotRead: a key with a record of a later program does not change and is
// reported; all others come back.
func TestRollbackSkipsWhatItCannotRead(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	e.mustPut("bad", "first")
	e.mustPut("good", "first")
	to := now()
	e.mustPut("bad", "second")
	e.mustPut("good", "second")
	k := e.slot("bad")
	err := e.store.Update(t.Context(), func(tx kv.Tx) error {
		old := allVersions(e, k)[1]
		tx.Set(k.version(old.seq), append(old.encode(), later(true)...))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, dry := range []bool{true, false} {
		got, err := e.rollback(RollbackInput{To: to, DryRun: dry})
		want := RollbackEntry{Action: RollbackSkips, Key: "bad"}
		if err != nil || got.Skipped != 1 || got.Changed != 1 || got.Entries[0] != want {
			t.Errorf("%+v, %v", got, err)
		}
	}
	if _, text, err := e.get(GetInput{Key: "bad"}); err != nil || text != "second" {
		t.Errorf("%q, %v", text, err)
	}
}

// TestRollbackWrapsAnew: the data key of a new version is wrapped under the current generation of
// the root key, so that a rotation of the root key does not miss it.
func TestRollbackWrapsAnew(t *testing.T) {
	e, root := newEnv(t), seal.RingOf(seal.NewKey())
	e.ring = keys.New(root, e.kms)
	p, err := payload.Open(payload.Options{Keys: e.ring})
	if err != nil {
		t.Fatal(err)
	}
	e.payloads = &spy{Store: p, blobs: map[string]bool{}, early: map[string]bool{}}
	e.objects = New(e.store, e.payloads, e.buckets, e.kms)
	e.versioning(bucket.Enabled)
	e.mustPut("k", "first")
	to := now()
	e.mustPut("k", "second")
	root.Add(seal.Generation{Number: root.Current().Number + 1, Key: seal.NewKey()})
	if got, err := e.rollback(RollbackInput{To: to}); err != nil || got.Changed != 1 {
		t.Fatal(got, err)
	}
	all := allVersions(e, e.slot("k"))
	if now, old := keys.Generation(all[0].dataKey), keys.Generation(all[2].dataKey); now != 2 || old != 1 {
		t.Errorf("the data keys need the generations %d and %d", now, old)
	}
	if _, text, err := e.get(GetInput{Key: "k"}); err != nil || text != "first" {
		t.Errorf("%q, %v", text, err)
	}
}
