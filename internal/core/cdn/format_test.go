package cdn

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

func samples(t *testing.T) (d, p *item, b *batch, at *paths, st *state) {
	when := time.UnixMicro(1_700_000_000_000_001).UTC()
	c := configOf("ref", "www.example.com")
	if err := c.Complete([]string{"store.example"}); err != nil {
		t.Fatal(err)
	}
	d = &item{id: "E1", account: coretest.Account, created: when, domainName: "d1.cloudfront.net",
		tags: []tag.Tag{{Key: "k", Value: "v"}}}
	p = &item{id: "c", account: coretest.Account, created: when}
	if err := d.set(c, 7, when); err != nil {
		t.Fatal(err)
	}
	if err := p.set(caching("mine"), 8, when); err != nil {
		t.Fatal(err)
	}
	d.etag, p.etag = "E2", "E3"
	return d, p, &batch{3, when, "ref", 9}, &paths{"E1", []string{"/a", "/b*"}}, &state{9, 3, 2}
}

// TestStoredForm: every record of this package is written as docs/FORMAT.md says, and read as
// it was written.
func TestStoredForm(t *testing.T) {
	d, p, b, at, st := samples(t)
	coretest.Golden(t, "testdata/records.golden", []coretest.Record{
		{Name: "distribution", Bytes: d.encode()}, {Name: "cache policy", Bytes: p.encode()},
		{Name: "invalidation", Bytes: b.encode()}, {Name: "paths of an invalidation", Bytes: at.encode()},
		{Name: "state", Bytes: st.encode()}, {Name: "pointer", Bytes: pointer("E1")},
		{Name: "edge", Bytes: remoteEdge().encode()},
	})
	if got, err := decodeEdge("WTEDX", remoteEdge().encode()); err != nil || !reflect.DeepEqual(got, remoteEdge()) {
		t.Errorf("read as %+v, %v", got, err)
	}
	for _, want := range []*item{d, p} {
		if got, err := decodeItem(want.id, want.encode()); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("read as\n%+v\n%+v, %v", got, want, err)
		}
	}
	if got, err := decodeBatch(3, b.encode()); err != nil || *got != *b {
		t.Errorf("read as %+v, %v", got, err)
	}
	if got, err := decodePaths(at.encode()); err != nil || !reflect.DeepEqual(got, at) {
		t.Errorf("read as %+v, %v", got, err)
	}
	if got, err := decodePointer(pointer("E1")); err != nil || got != "E1" {
		t.Errorf("read as %q, %v", got, err)
	}
}

// TestUnknown: an unknown field that may restrict access makes a record unreadable, and an
// ancillary one is kept. A distribution that can't be read is not served, and does not affect
// others.
func TestUnknown(t *testing.T) {
	d, _, _, _, _ := samples(t)
	plain := d.encode()
	note := record.String(plain[:len(plain):len(plain)], record.Ancillary+7, "note")
	got, err := decodeItem("E1", note)
	if err != nil || string(got.encode()) != string(note) {
		t.Errorf("a note: %v", err)
	}
	if _, err := decodeItem("E1", record.Uint(plain[:len(plain):len(plain)], 999, 1)); err == nil {
		t.Error("what may protect is passed over")
	}
	for name, document := range map[string]string{
		"another member": strings.Replace(string(d.document), `"Enabled":true`, `"Enabled":true,"Later":1`, 1),
		"more":           string(d.document) + "{}", "half": string(d.document[:9]), "nothing": "",
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			good, bad := e.made(configOf("a")), e.made(configOf("b"))
			e.ok(e.kv.Update(t.Context(), func(tx kv.Tx) error {
				i, err := readItem(tx, distributions(), coretest.Account, bad.ID)
				if err == nil {
					i.document = []byte(document)
					i.write(tx, distributions())
				}
				return err
			}))
			e.ok(e.s.Publish(t.Context()))
			if e.site(bad.ID) != nil || e.site(good.ID) == nil || len(e.edge.Unreadable) != 1 ||
				e.edge.Unreadable[0] != bad.ID {
				t.Errorf("the edge serves %+v", e.edge)
			}
			if _, err := e.get(coretest.Account, bad.ID); err == nil {
				t.Error("it is read")
			}
		})
	}
}

// FuzzConfig: no stored document causes a panic, and one that is read is written again with
// the same meaning.
func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"CallerReference":"a","Origins":{"Quantity":1,"Items":[{"Id":"o"}]}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		c, err := config[distribution.Config](&item{id: "E1", document: document})
		if err != nil {
			return
		}
		again := &item{id: "E1"}
		if err := again.set(c, 1, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if got, err := config[distribution.Config](again); err != nil || !reflect.DeepEqual(got, c) {
			t.Errorf("%+v is read as %+v, %v", c, got, err)
		}
	})
}
