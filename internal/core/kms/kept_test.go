package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

// keyInUse is a key with imported material that users use by its alias.
type keyInUse struct {
	*env
	world       *truth
	authority   *authz.Authority
	m, other    Metadata
	grant       string // of the user "granted"
	wrapped     []byte
	wider       authz.Grant // of the last use
	got         Key
	importAgain func() error
}

const usedAlias = "alias/used"

func newKeyInUse(t *testing.T, private *rsa.PrivateKey) *keyInUse {
	e := newEnv(t)
	k := &keyInUse{env: e}
	k.world, k.authority = e.iam()
	k.world.allow(t, userID("both"), `"s3:*","kms:*"`)
	k.world.allow(t, userID("granted"), `"s3:*"`)
	k.m, k.other = e.create(CreateInput{Origin: OriginExternal}), e.create(CreateInput{})
	p := e.parameters(k.m, private)
	material := testKey(33)
	k.importAgain = func() error {
		_, err := e.give(k.m, p, sealOAEP(t, p.PublicKey, material[:]), e.at.Add(time.Hour))
		return err
	}
	if err := k.importAgain(); err != nil {
		t.Fatal(err)
	}
	if err := e.alias("CreateAlias", usedAlias, k.m); err != nil {
		t.Fatal(err)
	}
	k.grant, _ = e.makeGrant(&k.m, GrantInput{
		Grantee: user(coretest.Account, "granted"), Operations: []string{"GenerateDataKey", "Decrypt"},
	})
	return k
}

// use simulates a user's request that wraps a data key, and opens the data key that was wrapped
// first.
func (k *keyInUse) use(who string) error {
	k.Helper()
	g, err := k.s3Grant(k.authority, k.person(coretest.Account, who))
	if err != nil {
		k.Fatal(err)
	}
	k.wider, k.got, err = k.ExtendToBoth(k.Context(), g, Use{Key: usedAlias, Context: object(), Via: "s3"})
	if err != nil {
		return err
	}
	wrapped, err := k.Wrap(k.Context(), k.wider, k.got.ARN, testKey(5), nil)
	if err == nil && k.wrapped == nil {
		k.wrapped = wrapped
	}
	if err == nil {
		err = k.open(k.wider)
	}
	return err
}

func (k *keyInUse) open(g authz.Grant) error {
	k.Helper()
	plain, err := k.Unwrap(k.Context(), g, k.m.ARN, k.wrapped, nil)
	if err == nil && plain != testKey(5) {
		k.Error("another data key")
	}
	return err
}

// TestNextUseIsRefused: although decoded records of the key are cached, a change of the key, its
// policy, its grants, its names or the user counts for the next use, and for a use that was
// decided before and opens a data key now.
func TestNextUseIsRefused(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		who    string // empty stands for "both"
		change func(*keyInUse) error
		code   fault.Code
		opens  bool // one that was decided before still opens: the decision is about permissions
		undo   func(*keyInUse) error
	}{
		"the key is disabled": {
			change: func(k *keyInUse) error { return k.do("DisableKey", k.m) }, code: fault.DisabledException,
			undo: func(k *keyInUse) error { return k.do("EnableKey", k.m) },
		},
		"deletion is scheduled": {
			change: func(k *keyInUse) error { return k.do("ScheduleKeyDeletion", k.m) },
			code:   fault.KMSInvalidStateException,
			undo: func(k *keyInUse) error {
				k.must("CancelKeyDeletion", k.m)
				return k.do("EnableKey", k.m)
			},
		},
		"the window has ended": {
			change: func(k *keyInUse) error {
				defer func() { k.at = k.at.Add(8 * 24 * time.Hour) }()
				return k.do("ScheduleKeyDeletion", k.m)
			},
			code: fault.NotFoundException,
		},
		"it is destroyed": {
			change: func(k *keyInUse) error {
				k.must("ScheduleKeyDeletion", k.m)
				k.at = k.at.Add(8 * 24 * time.Hour)
				k.sweep()
				return nil
			},
			code: fault.NotFoundException,
		},
		"its material is deleted": {
			change: func(k *keyInUse) error { return k.do("DeleteImportedKeyMaterial", k.m) },
			code:   fault.KMSInvalidStateException, undo: func(k *keyInUse) error { return k.importAgain() },
		},
		"its material has expired": {
			change: func(k *keyInUse) error { k.at = k.at.Add(2 * time.Hour); return nil },
			code:   fault.KMSInvalidStateException,
		},
		"its policy is replaced": {
			change: func(k *keyInUse) error {
				return k.PutKeyPolicy(k.Context(), k.may(k.m.ARN, "kms:PutKeyPolicy"), k.m.ID,
					defaultPolicy(stranger), true)
			},
			code: fault.AccessDenied, opens: true,
		},
		"the user's policy is replaced": {
			change: func(k *keyInUse) error { k.world.allow(k.T, userID("both"), `"s3:*"`); return nil },
			code:   fault.AccessDenied, opens: true,
		},
		"the grant is revoked": {
			who: "granted", code: fault.AccessDenied, opens: true,
			change: func(k *keyInUse) error {
				return k.RevokeGrant(k.Context(), k.may(k.m.ARN, "kms:RevokeGrant"), k.m.ID, k.grant, false)
			},
		},
		"the alias is deleted": {
			change: func(k *keyInUse) error { return k.alias("DeleteAlias", usedAlias, k.m) },
			code:   fault.NotFoundException, opens: true,
			undo: func(k *keyInUse) error { return k.alias("CreateAlias", usedAlias, k.m) },
		},
		"the alias names another key": {
			change: func(k *keyInUse) error { return k.alias("UpdateAlias", usedAlias, k.m, k.other) },
			code:   fault.AccessDenied, opens: true, // the grant covers the other key only
			undo: func(k *keyInUse) error { return k.alias("UpdateAlias", usedAlias, k.other, k.m) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKeyInUse(t, private)
			who := c.who
			if who == "" {
				who = "both"
			}
			for range 3 { // fill the caches
				if err := k.use(who); err != nil || k.got.ID != k.m.ID {
					t.Fatal(err)
				}
			}
			use := useName{key: k.m.ARN.Resource, current: true}
			if u, err := k.useAgain(k.Context(), &k.m.ARN, use, k.at); u == nil || err != nil {
				t.Error("nothing is kept of the use:", err)
			}
			before := k.wider
			if err := c.change(k); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := k.use(who); !fault.Is(err, c.code) {
					t.Errorf("the next use: %v, want %s", err, c.code)
				}
			}
			switch err := k.open(k.later(before)); {
			case c.opens && err != nil, !c.opens && !fault.Is(err, c.code):
				t.Errorf("a use that was decided before: %v, want %s", err, c.code)
			}
			if c.undo == nil {
				return
			}
			if err := c.undo(k); err != nil {
				t.Fatal(err)
			}
			if err := k.use(who); err != nil {
				t.Error("after the change was undone:", err)
			}
		})
	}
}

// later returns a grant that was decided before, for a request at this instant. It covers the key
// whatever the key's policy says by now.
func (k *keyInUse) later(before authz.Grant) authz.Grant {
	if k.at.Equal(before.Caller().At()) {
		return before
	}
	return k.may(k.m.ARN, "kms:Decrypt")
}

// TestRotationBindsTheNextUse: after a rotation data keys are wrapped under the new
// material, and those of the old one still open.
func TestRotationBindsTheNextUse(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	g := e.may(m.ARN, "kms:GenerateDataKey", "kms:Decrypt")
	materials := map[[32]byte]bool{}
	var all [][]byte
	for rotations := range 3 {
		for range 3 {
			wrapped, err := e.Wrap(t.Context(), g, m.ARN, testKey(6), nil)
			if err != nil {
				t.Fatal(err)
			}
			_, material, _ := KeyOf(wrapped)
			materials[material] = true
			all = append(all, wrapped)
		}
		if len(materials) != rotations+1 {
			t.Errorf("%d materials after %d rotations", len(materials), rotations)
		}
		for _, wrapped := range all {
			if got, err := e.Unwrap(t.Context(), g, m.ARN, wrapped, nil); err != nil || got != testKey(6) {
				t.Error(err)
			}
		}
		e.must("RotateKeyOnDemand", m)
		e.at = e.at.Add(time.Hour)
	}
}
