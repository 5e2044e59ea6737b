package mfa

import (
	"bytes"
	"encoding/base32"
	"fmt"
	"image/png"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/identity"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/test/identitytest"
)

// appCodes returns a generator as an authenticator app has it.
func appCodes(seed []byte) generator { return generator{seed: seed, step: shortStep} }

func code(seed []byte, step int64) string { return appCodes(seed).codeAt(step) }

func step(at time.Time) int64 { return appCodes(nil).stepAt(at) }

// TestCodes has the vectors of RFC 6238, appendix B, shortened to six digits.
func TestCodes(t *testing.T) {
	sha1 := appCodes([]byte("12345678901234567890"))
	sha256 := generator{[]byte("12345678901234567890123456789012"), shortStep, SHA256}
	for at, want := range map[int64][2]string{
		59: {"287082", "119246"}, 1111111109: {"081804", "084774"}, 1111111111: {"050471", "062674"},
		1234567890: {"005924", "819424"}, 2000000000: {"279037", "698825"}, 20000000000: {"353130", "737706"},
	} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			for i, g := range []generator{sha1, sha256} {
				if got := g.codeAt(g.stepAt(time.Unix(at, 0))); got != want[i] {
					t.Errorf("%s at %d: %s, want %s", g.algorithm, at, got, want[i])
				}
				g.step = longStep // with the same counter, the code is the same
				if got := g.codeAt(g.stepAt(time.Unix(2*(at-at%shortStep), 0))); got != want[i] {
					t.Errorf("%s with long steps at %d: %s, want %s", g.algorithm, at, got, want[i])
				}
			}
		})
	}
}

// TestCounters has the vectors of RFC 4226, appendix D.
func TestCounters(t *testing.T) {
	for i, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		if got := code([]byte("12345678901234567890"), int64(i)); got != want {
			t.Errorf("counter %d: %s, want %s", i, got, want)
		}
	}
}

// house is an account and its devices.
type house struct {
	identitytest.Account
	*Store
}

func newHouse(t testing.TB) house {
	a := identitytest.New(t, identity.Rooms{Devices: Counter{}})
	return house{a, New(a.Store)}
}

// enrol makes a device and gives it to a holder.
func (h house) enrol(name string, to Holder, on arn.ARN, when time.Time) (serial string, seed []byte) {
	h.T.Helper()
	ctx := h.T.Context()
	d, b, err := h.Store.Create(ctx, h.Grant("iam:CreateVirtualMFADevice", ARN(coretest.Account, "/", name)), "/", name,
		nil)
	h.OK(err)
	seed, err = base32.StdEncoding.DecodeString(b.Seed)
	h.OK(err)
	if _, err := png.Decode(bytes.NewReader(b.QR)); err != nil || len(seed) < 32 {
		h.T.Errorf("%d bytes of seed, %v", len(seed), err)
	}
	serial = d.Serial()
	now := step(when)
	for _, codes := range [][2]string{
		{"000000", "000000"}, {code(seed, now), code(seed, now)}, {code(seed, now-1), code(seed, now+1)},
		{code(seed, now-9), code(seed, now-8)},
	} {
		h.Fails(h.Enable(ctx, h.GrantAt(when, "iam:EnableMFADevice", on), to, serial, codes[0], codes[1]),
			"InvalidAuthenticationCode")
	}
	h.OK(h.Enable(ctx, h.GrantAt(when, "iam:EnableMFADevice", on), to, serial, code(seed, now-1), code(seed, now)))
	return serial, seed
}

func TestEachStepOnce(t *testing.T) {
	h := newHouse(t)
	u := h.Account.Create(identity.User, "u")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	verify := func(at time.Time, step int64, ok bool) {
		t.Helper()
		err := h.Verify(t.Context(), u.Principal(), serial, code(seed, step), at)
		if ok {
			h.OK(err)
		} else {
			h.Fails(err, "AccessDenied")
		}
	}
	now := step(start)
	verify(start, now, false) // the code of the enrolment
	verify(start, now+1, true)
	verify(start, now+1, false)
	later := start.Add(5 * shortStep * time.Second)
	verify(later, now+3, false) // two steps away
	verify(later, now+7, false)
	verify(later, now+4, true)
	verify(later, now+6, true)
	verify(later, now+5, false) // older than a used one
	// The server follows a clock that drifts.
	late := later.Add(time.Hour)
	n := step(late)
	verify(late, n+10, false)
	h.OK(h.Resync(t.Context(), h.GrantAt(late, "iam:ResyncMFADevice", u.ARN()), Holder{User: "u"}, serial,
		code(seed, n+10), code(seed, n+11)))
	verify(late.Add(shortStep*time.Second), n+12, true)
	verify(late.Add(2*shortStep*time.Second), n+2, false)
}

func TestLockoutCountsOnlyTheOwnersTries(t *testing.T) {
	h := newHouse(t)
	u, v := h.Account.Create(identity.User, "u"), h.Account.Create(identity.User, "v")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	at := start.Add(time.Hour)
	role := policy.Principal{Kind: policy.RoleSession, Account: coretest.Account, ID: u.ID}
	for range 3 * lockAfter {
		for _, other := range []policy.Principal{
			v.Principal(), identity.RootPrincipal(coretest.Account), identity.RootPrincipal("444455556666"), role,
		} {
			h.Fails(h.Verify(t.Context(), other, serial, "000000", at), "AccessDenied")
			h.Fails(h.Verify(t.Context(), other, serial, code(seed, step(at)), at), "AccessDenied")
		}
	}
	for range lockAfter - 1 {
		h.Fails(h.Verify(t.Context(), u.Principal(), serial, "0", at), "AccessDenied")
	}
	h.OK(h.Verify(t.Context(), u.Principal(), serial, code(seed, step(at)), at))
	for range lockAfter {
		h.Fails(h.Verify(t.Context(), u.Principal(), serial, "0", at), "AccessDenied")
	}
	right := func(at time.Time) error {
		return h.Verify(t.Context(), u.Principal(), serial, code(seed, step(at)), at)
	}
	h.Fails(right(at.Add(firstLock-time.Second)), "AccessDenied")
	h.OK(right(at.Add(firstLock)))
}

// TestUsedCodesAreNotWrong: used codes are refused. However often they are sent, they neither lock
// the device nor reset the count of wrong codes.
func TestUsedCodesAreNotWrong(t *testing.T) {
	h := newHouse(t)
	u := h.Account.Create(identity.User, "u")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	now := step(start)
	try := func(at time.Time, step int64) error {
		return h.Verify(t.Context(), u.Principal(), serial, code(seed, step), at)
	}
	at := start.Add(2 * shortStep * time.Second)
	h.OK(try(at, now+2))
	for range 3 * lockAfter {
		h.Fails(try(at, now+2), "AccessDenied")
		h.Fails(try(at, now+1), "AccessDenied") // older than the newest one used
	}
	h.OK(try(at, now+3))
	for range lockAfter - 1 {
		h.Fails(try(at, now+9), "AccessDenied")
	}
	h.Fails(try(at, now+3), "AccessDenied")
	h.Fails(try(at, now), "AccessDenied") // too old: a wrong code
	at = at.Add(shortStep * time.Second)
	if err := try(at, now+4); err == nil || !strings.Contains(err.Error(), "too many wrong codes") {
		t.Error(err)
	}
}

// TestRootsSecondFactor: while the root user has a device, its access key alone can't change its
// devices; a session made with a code can.
func TestRootsSecondFactor(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	start := time.Unix(1_700_000_010, 0)
	root, holder := arn.Root(coretest.Account), Holder{Root: true}
	first, seed := h.enrol("first", holder, root, start)
	create := h.Grant("iam:CreateVirtualMFADevice", ARN(coretest.Account, "/", "second"))
	free, b, err := h.Store.Create(ctx, create, "/", "second", nil)
	h.OK(err)
	freeSeed, err := base32.StdEncoding.DecodeString(b.Seed)
	h.OK(err)
	at := start.Add(time.Hour)
	now := step(at)
	changes := func(c authz.Caller) []error {
		grant := func(action policy.Action) authz.Grant { return coretest.Grant(t, c, root, action) }
		return []error{
			h.Enable(ctx, grant("iam:EnableMFADevice"), holder, free.Serial(), code(freeSeed, now-1),
				code(freeSeed, now)),
			h.Resync(ctx, grant("iam:ResyncMFADevice"), holder, first, code(seed, now+3), code(seed, now+4)),
			h.Deactivate(ctx, grant("iam:DeactivateMFADevice"), holder, first),
		}
	}
	for i, err := range changes(coretest.RootAt(coretest.Account, at)) {
		if h.Fails(err, "AccessDenied"); !strings.Contains(fmt.Sprint(err), "watertight mfa") {
			t.Errorf("change %d: %v", i, err)
		}
	}
	for _, err := range changes(coretest.RootWithMFA(coretest.Account, at)) {
		h.OK(err)
	}
	last := coretest.Grant(t, coretest.RootAt(coretest.Account, at), root, "iam:DeactivateMFADevice")
	h.Fails(h.Deactivate(ctx, last, holder, free.Serial()), "AccessDenied")
	h.OK(NewOperator(h.Store).Remove(ctx, nil, coretest.Account, free.Serial()))
	h.enrol("third", holder, root, at) // a first device again
}

func TestDevicesOfUsersAndRoot(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	u := h.Account.Create(identity.User, "u")
	start := time.Unix(1_700_000_010, 0)
	root := identity.RootPrincipal(coretest.Account)
	serial, seed := h.enrol("root-account-mfa-device", HolderFor(root, "root"), arn.Root(coretest.Account), start)
	if serial != "arn:aws:iam::111122223333:mfa/root-account-mfa-device" {
		t.Error(serial)
	}
	h.Fails(h.Verify(ctx, u.Principal(), serial, code(seed, step(start)+1), start), "AccessDenied")
	h.OK(h.Verify(ctx, root, serial, code(seed, step(start)+1), start))
	own, _ := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)

	remove := func(serial string) error {
		at, err := arn.Parse(serial)
		h.OK(err)
		return h.Store.Delete(ctx, h.Grant("iam:DeleteVirtualMFADevice", at), serial)
	}
	h.Fails(remove(own), "DeleteConflict")
	h.Fails(h.Identities.Delete(ctx, h.Grant("iam:DeleteUser", u.ARN()), identity.User, "u"), "DeleteConflict")
	h.Fails(h.Deactivate(ctx, h.Grant("iam:DeactivateMFADevice", u.ARN()), Holder{User: "u"}, serial), "NoSuchEntity")
	h.Fails(h.Enable(ctx, h.Grant("iam:EnableMFADevice", u.ARN()), Holder{User: "u"}, serial, "0", "0"),
		"EntityAlreadyExists")
	list := func(assigned *bool) int {
		all, _, err := h.ListAll(ctx, h.Grant("iam:ListVirtualMFADevices", ListARN(coretest.Account)), assigned,
			page.Request{})
		h.OK(err)
		return len(all)
	}
	yes, no := true, false
	if list(nil) != 2 || list(&yes) != 2 || list(&no) != 0 {
		t.Error(list(nil), list(&yes), list(&no))
	}
	mine, _, err := h.List(ctx, h.Grant("iam:ListMFADevices", u.ARN()), Holder{User: "u"}, page.Request{})
	if err != nil || len(mine) != 1 || mine[0].Serial() != own {
		t.Errorf("%+v, %v", mine, err)
	}
	h.OK(h.Deactivate(ctx, h.Grant("iam:DeactivateMFADevice", u.ARN()), Holder{User: "u"}, own))
	if list(&no) != 1 {
		t.Error("no device without an owner is listed")
	}
	h.OK(remove(own))
	h.Fails(remove(own), "NoSuchEntity")
	h.OK(h.Identities.Delete(ctx, h.Grant("iam:DeleteUser", u.ARN()), identity.User, "u"))
}

// TestUsedCodesStayUsed: when a device is deactivated and enabled again, for the same user or
// another, only codes of later steps enable it.
func TestUsedCodesStayUsed(t *testing.T) {
	h := newHouse(t)
	u, other := h.Account.Create(identity.User, "u"), h.Account.Create(identity.User, "other")
	start := time.Unix(1_700_000_010, 0)
	serial, seed := h.enrol("phone", Holder{User: "u"}, u.ARN(), start)
	now := step(start)
	h.OK(h.Verify(t.Context(), u.Principal(), serial, code(seed, now+1), start))
	from := u
	for _, to := range []*identity.Entity{u, other} {
		h.OK(h.Deactivate(t.Context(), h.GrantAt(start, "iam:DeactivateMFADevice", from.ARN()), Holder{User: from.Name},
			serial))
		enable := func(at time.Time, first int64) error {
			return h.Enable(t.Context(), h.GrantAt(at, "iam:EnableMFADevice", to.ARN()), Holder{User: to.Name}, serial,
				code(seed, first), code(seed, first+1))
		}
		for _, first := range []int64{now - 1, now, now + 1} {
			h.Fails(enable(start.Add(shortStep*time.Second), first), "InvalidAuthenticationCode")
		}
		start, now = start.Add(3*shortStep*time.Second), now+3
		h.OK(enable(start, now-1))
		h.Fails(h.Verify(t.Context(), to.Principal(), serial, code(seed, now), start), "AccessDenied")
		h.OK(h.Verify(t.Context(), to.Principal(), serial, code(seed, now+1), start))
		from = to
	}
}

func TestRecordsComeBack(t *testing.T) {
	at := time.Unix(7, 0).UTC()
	d := &Device{
		Account: "a", Path: "/", Name: "n", Created: at, Enabled: at, Tags: []tag.Tag{{Key: "k", Value: "v"}},
		Owner: rootOwner,
		codes: generator{[]byte("s"), longStep, SHA256}, drift: -3, lastStep: 9, failures: 2, failedAt: at,
	}
	if got, err := decodeDevice("a", d.encode()); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"a field of a later program": append(d.encode(), 0xf0, 0x01, 1),
		"no seed":                    (&Device{Name: "n", Path: "/"}).encode(),
	} {
		t.Run(name, func(t *testing.T) {
			if d, err := decodeDevice("a", b); err == nil {
				t.Errorf("%+v", d)
			}
		})
	}
}
