package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

// many returns ten policies of two kilobytes and a little, the last of which
// allows in its last statement.
func many(t testing.TB) Laws {
	var l Laws
	for i := range 10 {
		var all []string
		for j := range 7 {
			all = append(all,
				fmt.Sprintf(`{"Sid":"S%d","Effect":"Allow","Action":["s3:GetObject","s3:PutObject","s3:ListBucket","kms:Decrypt"],
				"Resource":["arn:aws:s3:::bucket-%d-%d","arn:aws:s3:::bucket-%d-%d/data/*/%s"],
				"Condition":{"StringEquals":{"aws:PrincipalTag/Team":"blue"},"IpAddress":{"aws:SourceIp":"10.0.0.0/8"}}}`, j, i, j, i, j, "${aws:username}/*"))
		}
		l.Identity = append(l.Identity,
			mustParse(t, Identity, `{"Version":"2012-10-17","Statement":[`+strings.Join(all, ",")+`]}`))
	}
	l.Identity[9] = mustParse(t, Identity,
		strings.Replace(l.Identity[9].String(), "bucket-9-6/data/*/${aws:username}/*", "target/*", 1))
	for _, d := range l.Identity {
		if n := len(d.String()); n < 2000 {
			t.Fatalf("a policy of %d bytes", n)
		}
	}
	l.ResourceOwner = home
	return l
}

func question() Request {
	return Request{Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("target", "a/b/c"),
		At:       time.Unix(1, 0),
		SourceIP: netip.MustParseAddr("10.1.2.3"), Keys: map[string][]string{"aws:principaltag/team": {"blue"}}}
}

func BenchmarkDecide(b *testing.B) {
	l, r := many(b), question()
	if v := Decide(&l, &r); v.Effect != Allow {
		b.Fatal(v)
	}
	b.ReportAllocs()
	for b.Loop() {
		Decide(&l, &r)
	}
}

func BenchmarkParse(b *testing.B) {
	text := []byte(many(b).Identity[0].String())
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(Identity, text); err != nil {
			b.Fatal(err)
		}
	}
}

// TestDecideAllocates: a decision allocates no memory.
func TestDecideAllocates(t *testing.T) {
	l, r := many(t), question()
	if n := testing.AllocsPerRun(100, func() {
		laws, request := l, r
		Decide(&laws, &request)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
