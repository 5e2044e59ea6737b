package bucket

import (
	"strings"
	"testing"

	"watertight/internal/fault"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"abc", "a.b", "a-b", "a--b", "000", "my.bucket-1", strings.Repeat("a", 63), "1.2.3", "1.2.3.4.5", "1.2.3.a",
		"sthree", "a-s3alias-b", "mrap", "v20180820", "2020-05-31",
	} {
		if err := CheckName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{
		"", "ab", strings.Repeat("a", 64), "Abc", "a_b", "-ab", "ab-", ".ab", "ab.", "a..b", "a.-b", "a-.b", "a b",
		"a/b", "ab\x00", "äbc",
		"192.168.5.4", "1.2.3.4", "999.999.999.999", "xn--a", "sthree-a", "sthree-configurator", "amzn-s3-demo-a",
		"a-s3alias", "a--ol-s3", "a.mrap", "a--x-s3", "a--table-s3",
	} {
		if err := CheckName(name); !fault.Is(err, "InvalidBucketName") ||
			fault.From(err).Members["BucketName"] != name {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("my-bucket.1")
	f.Add("..")
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil &&
			(len(name) < 3 || len(name) > 63 || strings.ContainsAny(name, "/\x00 ABC_") ||
				strings.Contains(name, "..")) {
			t.Fatalf("%q is accepted", name)
		}
	})
}

func TestCheckLocation(t *testing.T) {
	for _, c := range []struct{ constraint, region, code string }{
		{"", "us-east-1", ""},
		{"", "eu-central-1", "IllegalLocationConstraintException"},
		{"eu-central-1", "eu-central-1", ""},
		{"home", "home", ""},
		{"eu-central-1", "us-east-1", "IllegalLocationConstraintException"},
		{"us-gov-west-1", "us-east-1", "IllegalLocationConstraintException"},
		{"EU", "eu-west-1", ""},
		{"EU", "us-east-1", "IllegalLocationConstraintException"},
		{"us-east-1", "us-east-1", "InvalidLocationConstraint"},
		{"us-east-1", "eu-west-1", "InvalidLocationConstraint"},
		{"us-east-1-foo", "us-east-1", "InvalidLocationConstraint"},
		{"foo", "us-east-1", "InvalidLocationConstraint"},
		{"home", "us-east-1", "InvalidLocationConstraint"},
	} {
		t.Run(c.constraint+" at "+c.region, func(t *testing.T) {
			if err := CheckLocation(c.constraint, c.region); err != nil && !fault.Is(err, fault.Code(c.code)) ||
				(err == nil) != (c.code == "") {
				t.Errorf("%+v: %v", c, err)
			}
		})
	}
}
