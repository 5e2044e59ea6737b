package authn

import (
	"crypto/subtle"
	"crypto/tls"
	"maps"
	"strconv"
	"time"

	"watertight/internal/access/credential"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/limit"
)

// maxKeys bounds the cache of signing keys, in bytes. A signing key is valid for one day.
const maxKeys = 2 << 20

// keyCache caches derived signing keys. An entry is used only for the secret from which it
// was derived, so a changed secret takes effect immediately.
type keyCache struct{ entries *limit.Cache[scope, entry] }

type scope struct{ id, date, region, service string }

type entry struct {
	secret string
	key    sigv4.Key
}

func newKeyCache() *keyCache {
	return &keyCache{limit.NewCache(maxKeys, func(s scope, e entry) int64 {
		return int64(len(s.id)+len(s.date)+len(s.region)+len(s.service)+len(e.secret)) + int64(len(e.key)) + 96
	})}
}

// SigningKeys counts how often a signing key was kept.
func (i *Identifier) SigningKeys() limit.Count { return i.keys.entries.Count() }

func (k *keyCache) get(c *credential.Credential, claim *sigv4.Claim) sigv4.Key {
	s := scope{c.AccessKeyID, claim.Date, claim.Region, claim.Service}
	e, ok := k.entries.Get(s)
	if ok && subtle.ConstantTimeCompare([]byte(e.secret), []byte(c.Secret)) == 1 {
		return e.key
	}
	e = entry{c.Secret, sigv4.DeriveKey(c.Secret, claim.Date, claim.Region, claim.Service)}
	k.entries.Put(s, e)
	return e.key
}

// conditionKeys returns the condition keys that every request has (IAM user guide, "AWS
// global condition context keys"; S3 service authorization reference). Only the request
// headers that are named here become condition keys. Package policy derives the keys about
// the caller from the principal.
func conditionKeys(
	r *protocol.Request, from origin, claim *sigv4.Claim, region string, session map[string][]string,
) map[string][]string {
	const usual = 8 // up to so many keys, Go's maps need no table
	m := make(map[string][]string, usual+len(session))
	maps.Copy(m, session)
	values := make([]string, 0, usual) // values of all keys, in one allocation
	one := func(value string) []string {
		values = append(values, value)
		return values[len(values)-1 : len(values) : len(values)]
	}
	m["aws:requestedregion"] = one(region)
	m["aws:viaawsservice"] = one("false")
	m["aws:securetransport"] = one(strconv.FormatBool(from.tls))
	if r.HTTP.TLS != nil && !from.forwarded { // only for the client's own connection
		m["s3:tlsversion"] = one(tlsVersion(r.HTTP.TLS.Version))
	}
	if ua := header(r.HTTP.Header, "User-Agent"); ua != "" {
		m["aws:useragent"] = one(ua)
	}
	if ref := header(r.HTTP.Header, "Referer"); ref != "" {
		m["aws:referer"] = one(ref)
	}
	if sha := header(r.HTTP.Header, "X-Amz-Content-Sha256"); sha != "" {
		m["s3:x-amz-content-sha256"] = one(sha)
	} else if claim.Mode == sigv4.Query && claim.Payload != sigv4.UnsignedPayload {
		m["s3:x-amz-content-sha256"] = one(claim.Payload) // hoisted into the URL
	}
	switch claim.Mode {
	case sigv4.Header:
		m["s3:authtype"] = one("REST-HEADER")
	case sigv4.Query:
		m["s3:authtype"] = one("REST-QUERY-STRING")
		m["s3:signatureage"] = signatureAge(r.At, claim)
	case sigv4.Form:
		m["s3:authtype"] = one("POST")
		m["s3:signatureage"] = signatureAge(r.At, claim)
	default:
		return m
	}
	m["s3:signatureversion"] = one("AWS4-HMAC-SHA256")
	return m
}

// sessionKeys adds the keys that only temporary credentials have: with a long-lived key,
// aws:MultiFactorAuthPresent is absent, too (IAM user guide).
func sessionKeys(m map[string][]string, c *credential.Credential, at time.Time) {
	if c.Token == "" {
		return
	}
	if c.SourceIdentity != "" {
		m["aws:sourceidentity"] = []string{c.SourceIdentity}
	}
	m["aws:tokenissuetime"] = []string{c.Issued.UTC().Format(time.RFC3339)}
	m["aws:multifactorauthpresent"] = []string{strconv.FormatBool(!c.MFAAt.IsZero())}
	if !c.MFAAt.IsZero() {
		m["aws:multifactorauthage"] = []string{strconv.FormatInt(max(0, int64(at.Sub(c.MFAAt)/time.Second)), 10)}
	}
}

// signatureAge returns the age of the signature in milliseconds when the request arrived.
func signatureAge(arrived time.Time, claim *sigv4.Claim) []string {
	return []string{strconv.FormatInt(max(0, arrived.Sub(claim.Time).Milliseconds()), 10)}
}

func tlsVersion(v uint16) string {
	switch v {
	case tls.VersionTLS13:
		return "1.3"
	case tls.VersionTLS12:
		return "1.2"
	}
	return "1.0"
}
