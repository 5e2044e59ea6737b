package audit

import "strings"

// Relevant reports whether requestParameters has an S3 query parameter or header:
// sub-resources, the parameters of a listing, and the headers about access, encryption and
// retention. None of them can sign or decrypt anything.
func Relevant(name string) bool {
	switch strings.ToLower(name) {
	case "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "inventory",
		"legal-hold", "lifecycle", "location", "logging", "metrics", "notification", "object-lock",
		"ownershipcontrols", "policy", "policystatus", "publicaccessblock", "replication", "requestpayment",
		"restore", "retention", "select", "tagging", "uploads", "versioning", "versions", "website",
		"versionid", "uploadid", "partnumber", "prefix", "delimiter", "encoding-type", "list-type", "max-keys",
		"max-parts", "max-uploads", "marker", "key-marker", "version-id-marker", "upload-id-marker",
		"part-number-marker", "start-after", "fetch-owner", "resource", "maxitems",
		"x-amz-date", "x-amz-expires", "x-amz-algorithm",
		"x-amz-acl", "x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write",
		"x-amz-grant-write-acp",
		"x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-storage-class",
		"x-amz-object-ownership", "x-amz-bucket-object-lock-enabled", "x-amz-bypass-governance-retention",
		"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold",
		"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled", "x-amz-server-side-encryption-customer-algorithm",
		"x-amz-account-id", "x-amz-copy-source-range", "x-amz-copy-source-version-id", "x-amz-tagging", "bucket-region",
		"x-amz-confirm-remove-self-bucket-access", "x-amz-object-attributes",
		"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner", "x-amz-website-redirect-location",
		"x-watertight-as-of":
		return true
	}
	return false
}

// secretNameSize is the maximum length of a parameter's name that is examined; parameters
// with longer names are left out.
const secretNameSize = 128

// Secret reports whether a parameter with this name may be a secret. Secrets are never
// written, even if a shape asks for it; numbers and booleans are not secrets.
func Secret(name string) bool {
	if len(name) > secretNameSize {
		return true
	}
	var plain [secretNameSize]byte
	n := 0
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			plain[n] = c
			n++
		}
	}
	for i := range n {
		if beginsSecret(plain[i:n]) {
			return true
		}
	}
	return false
}

// beginsSecret reports whether a name, of which only lower-case letters and digits are left,
// begins with a word for secrets.
func beginsSecret(s []byte) bool {
	begins := func(word string) bool { return len(s) >= len(word) && string(s[:len(word)]) == word }
	switch s[0] {
	case 'a':
		return begins("authorization") || begins("authenticationcode") || begins("assertion")
	case 'c':
		return begins("cookie") || begins("customerkey")
	case 'g':
		return begins("granttoken")
	case 'h':
		return begins("headervalue")
	case 'i':
		return begins("identitytoken")
	case 'p':
		return begins("password") || begins("plaintext") || begins("privatekey")
	case 's':
		return begins("signature") || begins("securitytoken") || begins("sessiontoken") || begins("secret") ||
			begins("seed")
	case 't':
		return begins("tokencode")
	case 'x':
		return begins("xamzmfa")
	}
	return false
}
