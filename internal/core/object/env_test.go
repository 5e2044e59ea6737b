package object

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/payload"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// long is a text that is stored in a blob.
func long() string { return strings.Repeat("longer than inline ", 1000) }

// spy wraps real payloads in memory, and records which blobs should exist.
type spy struct {
	*payload.Store
	mu      sync.Mutex
	blobs   map[string]bool // false: neither settled nor dropped
	early   map[string]bool // removed by another request's commit before they were settled
	vanish  int             // how many openings of blobs fail because the blob is gone
	written func()          // called after a body was read
}

func (s *spy) Write(ctx context.Context, g authz.Grant, src payload.Source) (payload.Location, payload.Digests, error) {
	at, found, err := s.Store.Write(ctx, g, src)
	if s.written != nil {
		s.written()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Blob != "" {
		s.blobs[at.Blob] = false
	}
	return at, found, err
}

func (s *spy) Open(at payload.Location, k payload.DataKey, inline []byte) (*payload.Object, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Blob != "" && s.vanish > 0 {
		s.vanish--
		at.Blob = strings.Repeat("0", len(at.Blob))
	}
	return s.Store.Open(at, k, inline)
}

func (s *spy) Settle(at payload.Location) {
	s.Store.Settle(at)
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Blob == "" {
		return
	}
	if s.early[at.Blob] {
		delete(s.early, at.Blob)
		delete(s.blobs, at.Blob)
		return
	}
	s.blobs[at.Blob] = true
}

func (s *spy) Drop(ctx context.Context, at payload.Location) {
	s.Store.Drop(ctx, at)
	s.gone(at, false)
}

func (s *spy) Remove(ctx context.Context, at payload.Location) {
	s.Store.Remove(ctx, at)
	s.gone(at, true)
}

func (s *spy) gone(at payload.Location, settled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at.Blob == "" {
		return
	}
	was, ok := s.blobs[at.Blob]
	switch {
	case !ok || was && !settled || s.early[at.Blob]:
		panic("a blob was dropped after it was settled, or it went twice")
	case settled && !was:
		s.early[at.Blob] = true
	default:
		delete(s.blobs, at.Blob)
	}
}

// settled returns the settled blobs. It fails the test if any is neither settled nor dropped.
func (s *spy) settled(tb testing.TB) (names []string) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, settled := range s.blobs {
		if !settled {
			tb.Error("a blob was neither settled nor dropped")
		}
		names = append(names, name)
	}
	var stored []string
	_, err := s.Store.Sweep(tb.Context(), time.Now(), func(_ context.Context, all []string) ([]bool, error) {
		stored = append(stored, all...)
		return slices.Repeat([]bool{true}, len(all)), nil
	})
	if len(stored) != len(names) || err != nil {
		tb.Errorf("%d blobs are stored, not %d: %v", len(stored), len(names), err)
	}
	return names
}

// env is objects over fake payloads, with one bucket, "bkt".
type env struct {
	tb       testing.TB
	store    kv.Store
	buckets  *bucket.Store
	objects  *Store
	payloads *spy
	ring     *keys.Ring
	kms      *kms.Store
	edited   bool // the test changes records without the store
}

func newEnv(tb testing.TB) *env {
	tb.Helper()
	return newEnvIn(tb, "")
}

// newEnvIn keeps blobs in a folder.
func newEnvIn(tb testing.TB, dir string) *env {
	tb.Helper()
	e := &env{tb: tb, store: coretest.Store(tb)}
	e.kms = newKMS(e.store)
	e.ring = keys.New(seal.RingOf(seal.NewKey()), e.kms)
	p, err := payload.Open(payload.Options{Dir: dir, Keys: e.ring})
	if err != nil {
		tb.Fatal(err)
	}
	e.payloads = &spy{Store: p, blobs: map[string]bool{}, early: map[string]bool{}}
	e.buckets = bucket.New(e.store, "us-east-1", nil)
	e.buckets.AllowCustomerKeys()
	e.objects = New(e.store, e.payloads, e.buckets, e.kms)
	e.makeBucket("bkt")
	tb.Cleanup(e.checkPointers)
	return e
}

// checkPointers: whatever a test did, a current pointer that repeats the record of its
// version says the same.
func (e *env) checkPointers() {
	if e.edited {
		return
	}
	err := e.store.View(context.WithoutCancel(e.tb.Context()), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte(pointerPrefix), record.After([]byte(pointerPrefix))) {
			if err != nil {
				return err
			}
			seq, err := pointerSeq(p.Value)
			if err != nil {
				return err
			}
			at := record.Big(record.Key(bucket.VersionPrefix, string(p.Key[len(pointerPrefix):]), "\x00"), ^seq)
			b, err := r.Get(at)
			if err != nil {
				return err
			}
			v, err := decodeVersion(b)
			if err != nil || !samePointer(p.Value, v.pointer()) {
				e.tb.Errorf("the pointer at %q is %x, the record of the version %x: %v", p.Key, p.Value, b, err)
				return nil
			}
		}
		return nil
	})
	if err != nil {
		e.tb.Error(err)
	}
}

func (e *env) makeBucket(name string) bucket.Bucket {
	e.tb.Helper()
	b, err := e.buckets.Create(e.tb.Context(), e.grant(arn.Bucket(name), "s3:CreateBucket"),
		bucket.CreateInput{Name: name})
	if err != nil {
		e.tb.Fatal(err)
	}
	return b
}

func (e *env) grant(r arn.ARN, actions ...policy.Action) authz.Grant {
	e.tb.Helper()
	return coretest.Grant(e.tb, coretest.Root(coretest.Account, nil), r, actions...)
}

func (e *env) versioning(state bucket.Versioning) {
	e.tb.Helper()
	if err := e.buckets.SetVersioning(e.tb.Context(), e.grant(arn.Bucket("bkt"), "s3:PutBucketVersioning"), "bkt",
		bucket.VersioningInput{State: state}); err != nil {
		e.tb.Fatal(err)
	}
}

func (e *env) put(in PutInput) (Version, error) {
	e.tb.Helper()
	if in.Bucket == "" {
		in.Bucket = "bkt"
	}
	return e.objects.Put(e.tb.Context(),
		e.grant(arn.Object(in.Bucket, in.Key), "s3:PutObject", "s3:PutObjectTagging", "s3:GetObject"), in)
}

// mustPut stores text under a key.
func (e *env) mustPut(key, text string) Version {
	e.tb.Helper()
	v, err := e.put(PutInput{Key: key, Body: strings.NewReader(text), Size: int64(len(text))})
	if err != nil {
		e.tb.Fatal(err)
	}
	return v
}

func (e *env) get(in GetInput) (*Reading, string, error) {
	e.tb.Helper()
	if in.Bucket == "" {
		in.Bucket = "bkt"
	}
	r, err := e.objects.Get(e.tb.Context(), e.grant(arn.Object(in.Bucket, in.Key), readAction(in.VersionID)), in)
	if err != nil {
		return nil, "", err
	}
	data, err := io.ReadAll(r.Body)
	if err := errors.Join(err, r.Body.Close()); err != nil {
		e.tb.Fatal(err)
	}
	return r, string(data), nil
}

func (e *env) delete(in DeleteInput) (Deleted, error) {
	e.tb.Helper()
	return e.objects.Delete(e.tb.Context(), e.grant(arn.Object("bkt", in.Key), deleteAction(in.VersionID)), "bkt", in)
}

// listing is a page with its entries.
type listing struct {
	Listing
	Entries []listed
}

type listed struct {
	Key string
	Entry
}

func (l *listing) add(key []byte, e *Entry) error {
	l.Entries = append(l.Entries, listed{string(key), *e})
	return nil
}

func (e *env) list(in ListInput) (l listing, err error) {
	e.tb.Helper()
	if in.Bucket == "" {
		in.Bucket = "bkt"
	}
	l.Listing, err = e.objects.List(e.tb.Context(), e.grant(arn.Bucket(in.Bucket), "s3:ListBucket"), in, l.add)
	if err == nil && l.Count != len(l.Entries) {
		e.tb.Errorf("%d entries are counted as %d", len(l.Entries), l.Count)
	}
	return l, err
}

// versionListing is a page with its entries.
type versionListing struct {
	VersionListing
	Entries []listedVersion
}

type listedVersion struct {
	listed
	ID                   string
	Latest, DeleteMarker bool
}

func (l *versionListing) add(key []byte, e *VersionEntry) error {
	l.Entries = append(l.Entries, listedVersion{
		listed{string(key), e.Entry}, string(e.AppendID(nil)), e.Latest, e.DeleteMarker,
	})
	return nil
}

func (e *env) listVersions(in ListVersionsInput) (l versionListing, err error) {
	e.tb.Helper()
	in.Bucket = "bkt"
	g := e.grant(arn.Bucket("bkt"), "s3:ListBucketVersions")
	l.VersionListing, err = e.objects.ListVersions(e.tb.Context(), g, in, l.add)
	if err == nil && l.Count != len(l.Entries) {
		e.tb.Errorf("%d entries are counted as %d", len(l.Entries), l.Count)
	}
	return l, err
}

// refs counts the records under a prefix.
func (e *env) refs(prefix string) int {
	e.tb.Helper()
	n := 0
	err := e.store.View(e.tb.Context(), func(r kv.Reader) error {
		for _, err := range r.Scan([]byte(prefix), record.After([]byte(prefix))) {
			if err != nil {
				return err
			}
			n++
		}
		return nil
	})
	if err != nil {
		e.tb.Fatal(err)
	}
	return n
}

func wants(tb testing.TB, err error, kind fault.Kind, code string, members ...string) {
	tb.Helper()
	f := fault.From(err)
	if f == nil || string(f.Code) != code || f.Kind != kind {
		tb.Fatalf("%v, want %s", err, code)
	}
	for i := 0; i < len(members); i += 2 {
		if got := f.Members[members[i]]; got != members[i+1] {
			tb.Errorf("%s: %q, want %q", members[i], got, members[i+1])
		}
	}
}

func ptr[T any](v T) *T { return &v }

func day(n int) time.Time { return time.Date(2026, 11, n, 12, 0, 0, 0, time.UTC) }
