package kms

import (
	"maps"
	"slices"
	"testing"

	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TestUseConditions: condition keys that are computed on demand have the values that follow from
// the key and the encryption context. Aliases are read only if a policy mentions them.
func TestUseConditions(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Tags: []tag.Tag{{Key: "Team", Value: "blue"}}})
	for _, alias := range []string{"alias/one", "alias/two"} {
		if err := e.CreateAlias(t.Context(), e.mayAll("kms:CreateAlias",
			e.AliasARN(coretest.Account, alias), m.ARN), alias, m.ID); err != nil {
			t.Fatal(err)
		}
	}
	use := &Use{Key: "alias/one", Via: "s3", Context: Context{
		Name: "aws:s3:arn", Value: "arn:aws:s3:::b", Own: map[string]string{"Case": "1", "case": "2"},
	}}
	full, err := e.Subject(t.Context(), coretest.Account, use.Key, e.at)
	if err != nil {
		t.Fatal(err)
	}
	want := full.Conditions()
	maps.Copy(want, ContextConditions(use.Context.All()))
	want["kms:viaservice"] = []string{"s3.us-east-1.amazonaws.com"}
	want["aws:viaawsservice"] = []string{"true"}
	for _, mentioned := range []bool{true, false} {
		c := &useConditions{s: e.Store, use: use, key: e.key(m.ID), alias: "alias/one", at: e.at}
		if mentioned {
			if err := c.Look(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			delete(want, "kms:resourcealiases")
		}
		for _, name := range append(slices.Collect(maps.Keys(want)), "kms:resourcealiases", "kms:requestaliases",
			"aws:sourcevpc", "aws:resourcetag/other", "s3:prefix", "kms:encryptioncontext:other") {
			got, all := slices.Clone(c.Values(name)), slices.Clone(want[name])
			slices.Sort(got)
			slices.Sort(all)
			if !slices.Equal(got, all) {
				t.Errorf("mentioned %v: %s is %q, want %q", mentioned, name, got, all)
			}
		}
	}
}

// TestAliasesBindUses: if a policy has a condition on aliases, they are read with each use, and
// again by the commit that relied on them.
func TestAliasesBindUses(t *testing.T) {
	e := newEnv(t)
	w, a := e.iam()
	w.allow(t, userID("both"), `"s3:*"`)
	m := e.create(CreateInput{BypassLockOut: true, Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow",` +
		`"Resource":"*","Action":"kms:*","Principal":{"AWS":"arn:aws:iam::` + coretest.Account + `:user/both"},` +
		`"Condition":{"ForAnyValue:StringEquals":{"kms:ResourceAliases":"alias/backup"}}}}`})
	on := e.AliasARN(coretest.Account, "alias/backup")
	use := func() error {
		g, err := e.s3Grant(a, e.person(coretest.Account, "both"))
		if err == nil {
			_, _, err = e.ExtendToDecrypt(t.Context(), g, Use{Key: m.ID, Context: object(), Via: "s3"})
		}
		return err
	}
	if err := use(); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("without the alias: %v", err)
	}
	if err := e.CreateAlias(t.Context(), e.mayAll("kms:CreateAlias", on, m.ARN), "alias/backup", m.ID); err != nil {
		t.Fatal(err)
	}
	if err := use(); err != nil {
		t.Errorf("with the alias: %v", err)
	}
	g, err := e.s3Grant(a, e.person(coretest.Account, "both"))
	if err == nil {
		g, _, err = e.ExtendToDecrypt(t.Context(), g, Use{Key: m.ID, Context: object(), Via: "s3"})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := e.DeleteAlias(t.Context(), e.mayAll("kms:DeleteAlias", on, m.ARN), "alias/backup"); err != nil {
		t.Fatal(err)
	}
	err = change.Commit(t.Context(), e.store, g, func(tx kv.Tx) error { tx.Set([]byte("x"), nil); return nil })
	if !fault.Is(err, fault.AccessDenied) {
		t.Errorf("commit without the alias: %v", err)
	}
	if err := use(); !fault.Is(err, fault.AccessDenied) {
		t.Errorf("after the alias: %v", err)
	}
}

// TestDecodedKeys: a cached decoded record is used only while the stored record is the same, and
// transactions never share it.
func TestDecodedKeys(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Description: "first"})
	read := func() *keyRecord { return e.key(m.ID) }
	first := read()
	if read() != first {
		t.Error("decoded twice")
	}
	on := e.may(m.ARN, "kms:UpdateKeyDescription")
	if err := e.UpdateKeyDescription(t.Context(), on, m.ID, "second"); err != nil {
		t.Fatal(err)
	}
	if first.description != "first" {
		t.Error("a transaction changed a shared record")
	}
	if k := read(); k.description != "second" {
		t.Errorf("stale: %q", k.description)
	}
	e.change(m.ID, func(k *keyRecord) {
		if k == read() {
			t.Error("a transaction shares the record")
		}
	})
}

func TestKeyIDs(t *testing.T) {
	for range 100 {
		id := newKeyID()
		if back, ok := parseKeyID(id.String()); !ok || back != id {
			t.Fatalf("%s is %x", id, back)
		}
	}
	for _, bad := range []string{
		"", "12345678-1234-4234-8234-12345678901", "12345678-1234-4234-8234-1234567890123",
		"12345678-1234-4234-8234-12345678901g", "12345678-1234-4234-8234-12345678901A",
		"123456781-234-4234-8234-123456789012", "12345678a1234-4234-8234-123456789012",
	} {
		if _, ok := parseKeyID(bad); ok {
			t.Errorf("%q is accepted as an id", bad)
		}
	}
}

// TestTagsThatDifferByCase: their condition key has both values, whatever the order of a map.
func TestTagsThatDifferByCase(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{Tags: []tag.Tag{{Key: "Team", Value: "blue"}, {Key: "team", Value: "red"}}})
	of, err := e.Subject(t.Context(), coretest.Account, m.ID, e.at)
	if err != nil {
		t.Fatal(err)
	}
	values := of.Conditions()["aws:resourcetag/team"]
	if slices.Sort(values); !slices.Equal(values, []string{"blue", "red"}) {
		t.Errorf("aws:ResourceTag/team is %q", values)
	}
}
