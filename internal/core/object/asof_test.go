package object

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// past is a version as a naive scan of all records finds it.
type past struct {
	seq    uint64
	marker bool
	id     string
}

// pasts returns all versions, newest first.
func (e *env) pasts() map[string][]past {
	e.tb.Helper()
	all := map[string][]past{}
	err := e.store.View(e.tb.Context(), func(r kv.Reader) error {
		from := []byte(bucket.VersionPrefix)
		for p, err := range r.Scan(from, record.After(from)) {
			if err != nil {
				return err
			}
			v, err := decodeVersion(p.Value)
			if err != nil {
				return err
			}
			key := string(p.Key[len(from)+9 : len(p.Key)-seqSize])
			all[key] = append(all[key], past{v.seq, v.deleteMarker, v.id()})
		}
		return nil
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return all
}

// stateAt returns the ids of the objects that were current at an instant.
func stateAt(all map[string][]past, at time.Time) map[string]string {
	state := map[string]string{}
	for key, versions := range all {
		for _, v := range versions {
			if v.seq <= uint64(at.UnixMicro()) {
				if !v.marker {
					state[key] = v.id
				}
				break
			}
		}
	}
	return state
}

// listNaive lists a state, beginning after a key.
func listNaive(state map[string]string, in *ListInput) (out []string) {
	var keys []string
	for key := range state {
		if strings.HasPrefix(key, in.Prefix) && (in.After == "" || key > in.After) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		if common, ok := rolledUp(key, in.Prefix, in.Delimiter); ok {
			key = common + " (prefix)"
			if common == in.After || len(out) > 0 && out[len(out)-1] == key {
				continue
			}
		}
		out = append(out, key)
	}
	return out
}

func (e *env) listAsOf(in ListInput, at time.Time) (l listing, err error) {
	in.Bucket = "bkt"
	g := e.grant(arn.Bucket("bkt"), "s3:ListBucketVersions")
	l.Listing, err = e.objects.ListAsOf(e.tb.Context(), g, in, at, l.add)
	return l, err
}

// getAsOf reads a key as it was.
func (e *env) getAsOf(key string, at time.Time) (*Reading, string, error) {
	id, err := e.objects.VersionAsOf(e.tb.Context(), "bkt", key, at)
	if err != nil {
		e.tb.Fatal(err)
	}
	return e.get(GetInput{Key: key, VersionID: &id, AsOf: at})
}

// TestAsOf: reads and listings as of any instant agree with a naive scan of all records, in pages
// of any size and with any bound on their work. If nothing was removed for good, they agree with
// the listings that were made at that instant.
func TestAsOf(t *testing.T) {
	keys := []string{"a/", "a/b", "a/b/c", "a/c", "b", "b/", "c", "c\xf4\x8f\xbf\xbf", "d/e/f", "d/e/g"}
	rapid.Check(t, func(rt *rapid.T) {
		e := newEnv(t)
		kept := rapid.Bool().Draw(rt, "kept")
		if kept {
			e.versioning(bucket.Enabled)
		}
		var instants []time.Time
		var shown [][]string
		for n := range rapid.IntRange(1, 25).Draw(rt, "steps") {
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			switch what := rapid.IntRange(0, 9).Draw(rt, "what"); {
			case what < 5:
				e.mustPut(key, fmt.Sprint(n))
			case what < 8:
				if _, err := e.delete(DeleteInput{Key: key}); err != nil {
					rt.Fatal(err)
				}
			case kept:
			case what == 8:
				e.versioning(rapid.SampledFrom([]bucket.Versioning{bucket.Enabled, bucket.Suspended}).Draw(rt, "state"))
			default:
				if all := e.pasts()[key]; len(all) > 0 {
					id := rapid.SampledFrom(all).Draw(rt, "version").id
					if _, err := e.delete(DeleteInput{Key: key, VersionID: &id}); err != nil {
						rt.Fatal(err)
					}
				}
			}
			now, err := e.list(ListInput{})
			if err != nil {
				rt.Fatal(err)
			}
			var names []string
			for _, entry := range now.Entries {
				names = append(names, entry.Key)
			}
			instants, shown = append(instants, time.Now().UTC().Truncate(time.Microsecond)), append(shown, names)
		}
		e.objects.absent = rapid.IntRange(1, 5).Draw(rt, "bound")
		all := e.pasts()
		for i, at := range append(instants, time.UnixMicro(1)) {
			state := stateAt(all, at)
			if whole := listNaive(state, &ListInput{}); kept && i < len(shown) && !slices.Equal(whole, shown[i]) {
				rt.Fatalf("at %v the naive state is %q, and was %q", at, whole, shown[i])
			}
			for _, key := range keys {
				r, _, err := e.getAsOf(key, at)
				switch want := state[key]; {
				case want == "" && !fault.Is(err, fault.NoSuchKey):
					rt.Errorf("%q: %v", key, err)
				case want != "" && (err != nil || r.ID != want):
					rt.Errorf("%q: %+v, %v, want %s", key, r, err, want)
				}
			}
			e.checkListing(rt, state, at, keys)
		}
	})
}

// checkListing lists a state in pages and compares them with the naive listing.
func (e *env) checkListing(rt *rapid.T, state map[string]string, at time.Time, keys []string) {
	size := rapid.IntRange(1, 4).Draw(rt, "page")
	in := ListInput{
		Prefix:    rapid.SampledFrom([]string{"", "a", "a/", "a/b", "c", "d/", "x"}).Draw(rt, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "b", "e/"}).Draw(rt, "delimiter"), Max: &size,
		After: rapid.SampledFrom(append([]string{"", "a/a", "d", "a/b\x00", "zzz"}, keys...)).Draw(rt, "after"),
	}
	want, got := listNaive(state, &in), []string(nil)
	tokens := rapid.Bool().Draw(rt, "tokens")
	for n := 0; ; n++ {
		l, err := e.listAsOf(in, at)
		if err != nil || n > 100 || len(l.Entries)+len(l.CommonPrefixes) > size {
			rt.Fatalf("%+v, %v", l, err)
		}
		var rows []string
		for _, entry := range l.Entries {
			rows = append(rows, entry.Key)
		}
		for _, p := range l.CommonPrefixes {
			rows = append(rows, p+" (prefix)")
		}
		slices.SortFunc(rows, func(a, b string) int { return strings.Compare(bare(a), bare(b)) })
		got = append(got, rows...)
		if !l.Truncated {
			break
		}
		if in.Token, in.After = &l.Token, ""; !tokens {
			in.Token, in.After = nil, l.Next
		}
	}
	if !slices.Equal(got, want) {
		rt.Errorf("as of %v, prefix %q, delimiter %q:\n%q\nwant\n%q", at, in.Prefix, in.Delimiter, got, want)
	}
}

func bare(row string) string { return strings.TrimSuffix(row, " (prefix)") }

// TestAsOfRefuses: times in the future, tokens of other instants, and reads whose version was
// replaced after the decision are refused.
func TestAsOfRefuses(t *testing.T) {
	e := newEnv(t)
	e.versioning(bucket.Enabled)
	e.mustPut("k", "one")
	e.mustPut("l", "two")
	at := time.Now()
	soon := time.Now().Add(time.Hour)
	if _, _, err := e.getAsOf("k", soon); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
	if _, err := e.listAsOf(ListInput{}, soon); !fault.Is(err, fault.InvalidArgument) {
		t.Error(err)
	}
	l, err := e.listAsOf(ListInput{Max: ptr(1)}, at)
	if err != nil || !l.Truncated {
		t.Fatal(l, err)
	}
	for name, c := range map[string]func() error{
		"another instant": func() error {
			_, err := e.listAsOf(ListInput{Token: &l.Token}, at.Add(-time.Millisecond))
			return err
		},
		"a listing of now": func() error { _, err := e.list(ListInput{Token: &l.Token}); return err },
	} {
		t.Run(name, func(t *testing.T) {
			if err := c(); !fault.Is(err, fault.InvalidArgument) {
				t.Error(err)
			}
		})
	}
	id, err := e.objects.VersionAsOf(t.Context(), "bkt", "k", at)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.delete(DeleteInput{Key: "k", VersionID: &id}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := e.get(GetInput{Key: "k", VersionID: &id, AsOf: at}); !fault.Is(err, fault.OperationAborted) {
		t.Error(err)
	}
	if _, _, err := e.get(GetInput{Key: "l", AsOf: at}); !fault.Is(err, fault.OperationAborted) {
		t.Error("a read without an authorized version:", err)
	}
}

// TestAsOfWork: the cost of a read or a page does not depend on how many newer or older versions a
// key has, and a page ends early if there are few objects.
func TestAsOfWork(t *testing.T) {
	const versions, middle = 300, 150
	keys := []string{"a", "b", "c"}
	e, w := counted(t, func(e *env, b *bucket.Bucket) {
		e.write(len(keys)*versions, func(tx kv.Tx, i int) {
			v := sample()
			v.owner, v.seq = "", uint64(1+i%versions)
			tx.Set(slot{b, keys[i/versions]}.version(v.seq), v.encode())
		})
		e.write(500, func(tx kv.Tx, i int) {
			v := sample()
			v.owner, v.seq = "", versions
			tx.Set(slot{b, "later/" + numbered(i)}.version(v.seq), v.encode())
		})
	})
	at := time.UnixMicro(middle)
	if _, err := e.objects.VersionAsOf(t.Context(), "bkt", "b", at); err != nil || w.records > 2 {
		t.Errorf("%d records, %v", w.records, err)
	}
	*w = work{Store: w.Store}
	l, err := e.listAsOf(ListInput{Max: ptr(3)}, at)
	if err != nil || len(l.Entries) != 3 || w.records > 3*2*(maxSteps+2)+500+9 {
		t.Errorf("%d entries, %d records, %d seeks, %v", len(l.Entries), w.records, w.seeks, err)
	}
	e.objects.absent = 100
	*w = work{Store: w.Store}
	l, err = e.listAsOf(ListInput{Prefix: "later/", Delimiter: "/"}, at)
	if err != nil || !l.Truncated || len(l.CommonPrefixes)+len(l.Entries) != 0 || w.records > 2*100 {
		t.Errorf("%+v after %d records, %v", l, w.records, err)
	}
}

// TestRollbackIsWhatThePastWas: after a rollback, the present listing equals the listing as of that
// instant, and each key has the same content.
func TestRollbackIsWhatThePastWas(t *testing.T) {
	keys := []string{"a", "b", "c/d", "c/e"}
	rapid.Check(t, func(rt *rapid.T) {
		e := newEnv(t)
		e.versioning(bucket.Enabled)
		var instants []time.Time
		for n := range rapid.IntRange(1, 15).Draw(rt, "steps") {
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			if rapid.Bool().Draw(rt, "delete") {
				if _, err := e.delete(DeleteInput{Key: key}); err != nil {
					rt.Fatal(err)
				}
			} else {
				e.mustPut(key, fmt.Sprint(n))
			}
			instants = append(instants, time.Now().UTC().Truncate(time.Microsecond))
		}
		at := rapid.SampledFrom(instants).Draw(rt, "instant")
		past, err := e.listAsOf(ListInput{}, at)
		if err != nil {
			rt.Fatal(err)
		}
		if _, err := e.objects.Rollback(t.Context(), e.grant(arn.Bucket("bkt"), "watertight:RollbackBucket"),
			RollbackInput{Bucket: "bkt", To: at}); err != nil {
			rt.Fatal(err)
		}
		now, err := e.list(ListInput{})
		if err != nil || len(now.Entries) != len(past.Entries) {
			rt.Fatalf("%+v, %v, want %+v", now, err, past)
		}
		for i := range now.Entries {
			got, want := now.Entries[i], past.Entries[i]
			if got.Key != want.Key || got.ETag != want.ETag {
				rt.Errorf("%+v, want %+v", got, want)
			}
			if _, text, err := e.getAsOf(got.Key, at); err != nil {
				rt.Errorf("%q: %q, %v", got.Key, text, err)
			}
		}
	})
}
