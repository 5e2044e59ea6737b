package bucket

import (
	"net/netip"
	"strings"

	"watertight/internal/fault"
)

const (
	minName = 3
	maxName = 63
)

// CheckName refuses a name that no general purpose bucket can have with InvalidBucketName
// (S3 user guide, "General purpose bucket naming rules").
func CheckName(name string) error {
	if !validName(name) {
		return fault.Of(fault.InvalidBucketName).With("BucketName", name)
	}
	return nil
}

func validName(name string) bool {
	if len(name) < minName || len(name) > maxName {
		return false
	}
	for i := range len(name) {
		c := name[i]
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			continue
		}
		if c != '-' && c != '.' || i == 0 || i == len(name)-1 {
			return false
		}
		if beside := name[i-1]; beside == '.' || c == '.' && beside == '-' {
			return false
		}
	}
	for _, prefix := range []string{"xn--", "sthree-", "amzn-s3-demo-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	for _, suffix := range []string{"-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"} {
		if strings.HasSuffix(name, suffix) {
			return false
		}
	}
	_, err := netip.ParseAddr(name)
	return err != nil && !fourNumbers(name)
}

// fourNumbers reports whether a name has the form of an IPv4 address, valid or not.
func fourNumbers(name string) bool {
	return strings.Count(name, ".") == 3 && strings.Trim(name, "0123456789.") == ""
}

// CheckLocation compares the LocationConstraint of a new bucket with the server's region
// (API reference, CreateBucket). For us-east-1 it must be empty.
func CheckLocation(constraint, region string) error {
	const standard = "us-east-1"
	switch {
	case constraint == "" && region == standard:
		return nil
	case constraint == "":
		return illegalLocation("unspecified")
	case constraint == "EU" && region == "eu-west-1":
		return nil
	case constraint == standard, constraint != "EU" && constraint != region && !looksLikeRegion(constraint):
		return fault.Of(fault.InvalidLocationConstraint).
			With("LocationConstraint", constraint)
	case constraint != region:
		return illegalLocation(constraint)
	default:
		return nil
	}
}

func illegalLocation(constraint string) error {
	return fault.New(fault.IllegalLocationConstraintException,
		"The "+constraint+
			" location constraint is incompatible for the region specific endpoint this request was sent to.")
}

// looksLikeRegion reports whether a name has the form of AWS's region names:
// "eu-central-1", "us-gov-west-1".
func looksLikeRegion(s string) bool {
	parts := strings.Split(s, "-")
	if len(s) > 32 || len(parts) < 3 || len(parts) > 4 {
		return false
	}
	number := parts[len(parts)-1]
	if len(number) != 1 || number[0] < '1' || number[0] > '9' {
		return false
	}
	for _, p := range parts[:len(parts)-1] {
		if p == "" || strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" {
			return false
		}
	}
	return len(parts[0]) == 2
}
