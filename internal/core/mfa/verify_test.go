package mfa

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/change/coretest"
)

// TestProveRoot: a proof counts for one account, and needs a code of a device of its root user.
func TestProveRoot(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{Root: true}, arn.Root(coretest.Account), start)
	now := start.Unix() / 30
	header := serial + " " + code(seed, now+1)
	if _, err := h.ProveRoot(ctx, coretest.RootInPlain(coretest.Account), header); err == nil {
		t.Error("a code over plain HTTP is accepted")
	} else {
		h.Fails(err, "InvalidRequest")
	}
	for name, in := range map[string]struct{ account, header string }{
		"another account's root": {"444455556666", header},
		"no code":                {coretest.Account, serial},
		"a code of five digits":  {coretest.Account, header[:len(header)-1]},
		"two blanks":             {coretest.Account, serial + "  " + code(seed, now+1)},
		"another serial number":  {coretest.Account, serial + "x " + code(seed, now+1)},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := h.ProveRoot(ctx, coretest.RootAt(in.account, start), in.header)
			h.Fails(err, "AccessDenied")
			if p != (Proof{}) {
				t.Errorf("%+v", p)
			}
		})
	}
	p, err := h.ProveRoot(ctx, coretest.RootAt(coretest.Account, start), header)
	h.OK(err)
	if !p.By(coretest.Account) || p.By("444455556666") || p.By("") {
		t.Errorf("%+v", p)
	}
	_, err = h.ProveRoot(ctx, coretest.RootAt(coretest.Account, start), header)
	h.Fails(err, "AccessDenied")
	if (Proof{}).By("") {
		t.Error("the zero proof counts for an account")
	}
}

// TestCodesCountAtTheClocksTime: a code is checked by the time at which it is used, not by the
// beginning of a long request.
func TestCodesCountAtTheClocksTime(t *testing.T) {
	h := newHouse(t)
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{Root: true}, arn.Root(coretest.Account), start)
	late := start.Add(5 * time.Minute)
	c := coretest.RootSince(coretest.Account, start, func() time.Time { return late })
	_, err := h.ProveRoot(t.Context(), c, serial+" "+code(seed, start.Unix()/30+1))
	h.Fails(err, "AccessDenied")
	_, err = h.ProveRoot(t.Context(), c, serial+" "+code(seed, late.Unix()/30))
	h.OK(err)
}
