package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TestForgetRefusesVersions: only slot.remove can delete the record of a version.
func TestForgetRefusesVersions(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("the record of a version was deleted")
		}
	}()
	forget(nil, slot{&bucket.Bucket{}, "k"}.version(1))
}

// guarded is an object "k". One of its versions has a field of a later program, which may protect
// it.
type guarded struct {
	*env
	t      *testing.T
	record []byte // key of the record
	want   []byte
	id     string
	upload Upload
	part   Part
}

// TestLaterProgramsProtect: every path that would remove a version with an unknown field is refused,
// and nothing of the version is lost. In a batch, the other keys are deleted.
func TestLaterProgramsProtect(t *testing.T) {
	put := func(g *guarded) error {
		_, err := g.put(PutInput{Key: "k", Body: strings.NewReader("new"), Size: 3})
		return err
	}
	remove := func(id func(*guarded) *string) func(*guarded) error {
		return func(g *guarded) error {
			_, err := g.delete(DeleteInput{Key: "k", VersionID: id(g)})
			return err
		}
	}
	key := func(*guarded) *string { return nil }
	version := func(g *guarded) *string { return &g.id }
	batch := func(id func(*guarded) *string) func(*guarded) error {
		return func(g *guarded) error {
			items := []DeleteInput{{Key: "a"}, {Key: "k", VersionID: id(g)}, {Key: "z"}}
			var needs []authz.Need
			for _, in := range items {
				needs = append(needs, authz.Need{
					Action: deleteAction(in.VersionID), Resource: arn.Object("bkt", in.Key),
				})
			}
			grant := coretest.GrantAll(g.t, coretest.Root(coretest.Account, nil), needs...)
			out, err := g.objects.DeleteMany(g.t.Context(), grant, "bkt", items)
			if err != nil {
				g.t.Fatal(err)
			}
			if out[0].Err != nil || out[2].Err != nil {
				g.t.Errorf("the other keys: %v, %v", out[0].Err, out[2].Err)
			}
			return out[1].Err
		}
	}
	paths := map[string]func(*guarded) error{
		"delete the key": remove(key), "batch: the key": batch(key),
		"delete the version": remove(version), "batch: the version": batch(version),
		"put": put,
		"copy": func(g *guarded) error {
			grant := coretest.GrantAll(g.t, coretest.Root(coretest.Account, nil),
				authz.Need{Action: "s3:PutObject", Resource: arn.Object("bkt", "k")},
				authz.Need{Action: "s3:GetObject", Resource: arn.Object("bkt", "a")})
			_, _, err := g.objects.Copy(g.t.Context(), grant, CopyInput{
				Source: CopySource{Bucket: "bkt", Key: "a"}, Bucket: "bkt", Key: "k", Replace: true,
			})
			return err
		},
		"complete an upload": func(g *guarded) error {
			_, err := g.complete(g.upload, CompleteInput{
				Parts: []CompletePart{{Number: 1, ETag: g.part.ETag.String()}},
			})
			return err
		},
	}
	for _, state := range []bucket.Versioning{bucket.Off, bucket.Enabled, bucket.Suspended} {
		for name, do := range paths {
			if state == bucket.Enabled && !strings.Contains(name, "version") {
				continue // removes nothing
			}
			t.Run(fmt.Sprint(state, ", ", name), func(t *testing.T) {
				g := newGuarded(t, state)
				err := do(g)
				if !errors.Is(err, record.ErrUnknown) || !fault.Is(err, fault.InternalError) {
					t.Errorf("%v, want %v", err, record.ErrUnknown)
				}
				g.check()
			})
		}
	}
}

func newGuarded(t *testing.T, state bucket.Versioning) *guarded {
	g := &guarded{env: newEnv(t), t: t}
	g.edited = true
	for _, k := range []string{"a", "k", "z"} {
		g.mustPut(k, long())
	}
	if state == bucket.Suspended {
		g.versioning(bucket.Enabled)
	}
	if state != bucket.Off {
		g.versioning(state)
	}
	g.upload = g.begin(UploadInput{Key: "k"})
	var err error
	if g.part, err = g.putPart(g.upload, 1, "new"); err != nil {
		t.Fatal(err)
	}
	err = g.store.Update(t.Context(), func(tx kv.Tx) error {
		b, err := bucket.Read(tx, "bkt")
		if err != nil {
			return err
		}
		s := slot{&b, "k"}
		v, err := s.newest(tx)
		if err != nil {
			return err
		}
		g.record, g.id = s.version(v.seq), v.id()
		g.want = append(v.encode(), later(true)...)
		tx.Set(g.record, g.want)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// check compares the version's record, its pointer and its bytes with what they were.
func (g *guarded) check() {
	g.t.Helper()
	err := g.store.View(context.Background(), func(r kv.Reader) error {
		got, err := r.Get(g.record)
		if err != nil {
			return err
		}
		if !bytes.Equal(got, g.want) {
			g.t.Errorf("the record is %x, not %x", got, g.want)
		}
		v, err := decodeVersion(g.want[:len(g.want)-len(later(true))])
		if err != nil {
			return err
		}
		b, err := bucket.Read(r, "bkt")
		if err != nil {
			return err
		}
		pointer, err := r.Get(slot{&b, "k"}.pointer())
		if err != nil {
			return err
		}
		if seq, err := pointerSeq(pointer); err != nil || seq != v.seq {
			g.t.Errorf("the current version is %d, not %d: %v", seq, v.seq, err)
		}
		live, err := g.objects.Referenced(context.Background(), []string{v.blob})
		if err != nil || !live[0] {
			g.t.Errorf("the bytes are not referred to: %v", err)
		}
		return nil
	})
	if err != nil {
		g.t.Fatal(err)
	}
}
