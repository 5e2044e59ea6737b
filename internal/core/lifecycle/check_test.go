package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/tag"
	"watertight/internal/fault"
)

func ptr[T any](v T) *T { return &v }

func date(s string) *time.Time {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		panic(err)
	}
	return &t
}

// expireAfter returns a configuration that expires everything after n days.
func expireAfter(days int32) Rule {
	return Rule{ID: "r", Status: Enabled, Filter: &Filter{}, Expiration: &Expiration{Days: &days}}
}

func with(change func(*Rule)) []Rule {
	r := expireAfter(365)
	change(&r)
	return []Rule{r}
}

func moves(steps ...Transition) func(*Rule) { return func(r *Rule) { r.Transitions = steps } }

func later(steps ...NoncurrentTransition) func(*Rule) {
	return func(r *Rule) { r.NoncurrentTransitions = steps }
}

// TestCheck: what S3 was seen to refuse is refused with its code and message, and what it
// was seen to accept is accepted.
func TestCheck(t *testing.T) {
	many := make([]Rule, MaxRules+1)
	for i := range many {
		many[i] = expireAfter(1)
		many[i].ID = fmt.Sprint(i)
	}
	two := func(a, b Rule) []Rule { b.ID = "s"; return []Rule{a, b} }
	old := func(prefix string) Rule {
		r := expireAfter(1)
		r.Filter, r.Prefix = nil, &prefix
		return r
	}
	and := func(p Predicates) func(*Rule) { return func(r *Rule) { r.Filter = &Filter{And: &p} } }
	only := func(p Predicates) func(*Rule) { return func(r *Rule) { r.Filter = &Filter{Predicates: p} } }
	k, l := tag.Tag{Key: "k", Value: "v"}, tag.Tag{Key: "l", Value: "v"}
	for name, c := range map[string]struct {
		rules   []Rule
		code    fault.Code
		message string // a part of it
	}{
		"no rules":          {nil, fault.MalformedXML, ""},
		"1,000 rules":       {many[:MaxRules], "", ""},
		"1,001 rules":       {many, fault.MalformedXML, ""},
		"status":            {with(func(r *Rule) { r.Status = "enabled" }), fault.MalformedXML, ""},
		"no status":         {with(func(r *Rule) { r.Status = "" }), fault.MalformedXML, ""},
		"disabled":          {with(func(r *Rule) { r.Status = Disabled }), "", ""},
		"no filter":         {with(func(r *Rule) { r.Filter = nil }), fault.MalformedXML, ""},
		"filter and prefix": {with(func(r *Rule) { r.Prefix = ptr("") }), fault.MalformedXML, ""},
		"255 characters":    {with(func(r *Rule) { r.ID = strings.Repeat("é", 255) }), "", ""},
		"256 characters": {
			with(func(r *Rule) { r.ID = strings.Repeat("a", 256) }), fault.InvalidArgument, "limit of 255",
		},
		"same ID":            {[]Rule{expireAfter(1), expireAfter(1)}, fault.InvalidArgument, "Rule ID must be unique"},
		"no ID":              {with(func(r *Rule) { r.ID = "" }), "", ""},
		"prefix then filter": {two(old("a"), expireAfter(1)), fault.InvalidRequest, "Filter element can only be used"},
		"filter then prefix": {two(expireAfter(1), old("a")), fault.InvalidRequest, "Base level prefix cannot be used"},
		"older form":         {two(old("a"), old("b")), "", ""},
		"overlapping prefixes": {
			two(old("a"), old("")), fault.InvalidRequest,
			"Found overlapping prefixes '' and 'a' for same action type 'Expiration'",
		},
		"long prefix": {with(only(Predicates{Prefix: ptr(strings.Repeat("a", 1025))})), fault.InvalidRequest, "1024"},

		"two predicates": {
			with(only(Predicates{Prefix: ptr(""), Greater: ptr(int64(1))})), fault.MalformedXML, "",
		},
		"two tags without And":   {with(only(Predicates{Tags: []tag.Tag{k, l}})), fault.MalformedXML, ""},
		"And of one":             {with(and(Predicates{Prefix: ptr("a")})), fault.MalformedXML, ""},
		"And of two tags":        {with(and(Predicates{Tags: []tag.Tag{k, l}})), "", ""},
		"And of an empty prefix": {with(and(Predicates{Prefix: ptr(""), Tags: []tag.Tag{k}})), "", ""},
		"And beside a prefix": {with(func(r *Rule) {
			r.Filter = &Filter{Predicates: Predicates{Prefix: ptr("")}, And: &Predicates{Tags: []tag.Tag{k, l}}}
		}), fault.MalformedXML, ""},
		"same tag key": {with(and(Predicates{Tags: []tag.Tag{k, k}})), fault.InvalidRequest, "Duplicate Tag Keys"},
		"tag":          {with(only(Predicates{Tags: []tag.Tag{{Key: "k", Value: "*"}}})), fault.InvalidTag, ""},
		"size 0":       {with(only(Predicates{Less: ptr(int64(0))})), fault.InvalidRequest, "between 1 and"},
		"negative":     {with(only(Predicates{Greater: ptr(int64(-1))})), fault.InvalidRequest, "between 0 and"},
		"sizes": {
			with(and(Predicates{Greater: ptr(int64(5)), Less: ptr(int64(5))})), fault.InvalidRequest, "greater than",
		},

		"no action": {with(func(r *Rule) { r.Expiration = nil }), fault.InvalidRequest, "At least one action"},
		"0 days": {
			[]Rule{expireAfter(0)}, fault.InvalidArgument, "'Days' for Expiration action must be a positive",
		},
		"empty expiration": {with(func(r *Rule) { r.Expiration = &Expiration{} }), fault.MalformedXML, ""},
		"days and date": {
			with(func(r *Rule) { r.Expiration.Date = date("2030-01-01T00:00:00Z") }), fault.MalformedXML, "",
		},
		"days and marker": {
			with(func(r *Rule) { r.Expiration.ExpiredObjectDeleteMarker = ptr(true) }), fault.MalformedXML, "",
		},
		"noon": {with(func(r *Rule) { r.Expiration = &Expiration{Date: date("2030-01-01T12:00:00Z")} }),
			fault.InvalidArgument, "'Date' must be at midnight GMT"},
		"midnight elsewhere": {with(func(r *Rule) {
			r.Expiration = &Expiration{Date: date("2030-01-01T01:00:00+01:00")}
		}), "", ""},
		"marker of tags": {with(func(r *Rule) {
			only(Predicates{Tags: []tag.Tag{k}})(r)
			r.Expiration = &Expiration{ExpiredObjectDeleteMarker: ptr(true)}
		}), fault.InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Tags."},
		"marker of sizes": {with(func(r *Rule) {
			only(Predicates{Less: ptr(int64(1))})(r)
			r.Expiration = &Expiration{ExpiredObjectDeleteMarker: ptr(false)}
		}), fault.InvalidRequest, "ExpiredObjectDeleteMarker cannot be specified with Object Size."},

		"abort":        {with(func(r *Rule) { r.Abort = &Abort{ptr(int32(1))} }), "", ""},
		"abort, empty": {with(func(r *Rule) { r.Abort = &Abort{} }), fault.MalformedXML, ""},
		"abort, 0 days": {
			with(func(r *Rule) { r.Abort = &Abort{ptr(int32(0))} }), fault.InvalidArgument, "'DaysAfterIni",
		},
		"abort of tags": {with(func(r *Rule) {
			only(Predicates{Tags: []tag.Tag{k}})(r)
			r.Abort = &Abort{ptr(int32(1))}
		}), fault.InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Tags."},
		"abort of sizes": {with(func(r *Rule) {
			only(Predicates{Greater: ptr(int64(1))})(r)
			r.Abort = &Abort{ptr(int32(1))}
		}), fault.InvalidRequest, "AbortIncompleteMultipartUpload cannot be specified with Object Size."},

		"transitions": {with(moves(
			Transition{Days: ptr(int32(90)), Class: glacierIR}, Transition{Days: ptr(int32(30)), Class: standardIA},
		)), "", ""},
		"at once": {with(moves(Transition{Days: ptr(int32(0)), Class: glacierIR})), "", ""},
		"negative days": {
			with(moves(Transition{Days: ptr(int32(-1)), Class: glacierIR})), fault.InvalidArgument, "nonneg",
		},
		"no days":  {with(moves(Transition{Class: glacierIR})), fault.MalformedXML, ""},
		"no class": {with(moves(Transition{Days: ptr(int32(1))})), fault.MalformedXML, ""},
		"STANDARD": {with(moves(Transition{Days: ptr(int32(1)), Class: "STANDARD"})), fault.MalformedXML, ""},
		"GLACIER": {
			with(moves(Transition{Days: ptr(int32(1)), Class: "GLACIER"})), fault.InvalidStorageClass, "INTELL",
		},
		"DEEP_ARCHIVE": {
			with(moves(Transition{Days: ptr(int32(1)), Class: "DEEP_ARCHIVE"})), fault.InvalidStorageClass, "",
		},
		"29 days": {
			with(moves(Transition{Days: ptr(int32(29)), Class: onezoneIA})), fault.InvalidArgument, "'ONEZONE_IA'",
		},
		"later than expired": {
			with(moves(Transition{Days: ptr(int32(365)), Class: glacierIR})), fault.InvalidArgument, "greater",
		},
		"same class": {with(moves(
			Transition{Days: ptr(int32(1)), Class: glacierIR}, Transition{Days: ptr(int32(2)), Class: glacierIR},
		)), fault.InvalidArgument, "'StorageClass' must be different for 'Transition' actions"},
		"days and dates": {with(moves(Transition{Date: date("2030-01-01T00:00:00Z"), Class: glacierIR})),
			fault.InvalidRequest, "Found mixed 'Date' and 'Days' based Expiration and Transition actions"},
		"the wrong way": {with(moves(
			Transition{Days: ptr(int32(60)), Class: standardIA}, Transition{Days: ptr(int32(30)), Class: glacierIR},
		)), fault.InvalidArgument, "30 days more"},
		"too soon": {with(moves(
			Transition{Days: ptr(int32(30)), Class: standardIA}, Transition{Days: ptr(int32(59)), Class: glacierIR},
		)), fault.InvalidArgument, "30 days more"},

		"noncurrent": {with(func(r *Rule) {
			r.NoncurrentExpiration = &NoncurrentExpiration{ptr(int32(1)), ptr(int32(100))}
		}), "", ""},
		"noncurrent, empty": {with(func(r *Rule) { r.NoncurrentExpiration = &NoncurrentExpiration{} }),
			fault.MalformedXML, ""},
		"noncurrent, 0 days": {with(func(r *Rule) {
			r.NoncurrentExpiration = &NoncurrentExpiration{Days: ptr(int32(0))}
		}), fault.InvalidArgument, "'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive"},
		"0 to keep": {with(func(r *Rule) {
			r.NoncurrentExpiration = &NoncurrentExpiration{ptr(int32(1)), ptr(int32(0))}
		}), fault.InvalidArgument, "between 1 and 100"},
		"101 to keep": {with(func(r *Rule) {
			r.NoncurrentExpiration = &NoncurrentExpiration{ptr(int32(1)), ptr(int32(101))}
		}), fault.InvalidArgument, "between 1 and 100"},
		"to keep, older form": {with(func(r *Rule) {
			r.Filter, r.Prefix = nil, ptr("")
			r.NoncurrentExpiration = &NoncurrentExpiration{ptr(int32(1)), ptr(int32(5))}
		}), fault.InvalidRequest, "NewerNoncurrentVersions element can only be used in Lifecycle V2."},
		"noncurrent, 29 days": {with(later(NoncurrentTransition{Days: ptr(int32(29)), Class: standardIA})),
			fault.InvalidArgument, "'NoncurrentDays' in NoncurrentVersionTransition action must be greater than or"},
		"noncurrent, no days": {with(later(NoncurrentTransition{Class: standardIA})), fault.MalformedXML, ""},
		"noncurrent, GLACIER": {with(later(NoncurrentTransition{Days: ptr(int32(1)), Class: "GLACIER"})),
			fault.InvalidStorageClass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			n := 0
			configuration := Configuration{Rules: c.rules}
			err := configuration.Check(func() string { n++; return fmt.Sprint("new-", n) })
			if c.code == "" {
				if err != nil || configuration.Rules[0].ID == "" {
					t.Error(err)
				}
				return
			}
			var f *fault.Error
			if !errors.As(err, &f) || f.Code != c.code || !strings.Contains(f.Message, c.message) {
				t.Errorf("%v, not %s %q", err, c.code, c.message)
			}
		})
	}
}
