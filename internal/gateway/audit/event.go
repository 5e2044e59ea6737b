package audit

import (
	"crypto/tls"
	"net/netip"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Event is one record as CloudTrail writes it, version 1.11 ("CloudTrail record contents",
// AWS CloudTrail User Guide). What follows from other fields (eventSource, eventName,
// eventCategory, readOnly, resources of S3) is computed when the event is written. Text is
// cut at CloudTrail's limits.
type Event struct {
	Identity  Identity
	Time      time.Time
	Operation action.Operation
	Region    string // if empty, that of the log
	SourceIP  netip.Addr
	UserAgent string
	Source    string // ARN of the distribution through which the request came; "" for requests from the network

	ErrorCode, ErrorMessage string

	Bucket, Key, Host string
	MFA               bool    // x-amz-mfa was sent; the code is never stored
	Parameters        []Param // further requestParameters; see Relevant
	Response          []Param // responseElements

	RequestID, HostID    string // x-amz-request-id, x-amz-id-2
	SignatureVersion     string // "SigV4", "SigV2"
	AuthenticationMethod string // "AuthHeader", "QueryString", "HtmlForm"
	SSEApplied           string // "SSE_S3", "SSE_KMS", "DSSE_KMS", "SSE_C", "Default_SSE_S3"
	BytesIn, BytesOut    int64

	TLSVersion, CipherSuite string // empty for plain HTTP

	Owner     string     // account that owns the bucket, if it is known
	Resources []Resource // in addition to the bucket and the object

	details []byte // serviceEventDetails as JSON; makes an AwsServiceEvent
	brief   bool   // of a refused request: the event is shortened
}

// Identity is the caller. The zero Identity is a caller that could not be identified;
// AccessKeyID may then be the id that the caller claimed.
type Identity struct {
	Principal      *policy.Principal // shared, never modified; nil if the caller could not be identified
	AccessKeyID    string
	Created        time.Time // of the session; zero if there is none
	MFA            bool      // the session was made with MFA
	SourceIdentity string
}

// who returns the principal, the zero one if there is none.
func (i *Identity) who() *policy.Principal {
	if i.Principal == nil {
		return new(policy.Principal)
	}
	return i.Principal
}

// Param is a member of requestParameters or responseElements. Several with the same name
// are written as an array. Parameters whose names suggest secrets are left out.
type Param struct {
	Name, Value string
	Harmless    bool // not a secret: a number, a boolean, a time, or text whose name was examined before
}

// Resource is a resource in addition to the bucket and the object.
type Resource struct {
	Type    string // "AWS::KMS::Key"
	ARN     arn.ARN
	Account string
}

// Secure sets the connection's TLS version and cipher suite; nil means plain HTTP.
func (e *Event) Secure(s *tls.ConnectionState) {
	if s == nil {
		return
	}
	e.CipherSuite = tls.CipherSuiteName(s.CipherSuite)
	switch s.Version {
	case tls.VersionTLS13:
		e.TLSVersion = "TLSv1.3"
	case tls.VersionTLS12:
		e.TLSVersion = "TLSv1.2"
	default:
		e.TLSVersion = tls.VersionName(s.Version)
	}
}

// stranger reports whether the caller is anonymous or could not be identified.
func (e *Event) stranger() bool {
	k := e.Identity.who().Kind
	return k == policy.Nobody || k == policy.Anonymous
}

// recipient returns the account to which the record belongs.
func (e *Event) recipient() string {
	if e.Owner != "" {
		return e.Owner
	}
	return e.Identity.who().Account
}
