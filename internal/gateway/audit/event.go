package audit

import (
	"crypto/tls"
	"net/netip"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Event is one record as CloudTrail writes it, version 1.11 ("CloudTrail
// record contents", AWS CloudTrail User Guide). What follows from other fields
// (eventSource, eventName, eventCategory, readOnly, resources of S3) is worked out when
// it is written. Text is cut at CloudTrail's limits.
type Event struct {
	Identity  Identity
	Time      time.Time
	Operation action.Operation
	Region    string // of the log where empty
	SourceIP  netip.Addr
	UserAgent string

	ErrorCode, ErrorMessage string

	Bucket, Key, Host string
	MFA               bool    // x-amz-mfa was sent; the code is never kept
	Parameters        []Param // further requestParameters; see Relevant
	Response          []Param // responseElements

	RequestID, HostID    string // x-amz-request-id, x-amz-id-2
	SignatureVersion     string // "SigV4", "SigV2"
	AuthenticationMethod string // "AuthHeader", "QueryString", "HtmlForm"
	SSEApplied           string // "SSE_S3", "SSE_KMS", "DSSE_KMS", "SSE_C", "Default_SSE_S3"
	BytesIn, BytesOut    int64

	TLSVersion, CipherSuite string // empty for plain HTTP

	Owner     string     // account that owns the bucket, where it is known
	Resources []Resource // beside the bucket and the object

	details []byte // serviceEventDetails as JSON; makes an AwsServiceEvent
	brief   bool   // of a refused request: cut short
}

// Identity is who called. The zero Identity is a caller that could not be
// identified; AccessKeyID may then hold the key it claimed.
type Identity struct {
	Principal      policy.Principal
	AccessKeyID    string
	Created        time.Time // of the session; zero without one
	MFA            bool      // the session was made with MFA
	SourceIdentity string
}

// Param is a member of requestParameters or responseElements. Several of the
// same name are written as an array. Names that stand for secrets are left out.
type Param struct {
	Name, Value string
	Harmless    bool // a number, a boolean or an instant: no secret, whatever its name
}

// Resource is a resource beside the bucket and the object.
type Resource struct {
	Type    string // "AWS::KMS::Key"
	ARN     arn.ARN
	Account string
}

// Secure notes the connection's TLS version and cipher suite; nil is plain HTTP.
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

// stranger reports that the caller is anonymous or could not be identified.
func (e *Event) stranger() bool {
	k := e.Identity.Principal.Kind
	return k == policy.Nobody || k == policy.Anonymous
}

// recipient is the account the record belongs to.
func (e *Event) recipient() string {
	if e.Owner != "" {
		return e.Owner
	}
	return e.Identity.Principal.Account
}
