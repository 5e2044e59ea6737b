package kms

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/coretest"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// BenchmarkUse measures what a use of the account's own key by a service adds to a request:
// the decision, and the opening of a data key. The store is in memory.
func BenchmarkUse(b *testing.B) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := New(coretest.Store(b), Options{
		Region: "us-east-1", Principals: names{}, Now: func() time.Time { return at }, Root: seal.RingOf(testKey(1)),
	})
	key, err := s.ManagedKey(b.Context(), coretest.Account)
	if err != nil {
		b.Fatal(err)
	}
	who := coretest.RootAt(coretest.Account, at)
	object := arn.Object("b", "k")
	authority := authz.New(&truth{keys: s, iam: nil})
	use := Use{
		Key: key.String(), Context: Context{Name: "aws:s3:arn", Value: "arn:aws:s3:::b"}, Via: "s3",
	}
	witness := kv.Witnessed(b.Context())
	g, err := authority.Authorize(witness, who.WithSeen(witness), authz.Need{Action: "s3:PutObject", Resource: object})
	if err != nil {
		b.Fatal(err)
	}
	wider, _, err := s.ExtendToBoth(b.Context(), g, use)
	if err != nil {
		b.Fatal(err)
	}
	binding := use.Context.Canonical(nil)
	wrapped, err := s.Wrap(b.Context(), wider, key, testKey(4), binding)
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"Decide", func() error { _, _, err := s.ExtendToDecrypt(b.Context(), g, use); return err }},
		{"Open", func() error { _, err := s.Unwrap(b.Context(), wider, key, wrapped, binding); return err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := c.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
