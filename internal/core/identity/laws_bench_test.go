package identity

import (
	"fmt"
	"testing"

	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
)

// BenchmarkLaws asks for the laws of many users in turn, each with managed
// policies, as requests do.
func BenchmarkLaws(b *testing.B) {
	h := newHouse(b)
	var all []policy.Principal
	for i := range 20 {
		h.newPolicy(fmt.Sprint("p", i), fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"arn:aws:s3:::b%d/*"}]}`, i))
	}
	for i := range 200 {
		name := fmt.Sprint("u", i)
		all = append(all, h.create(User, name).principal())
		for j := range 5 {
			h.ok(h.attach(User, name, PolicyARN(coretest.Account, "/", fmt.Sprint("p", (i+j)%20)).String()))
		}
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		if l, err := h.Laws(b.Context(), all[i%len(all)]); err != nil || len(l.Identity) != 5 {
			b.Fatal(len(l.Identity), err)
		}
	}
}

func BenchmarkLookupOfUser(b *testing.B) {
	h := newHouse(b)
	u := h.create(User, "u")
	k, err := h.CreateKey(b.Context(), h.may("iam:CreateAccessKey", u.ARN()), "u")
	h.ok(err)
	b.ReportAllocs()
	for b.Loop() {
		if _, found, err := h.Lookup(b.Context(), k.AccessKeyID); err != nil || !found {
			b.Fatal(err)
		}
	}
}
