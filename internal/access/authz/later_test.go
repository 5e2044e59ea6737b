package authz

import (
	"fmt"
	"slices"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// readNeeds are the needs of a read: two of them are soft.
func readNeeds() []Need {
	tagging := Need{Action: "s3:GetObjectTagging", Resource: arn.Object("b", "k"), Soft: true}
	return []Need{get("k"), {Action: "s3:ListBucket", Resource: arn.Bucket("b"), Soft: true}, tagging}
}

// laws of the caller, for tests of needs that wait.
func waitingLaws() map[string]string {
	deny := func(action string) string {
		return allowAll + `,{"Effect":"Deny","Action":"` + action + `","Resource":"*"}`
	}
	return map[string]string{
		"all":           allowAll,
		"no list":       deny("s3:ListBucket"),
		"no tagging":    deny("s3:GetObjectTagging"),
		"only the read": `{"Effect":"Allow","Action":"s3:GetObject","Resource":"*"}`,
		"neither":       deny("s3:*Tagging") + `,{"Effect":"Deny","Action":"s3:ListBucket","Resource":"*"}`,
		"other keys": `{"Effect":"Allow","Action":"s3:GetObject*","Resource":"arn:aws:s3:::b/k"},` +
			`{"Effect":"Deny","Action":"s3:GetObjectTagging","Resource":"arn:aws:s3:::b/k*"}`,
	}
}

// TestWaitingNeeds: needs that wait have the result that they would have had at once, whoever asks
// first.
func TestWaitingNeeds(t *testing.T) {
	const tagging = "s3:GetObjectTagging"
	listing, object := arn.Bucket("b"), arn.Object("b", "k")
	asks := map[string]func(Grant) string{
		"allows list":    func(g Grant) string { return fmt.Sprint(g.Allows("s3:ListBucket", listing)) },
		"demand list":    func(g Grant) string { return fmt.Sprint(g.Demand("s3:ListBucket", listing)) },
		"demand tagging": func(g Grant) string { return fmt.Sprint(g.Demand(tagging, object)) },
		"another key":    func(g Grant) string { return fmt.Sprint(g.Allows(tagging, arn.Object("b", "k2"))) },
		"read":           func(g Grant) string { return fmt.Sprint(g.Demand("s3:GetObject", object)) },
		"holds":          func(g Grant) string { return fmt.Sprint(g.Holds()) },
		"refused":        func(g Grant) string { return fmt.Sprint(g.Refused()) },
		"objects":        func(g Grant) string { return fmt.Sprint(g.Objects("s3:GetObject", tagging)) },
	}
	for name, text := range waitingLaws() {
		for soft, only := range map[string]int{"a read": 0, "soft needs only": 1} {
			for ask := range asks {
				t.Run(name+"/"+soft+"/"+ask, func(t *testing.T) {
					a := New(&world{identity: parsed(t, text), owner: account})
					needs, atOnce := readNeeds()[only:], readNeeds()[only:]
					for i := range atOnce {
						atOnce[i].Keys = map[string][]string{} // such a need does not wait
					}
					if only > 0 { // one of them finds the laws of the bucket
						needs, atOnce = append(needs[:1:1], needs...), append(atOnce[:1:1], atOnce...)
					}
					g, err := a.Authorize(t.Context(), user(), needs...)
					want, err2 := a.Authorize(t.Context(), user(), atOnce...)
					if err != nil || err2 != nil {
						t.Fatal(err, err2)
					}
					if g.g.later == 0 || want.g.later != 0 {
						t.Fatalf("waiting: %b and %b", g.g.later, want.g.later)
					}
					for _, again := range []string{ask, "read", "demand list", "demand tagging", "holds", "objects"} {
						if got, want := asks[again](g), asks[again](want); got != want {
							t.Errorf("%s: %s, at once: %s", again, got, want)
						}
					}
				})
			}
		}
	}
}

// TestWaitsFor: a need waits only if nothing but laws that are known decides about it.
func TestWaitsFor(t *testing.T) {
	anyone := func(w *world) {
		w.policies = parsedFor(t, `"Principal":"*","Action":"s3:*","Resource":"arn:aws:s3:::b*"`)
	}
	version, tagged := "v", `,{"Effect":"Deny","Action":"s3:GetObjectTagging","Resource":"*",`+
		`"Condition":{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}}`
	for name, c := range map[string]struct {
		world  func(*world)
		need   func(*Need)
		caller Caller
		many   int
		later  uint8
	}{
		"two needs":        {later: 0b110},
		"ACLs":             {world: func(w *world) { w.acl = &policy.Document{} }},
		"a law about tags": {world: func(w *world) { w.identity = parsed(t, allowAll+tagged) }, later: 0b010},
		"a version":        {need: func(n *Need) { n.Version = &version }, later: 0b010},
		"condition keys":   {need: func(n *Need) { n.Keys = map[string][]string{"a": {"b"}} }, later: 0b010},
		"a hard need":      {need: func(n *Need) { n.Soft = false }, later: 0b010},
		"a denial":         {need: func(n *Need) { n.Denial = true }, later: 0b010},
		"given":            {need: func(n *Need) { n.Given = true }, later: 0b010},
		"another bucket":   {need: func(n *Need) { n.Resource = arn.Object("c", "k") }, later: 0b010},
		"nobody":           {world: anyone, caller: NewCaller(&policy.Principal{Kind: policy.Anonymous}, &Situation{})},
		"a batch":          {many: 9},
	} {
		t.Run(name, func(t *testing.T) {
			w := &world{identity: parsed(t, allowAll), owner: account}
			if c.world != nil {
				c.world(w)
			}
			needs := readNeeds()
			if c.need != nil {
				c.need(&needs[2])
			}
			for len(needs) < c.many {
				needs = append(needs, needs[2])
			}
			if c.caller.IsNobody() {
				c.caller = user()
			}
			g, err := New(w).Authorize(t.Context(), c.caller, needs...)
			if err != nil {
				t.Fatal(err)
			}
			if g.g.later != c.later {
				t.Errorf("%b wait, want %b", g.g.later, c.later)
			}
		})
	}
}

// TestWaitingNeedsAreRenewed: a need that waited is decided again when the grant is renewed.
func TestWaitingNeedsAreRenewed(t *testing.T) {
	w := &world{identity: parsed(t, allowAll), owner: account}
	g, err := New(w).Authorize(t.Context(), user(), readNeeds()...)
	if err != nil {
		t.Fatal(err)
	}
	w.identity = parsed(t, waitingLaws()["no list"])
	if err := g.Demand("s3:ListBucket", arn.Bucket("b")); err != nil { // by the laws of the decision
		t.Fatal(err)
	}
	denied(t, "a need that was demanded, under new laws", g.Renew(t.Context()))
	if g.Allows("s3:ListBucket", arn.Bucket("b")) || !slices.Equal(g.Objects("s3:GetObject"),
		[]arn.ARN{arn.Object("b", "k")}) {
		t.Error("the old laws count after the renewal")
	}
}

// TestTooMuchWorkLater: a need that waits and takes too much work is refused.
func TestTooMuchWorkLater(t *testing.T) {
	g, err := New(allowing(t, "s3:*")).Authorize(t.Context(), user(), readNeeds()...)
	if err != nil {
		t.Fatal(err)
	}
	g.g.work.Spend(1 << 40)
	denied(t, "without any work left", g.Demand("s3:ListBucket", arn.Bucket("b")))
	if g.Allows("s3:ListBucket", arn.Bucket("b")) || !g.Allows("s3:GetObject", arn.Object("b", "k")) {
		t.Error("what the grant covers")
	}
}

// parsedFor returns a bucket's policy that allows something.
func parsedFor(t *testing.T, statement string) []*policy.Document {
	t.Helper()
	d, err := policy.Parse(policy.Resource, []byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow",`+
		statement+`}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return []*policy.Document{d}
}
