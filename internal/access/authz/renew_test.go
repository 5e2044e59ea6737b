package authz

import (
	"context"
	"errors"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

func parsed(t *testing.T, text string) []*policy.Document {
	t.Helper()
	d, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":[`+text+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	return []*policy.Document{d}
}

const allowAll = `{"Effect":"Allow","Action":"*","Resource":"*"}`

// watched is a caller whose clock and identity a test can change.
type watched struct {
	now   time.Time
	again func(at time.Time) (Caller, error)
	until time.Time
	seen  any
}

func (w *watched) caller() Caller {
	c := user()
	c.situation.Now = func() time.Time { return w.now }
	c.situation.At, c.situation.Until, c.seen = w.now, w.until, w.seen
	c.situation.Sender = SenderFunc(func(_ context.Context, at time.Time) (Caller, error) {
		if w.again == nil {
			return w.caller(), nil
		}
		return w.again(at)
	})
	return c
}

// TestStands: a decision stands while it is fresh, unless it depends on something that changes with
// time.
func TestStands(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	for name, c := range map[string]struct {
		laws   string
		public time.Time // when the bucket's setting changes
		until  time.Time // of the credential
		after  time.Duration
		unseen bool
		want   bool
	}{
		"at once":         {laws: allowAll, want: true},
		"fresh":           {laws: allowAll, after: time.Second, want: true},
		"not fresh":       {laws: allowAll, after: time.Second + 1},
		"from the future": {laws: allowAll, after: -1},
		"not watched":     {laws: allowAll, unseen: true},
		"a law of the time": {
			laws: allowAll +
				`,{"Effect":"Deny","Action":"s3:Nothing","Resource":"*",` +
				`"Condition":{"DateGreaterThan":{"aws:CurrentTime":"2099-01-01T00:00:00Z"}}}`,
		},
		"a law of the epoch": {
			laws: allowAll +
				`,{"Effect":"Deny","Action":"s3:Nothing","Resource":"*",` +
				`"Condition":{"NumericGreaterThan":{"aws:EpochTime":"1"}}}`,
		},
		"a law of the age of MFA": {
			laws: allowAll +
				`,{"Effect":"Deny","Action":"s3:Nothing","Resource":"*",` +
				`"Condition":{"NumericGreaterThan":{"aws:MultiFactorAuthAge":"1"}}}`,
		},
		"a credential that ended":    {laws: allowAll, until: start.Add(time.Millisecond), after: time.Millisecond},
		"a credential that will end": {laws: allowAll, until: start.Add(time.Millisecond), want: true},
		"an exception that ended": {
			laws: allowAll, public: start.Add(time.Millisecond), after: time.Millisecond,
		},
		"an exception that is still one": {
			laws: allowAll, public: start.Add(time.Second), after: time.Millisecond, want: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			who := &watched{now: start, until: c.until, seen: "witness"}
			if c.unseen {
				who.seen = nil
			}
			w := &world{identity: parsed(t, c.laws), owner: account, until: c.public}
			g, err := New(w).Authorize(t.Context(), who.caller(), get("k"))
			if err != nil {
				t.Fatal(err)
			}
			who.now = start.Add(c.after)
			if seen, ok := g.Stands(); ok != c.want || ok && seen != "witness" {
				t.Errorf("%s: %v %v", name, seen, ok)
			}
		})
	}
	if _, ok := (Grant{}).Stands(); ok {
		t.Error("the zero grant stands")
	}
}

// TestRenew: the caller, the needs and the laws are looked up again.
func TestRenew(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	gone := errors.New("the key is gone")
	soft := get("soft")
	soft.Soft = true
	for name, c := range map[string]struct {
		change func(w *world, who *watched)
		rely   bool
		want   bool
	}{
		"nothing changed": {func(*world, *watched) {}, true, true},
		"the policy":      {func(w *world, _ *watched) { w.identity = nil }, false, false},
		"the key": {func(_ *world, who *watched) {
			who.again = func(time.Time) (Caller, error) {
				return Caller{}, gone
			}
		}, false, false},
		"another one has the name": {func(_ *world, who *watched) {
			who.again = func(time.Time) (Caller, error) { c := user(); c.principal.ID = "AIDAOTHER"; return c, nil }
		}, false, false},
		"a soft need that was not used": {func(w *world, _ *watched) {
			w.identity = parsed(t, `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/soft"}`)
		}, false, true},
		"a soft need that was used": {func(w *world, _ *watched) {
			w.identity = parsed(t, `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/soft"}`)
		}, true, false},
		"the time, which the law asks for": {func(_ *world, who *watched) {
			who.now = start.Add(
				time.Hour,
			)
		}, false, false},
		"the time, as far as the law allows it": {func(_ *world, who *watched) {
			who.now = start.Add(
				time.Minute,
			)
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			who := &watched{now: start, seen: "witness"}
			w := &world{
				owner: account,
				identity: parsed(t,
					allowAll+
						`,{"Effect":"Deny","Action":"*","Resource":"*",`+
						`"Condition":{"DateGreaterThan":{"aws:CurrentTime":"`+start.Add(30*time.Minute).UTC().Format(
						time.RFC3339,
					)+`"}}}`),
			}
			g, err := New(w).Authorize(t.Context(), who.caller(), get("k"), soft)
			if err != nil {
				t.Fatal(err)
			}
			if c.rely {
				if err := g.Demand("s3:GetObject", arn.Object("b", "soft")); err != nil {
					t.Fatal(err)
				}
			}
			c.change(w, who)
			if err := g.Renew(t.Context()); (err == nil) != c.want {
				t.Errorf("%s: %v", name, err)
			}
			if _, ok := g.Stands(); ok && c.want {
				t.Errorf("%s: a renewed grant depends on the old one's reads", name)
			}
			if c.want && !g.Caller().At().Equal(who.now) {
				t.Errorf("%s: the instant is %v", name, g.Caller().At())
			}
		})
	}
	denied(t, "the zero grant", Grant{}.Renew(t.Context()))
}

// TestInside: the demands of one run of a transaction do not count in the next run.
func TestInside(t *testing.T) {
	soft := get("soft")
	soft.Soft = true
	w := &world{owner: account, identity: parsed(t, allowAll)}
	g, err := New(w).Authorize(t.Context(), user(), get("k"), soft)
	if err != nil {
		t.Fatal(err)
	}
	g.Inside(true)
	if err := g.Demand("s3:GetObject", arn.Object("b", "soft")); err != nil {
		t.Fatal(err)
	}
	w.identity = parsed(t, `{"Effect":"Allow","Action":"*","NotResource":"arn:aws:s3:::b/soft"}`)
	if err := g.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	denied(t, "demanded again", g.Demand("s3:GetObject", arn.Object("b", "soft")))
}

// TestWith: a need is decided again with condition keys that are known only later, and that decision
// stays.
func TestWith(t *testing.T) {
	put := Need{
		Action: "s3:PutObject", Resource: arn.Object("b", "k"),
		Keys: map[string][]string{"s3:x-amz-storage-class": {"STANDARD"}},
	}
	w := &world{
		owner: account,
		identity: parsed(t,
			allowAll+
				`,{"Effect":"Deny","Action":"s3:PutObject","Resource":"*",`+
				`"Condition":{"StringEquals":{"s3:RequestObjectTag/class":"secret"}}}`),
	}
	g, err := New(w).Authorize(t.Context(), user(), put)
	if err != nil {
		t.Fatal(err)
	}
	class := func(v string) map[string][]string { return map[string][]string{"s3:requestobjecttag/class": {v}} }
	_, err = g.With(t.Context(), "s3:PutObject", put.Resource, class("secret"))
	if !fault.Is(err, "AccessDenied") {
		t.Error(err)
	}
	_, err = g.With(t.Context(), "s3:PutObjectTagging", put.Resource, class("public"))
	denied(t, "what the operation has no need for", err)
	_, err = Grant{}.With(t.Context(), "s3:PutObject", put.Resource, nil)
	denied(t, "the zero grant", err)
	wider, err := g.With(t.Context(), "s3:PutObject", put.Resource, class("public"))
	if err != nil || !wider.Allows("s3:PutObject", put.Resource) {
		t.Fatal(err)
	}
	w.identity = parsed(t,
		allowAll+
			`,{"Effect":"Deny","Action":"s3:PutObject","Resource":"*",`+
			`"Condition":{"StringEquals":{"s3:RequestObjectTag/class":"public"}}}`)
	if err := g.Renew(t.Context()); err != nil {
		t.Error("the need without tags", err)
	}
	if err := wider.Renew(t.Context()); !fault.Is(err, "AccessDenied") {
		t.Error("the need with tags", err)
	}
}

// TestOpenAccessStands: the decision of an open access stands like others, and is renewed. It has
// no laws, which its change must not miss.
func TestOpenAccessStands(t *testing.T) {
	w := &watched{now: time.Unix(1_700_000_000, 0), seen: "all"}
	g, err := Judge(t.Context(), New(allowing(t, "*")), w.caller(), Open[input]("public by nature"), &input{})
	if err != nil {
		t.Fatal(err)
	}
	if seen, ok := g.Stands(); !ok || seen != "all" {
		t.Errorf("%v, %v", seen, ok)
	}
	if err := g.Renew(t.Context()); err != nil {
		t.Error(err)
	}
	if _, ok := g.Stands(); ok {
		t.Error("a renewed grant stands for what was read before")
	}
}
