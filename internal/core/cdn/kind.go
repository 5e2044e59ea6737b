package cdn

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"watertight/internal/fault"
)

// kind is a kind of resources.
type kind struct {
	letter  string // in the keys of records. They are stored
	name    string // in ARNs
	missing fault.Code
	exists  fault.Code
	tooMany fault.Code
	inUse   fault.Code
	limit   int // of an account ("Quotas" in the developer guide)
	newID   func() string
}

func distributions() kind {
	return kind{
		letter: "d", name: "distribution", missing: fault.NoSuchDistribution, exists: fault.DistributionAlreadyExists,
		tooMany: fault.TooManyDistributions, limit: 200, newID: func() string { return newID('E') },
	}
}

func accessControls() kind {
	return kind{
		letter: "o", name: "origin-access-control", missing: fault.NoSuchOriginAccessControl,
		exists: fault.OriginAccessControlAlreadyExists, tooMany: fault.TooManyOriginAccessControls,
		inUse: fault.OriginAccessControlInUse, limit: 100, newID: func() string { return newID('E') },
	}
}

func cachePolicies() kind {
	return kind{
		letter: "c", name: "cache-policy", missing: fault.NoSuchCachePolicy, exists: fault.CachePolicyAlreadyExists,
		tooMany: fault.TooManyCachePolicies, inUse: fault.CachePolicyInUse, limit: 20, newID: newUUID,
	}
}

func originRequestPolicies() kind {
	return kind{
		letter: "q", name: "origin-request-policy", missing: fault.NoSuchOriginRequestPolicy,
		exists: fault.OriginRequestPolicyAlreadyExists, tooMany: fault.TooManyOriginRequestPolicies,
		inUse: fault.OriginRequestPolicyInUse, limit: 20, newID: newUUID,
	}
}

func responseHeadersPolicies() kind {
	return kind{
		letter: "h", name: "response-headers-policy", missing: fault.NoSuchResponseHeadersPolicy,
		exists: fault.ResponseHeadersPolicyAlreadyExists, tooMany: fault.TooManyResponseHeadersPolicies,
		inUse: fault.ResponseHeadersPolicyInUse, limit: 20, newID: newUUID,
	}
}

func publicKeys() kind {
	return kind{
		letter: "p", name: "public-key", missing: fault.NoSuchPublicKey, exists: fault.PublicKeyAlreadyExists,
		tooMany: fault.TooManyPublicKeys, inUse: fault.PublicKeyInUse, limit: 100,
		newID: func() string { return newID('K') },
	}
}

func keyGroups() kind {
	return kind{
		letter: "g", name: "key-group", missing: fault.NoSuchResource, exists: fault.KeyGroupAlreadyExists,
		tooMany: fault.TooManyKeyGroups, inUse: fault.ResourceInUse, limit: 10, newID: newUUID,
	}
}

const (
	idLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	idLength  = 13 // characters after the first one
)

// newID returns an id in AWS's form: a letter for the kind, and 13 random letters and digits.
func newID(first byte) string { return string(first) + random(idLetters, idLength) }

// random returns n random characters of an alphabet.
func random(alphabet string, n int) string {
	most := 256 - 256%len(alphabet) // larger bytes would favour some characters
	out := make([]byte, 0, n)
	var b [32]byte
	for len(out) < n {
		rand.Read(b[:])
		for _, c := range b {
			if int(c) < most && len(out) < n {
				out = append(out, alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return string(out)
}

// isID reports whether s has the form of an id that begins with a letter.
func isID(s string, first byte) bool {
	return len(s) == 1+idLength && s[0] == first && strings.Trim(s[1:], idLetters) == ""
}

// newDomainName returns a domain name for a new distribution.
func newDomainName() string {
	return "d" + random(strings.ToLower(idLetters), idLength) + ".cloudfront.net"
}

// newUUID returns a random UUID (RFC 9562, version 4).
func newUUID() string {
	var id [16]byte
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	h := hex.EncodeToString(id[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}
