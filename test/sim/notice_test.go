package sim

import (
	"crypto/rand"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/core/bucket"
	"watertight/test/harness"
	"watertight/test/s3model"
)

// TestNotices: the comparison that TestSim uses finds everything that a server could
// have lost, kept or changed.
func TestNotices(t *testing.T) {
	s := harness.Start(t)
	name := aws.String("notices")
	newBucket(t, s.S3, *name)
	_, err := s.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	rand.Read(seed[:])
	w := newWriter("w", *name, newLibrary(1), newKeys(t, s.Endpoint), mathrand.New(mathrand.NewChaCha8(seed)))
	w.client, w.state.State = s.S3, bucket.Enabled
	for !rich(w.state) {
		if err := w.step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	seen, err := observe(t.Context(), s.S3, *name, w.name)
	if err != nil {
		t.Fatal(err)
	}
	if err := seen.is(t.Context(), w.state.clone()); err != nil {
		t.Fatal(err)
	}
	for what, change := range changes() {
		other := w.state.clone()
		change(other)
		if err := seen.is(t.Context(), other); !errors.Is(err, errWrong) {
			t.Errorf("%s: not noticed: %v", what, err)
		}
	}

	// A request without an answer: it was either done or not.
	key, id := "w new", unknown
	maybe := func(s *state) {
		s.Put(key, w.lib.keep("x").version(key, "", encryption{}, answer{func(string) string { return id }, id}))
	}
	if got, err := seen.settle(t.Context(), w.state, maybe); err != nil || got.Current(key) != nil {
		t.Error(err)
	}
	out, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if seen, err = observe(t.Context(), s.S3, *name, w.name); err != nil {
		t.Fatal(err)
	}
	if _, err := seen.settle(t.Context(), w.state, maybe); !errors.Is(err, errWrong) {
		t.Error("a change without a request is not noticed:", err)
	}
	got, err := seen.settle(t.Context(), w.state, func(s *state) { s.Delete(key, unknown) })
	if err != nil || got.Keys[key][0].ID != *out.VersionId {
		t.Error("the effect of a request is not accepted:", err)
	}
}

// rich returns a state with items of every kind that can be lost.
func rich(s *state) bool {
	_, u := withPart(s)
	return u != nil && find(s, func(v s3model.Version) bool { return v.Tags != "" }) != nil &&
		find(s, func(v s3model.Version) bool {
			return v.Marker
		}) != nil && find(s, func(v s3model.Version) bool { return v.Size > 0 }) != nil &&
		two(s) != ""
}

func find(s *state, is func(s3model.Version) bool) *s3model.Version {
	for _, key := range slices.Sorted(maps.Keys(s.Keys)) {
		if i := slices.IndexFunc(s.Keys[key], is); i >= 0 {
			return &s.Keys[key][i]
		}
	}
	return nil
}

// two returns a key with two versions that are not delete markers.
func two(s *state) string {
	for _, key := range slices.Sorted(maps.Keys(s.Keys)) {
		if v := s.Keys[key]; len(v) > 1 && !v[0].Marker && !v[1].Marker {
			return key
		}
	}
	return ""
}

func withPart(s *state) (string, *upload) {
	for _, id := range slices.Sorted(maps.Keys(s.uploads)) {
		if len(s.uploads[id].parts) > 0 {
			return id, s.uploads[id]
		}
	}
	return "", nil
}

// changes returns ways to change a state.
func changes() map[string]func(*state) {
	object := func(v s3model.Version) bool { return v.Size > 0 }
	return map[string]func(*state){
		"versioning is off": func(s *state) { s.State = bucket.Off },
		"a version more": func(s *state) {
			s.Keys[two(s)] = append(s.Keys[two(s)], s3model.Version{
				ID: "more",
			})
		},
		"a version less":           func(s *state) { key := two(s); s.DeleteVersion(key, s.Keys[key][1].ID) },
		"versions in another turn": func(s *state) { v := s.Keys[two(s)]; v[0], v[1] = v[1], v[0] },
		"a key more":               func(s *state) { s.Put("w never", s3model.Version{ID: "more"}) },
		"a key less":               func(s *state) { delete(s.Keys, two(s)) },
		"other bytes":              func(s *state) { find(s, object).Text = "other" },
		"another ETag":             func(s *state) { find(s, object).ETag = "other" },
		"another id":               func(s *state) { find(s, object).ID = "other" },
		"another encryption":       func(s *state) { find(s, object).Encryption = "other" },
		"another size":             func(s *state) { find(s, object).Size++ },
		"tags lost": func(s *state) {
			find(s, func(v s3model.Version) bool {
				return v.Tags != ""
			}).Tags = ""
		},
		"a marker is an object": func(s *state) {
			find(s, func(v s3model.Version) bool {
				return v.Marker
			}).Marker = false
		},
		"an upload lost": func(s *state) { id, _ := withPart(s); delete(s.uploads, id) },
		"an upload more": func(s *state) { s.uploads["more"] = &upload{key: "w"} },
		"a part lost":    func(s *state) { _, u := withPart(s); delete(u.parts, u.numbers()[0]) },
		"a part of other bytes": func(s *state) {
			_, u := withPart(
				s,
			)
			u.parts[u.numbers()[0]] = part{&content{}, "other"}
		},
	}
}
