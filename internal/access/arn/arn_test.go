package arn

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		in   string
		want ARN
		bad  bool
	}{
		{in: "*", want: Any()},
		{in: "arn:aws:s3:::bucket", want: Bucket("bucket")},
		{in: "arn:aws:s3:::bucket/a:b/../c", want: Object("bucket", "a:b/../c")},
		{in: "arn:aws:s3:::bucket/", want: Object("bucket", "")},
		{in: "arn:aws:iam::111122223333:root", want: Root("111122223333")},
		{
			in:   "arn:aws-cn:kms:r:1:key/x",
			want: ARN{Partition: "aws-cn", Service: "kms", Region: "r", Account: "1", Resource: "key/x"},
		},
		{in: "", bad: true},
		{in: "**", bad: true},
		{in: "arn:aws:s3:::", bad: true},
		{in: "arn:aws:s3::bucket", bad: true},
		{in: "arn::s3:::bucket", bad: true},
		{in: "arn:aws::::bucket", bad: true},
		{in: "ARN:aws:s3:::bucket", bad: true},
		{in: " arn:aws:s3:::bucket", bad: true},
	} {
		t.Run(c.in, func(t *testing.T) {
			got, err := Parse(c.in)
			if (err != nil) != c.bad || got != c.want {
				t.Errorf("Parse(%q) = %+v, %v; want %+v, an error %v", c.in, got, err, c.want, c.bad)
			}
			if err == nil && got.String() != c.in {
				t.Errorf("Parse(%q).String() = %q", c.in, got)
			}
		})
	}
}

// TestRoundTrip: every ARN without a colon outside its resource section is parsed back from its text.
func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		section := rapid.StringMatching(`[a-z0-9*?-]{0,8}`)
		some := rapid.StringMatching(`[a-z0-9*-]{1,8}`)
		a := ARN{Partition: some.Draw(t, "partition"), Service: some.Draw(t, "service"),
			Region:  section.Draw(t, "region"),
			Account: section.Draw(t, "account"), Resource: rapid.StringN(1, -1, 64).Draw(t, "resource")}
		if rapid.Bool().Draw(t, "object") {
			a = Object(some.Draw(t, "bucket"), rapid.StringN(0, -1, 64).Draw(t, "key"))
		}
		got, err := Parse(a.String())
		if err != nil || got != a {
			t.Fatalf("%+v is parsed as %+v, %v", a, got, err)
		}
	})
}

func TestBucketOf(t *testing.T) {
	for _, c := range []struct {
		in   ARN
		want string
		ok   bool
	}{
		{Bucket("b"), "b", true},
		{Object("b", "k/l"), "b", true},
		{Object("b", ""), "b", true},
		{ARN{}, "", false},
		{Any(), "", false},
		{Object("", "k"), "", false},
		{ARN{Partition: "aws", Service: "s3", Region: "r", Account: "1", Resource: "accesspoint/n"}, "", false},
		{ARN{Partition: "aws", Service: "s3", Region: "r", Resource: "x"}, "", false},
		{Root("1"), "", false},
	} {
		t.Run(c.in.String(), func(t *testing.T) {
			if got, ok := c.in.BucketOf(); got != c.want || ok != c.ok {
				t.Errorf("BucketOf(%v) = %q, %v; want %q, %v", c.in, got, ok, c.want, c.ok)
			}
		})
	}
}

// TestObjectsAreNotBuckets: no key makes an object's ARN look like a bucket's, and Begins agrees with
// the text.
func TestObjectsAreNotBuckets(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bucket, key := rapid.StringMatching(`[a-c.]{1,4}`).Draw(t,
			"bucket"), rapid.StringMatching(`[a-c/]{0,4}`).Draw(t, "key")
		o, prefix := Object(bucket, key), rapid.StringMatching(`[a-c./]{0,8}`).Draw(t, "prefix")
		if o == Bucket(bucket) || !o.IsObject() || Bucket(bucket).IsObject() || o.Section() != bucket+"/"+key {
			t.Fatalf("%+v", o)
		}
		if o.Begins(prefix) != strings.HasPrefix(o.Section(), prefix) {
			t.Fatalf("%+v begins with %q: %v", o, prefix, o.Begins(prefix))
		}
	})
}

func TestIsAccountID(t *testing.T) {
	for s, want := range map[string]bool{
		"111122223333": true, "000000000000": true, "": false, "11112222333": false, "1111222233334": false,
		"11112222333x": false, "١١١١٢٢": false,
	} {
		t.Run(s, func(t *testing.T) {
			if IsAccountID(s) != want {
				t.Errorf("%q: %v", s, !want)
			}
		})
	}
}

func TestIsZero(t *testing.T) {
	if !(ARN{}).IsZero() || Any().IsZero() || Bucket("").IsZero() {
		t.Error("IsZero is true for a set ARN, or false for the zero one")
	}
}

func FuzzParse(f *testing.F) {
	f.Add("arn:aws:s3:::b/k")
	f.Add("*")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := Parse(s)
		if err != nil {
			if !a.IsZero() {
				t.Fatalf("%q is refused and yet %+v", s, a)
			}
			return
		}
		if a.String() != s {
			t.Fatalf("%q is printed as %q", s, a)
		}
		if b, ok := a.BucketOf(); ok && (b == "" || strings.Contains(b, "/")) {
			t.Fatalf("%q is in bucket %q", s, b)
		}
	})
}
