package mfa

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/identity"
	"watertight/internal/core/page"
	"watertight/internal/fault"
)

const serial = "GAHT12345678"

func hexSeed(seed []byte) Seed { return Seed(hex.EncodeToString(seed)) }

// TestTokens: a hardware token of every kind is imported, enabled by its user like any device,
// used once a step, locked, and followed when its clock drifts.
func TestTokens(t *testing.T) {
	for _, kind := range []generator{
		{step: shortStep, algorithm: SHA1}, {step: shortStep, algorithm: SHA256},
		{step: longStep, algorithm: SHA1}, {step: longStep, algorithm: SHA256},
	} {
		t.Run(fmt.Sprint(kind.algorithm, kind.step), func(t *testing.T) {
			h := newHouse(t)
			u := h.Account.Create(identity.User, "u")
			token := kind
			token.seed = bytes.Repeat([]byte{7}, 20)
			start := time.Unix(1_700_000_040, 0)
			const ahead = 11 // steps by which the token's clock is ahead
			now := token.stepAt(start) + ahead
			add := func(codes *[2]string) error {
				_, err := NewOperator(h.Store).Add(t.Context(), nil, AddInput{
					Account: coretest.Account, Serial: serial, Seed: hexSeed(token.seed),
					Step: time.Duration(token.step) * time.Second, Algorithm: token.algorithm, Codes: codes, At: start,
				})
				return err
			}
			h.Fails(add(&[2]string{token.codeAt(now), token.codeAt(now)}), "InvalidAuthenticationCode")
			h.OK(add(&[2]string{token.codeAt(now - 1), token.codeAt(now)}))
			h.Fails(add(nil), "EntityAlreadyExists")
			enable := func(first int64) error {
				return h.Enable(t.Context(), h.GrantAt(start, "iam:EnableMFADevice", u.ARN()), Holder{User: "u"},
					serial, token.codeAt(first), token.codeAt(first+1))
			}
			h.Fails(enable(now-1), "InvalidAuthenticationCode") // used codes
			h.OK(enable(now + 1))
			verify := func(at time.Time, step int64) error {
				return h.Verify(t.Context(), u.Principal(), serial, token.codeAt(step), at)
			}
			at := start.Add(5 * time.Duration(token.step) * time.Second)
			now = token.stepAt(at) + ahead + 2 // enabled with codes two steps later than its clock's
			h.Fails(verify(at, now+2), "AccessDenied")
			h.Fails(verify(at, now-2), "AccessDenied")
			h.OK(verify(at, now-1))
			h.Fails(verify(at, now-1), "AccessDenied")
			h.OK(verify(at, now+1))
			h.Fails(verify(at, now), "AccessDenied")
			for range lockAfter {
				h.Fails(verify(at, 0), "AccessDenied")
			}
			h.Fails(verify(at.Add(firstLock-time.Second), now), "AccessDenied")
			late := at.Add(firstLock)
			n := token.stepAt(late)
			h.OK(h.Resync(t.Context(), h.GrantAt(late, "iam:ResyncMFADevice", u.ARN()), Holder{User: "u"}, serial,
				token.codeAt(n+17), token.codeAt(n+18)))
			h.OK(verify(late, n+19))
		})
	}
}

// TestTokensAreListed: tokens are in the lists of users' devices, but not among virtual devices.
// Removing one takes it from its owner.
func TestTokensAreListed(t *testing.T) {
	h := newHouse(t)
	ctx, o := t.Context(), NewOperator(h.Store)
	root := identity.RootPrincipal(coretest.Account)
	start := time.Unix(1_700_000_040, 0)
	token := appCodes(bytes.Repeat([]byte{7}, 20))
	in := AddInput{
		Account: coretest.Account, Serial: serial, Seed: hexSeed(token.seed), Step: 30 * time.Second, At: start,
		Holder: &Holder{Root: true},
	}
	_, err := o.Add(ctx, nil, in)
	h.OK(err)
	at := start.Add(time.Minute)
	h.OK(h.Verify(ctx, root, serial, token.codeAt(token.stepAt(at)), at))
	mine, _, err := h.List(ctx, h.Grant("iam:ListMFADevices", arn.Root(coretest.Account)), HolderFor(root, ""),
		page.Request{})
	if err != nil || len(mine) != 1 || mine[0].Serial() != serial {
		t.Errorf("%+v, %v", mine, err)
	}
	d, err := h.Get(ctx, h.Grant("iam:GetMFADevice", arn.Root(coretest.Account)), HolderFor(root, ""), serial)
	if err != nil || !d.Hardware || !d.OfRoot() {
		t.Errorf("%+v, %v", d, err)
	}
	virtual, _, err := h.ListAll(ctx, h.Grant("iam:ListVirtualMFADevices", ListARN(coretest.Account)), nil,
		page.Request{})
	if err != nil || len(virtual) != 0 {
		t.Errorf("%+v, %v", virtual, err)
	}
	h.Fails(o.Remove(ctx, nil, coretest.Account, "gaht12345678"), "NoSuchEntity")
	h.OK(o.Remove(ctx, nil, coretest.Account, serial))
	h.Fails(o.Remove(ctx, nil, coretest.Account, serial), "NoSuchEntity")
	if all, err := o.Devices(ctx, coretest.Account); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	at = at.Add(time.Minute)
	h.Fails(h.Verify(ctx, root, serial, token.codeAt(token.stepAt(at)), at), "AccessDenied")
}

// TestTheRootUsersName: only the root user can create a device with the name of the root user's
// device, in upper or lower case. One without an owner does not hinder the operator.
func TestTheRootUsersName(t *testing.T) {
	h := newHouse(t)
	u := h.Account.Create(identity.User, "u")
	create := func(c authz.Caller, path, name string) error {
		_, _, err := h.Store.Create(t.Context(), coretest.Grant(t, c, ARN(coretest.Account, path, name),
			"iam:CreateVirtualMFADevice"), path, name, nil)
		return err
	}
	user := authz.NewCaller(new(u.Principal()), &authz.Situation{At: time.Unix(1_700_000_000, 0)})
	root := coretest.Root(coretest.Account, nil)
	h.Fails(create(user, "/", RootDevice), "AccessDenied")
	h.Fails(create(user, "/", "Root-Account-MFA-device"), "AccessDenied")
	h.OK(create(user, "/x/", RootDevice)) // another serial number
	h.OK(create(root, "/", "ROOT-account-mfa-device"))
	seed := hexSeed(bytes.Repeat([]byte{7}, 20))
	in := AddInput{
		Account: coretest.Account, Seed: seed, Step: 30 * time.Second, At: time.Unix(1_700_000_040, 0),
		Holder: &Holder{Root: true},
	}
	d, err := NewOperator(h.Store).Add(t.Context(), nil, in)
	if err != nil || d.Name != RootDevice {
		t.Fatalf("%+v, %v", d, err)
	}
	_, err = NewOperator(h.Store).Add(t.Context(), nil, in)
	h.Fails(err, "EntityAlreadyExists")
	all, err := NewOperator(h.Store).Devices(t.Context(), coretest.Account)
	if err != nil || len(all) != 2 || !all[0].OfRoot() || hexSeed(all[0].codes.seed) != seed {
		t.Errorf("%+v, %v", all, err)
	}
	h.Fails(create(user, "/", RootDevice), "AccessDenied")
	h.Fails(create(root, "/", RootDevice), "EntityAlreadyExists")
}

func TestWhatOperatorsMayNotAdd(t *testing.T) {
	h := newHouse(t)
	for name, c := range map[string]struct {
		change func(*AddInput)
		code   fault.Code
	}{
		"a short seed":          {func(in *AddInput) { in.Seed = in.Seed[:30] }, "InvalidInput"},
		"a long seed":           {func(in *AddInput) { in.Seed = hexSeed(make([]byte, 129)) }, "InvalidInput"},
		"other steps":           {func(in *AddInput) { in.Step = 45 * time.Second }, "InvalidInput"},
		"parts of a second":     {func(in *AddInput) { in.Step += time.Millisecond }, "InvalidInput"},
		"another algorithm":     {func(in *AddInput) { in.Algorithm = 2 }, "InvalidInput"},
		"a short serial number": {func(in *AddInput) { in.Serial = "12345678" }, "InvalidInput"},
		"an ARN":                {func(in *AddInput) { in.Serial = "arn:aws:iam::1:mfa/x" }, "InvalidInput"},
		"no such account":       {func(in *AddInput) { in.Account = "999999999999" }, "NoSuchEntity"},
		"no such user":          {func(in *AddInput) { in.Holder = &Holder{User: "nobody"} }, "NoSuchEntity"},
		"wrong codes":           {func(in *AddInput) { in.Codes = &[2]string{"1", "2"} }, "InvalidAuthenticationCode"},
	} {
		t.Run(name, func(t *testing.T) {
			in := AddInput{
				Account: coretest.Account, Serial: serial, Seed: hexSeed(make([]byte, 20)), Step: 30 * time.Second,
				At: time.Unix(1_700_000_040, 0),
			}
			c.change(&in)
			_, err := NewOperator(h.Store).Add(t.Context(), nil, in)
			h.Fails(err, c.code)
			if all, err := NewOperator(h.Store).Devices(t.Context(), coretest.Account); err != nil || len(all) != 0 {
				t.Errorf("%+v, %v", all, err)
			}
		})
	}
}
