package session

import (
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
)

// Session is a set of temporary credentials and everything known about it. Secret
// and Token must never be logged.
type Session struct {
	AccessKeyID, Secret, Token string
	Issued, Expires            time.Time
	Principal                  policy.Principal
	Parent                     string // id of the access key that requested it; empty for web identities
	// Policies are session policies. Restricted says that there are some; if all of them
	// were deleted, the session may do nothing.
	Policies       []string
	Managed        []PolicyRef // the managed ones among them
	Restricted     bool
	Tags           []tag.Tag
	Transitive     []string // keys of Tags that role chaining passes on
	MFAAt          time.Time
	SourceIdentity string
	Provider       string // of a web identity
	ProviderID     string // unique id of that provider
	Purpose        Purpose

	makers []string // set only while the session is created; nil: they follow from Parent
}

// PolicyRef is a managed policy as a session names it, and the unique id that the policy
// had then: a later policy with the same ARN is a different one.
type PolicyRef struct{ ARN, ID string }

// Purpose is the operation that created a session. The numbers are stored.
type Purpose uint8

// The purposes.
const (
	RoleAssumed     Purpose = 1
	SessionToken    Purpose = 2
	FederationToken Purpose = 3
	WebIdentity     Purpose = 4
)

const sessionPrefix = "i/s/"

func sessionKey(accessKeyID string) []byte { return record.Key(sessionPrefix, accessKeyID) }

// Fields of a session's record.
const (
	fieldSessionSecret = iota + 1
	fieldSessionToken
	fieldSessionIssued
	fieldSessionExpires
	fieldSessionKind
	fieldSessionAccount
	fieldSessionARN
	fieldSessionRole
	fieldSessionID
	fieldSessionName
	fieldSessionParent
	fieldSessionPolicy // repeated
	fieldSessionRestricted
	fieldSessionTag        // repeated
	fieldSessionTransitive // repeated
	fieldSessionMFA
	fieldSessionSource
	fieldSessionProvider
	fieldSessionPurpose
	fieldSessionManaged // repeated
	fieldSessionProviderID
)

func (s *Session) encode() []byte {
	p := &s.Principal
	r := record.Start(make([]byte, 0, 512))
	r = record.String(r, fieldSessionSecret, s.Secret)
	r = record.String(r, fieldSessionToken, s.Token)
	r = record.Time(r, fieldSessionIssued, s.Issued)
	r = record.Time(r, fieldSessionExpires, s.Expires)
	r = record.Uint(r, fieldSessionKind, uint64(p.Kind))
	r = record.String(r, fieldSessionAccount, p.Account)
	r = record.String(r, fieldSessionARN, p.ARN.String())
	if !p.Role.IsZero() {
		r = record.String(r, fieldSessionRole, p.Role.String())
	}
	r = record.String(r, fieldSessionID, p.ID)
	r = record.String(r, fieldSessionName, p.Name)
	r = record.String(r, fieldSessionParent, s.Parent)
	for _, text := range s.Policies {
		r = record.String(r, fieldSessionPolicy, text)
	}
	for _, m := range s.Managed {
		r = record.Pair(r, fieldSessionManaged, m.ARN, m.ID)
	}
	r = record.Bool(r, fieldSessionRestricted, s.Restricted)
	for _, t := range s.Tags {
		r = record.Pair(r, fieldSessionTag, t.Key, t.Value)
	}
	for _, key := range s.Transitive {
		r = record.String(r, fieldSessionTransitive, key)
	}
	if !s.MFAAt.IsZero() {
		r = record.Time(r, fieldSessionMFA, s.MFAAt)
	}
	r = record.String(r, fieldSessionSource, s.SourceIdentity)
	r = record.String(r, fieldSessionProvider, s.Provider)
	r = record.String(r, fieldSessionProviderID, s.ProviderID)
	return record.Uint(r, fieldSessionPurpose, uint64(s.Purpose))
}

func decodeSession(accessKeyID string, value []byte) (*Session, error) {
	s := &Session{AccessKeyID: accessKeyID}
	f := record.Read(value)
	for f.Next() {
		if !s.take(&f) {
			return nil, record.Malformed("session " + accessKeyID)
		}
	}
	// A session that this program can't decode completely must not identify a caller.
	if f.Err() != nil || s.Secret == "" || s.Token == "" || s.Expires.IsZero() || s.Principal.Kind == policy.Nobody ||
		s.Purpose == 0 {
		return nil, record.Malformed("session " + accessKeyID)
	}
	return s, nil
}

// take stores one field; ok is false if the value is invalid.
func (s *Session) take(f *record.Fields) (ok bool) {
	if to := s.text(int(f.Number)); to != nil {
		*to = string(f.Bytes)
		return true
	}
	p := &s.Principal
	switch f.Number {
	case fieldSessionIssued:
		s.Issued = f.Time()
	case fieldSessionExpires:
		s.Expires = f.Time()
	case fieldSessionKind: // policy.PrincipalKind, whose numbers are stored
		p.Kind = policy.PrincipalKind(f.Uint)
		return f.Uint <= uint64(policy.Service)
	case fieldSessionARN:
		return parseARN(f.Bytes, &p.ARN)
	case fieldSessionRole:
		return parseARN(f.Bytes, &p.Role)
	case fieldSessionPolicy:
		s.Policies = append(s.Policies, string(f.Bytes))
	case fieldSessionRestricted:
		s.Restricted = f.Uint != 0
	case fieldSessionTag:
		key, value, ok := f.Pair()
		s.Tags = append(s.Tags, tag.Tag{Key: key, Value: value})
		return ok
	case fieldSessionManaged:
		name, id, ok := f.Pair()
		s.Managed = append(s.Managed, PolicyRef{name, id})
		return ok
	case fieldSessionTransitive:
		s.Transitive = append(s.Transitive, string(f.Bytes))
	case fieldSessionMFA:
		s.MFAAt = f.Time()
	case fieldSessionPurpose:
		s.Purpose = Purpose(f.Uint)
		return f.Uint <= uint64(WebIdentity)
	default: // of a later program: it may restrict the session
		return false
	}
	return true
}

// text returns the struct field for a text field, nil for other fields.
func (s *Session) text(field int) *string {
	switch field {
	case fieldSessionSecret:
		return &s.Secret
	case fieldSessionToken:
		return &s.Token
	case fieldSessionAccount:
		return &s.Principal.Account
	case fieldSessionID:
		return &s.Principal.ID
	case fieldSessionName:
		return &s.Principal.Name
	case fieldSessionParent:
		return &s.Parent
	case fieldSessionSource:
		return &s.SourceIdentity
	case fieldSessionProvider:
		return &s.Provider
	case fieldSessionProviderID:
		return &s.ProviderID
	}
	return nil
}

func parseARN(b []byte, to *arn.ARN) bool {
	a, err := arn.Parse(string(b))
	*to = a
	return err == nil
}
