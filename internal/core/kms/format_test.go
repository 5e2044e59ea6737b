package kms

import (
	"reflect"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/storage/seal"
)

func generation(n byte) seal.Generation { return seal.Generation{Number: uint32(n), Key: testKey(n)} }

func newRing(n byte) *seal.Ring { return seal.NewRing(generation(n)) }

// TestStoredForm: every record of this file is written as docs/FORMAT.md says, and read
// as it was written.
func TestStoredForm(t *testing.T) {
	at := time.UnixMicro(1_700_000_000_000_001).UTC()
	k := &keyRecord{
		id: "i", region: "r", account: coretest.Account, created: at, description: "d", state: Disabled, managed: true,
		imported: true, policy: "p", bound: principal.Bindings{{Name: "n", ID: "u"}},
		policyID: PolicyID{1, 2, 3, 4, 5, 6, 7, 8}, tags: []tag.Tag{{Key: "k", Value: "v"}}, current: MaterialID{9},
		materials: 3, validTo: at, period: 90, next: at, onDemand: 2,
	}
	ending := *k
	ending.state, ending.ends, ending.window = PendingDeletion, at, 7
	m := &materialRecord{
		id: MaterialID{9}, number: 3, wrapped: make([]byte, seal.WrappedSize), generation: 1, created: at,
		how: OnDemand,
	}
	away := *m
	away.wrapped, away.generation, away.how = nil, 0, First
	a := &aliasRecord{target: "i", created: at, updated: at}
	l, i := &lastUse{at, usedToReEncrypt}, &importRecord{[]byte{1}, []byte{2}, RSAAESKeyWrapSHA256}
	shared := *k
	shared.grants = 3
	g := &grantRecord{
		id: "g", name: "n", created: at, issuer: coretest.Account, grantee: party{"n", "u"}, retiring: party{"m", "v"},
		operations: []string{"Decrypt", "Encrypt"}, constraint: equalsContext, context: map[string]string{"a": "b"},
	}
	coretest.Golden(t, "testdata/records.golden", []coretest.Record{
		{Name: "key", Bytes: k.encode()}, {Name: "key whose deletion is pending", Bytes: ending.encode()},
		{Name: "material", Bytes: m.encode()}, {Name: "material that was taken away", Bytes: away.encode()},
		{Name: "alias", Bytes: a.encode()}, {Name: "last use", Bytes: l.encode()},
		{Name: "import token", Bytes: i.encode()},
		{Name: "key with grants", Bytes: shared.encode()}, {Name: "grant", Bytes: g.encode()},
	})
	if got, err := decodeGrant("g", g.encode()); err != nil || !reflect.DeepEqual(got, g) {
		t.Errorf("read as\n%+v\n%+v, %v", got, g, err)
	}
	for _, want := range []*keyRecord{k, &ending, &shared} {
		if got, err := decodeKey("i", want.encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as\n%+v\n%+v, %v", got, want, err)
		}
	}
	for _, want := range []*materialRecord{m, &away} {
		if got, err := decodeMaterial(want.id, want.encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as\n%+v\n%+v, %v", got, want, err)
		}
	}
}

// TestUnknownFields: a record with an unknown field that may protect something is refused; other
// unknown fields are kept.
func TestUnknownFields(t *testing.T) {
	at := time.UnixMicro(1).UTC()
	k := &keyRecord{region: "r", account: "a", created: at, state: Enabled, policy: "p"}
	m := &materialRecord{number: 1}
	for name, c := range map[string]struct {
		bytes []byte
		read  func([]byte) ([]byte, error)
	}{
		"key": {k.encode(), func(b []byte) ([]byte, error) {
			k, err := decodeKey("i", b)
			if err != nil {
				return nil, err
			}
			return k.encode(), nil
		}},
		"material": {m.encode(), func(b []byte) ([]byte, error) {
			m, err := decodeMaterial(MaterialID{}, b)
			if err != nil {
				return nil, err
			}
			return m.encode(), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			note := record.String(c.bytes[:len(c.bytes):len(c.bytes)], record.Ancillary+7, "note")
			if again, err := c.read(note); err != nil || string(again) != string(note) {
				t.Errorf("a note: %x, %v", again, err)
			}
			if _, err := c.read(record.Uint(c.bytes[:len(c.bytes):len(c.bytes)], 999, 1)); err == nil {
				t.Error("a field that may protect something is ignored")
			}
			for n := range c.bytes {
				if _, err := c.read(c.bytes[:n]); n == 0 && err == nil {
					t.Error("an empty record is accepted")
				}
			}
		})
	}
	if _, err := decodeKey("i", record.Uint(k.encode(), fieldState, 4)); err == nil {
		t.Error("a state that is never stored is accepted")
	}
}
