package object

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// lifecycleEnv is an env whose requests are made at the test's own time.
type lifecycleEnv struct {
	*env
	now time.Time
}

func (e *lifecycleEnv) putAt(key string, size int, tags tag.Set, class string) {
	e.tb.Helper()
	at := arn.Object("bkt", key)
	g := coretest.Grant(e.tb, coretest.RootAt(coretest.Account, e.now), at, "s3:PutObject", "s3:PutObjectTagging")
	_, err := e.objects.Put(e.tb.Context(), g, PutInput{
		Bucket: "bkt", Key: key, Body: strings.NewReader(strings.Repeat("x", size)), Size: int64(size), Tags: tags,
		StorageClass: class,
	})
	if err != nil {
		e.tb.Fatal(err)
	}
}

func (e *lifecycleEnv) deleteAt(key string, version *string) {
	e.tb.Helper()
	g := coretest.Grant(e.tb, coretest.RootAt(coretest.Account, e.now), arn.Object("bkt", key), deleteAction(version))
	if _, err := e.objects.Delete(e.tb.Context(), g, "bkt", DeleteInput{Key: key, VersionID: version}); err != nil {
		e.tb.Fatal(err)
	}
}

func (e *lifecycleEnv) configure(rules ...lifecycle.Rule) {
	e.tb.Helper()
	for i := range rules {
		rules[i].ID = fmt.Sprint("rule-", i)
		if rules[i].Status = lifecycle.Enabled; rules[i].Filter == nil {
			rules[i].Filter = &lifecycle.Filter{}
		}
	}
	err := e.buckets.PutLifecycle(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:PutLifecycleConfiguration"), "bkt",
		lifecycle.Configuration{Rules: rules})
	if err != nil {
		e.tb.Fatal(err)
	}
}

func (e *lifecycleEnv) bucket() *bucket.Bucket {
	e.tb.Helper()
	var b bucket.Bucket
	err := e.store.View(e.tb.Context(), func(r kv.Reader) (err error) {
		b, err = bucket.Read(r, "bkt")
		return err
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return &b
}

func (e *lifecycleEnv) lifecycle(most portion) *Lifecycle {
	l := NewLifecycle(e.objects, nil, func(name string, err error) { e.tb.Errorf("bucket %q: %v", name, err) })
	if most != (portion{}) {
		l.most = most
	}
	return l
}

// pass goes through all buckets. It begins a new pass after the given number of steps.
func (e *lifecycleEnv) pass(l *Lifecycle, restart int) (w Worked) {
	e.tb.Helper()
	p, steps := l.Begin(e.now, true), 0
	for {
		more, err := p.Step(e.tb.Context(), e.now)
		if err != nil {
			e.tb.Fatal(err)
		}
		if !more {
			return p.Worked
		}
		if steps++; restart > 0 && steps%restart == 0 && steps < 1000 {
			p = l.Begin(e.now, true)
			restart++ // a pass that is always interrupted would never end
		}
	}
}

// shown is the part of a version that the tests compare.
type shown struct {
	key, id, class string
	marker, null   bool
	seq            uint64
	size           int64
	tags           tag.Set
	created        time.Time
}

// state returns all versions of the bucket, by key, the newest first.
func (e *lifecycleEnv) state(keys []string) map[string][]shown {
	out := map[string][]shown{}
	for _, key := range keys {
		for _, v := range allVersions(e.env, slot{e.bucket(), key}) {
			s := shown{key: key, id: v.id(), class: v.storageClass, marker: v.deleteMarker, null: v.null, seq: v.seq}
			s.size, s.tags, s.created = v.size, v.tags, v.since()
			out[key] = append(out[key], s)
		}
	}
	return out
}

// nextMidnight follows AWS's page: it adds the days and rounds the result up to the next midnight
// UTC.
func nextMidnight(t time.Time, days int32) time.Time {
	t = t.UTC().AddDate(0, 0, int(days))
	return time.Date(t.Year(), t.Month(), t.Day()+1, 0, 0, 0, 0, time.UTC)
}

// naive returns what happens to each version at an instant, rule by rule.
type naive struct {
	rules []lifecycle.Rule
	state bucket.Versioning
	at    time.Time
}

func (n *naive) matching(v *shown) (out []lifecycle.Rule) {
	for _, r := range n.rules {
		p := &r.Filter.Predicates
		if r.Filter.And != nil {
			p = r.Filter.And
		}
		ok := p.Prefix == nil || strings.HasPrefix(v.key, *p.Prefix)
		for _, t := range p.Tags {
			ok = ok && slices.Contains(v.tags, t)
		}
		ok = ok && (p.Greater == nil || v.size > *p.Greater) && (p.Less == nil || v.size < *p.Less)
		if ok {
			out = append(out, r)
		}
	}
	return out
}

func (n *naive) expired(r *lifecycle.Rule, created time.Time) bool {
	e := r.Expiration
	switch {
	case e == nil:
		return false
	case e.Date != nil:
		return !n.at.Before(*e.Date)
	case e.Days != nil:
		return !n.at.Before(nextMidnight(created, *e.Days))
	}
	return false
}

// waterfall returns a class's place in S3's order.
func waterfall(class string) int {
	return slices.Index([]string{"STANDARD", "STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR"}, class)
}

func (n *naive) class(v *shown, rules []lifecycle.Rule, from time.Time, noncurrent bool, newer int) string {
	var choices []string
	for _, r := range rules {
		p := &r.Filter.Predicates
		if r.Filter.And != nil {
			p = r.Filter.And
		}
		if v.size < 128<<10 && p.Greater == nil && p.Less == nil {
			continue
		}
		best := ""
		for _, t := range r.Transitions {
			if !noncurrent && !n.at.Before(nextMidnight(from, *t.Days)) && waterfall(t.Class) > waterfall(best) {
				best = t.Class
			}
		}
		for _, t := range r.NoncurrentTransitions {
			enough := t.Newer == nil || newer >= int(*t.Newer)
			due := noncurrent && enough && !n.at.Before(nextMidnight(from, *t.Days))
			if due && waterfall(t.Class) > waterfall(best) {
				best = t.Class
			}
		}
		choices = append(choices, best)
	}
	best := ""
	for _, c := range choices {
		if c == "INTELLIGENT_TIERING" {
			best = c
			break
		}
		if waterfall(c) > waterfall(best) {
			best = c
		}
	}
	if waterfall(best) <= waterfall(v.class) {
		return ""
	}
	return best
}

// key returns the remaining versions of a key, the newest first. A delete marker that expiration
// added has no id.
func (n *naive) key(all []shown) (left []shown) {
	newer := 0
	for i := range all {
		v := all[i]
		rules := n.matching(&v)
		switch {
		case i == 0 && v.marker && len(all) == 1:
			gone := slices.ContainsFunc(rules, func(r lifecycle.Rule) bool {
				e := r.Expiration
				clean := e != nil && e.ExpiredObjectDeleteMarker != nil && *e.ExpiredObjectDeleteMarker
				return clean && !n.at.Before(v.created) || n.expired(&r, v.created)
			})
			if !gone {
				left = append(left, v)
			}
		case i == 0 && v.marker:
			left = append(left, v)
		case i == 0:
			gone := slices.ContainsFunc(rules, func(r lifecycle.Rule) bool { return n.expired(&r, v.created) })
			permanent := n.state == bucket.Off || n.state == bucket.Suspended && v.null
			class := n.class(&v, rules, v.created, false, 0)
			switch {
			case gone && permanent && n.state == bucket.Off:
			case gone && (permanent || class == ""):
				null := n.state == bucket.Suspended
				left = append(left, shown{key: v.key, marker: true, class: "STANDARD", null: null})
				if !permanent {
					left = append(left, v)
				}
			default:
				if class != "" {
					v.class = class
				}
				left = append(left, v)
			}
		default:
			since := all[i-1].created
			gone := slices.ContainsFunc(rules, func(r lifecycle.Rule) bool {
				e := r.NoncurrentExpiration
				return e != nil && (e.Newer == nil || newer >= int(*e.Newer)) &&
					!n.at.Before(nextMidnight(since, *e.Days))
			})
			if gone {
				continue
			}
			if !v.marker {
				if class := n.class(&v, rules, since, true, newer); class != "" {
					v.class = class
				}
				newer++
			}
			left = append(left, v)
		}
	}
	// Suspended: the new null marker replaces an older null version.
	if len(left) > 0 && left[0].id == "" && left[0].null {
		left = slices.DeleteFunc(left, func(v shown) bool { return v.id == NullVersion })
	}
	return left
}

// lawful reports whether a removed version was old enough, and whether as many newer versions are
// left as its rule keeps. It applies to any number of passes.
func (n *naive) lawful(before []shown, i int, after []shown) bool {
	v := before[i]
	newer := -1 // the current version does not count
	for _, w := range after {
		if w.seq > v.seq && (!w.marker || newer < 0) {
			newer++
		}
	}
	for _, r := range n.matching(&v) {
		e := r.NoncurrentExpiration
		if n.state != bucket.Enabled && v.null && n.expired(&r, v.created) {
			return true // removed, or replaced by a null marker
		}
		if i > 0 && e != nil && !n.at.Before(nextMidnight(before[i-1].created, *e.Days)) &&
			(e.Newer == nil || newer >= int(*e.Newer)) {
			return true
		}
	}
	return n.state == bucket.Suspended && v.null && i > 0
}

func has(all []shown, seq uint64) bool {
	return slices.ContainsFunc(all, func(w shown) bool { return w.seq == seq })
}

// drawRule draws a rule with any elements that S3 accepts.
func drawRule(t *rapid.T) lifecycle.Rule {
	r := lifecycle.Rule{}
	days := func(most int32) *int32 { return ptr(rapid.Int32Range(1, most).Draw(t, "days")) }
	prefix := rapid.SampledFrom([]string{"", "a", "b/"}).Draw(t, "prefix")
	k := tag.Tag{Key: "k", Value: "v"}
	tagged, sized := false, false
	switch rapid.IntRange(0, 5).Draw(t, "filter") {
	case 0:
		r.Filter = &lifecycle.Filter{}
	case 1, 2:
		r.Filter = &lifecycle.Filter{Predicates: lifecycle.Predicates{Prefix: &prefix}}
	case 3:
		r.Filter, tagged = &lifecycle.Filter{Predicates: lifecycle.Predicates{Tags: []tag.Tag{k}}}, true
	case 4:
		r.Filter, sized = &lifecycle.Filter{Predicates: lifecycle.Predicates{Greater: ptr(int64(3))}}, true
	case 5:
		and := lifecycle.Predicates{Prefix: &prefix, Tags: []tag.Tag{k}, Less: ptr(int64(9))}
		r.Filter = &lifecycle.Filter{And: &and}
		tagged, sized = true, true
	}
	r.Expiration = &lifecycle.Expiration{}
	switch rapid.IntRange(0, 3).Draw(t, "expiration") {
	case 0:
		r.Expiration.Days = days(5)
	case 1:
		r.Expiration.Date = ptr(day(rapid.IntRange(1, 28).Draw(t, "date")).Truncate(24 * time.Hour))
	case 2:
		if r.Expiration.ExpiredObjectDeleteMarker = ptr(true); tagged || sized {
			r.Expiration = nil
		}
	default:
		r.Expiration = nil
	}
	if r.Expiration == nil {
		soon := rapid.Int32Range(0, 4).Draw(t, "days")
		to := rapid.SampledFrom([]string{"INTELLIGENT_TIERING", "ONEZONE_IA"}).Draw(t, "to")
		r.Transitions = []lifecycle.Transition{{Days: &soon, Class: to}}
		if r.Transitions[0].Class == "ONEZONE_IA" {
			soon = 30
		} else if rapid.Bool().Draw(t, "two") {
			r.Transitions = append(r.Transitions, lifecycle.Transition{Days: days(9), Class: "GLACIER_IR"})
			*r.Transitions[1].Days += 4
		}
	}
	if rapid.Bool().Draw(t, "noncurrent") {
		r.NoncurrentExpiration = &lifecycle.NoncurrentExpiration{Days: days(4)}
		if rapid.Bool().Draw(t, "newer") {
			r.NoncurrentExpiration.Newer = ptr(rapid.Int32Range(1, 3).Draw(t, "keep"))
		}
	} else {
		r.NoncurrentTransitions = []lifecycle.NoncurrentTransition{{Days: days(4), Class: "GLACIER_IR"}}
	}
	return r
}

// TestLifecycleModel: a pass does the same as a naive evaluation of S3's pages, version by version,
// in every versioning state, with clocks that go back, and with portions of any size. A pass that
// is interrupted and begun again removes no version that would have stayed.
func TestLifecycleModel(t *testing.T) {
	keys := []string{"a", "a1", "b/1", "b/2", "c"}
	rapid.Check(t, func(rt *rapid.T) {
		e := &lifecycleEnv{env: newEnv(t), now: day(1)}
		off := rapid.Bool().Draw(rt, "off")
		for range rapid.IntRange(5, 60).Draw(rt, "steps") {
			e.now = e.now.Add(time.Duration(rapid.IntRange(-30, 60).Draw(rt, "hours")) * time.Hour)
			key := rapid.SampledFrom(keys).Draw(rt, "key")
			switch rapid.IntRange(0, 9).Draw(rt, "what") {
			case 0:
				if off {
					continue
				}
				e.versioning(rapid.SampledFrom([]bucket.Versioning{bucket.Enabled, bucket.Suspended}).Draw(rt, "state"))
			case 1, 2:
				e.deleteAt(key, nil)
			case 3:
				if all := e.state([]string{key})[key]; len(all) > 0 {
					e.deleteAt(key, ptr(rapid.SampledFrom(all).Draw(rt, "version").id))
				}
			default:
				var tags tag.Set
				if rapid.Bool().Draw(rt, "tagged") {
					tags = tag.Set{{Key: "k", Value: "v"}}
				}
				size := rapid.SampledFrom([]int{0, 3, 4, 9, 128 << 10, 128 << 10}).Draw(rt, "size")
				classes := []string{"STANDARD", "STANDARD_IA", "GLACIER_IR"}
				e.putAt(key, size, tags, rapid.SampledFrom(classes).Draw(rt, "class"))
			}
		}
		rules := rapid.SliceOfN(rapid.Custom(drawRule), 1, 4).Draw(rt, "rules")
		e.configure(rules...)
		e.now = e.now.Add(time.Duration(rapid.IntRange(-48, 900).Draw(rt, "later")) * time.Hour)
		before := e.state(keys)
		most := portion{}
		if rapid.Bool().Draw(rt, "small portions") {
			most = portion{rapid.IntRange(1, 9).Draw(rt, "versions"), rapid.IntRange(1, 9).Draw(rt, "due"), 3}
		}
		restart := rapid.SampledFrom([]int{0, 0, 1, 2, 3}).Draw(rt, "restart")
		e.pass(e.lifecycle(most), restart)
		after := e.state(keys)
		n := naive{rules, e.bucket().Versioning, e.objects.clock.Passed(e.now)}
		// If a new null marker replaces a null version between two portions, the second portion does not see
		// that version. The next older version is then noncurrent since a later instant.
		exact := restart == 0 && (n.state != bucket.Suspended || most == portion{})
		for _, key := range slices.Sorted(maps.Keys(before)) {
			want := n.key(before[key])
			if !exact {
				for i, v := range before[key] {
					if !v.marker && !has(after[key], v.seq) && !n.lawful(before[key], i, after[key]) {
						rt.Fatalf("%s at %v: %+v is gone:\nbefore %+v\nafter %+v", key, e.now, v, before[key],
							after[key])
					}
				}
				continue
			}
			got := after[key]
			if len(got) == len(want) && len(got) > 0 && want[0].id == "" { // the new marker
				want[0].id, want[0].seq, want[0].created = got[0].id, got[0].seq, got[0].created
			}
			if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
				rt.Fatalf("%s at %v:\nbefore %+v\nis     %+v\nnot    %+v", key, e.now, before[key], got, want)
			}
		}
		e.payloads.settled(t)
	})
}
