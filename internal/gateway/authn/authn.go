// Package authn identifies the caller. It exists so that every request has exactly one
// sender, found by one parser, and so that a request with any trace of authentication is
// never treated as anonymous. It must never know which operation is requested or what is
// allowed.
package authn

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Credentials finds credentials by access key id. Lookup returns nil if there is none. A
// credential may be shared and must not be modified.
type Credentials interface {
	Lookup(ctx context.Context, accessKeyID string) (*credential.Credential, error)
}

// Options configure an Identifier.
type Options struct {
	Region         string
	TrustedProxies []netip.Prefix // networks of proxies whose forwarding headers are trusted; none by default
	// Used, if set, is called for every use of credentials with a valid signature. It must
	// be fast, and may be called concurrently.
	Used func(Use)
	// Edges, if set, decides about the credentials of edges on other machines. Without it
	// they are refused.
	Edges Edges
}

// Use is a use of credentials.
type Use struct {
	AccessKeyID     string
	Temporary       bool
	Actor           string // unique id of the user or role, account id of a root user; empty for federated users
	Service, Region string
	At              time.Time
}

// Identifier identifies requests.
type Identifier struct {
	credentials Credentials
	options     Options
	keys        *keyCache
	decoy       sigv4.Key
}

// New returns an identifier.
func New(c Credentials, o Options) *Identifier {
	return &Identifier{
		credentials: c, options: o, keys: newKeyCache(), decoy: sigv4.DeriveKey("decoy", "20130524", o.Region, "s3"),
	}
}

// Nobody is Identify for requests that carry no credentials by design; it ignores any that
// exist. The caller is anonymous, and the body is not verified.
func (i *Identifier) Nobody(_ context.Context, r *protocol.Request) (authz.Caller, sigv4.Body, error) {
	return i.anonymous(r, &sigv4.Claim{}), sigv4.Unverified(r.HTTP), nil
}

// claim parses the sender that a request claims into c, a zero claim.
func (i *Identifier) claim(r *protocol.Request, c *sigv4.Claim) error {
	t := sigv4.Target{
		Path: r.RawPath, Query: r.RawQuery, Service: r.Service.SigningName, Rules: r.Service.Rules,
		Region: i.options.Region, Elsewhere: r.HomeRegion, Document: r.Document,
	}
	err := c.Parse(r.HTTP, &t, r.At)
	claimed(r, c)
	return err
}

// claimed records the unverified sender of a request for the audit event.
func claimed(r *protocol.Request, c *sigv4.Claim) {
	if c == nil {
		return
	}
	r.Claimed.AccessKeyID = c.AccessKeyID
	switch c.Mode {
	case sigv4.Header:
		r.Claimed.Method = "AuthHeader"
	case sigv4.Query:
		r.Claimed.Method = "QueryString"
	case sigv4.Form:
		r.Claimed.Method = "HtmlForm"
	}
}

func (i *Identifier) anonymous(r *protocol.Request, claim *sigv4.Claim) authz.Caller {
	from := i.origin(r)
	s := situation(r, from)
	s.Keys = conditionKeys(r, from, claim, i.options.Region, nil)
	return authz.NewCaller(&policy.Principal{Kind: policy.Anonymous}, &s)
}

// caller returns the caller who signed with a credential, at a time.
func (by *signer) caller(c *credential.Credential, at time.Time) authz.Caller {
	r := by.request
	by.credential, by.from, by.arrived = c, by.i.origin(r), r.At
	by.situation = situation(r, by.from)
	s := &by.situation
	s.At, s.AccessKeyID, s.Session, s.Until = at, c.AccessKeyID, c.Session, c.Expires
	s.Temporary, s.Issued, s.MFAAt, s.SourceIdentity = c.Token != "", c.Issued, c.MFAAt, c.SourceIdentity
	s.Asked, s.Sender = by, by
	return authz.NewCaller(&c.Principal, s)
}

// signer is the sender of a verified request. Its condition keys are worked out when a
// policy refers to one: most policies refer to none.
type signer struct {
	situation  authz.Situation
	i          *Identifier
	request    *protocol.Request
	claim      *sigv4.Claim
	credential *credential.Credential
	from       origin
	arrived    time.Time

	once sync.Once
	keys map[string][]string
}

// Values implements policy.Conditions.
func (s *signer) Values(name string) []string {
	s.once.Do(func() {
		s.keys = conditionKeys(s.request, s.from, s.claim, s.claim.Region, s.credential.Keys)
		if _, aged := s.keys["s3:signatureage"]; aged { // its age is that at the beginning
			s.keys["s3:signatureage"] = signatureAge(s.arrived, s.claim)
		}
		sessionKeys(s.keys, s.credential, s.situation.At)
	})
	return s.keys[name]
}

// Again implements authz.Sender. The signature stays valid even if a presigned URL has expired
// since then: it was used in time, and its age is that of the request.
func (s *signer) Again(ctx context.Context, at time.Time) (authz.Caller, error) {
	was := s.credential
	c, err := s.i.credentials.Lookup(ctx, was.AccessKeyID)
	switch {
	case err != nil:
		return authz.Caller{}, err
	case c == nil, !c.Active, c.Principal.Kind == policy.Nobody,
		subtle.ConstantTimeCompare([]byte(c.Secret), []byte(was.Secret)) != 1:
		return authz.Caller{}, unknownKey(was.AccessKeyID)
	}
	if err := checkToken(c, was.Token, at); err != nil {
		return authz.Caller{}, err
	}
	return (&signer{i: s.i, request: s.request, claim: s.claim}).caller(c, at), nil
}

func situation(r *protocol.Request, from origin) authz.Situation {
	return authz.Situation{At: r.At, Now: r.Now, SourceIP: from.ip, SecureChannel: from.secure}
}

// Identify returns the caller and the body, which verifies itself while it is read. A
// request without any trace of authentication is anonymous; every other request is verified
// or refused.
func (i *Identifier) Identify(ctx context.Context, r *protocol.Request) (authz.Caller, sigv4.Body, error) {
	both := &struct { // one allocation
		by    signer
		claim sigv4.Claim
	}{}
	by, claim := &both.by, &both.claim
	by.i, by.request, by.claim = i, r, claim
	if err := i.claim(r, claim); err != nil {
		return authz.Caller{}, nil, err
	}
	if claim.Mode == sigv4.None {
		body, err := claim.Body(sigv4.Key{})
		return i.anonymous(r, claim), body, err
	}
	c, key, err := i.verify(ctx, claim, r.At)
	if err != nil {
		return authz.Caller{}, nil, err
	}
	body, err := claim.Body(key)
	if err == nil && c.Principal.Kind == policy.Service {
		caller, err := i.edgeCaller(ctx, r, claim, c, r.At)
		return caller, body, err
	}
	return by.caller(c, r.At), body, err
}

// verify finds the credential and checks the signature. It does the same work for an
// unknown key as for a wrong signature.
func (i *Identifier) verify(
	ctx context.Context, claim *sigv4.Claim, at time.Time,
) (*credential.Credential, sigv4.Key, error) {
	c, err := i.credentials.Lookup(ctx, claim.AccessKeyID)
	if err != nil {
		return nil, sigv4.Key{}, err
	}
	if c == nil || !c.Active || c.Principal.Kind == policy.Nobody {
		if err := claim.Verify(i.decoy); fault.Is(err, fault.InvalidURI) {
			return nil, sigv4.Key{}, err
		}
		return nil, sigv4.Key{}, unknownKey(claim.AccessKeyID)
	}
	if c.Principal.Kind != policy.Service { // the token of an edge's request names a distribution
		if err := checkToken(c, claim.Token, at); err != nil {
			return nil, sigv4.Key{}, err
		}
	}
	key := i.keys.get(c, claim)
	if err := claim.Verify(key); err != nil {
		return c, key, err
	}
	if i.options.Used != nil {
		i.options.Used(Use{
			AccessKeyID: c.AccessKeyID, Temporary: c.Token != "", Actor: actor(&c.Principal),
			Service: claim.Service, Region: claim.Region, At: at,
		})
	}
	return c, key, nil
}

// actor returns the id for which a use is recorded: the sessions of a role count as uses of
// the role.
func actor(p *policy.Principal) string {
	switch p.Kind {
	case policy.User, policy.AccountRoot:
		return p.ID
	case policy.RoleSession:
		role, _, _ := strings.Cut(p.ID, ":")
		return role
	}
	return ""
}

func unknownKey(id string) *fault.Error {
	return fault.Of(fault.InvalidAccessKeyId).With("AWSAccessKeyId", id)
}

// checkToken checks that a session token belongs to the credential.
func checkToken(c *credential.Credential, token string, at time.Time) error {
	switch {
	case c.Token == "" && token != "":
		return fault.Of(fault.InvalidToken)
	case c.Token == "":
		return nil
	case token == "":
		return unknownKey(c.AccessKeyID)
	}
	want, got := sha256.Sum256([]byte(c.Token)), sha256.Sum256([]byte(token))
	if subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return fault.Of(fault.InvalidToken)
	}
	if !at.Before(c.Expires) {
		return fault.Of(fault.ExpiredToken)
	}
	return nil
}

// header returns the first value of a canonical header name, or "".
func header(h http.Header, name string) string {
	if v := h[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}
