package kms

import (
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/storage/seal"
)

// BenchmarkDataKeys measures what a data key costs: sealed and opened for a service, and
// sealed again by the operator after its key was rotated. The store is in memory.
func BenchmarkDataKeys(b *testing.B) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := New(coretest.Store(b), Options{
		Region: "us-east-1", Root: seal.RingOf(testKey(1)), Principals: names{}, Now: func() time.Time { return at },
	})
	may := func(on arn.ARN, actions ...policy.Action) authz.Grant {
		return coretest.Grant(b, coretest.RootAt(coretest.Account, at), on, actions...)
	}
	m, err := s.CreateKey(b.Context(), may(arn.Any(), "kms:CreateKey"), CreateInput{})
	if err != nil {
		b.Fatal(err)
	}
	g, binding := may(m.ARN, "kms:GenerateDataKey", "kms:Decrypt"), []byte("binding")
	wrapped, err := s.Wrap(b.Context(), g, m.ARN, testKey(4), binding)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.RotateKeyOnDemand(b.Context(), may(m.ARN, "kms:RotateKeyOnDemand"), m.ID); err != nil {
		b.Fatal(err)
	}
	o := NewOperator(s)
	for _, c := range []struct {
		name string
		do   func() error
	}{
		{"Wrap", func() error { _, err := s.Wrap(b.Context(), g, m.ARN, testKey(4), binding); return err }},
		{"Unwrap", func() error { _, err := s.Unwrap(b.Context(), g, m.ARN, wrapped, binding); return err }},
		{"Rewrap", func() error { _, _, err := o.Rewrap(b.Context(), wrapped, binding); return err }},
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
