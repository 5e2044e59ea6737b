package kms

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

func TestAliases(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	for name, want := range map[string]fault.Code{
		"alias/a": "", "alias/a/b-c_D9": "", "alias/" + strings.Repeat("x", 250): "",
		"alias/" + strings.Repeat("x", 251): fault.InvalidAliasNameException, "alias/": fault.InvalidAliasNameException,
		"a": fault.ValidationException, "alias": fault.ValidationException, "": fault.ValidationException,
		"alias/aws/s3": fault.InvalidAliasNameException, "alias/ä": fault.InvalidAliasNameException,
		"alias/a:b": fault.InvalidAliasNameException, "alias/a b": fault.InvalidAliasNameException,
	} {
		t.Run(name, func(t *testing.T) {
			err := e.alias("CreateAlias", name, m)
			if want == "" && err != nil || want != "" && !fault.Is(err, want) {
				t.Error(err)
			}
		})
	}
	if err := e.alias("CreateAlias", "alias/a", other); !fault.Is(err, fault.AlreadyExistsException) {
		t.Error("twice:", err)
	}
	if err := e.alias("UpdateAlias", "alias/a", m, other); err != nil {
		t.Error(err)
	}
	if got, err := e.Subject(t.Context(), coretest.Account, "alias/a", e.at); err != nil || got.ID != other.ID ||
		!slices.Equal(got.Aliases, []string{"alias/a"}) || got.Alias != "alias/a" {
		t.Errorf("%+v, %v", got, err)
	}
	if err := e.alias("UpdateAlias", "alias/none", m, other); !fault.Is(err, fault.NotFoundException) {
		t.Error("an alias that does not exist:", err)
	}
	if err := e.alias("DeleteAlias", "alias/a", other); err != nil {
		t.Error(err)
	}
	if err := e.alias("DeleteAlias", "alias/a", other); !fault.Is(err, fault.NotFoundException) {
		t.Error("deleted twice:", err)
	}
	if left := e.records("/" + other.ID + "/a"); len(left) > 0 {
		t.Errorf("records left: %q", left)
	}
	ctx := t.Context()
	err := e.CreateAlias(ctx, e.may(e.AliasARN(coretest.Account, "alias/b"), "kms:CreateAlias"), "alias/b", m.ID)
	if !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission on the key:", err)
	}
	if err = e.CreateAlias(ctx, e.may(m.ARN, "kms:CreateAlias"), "alias/b", m.ID); !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission on the alias:", err)
	}
	g := e.mayAll("kms:UpdateAlias", e.AliasARN(coretest.Account, "alias/a/b-c_D9"), other.ARN)
	if err = e.UpdateAlias(ctx, g, "alias/a/b-c_D9", other.ID); !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission on the key that it stands for:", err)
	}
	if err := e.DisableKey(ctx, e.may(m.ARN, "kms:DisableKey"), "alias/a/b-c_D9"); !fault.Is(err,
		fault.NotFoundException) {
		t.Error("an alias in place of a key id:", err)
	}
}

func TestAliasesOfAKey(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	for n := range maxAliases {
		if err := e.alias("CreateAlias", fmt.Sprintf("alias/%03d", n), m); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.alias("CreateAlias", "alias/more", m); !fault.Is(err, fault.LimitExceededException) {
		t.Error("one alias too many:", err)
	}
	if err := e.alias("UpdateAlias", "alias/000", m, m); err != nil {
		t.Error("to the same key:", err)
	}
	if err := e.alias("CreateAlias", "alias/other", other); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]int{"": maxAliases + 1, m.ID: maxAliases, other.ARN.String(): 1} {
		all, marker := []Alias(nil), ""
		for {
			some, next, err := e.ListAliases(t.Context(), e.may(arn.Any(), "kms:ListAliases"), key,
				page.Request{Marker: marker, Max: 7})
			if err != nil || len(some) > 7 {
				t.Fatal(len(some), err)
			}
			all = append(all, some...)
			if marker = next; marker == "" {
				break
			}
		}
		byName := func(a, b Alias) int { return strings.Compare(a.Name, b.Name) }
		if len(all) != want || !slices.IsSortedFunc(all, byName) {
			t.Errorf("%q has %d", key, len(all))
		}
	}
	if _, _, err := e.ListAliases(t.Context(), e.may(arn.Any(), "kms:ListAliases"), "",
		page.Request{Marker: "x"}); !fault.Is(err, fault.InvalidMarkerException) {
		t.Error(err)
	}
}

func TestListKeys(t *testing.T) {
	e := newEnv(t)
	want := map[string]bool{}
	for range 12 {
		want[e.create(CreateInput{}).ID] = true
	}
	stranger := coretest.Grant(t, coretest.RootAt("999988887777", e.at), arn.Any(), "kms:ListKeys", "kms:CreateKey")
	if _, err := e.CreateKey(t.Context(), stranger, CreateInput{}); err != nil {
		t.Fatal(err)
	}
	marker := ""
	for {
		some, next, err := e.ListKeys(t.Context(), e.may(arn.Any(), "kms:ListKeys"),
			page.Request{Marker: marker, Max: 5})
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range some {
			if !want[k.ID] || !strings.HasSuffix(k.ARN.String(), ":key/"+k.ID) {
				t.Errorf("%+v", k)
			}
			delete(want, k.ID)
		}
		if marker = next; marker == "" {
			break
		}
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
	if some, _, err := e.ListKeys(t.Context(), stranger, page.Request{}); err != nil || len(some) != 1 {
		t.Errorf("another account sees %d, %v", len(some), err)
	}
}

func TestTags(t *testing.T) {
	e := newEnv(t)
	create := e.may(arn.Any(), "kms:CreateKey", "kms:TagResource")
	m, err := e.CreateKey(t.Context(), create, CreateInput{Tags: []tag.Tag{{Key: "a", Value: "1"}}})
	if err != nil {
		t.Fatal(err)
	}
	may := e.may(m.ARN, "kms:TagResource", "kms:UntagResource", "kms:ListResourceTags")
	many := make([]tag.Tag, 51)
	for i := range many {
		many[i].Key = fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		tags []tag.Tag
		code fault.Code
		says string
	}{
		"too many":     {many, fault.TagException, "Too many tags"},
		"with the old": {many[:50], fault.TagException, "Too many tags"},
		"twice":        {[]tag.Tag{{Key: "k"}, {Key: "k"}}, fault.TagException, "Duplicate tag keys"},
		"reserved":     {[]tag.Tag{{Key: "AWS:k"}}, fault.TagException, "Tags beginning with aws: are reserved"},
		"too long":     {[]tag.Tag{{Key: strings.Repeat("k", 129)}}, fault.ValidationException, ""},
		"long value":   {[]tag.Tag{{Key: "k", Value: strings.Repeat("v", 257)}}, fault.ValidationException, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := e.TagResource(t.Context(), may, m.ID, c.tags)
			if !fault.Is(err, c.code) || c.says != "" && fault.From(err).Message != c.says {
				t.Error(err)
			}
		})
	}
	more := []tag.Tag{{Key: "a", Value: "2"}, {Key: "A", Value: "3"}}
	if err := e.TagResource(t.Context(), may, m.ID, more); err != nil {
		t.Fatal(err)
	}
	tags, _, err := e.ListResourceTags(t.Context(), may, m.ID, pageOne())
	if err != nil || len(tags) != 2 {
		t.Errorf("%v, %v", tags, err)
	}
	if err := e.UntagResource(t.Context(), may, m.ID, []string{"a", "none"}); err != nil {
		t.Fatal(err)
	}
	got, err := e.Subject(t.Context(), coretest.Account, m.ID, e.at)
	if err != nil || len(got.Tags) != 1 || got.Tags["A"] != "3" {
		t.Errorf("%v, %v", got.Tags, err)
	}
}

// TestManagedKeysStay: nobody can change a key that the server manages, with any grant.
func TestManagedKeysStay(t *testing.T) {
	e := newEnv(t)
	on, err := e.ManagedKey(t.Context(), coretest.Account)
	if err != nil {
		t.Fatal(err)
	}
	m, err := e.describe("alias/aws/s3", on)
	if err != nil || !m.Managed {
		t.Fatal(m, err)
	}
	for _, name := range []string{
		"EnableKey", "DisableKey", "ScheduleKeyDeletion", "EnableKeyRotation", "DisableKeyRotation",
		"RotateKeyOnDemand", "TagResource", "UntagResource", "UpdateKeyDescription", "CreateAlias",
	} {
		if err := e.do(name, m); !fault.Is(err, fault.AccessDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n, err := e.rotations(m, true); err != nil || len(n) != 1 {
		t.Errorf("the key has %d materials, %v", len(n), err)
	}
	e.at = e.at.Add(365 * 24 * time.Hour)
	if n := e.sweep(); n.Rotated != 1 {
		t.Errorf("after a year %+v", n)
	}
}

func (e *env) rotations(m Metadata, all bool) ([]MaterialInfo, error) {
	e.Helper()
	out, _, err := e.ListKeyRotations(e.Context(), e.may(m.ARN, "kms:ListKeyRotations"), m.ID, all, pageOne())
	return out, err
}

// TestRotation: after each rotation new ciphertext has the new material, and all older
// ciphertext still opens.
func TestRotation(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	may := e.may(m.ARN, "kms:EnableKeyRotation", "kms:GetKeyRotationStatus", "kms:RotateKeyOnDemand")
	if err := e.EnableKeyRotation(t.Context(), may, m.ID, 100); err != nil {
		t.Fatal(err)
	}
	start := e.at
	status, err := e.GetKeyRotationStatus(t.Context(), may, m.ID)
	if err != nil || !status.Enabled || status.Period != 100 || !status.Next.Equal(start.Add(inDays(100))) {
		t.Errorf("%+v, %v", status, err)
	}
	var sealed []Sealed
	seen := map[MaterialID]bool{}
	note := func() {
		t.Helper()
		b := e.encrypt(m, fmt.Sprint(len(sealed)), nil)
		if seen[b.Material] {
			t.Error("the rotation kept the material")
		}
		seen[b.Material] = true
		sealed = append(sealed, b)
		for i, b := range sealed {
			got, err := e.decrypt(m, b.Ciphertext, nil, "")
			if err != nil || string(got.Plaintext) != fmt.Sprint(i) || got.Material != b.Material {
				t.Errorf("number %d of %d: %v", i, len(sealed), err)
			}
		}
	}
	note()
	e.at = start.Add(inDays(100)).Add(-time.Second)
	if n := e.sweep(); n.Rotated != 0 {
		t.Error("rotated before the rotation is due")
	}
	if err := e.do("RotateKeyOnDemand", m); !fault.Is(err, fault.ConflictException) {
		t.Error("just before an automatic rotation:", err)
	}
	e.at = e.at.Add(time.Second)
	if n := e.sweep(); n.Rotated != 1 {
		t.Error("not rotated when the rotation is due")
	}
	note()
	e.must("RotateKeyOnDemand", m)
	note()
	if again, err := e.GetKeyRotationStatus(t.Context(), may, m.ID); err != nil ||
		!again.Next.Equal(start.Add(inDays(200))) {
		t.Errorf("%+v, %v", again, err)
	}
	e.must("DisableKey", m)
	e.at = start.Add(inDays(1000))
	if n := e.sweep(); n.Rotated != 0 {
		t.Error("a disabled key is rotated")
	}
	e.must("EnableKey", m)
	if n := e.sweep(); n.Rotated != 1 || e.sweep().Rotated != 0 {
		t.Error("a key that was enabled again is not rotated exactly once")
	}
	note()
	all, err := e.rotations(m, false)
	if err != nil || len(all) != 3 || all[0].How != Automatic || all[1].How != OnDemand || all[2].How != Automatic ||
		!all[2].Current || all[0].Current {
		t.Errorf("%+v, %v", all, err)
	}
	if all, err = e.rotations(m, true); err != nil || len(all) != 4 || all[0].How != First {
		t.Errorf("%+v, %v", all, err)
	}
	fresh, changed, err := NewOperator(e.Store).Rewrap(t.Context(), e.oldWrapped(m), []byte("b"))
	if err != nil || changed {
		t.Error(changed, err)
	}
	e.must("RotateKeyOnDemand", m)
	again, changed, err := NewOperator(e.Store).Rewrap(t.Context(), fresh, []byte("b"))
	if err != nil || !changed {
		t.Fatal(changed, err)
	}
	if got, err := e.Unwrap(t.Context(), e.may(m.ARN, "kms:Decrypt"), m.ARN, again, []byte("b")); err != nil ||
		got != testKey(4) {
		t.Error(err)
	}
}

func (e *env) oldWrapped(m Metadata) []byte {
	e.Helper()
	b, err := e.Wrap(e.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, testKey(4), []byte("b"))
	if err != nil {
		e.Fatal(err)
	}
	return b
}

func TestRotationLimits(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	may := e.may(m.ARN, "kms:EnableKeyRotation", "kms:GetKeyRotationStatus")
	for days, ok := range map[int]bool{89: false, 90: true, 2560: true, 2561: false, -1: false} {
		t.Run(fmt.Sprint(days, " days"), func(t *testing.T) {
			if err := e.EnableKeyRotation(t.Context(), may, m.ID, days); ok != (err == nil) ||
				!ok && !fault.Is(err, fault.ValidationException) {
				t.Error(err)
			}
		})
	}
	if err := e.EnableKeyRotation(t.Context(), may, m.ID, 180); err != nil {
		t.Fatal(err)
	}
	next := e.at.Add(inDays(180))
	e.at = e.at.Add(inDays(100))
	for _, days := range []int{0, 180} { // a second request does not delay the rotation
		if err := e.EnableKeyRotation(t.Context(), may, m.ID, days); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := e.GetKeyRotationStatus(t.Context(), may, m.ID); err != nil || s.Period != 180 || !s.Next.Equal(next) {
		t.Errorf("%+v, %v", s, err)
	}
	e.must("ScheduleKeyDeletion", m)
	if s, err := e.GetKeyRotationStatus(t.Context(), may, m.ID); err != nil || s.Enabled {
		t.Errorf("while the deletion is pending: %+v, %v", s, err)
	}
	e.must("CancelKeyDeletion", m)
	e.must("EnableKey", m)
	e.must("DisableKeyRotation", m)
	for range maxOnDemand {
		e.must("RotateKeyOnDemand", m)
	}
	if err := e.do("RotateKeyOnDemand", m); !fault.Is(err, fault.LimitExceededException) {
		t.Error("the second time:", err)
	}
}

func TestLastUse(t *testing.T) {
	e := newEnv(t)
	m, o := e.create(CreateInput{}), NewOperator(e.Store)
	get := func() LastUse {
		t.Helper()
		l, err := e.GetKeyLastUsage(t.Context(), e.may(m.ARN, "kms:GetKeyLastUsage"), m.ID)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	if l := get(); !l.At.IsZero() || l.Operation != "" || !l.Created.Equal(m.Created) {
		t.Errorf("before any use: %+v", l)
	}
	b := e.encrypt(m, "x", nil).Ciphertext
	if l := get(); !l.At.Equal(e.at) || l.Operation != "Encrypt" {
		t.Errorf("before the use is written: %+v", l)
	}
	for range 2 {
		if err := o.FlushUses(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	e.at = e.at.Add(2 * time.Minute)
	if _, err := e.decrypt(m, b, nil, ""); err != nil {
		t.Fatal(err)
	}
	if err := o.FlushUses(t.Context()); err != nil {
		t.Fatal(err)
	}
	var stored lastUse
	err := e.store.View(t.Context(), func(r kv.Reader) (err error) {
		stored, err = readLastUse(r, m.ID)
		return err
	})
	if l := get(); err != nil || stored.how != usedToDecrypt || l.Operation != "Decrypt" || !l.At.Equal(e.at) {
		t.Errorf("%+v, %+v, %v", stored, l, err)
	}
}

// TestNewRootKey: material is wrapped under the current generation of the root key, in
// portions, and opens afterwards without the old one.
func TestNewRootKey(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	e.must("RotateKeyOnDemand", m)
	external := e.create(CreateInput{Origin: OriginExternal})
	if _, err := e.imports(external, make([]byte, 32), time.Time{}); err != nil {
		t.Fatal(err)
	}
	b, w := e.encrypt(m, "text", nil).Ciphertext, e.oldWrapped(m)
	again := e.rewrapAll()
	if again != 0 {
		t.Errorf("%d records are under an old root key from the start", again)
	}
	e.wrapping.root.Add(generation(2))
	if n := e.rewrapAll(); n != 4 {
		t.Errorf("%d records were changed", n)
	}
	if n := e.rewrapAll(); n != 0 {
		t.Errorf("the second time %d records were changed", n)
	}
	later := New(e.store, Options{Region: "us-east-1", Root: newRing(2), Principals: names{}, Now: e.now})
	e.Store = later
	if got, err := e.decrypt(m, b, nil, ""); err != nil || string(got.Plaintext) != "text" {
		t.Error(err)
	}
	if got, err := NewOperator(later).Open(t.Context(), w, []byte("b")); err != nil || got != testKey(4) {
		t.Error("for the operator:", err)
	}
}

// TestOperatorOpens: the operator can open data keys under disabled keys, but not under keys whose
// material is gone.
func TestOperatorOpens(t *testing.T) {
	e := newEnv(t)
	o := NewOperator(e.Store)
	m := e.create(CreateInput{})
	w := e.oldWrapped(m)
	open := func(want fault.Code) {
		t.Helper()
		got, err := o.Open(t.Context(), w, []byte("b"))
		if want == "" && (err != nil || got != testKey(4)) || want != "" && !fault.Is(err, want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	open("")
	e.must("DisableKey", m)
	open("")
	e.must("ScheduleKeyDeletion", m)
	open("")
	if _, err := o.Open(t.Context(), w, []byte("c")); !fault.Is(err, fault.InvalidCiphertextException) {
		t.Error("another binding:", err)
	}
	if _, _, err := o.Rewrap(t.Context(), w, []byte("b")); !fault.Is(err, fault.KMSInvalidStateException) {
		t.Error("to the newest material of a key whose deletion is pending:", err)
	}
	e.at = e.at.Add(inDays(7))
	open(fault.NotFoundException)
	e.sweep()
	open(fault.NotFoundException)
	m = e.create(CreateInput{Origin: OriginExternal})
	if _, err := e.imports(m, make([]byte, 32), e.at.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	w = e.oldWrapped(m)
	open("")
	e.at = e.at.Add(time.Hour)
	open(fault.KMSInvalidStateException)
	e.sweep()
	open(fault.KMSInvalidStateException)
}

func (e *env) rewrapAll() (n int) {
	e.Helper()
	for at := ""; ; {
		next, _, changed, err := NewOperator(e.Store).RewrapMaterial(e.Context(), at)
		if err != nil {
			e.Fatal(err)
		}
		n += changed
		if at = next; at == "" {
			return n
		}
	}
}

// TestCount: the record with the number of keys counts created and destroyed keys, and limits them.
func TestCount(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	set := func(n uint64) {
		t.Helper()
		err := change.Background(t.Context(), e.store, "a test", func(tx kv.Tx) error {
			writeCount(tx, coretest.Account, n)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	set(maxKeys)
	_, err := e.CreateKey(t.Context(), e.may(arn.Any(), "kms:CreateKey"), CreateInput{})
	if !fault.Is(err, fault.LimitExceededException) {
		t.Error(err)
	}
	set(1)
	e.must("ScheduleKeyDeletion", m)
	e.at = e.at.Add(inDays(7))
	e.sweep()
	if left := e.records(coretest.Account); len(left) > 0 {
		t.Errorf("records left: %q", left)
	}
}
