package identity

import (
	"bytes"
	"encoding/base32"
	"image/png"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
)

// TestCodes has the vectors of RFC 6238, appendix B, cut to six digits.
func TestCodes(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := codeAt([]byte("12345678901234567890"), stepAt(time.Unix(at, 0))); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

// at is a grant of the root user at an instant.
func (h house) at(when time.Time, action policy.Action, r arn.ARN) authz.Grant {
	h.t.Helper()
	c := authz.NewCaller(RootPrincipal(coretest.Account), authz.Situation{At: when})
	return coretest.Grant(h.t, c, r, action)
}

// enrol makes a device and gives it to a holder.
func (h house) enrol(name string, to Holder, on arn.ARN, when time.Time) (serial string, seed []byte) {
	h.t.Helper()
	ctx := h.t.Context()
	d, b, err := h.CreateDevice(ctx, h.may("iam:CreateVirtualMFADevice", DeviceARN(coretest.Account, "/", name)), "/", name, nil)
	h.ok(err)
	seed, err = base32.StdEncoding.DecodeString(b.Seed)
	h.ok(err)
	if _, err := png.Decode(bytes.NewReader(b.QR)); err != nil || len(seed) < 32 {
		h.t.Errorf("%d bytes of seed, %v", len(seed), err)
	}
	serial = d.Serial().String()
	now := stepAt(when)
	for _, codes := range [][2]string{{"000000", "000000"}, {codeAt(seed, now), codeAt(seed, now)}, {codeAt(seed, now-1), codeAt(seed, now+1)}, {codeAt(seed, now-9), codeAt(seed, now-8)}} {
		h.fails(h.EnableDevice(ctx, h.at(when, "iam:EnableMFADevice", on), to, serial, codes[0], codes[1]), "InvalidAuthenticationCode")
	}
	h.ok(h.EnableDevice(ctx, h.at(when, "iam:EnableMFADevice", on), to, serial, codeAt(seed, now-1), codeAt(seed, now)))
	return serial, seed
}

func TestEachStepOnce(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "u")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	verify := func(at time.Time, step int64, ok bool) {
		t.Helper()
		err := h.VerifyMFA(t.Context(), u.Principal(), serial, codeAt(seed, step), at)
		if ok {
			h.ok(err)
		} else {
			h.fails(err, "AccessDenied")
		}
	}
	now := stepAt(start)
	verify(start, now, false) // the code it was enrolled with
	verify(start, now+1, true)
	verify(start, now+1, false)
	later := start.Add(5 * stepSeconds * time.Second)
	verify(later, now+3, false) // two steps away
	verify(later, now+7, false)
	verify(later, now+4, true)
	verify(later, now+6, true)
	verify(later, now+5, false) // before one that was used
	// A clock that went astray is followed.
	late := later.Add(time.Hour)
	n := stepAt(late)
	verify(late, n+10, false)
	h.ok(h.ResyncDevice(t.Context(), h.at(late, "iam:ResyncMFADevice", u.ARN()), Holder{User: "u"}, serial, codeAt(seed, n+10), codeAt(seed, n+11)))
	verify(late.Add(stepSeconds*time.Second), n+12, true)
	verify(late.Add(2*stepSeconds*time.Second), n+2, false)
}

func TestLockoutCountsTheOwnersTriesAlone(t *testing.T) {
	h := newHouse(t)
	u, v := h.create(User, "u"), h.create(User, "v")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	at := start.Add(time.Hour)
	role := policy.Principal{Kind: policy.RoleSession, Account: coretest.Account, ID: u.ID}
	for range 3 * lockAfter {
		for _, other := range []policy.Principal{v.Principal(), RootPrincipal(coretest.Account), RootPrincipal("444455556666"), role} {
			h.fails(h.VerifyMFA(t.Context(), other, serial, "000000", at), "AccessDenied")
			h.fails(h.VerifyMFA(t.Context(), other, serial, codeAt(seed, stepAt(at)), at), "AccessDenied")
		}
	}
	for range lockAfter - 1 {
		h.fails(h.VerifyMFA(t.Context(), u.Principal(), serial, "0", at), "AccessDenied")
	}
	h.ok(h.VerifyMFA(t.Context(), u.Principal(), serial, codeAt(seed, stepAt(at)), at))
	for range lockAfter {
		h.fails(h.VerifyMFA(t.Context(), u.Principal(), serial, "0", at), "AccessDenied")
	}
	right := func(at time.Time) error {
		return h.VerifyMFA(t.Context(), u.Principal(), serial, codeAt(seed, stepAt(at)), at)
	}
	h.fails(right(at.Add(firstLock-time.Second)), "AccessDenied")
	h.ok(right(at.Add(firstLock)))
}

func TestDevicesOfUsersAndRoot(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	u := h.create(User, "u")
	start := time.Unix(1_700_000_010, 0)
	root := RootPrincipal(coretest.Account)
	serial, seed := h.enrol("root-account-mfa-device", HolderFor(root, "root"), arn.Root(coretest.Account), start)
	if serial != "arn:aws:iam::111122223333:mfa/root-account-mfa-device" {
		t.Error(serial)
	}
	h.fails(h.VerifyMFA(ctx, u.Principal(), serial, codeAt(seed, stepAt(start)+1), start), "AccessDenied")
	h.ok(h.VerifyMFA(ctx, root, serial, codeAt(seed, stepAt(start)+1), start))
	own, _ := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)

	remove := func(serial string) error {
		return h.DeleteDevice(ctx, h.may("iam:DeleteVirtualMFADevice", mustARN(t, serial)), serial)
	}
	h.fails(remove(own), "DeleteConflict")
	h.fails(h.Delete(ctx, h.may("iam:DeleteUser", u.ARN()), User, "u"), "DeleteConflict")
	h.fails(h.DeactivateDevice(ctx, h.may("iam:DeactivateMFADevice", u.ARN()), Holder{User: "u"}, serial), "NoSuchEntity")
	h.fails(h.EnableDevice(ctx, h.may("iam:EnableMFADevice", u.ARN()), Holder{User: "u"}, serial, "0", "0"), "EntityAlreadyExists")
	list := func(assigned *bool) int {
		all, _, err := h.VirtualDevices(ctx, h.may("iam:ListVirtualMFADevices", DevicesARN(coretest.Account)), assigned, page.Request{})
		h.ok(err)
		return len(all)
	}
	yes, no := true, false
	if list(nil) != 2 || list(&yes) != 2 || list(&no) != 0 {
		t.Error(list(nil), list(&yes), list(&no))
	}
	mine, _, err := h.Devices(ctx, h.may("iam:ListMFADevices", u.ARN()), "iam:ListMFADevices", Holder{User: "u"}, page.Request{})
	if err != nil || len(mine) != 1 || mine[0].Serial().String() != own {
		t.Errorf("%+v, %v", mine, err)
	}
	h.ok(h.DeactivateDevice(ctx, h.may("iam:DeactivateMFADevice", u.ARN()), Holder{User: "u"}, own))
	if list(&no) != 1 {
		t.Error("no device is free")
	}
	h.ok(remove(own))
	h.fails(remove(own), "NoSuchEntity")
	h.ok(h.Delete(ctx, h.may("iam:DeleteUser", u.ARN()), User, "u"))
}

// TestUsedCodesStayUsed when a device is taken from its owner and given again,
// to whomever: only codes of later steps enable it.
func TestUsedCodesStayUsed(t *testing.T) {
	h := newHouse(t)
	u, other := h.create(User, "u"), h.create(User, "other")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	now := stepAt(start)
	h.ok(h.VerifyMFA(t.Context(), u.Principal(), serial, codeAt(seed, now+1), start))
	from := u
	for _, to := range []*Entity{u, other} {
		h.ok(h.DeactivateDevice(t.Context(), h.at(start, "iam:DeactivateMFADevice", from.ARN()), Holder{User: from.Name}, serial))
		enable := func(at time.Time, first int64) error {
			return h.EnableDevice(t.Context(), h.at(at, "iam:EnableMFADevice", to.ARN()), Holder{User: to.Name}, serial, codeAt(seed, first), codeAt(seed, first+1))
		}
		for _, first := range []int64{now - 1, now, now + 1} {
			h.fails(enable(start.Add(stepSeconds*time.Second), first), "InvalidAuthenticationCode")
		}
		start, now = start.Add(3*stepSeconds*time.Second), now+3
		h.ok(enable(start, now-1))
		h.fails(h.VerifyMFA(t.Context(), to.Principal(), serial, codeAt(seed, now), start), "AccessDenied")
		h.ok(h.VerifyMFA(t.Context(), to.Principal(), serial, codeAt(seed, now+1), start))
		from = to
	}
}
