package kms

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TestExtendedGrantsStand: the commit relies on the reads of the first decision, and decides again
// only if a record has changed, also if an earlier commit of the request used the same witness.
func TestExtendedGrantsStand(t *testing.T) {
	for name, c := range map[string]struct {
		change, before bool // the key is disabled; an earlier commit has used the witness
		stands         bool
		code           fault.Code
	}{
		"nothing changes":                        {stands: true},
		"the key is disabled":                    {change: true, stands: true, code: "DisabledException"},
		"a commit came before":                   {before: true},
		"a commit came before, and then changes": {before: true, change: true, code: "DisabledException"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			w, a := e.iam()
			w.allow(t, userID("both"), `"s3:*","kms:*"`)
			m := e.create(CreateInput{})
			witness := kv.Witnessed(t.Context())
			who := e.person(coretest.Account, "both")
			caller := authz.NewCaller(new(who.Principal()), &authz.Situation{
				At: e.at, Now: func() time.Time { return e.at }, Seen: witness,
			})
			g, err := a.Authorize(witness, caller, authz.Need{Action: "s3:PutObject", Resource: arn.Object("b", "k")})
			if err != nil {
				t.Fatal(err)
			}
			commit := func(g authz.Grant) error {
				return change.Commit(t.Context(), e.store, g, func(tx kv.Tx) error {
					tx.Set([]byte("x"), []byte("y"))
					return nil
				})
			}
			if c.before {
				if err := commit(g); err != nil {
					t.Fatal(err)
				}
			}
			g, _, err = e.ExtendToGenerate(t.Context(), g, Use{Key: m.ID, Context: object(), Via: "s3"})
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := g.Stands(); ok != c.stands {
				t.Errorf("stands: %v", ok)
			}
			if c.change {
				e.change(m.ID, func(k *keyRecord) { k.state = Disabled })
			}
			if err := commit(g); c.code == "" && err != nil || c.code != "" && !fault.Is(err, c.code) {
				t.Errorf("%v, want %q", err, c.code)
			}
		})
	}
}
