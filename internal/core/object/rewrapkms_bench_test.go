package object

import (
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/payload"
)

// BenchmarkRewrapUnderKMS wraps the data keys of 2,000 small versions under another material.
func BenchmarkRewrapUnderKMS(b *testing.B) {
	const versions = 2000
	e := newEnv(b)
	key := e.newKey()
	for n := range versions {
		if _, err := e.put(PutInput{
			Key: fmt.Sprint(n), Body: strings.NewReader("small"), Size: 5,
			Encryption: Encryption{Algorithm: "aws:kms", KeyID: key},
		}); err != nil {
			b.Fatal(err)
		}
	}
	of, err := arn.Parse(key)
	if err != nil {
		b.Fatal(err)
	}
	operator := kms.NewOperator(e.kms)
	o := NewOperator(e.store, payload.NewOperator(e.payloads.Store, keys.NewOperator(e.ring, operator)))
	in := RewrapInput{Bucket: "bkt", Tell: func(RewrappedUnderKMS) error { return nil }}
	for b.Loop() {
		b.StopTimer()
		if _, err := e.kms.RotateKeyOnDemand(b.Context(), e.grant(of, "kms:RotateKeyOnDemand"), key); err != nil {
			b.Skip(err) // the number of rotations on demand of a key is limited
		}
		b.StartTimer()
		n, err := o.RewrapUnderKMS(b.Context(), in, operator)
		if err != nil || n.Changed != versions {
			b.Fatal(n, err)
		}
	}
	b.ReportMetric(float64(versions)*float64(b.N)/b.Elapsed().Seconds(), "versions/s")
}
