package session

import (
	"context"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Durations of the sessions of roles (STS API reference, AssumeRole).
const (
	defaultAssumed = time.Hour
	longestChained = time.Hour
)

// AssumeInput names the role to assume, and has the properties of the session. A zero
// Duration means one hour; Serial and Code must be given together.
type AssumeInput struct {
	RoleARN, SessionName       string
	Duration                   time.Duration
	Pass                       Passed
	Tags                       []tag.Tag
	Transitive                 []string // keys of Tags
	ExternalID, SourceIdentity string
	Serial, Code               string
}

// chain is what a session inherits from the session that requests it.
type chain struct {
	session    bool // the caller is a role's session
	tags       []tag.Tag
	source     string
	parent     string // the long-lived key at the beginning of the chain
	provider   string // the identity provider, if there is no such key
	providerID string
	transitive []string
	makers     []string
}

// chainOf returns what the new session inherits from the caller.
func chainOf(r kv.Reader, c authz.Caller) (chain, error) {
	out := chain{parent: c.AccessKeyID()}
	if !c.Temporary() {
		return out, nil
	}
	n, err := readSession(r, c.AccessKeyID())
	if err != nil {
		return out, err
	}
	if n == nil {
		return out, fault.Of(fault.AccessDenied)
	}
	out.session = n.Purpose == RoleAssumed || n.Purpose == WebIdentity
	out.parent, out.provider, out.providerID, out.source = n.Parent, n.Provider, n.ProviderID, n.SourceIdentity
	if out.makers, err = makersOf(r, n); err != nil {
		return out, err
	}
	for _, key := range n.Transitive {
		if i := sessionTag(n.Tags, key); i >= 0 {
			out.tags = append(out.tags, n.Tags[i])
			out.transitive = append(out.transitive, n.Tags[i].Key)
		}
	}
	return out, nil
}

// roleTarget parses the ARN of the role to assume.
func roleTarget(name string) (arn.ARN, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Partition != "aws" || a.Service != "iam" || a.Region != "" || !arn.IsAccountID(a.Account) ||
		!strings.HasPrefix(a.Resource, "role/") {
		return arn.ARN{}, validation("%s is invalid", name)
	}
	return a, nil
}

// AssumeNeeds returns the needs of AssumeRole: from the role's trust policy and, if that
// only delegates, from the caller's own policies. It treats an MFA code as valid;
// AssumeRole verifies the code before it creates a session. Errors: AccessDenied,
// ValidationError, InvalidParameterValue.
func (s *Store) AssumeNeeds(ctx context.Context, c authz.Caller, in AssumeInput) ([]authz.Need, error) {
	p := c.Principal()
	role, err := roleTarget(in.RoleARN)
	if err != nil {
		return nil, err
	}
	switch p.Kind {
	case policy.User, policy.RoleSession:
	case policy.AccountRoot:
		return nil, fault.New(fault.AccessDenied, "Roles may not be assumed by root accounts.")
	default: // federated users may call only GetCallerIdentity of STS
		return nil, notAuthorized(p, "sts:AssumeRole", role, policy.Verdict{})
	}
	if (in.Serial == "") != (in.Code == "") {
		return nil, incompleteMFA()
	}
	if err := checkSessionTags(in.Tags, in.Transitive); err != nil {
		return nil, err
	}
	var from chain
	var target identity.Subject
	err = s.store.View(ctx, func(r kv.Reader) error {
		e, err := identity.FindRole(r, role)
		if err != nil {
			return err
		}
		if e != nil {
			target.Tags = e.Tags
		}
		from, err = chainOf(r, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	keys := in.keys(from)
	for k, v := range target.ResourceKeys() {
		keys[k] = v
	}
	return sessionNeeds("sts:AssumeRole", role, keys, in.tagged(from), in.sourced(from),
		func(a policy.Action) func(policy.Verdict) error {
			return func(v policy.Verdict) error { return notAuthorized(p, a, role, v) }
		}), nil
}

// tagged reports whether the new session gets tags from its request or from the caller's session.
func (in *AssumeInput) tagged(from chain) bool { return len(in.Tags)+len(from.tags) > 0 }

// sourced reports whether the new session has a source identity.
func (in *AssumeInput) sourced(from chain) bool { return in.SourceIdentity != "" || from.source != "" }

// keys returns the condition keys of the request (IAM user guide, "Available keys for AWS STS").
func (in *AssumeInput) keys(from chain) map[string][]string {
	m := sessionTagKeys(in.Tags, append(from.transitive, in.Transitive...))
	m["sts:rolesessionname"] = []string{in.SessionName}
	if in.ExternalID != "" {
		m["sts:externalid"] = []string{in.ExternalID}
	}
	if source := orElse(in.SourceIdentity, from.source); source != "" {
		m["sts:sourceidentity"] = []string{source}
	}
	if in.Serial != "" {
		m["aws:multifactorauthpresent"], m["aws:multifactorauthage"] = []string{"true"}, []string{"0"}
	}
	return m
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// sessionNeeds returns the needs of creating a session on a resource: of the call itself,
// of tagging the session, and of setting its source identity.
func sessionNeeds(
	action policy.Action, on arn.ARN, keys map[string][]string, tagged, sourced bool,
	refusal func(policy.Action) func(policy.Verdict) error,
) []authz.Need {
	actions := []policy.Action{action}
	if tagged {
		actions = append(actions, "sts:TagSession")
	}
	if sourced {
		actions = append(actions, "sts:SetSourceIdentity")
	}
	var needs []authz.Need
	for _, a := range actions {
		needs = append(needs, authz.Need{Action: a, Resource: on, Keys: keys, Refusal: refusal(a)})
	}
	return needs
}

// notAuthorized is the refusal in STS's wording. Only callers of the resource's account are
// told what in their own policies refused.
func notAuthorized(p policy.Principal, a policy.Action, on arn.ARN, v policy.Verdict) error {
	message := "User: " + p.ARN.String() + " is not authorized to perform: " + string(a) + " on resource: " +
		on.String()
	if why := v.Because(a); why != "" && v.Layer != policy.ResourceLayer && p.Account == on.Account {
		message += " " + why
	}
	return fault.New(fault.AccessDenied, message)
}

// Assumed is a role's new session.
type Assumed struct {
	*Session
	PackedSize int // percentage of the limit for policies and tags; 0 if there are none
}

// AssumeRole creates a session of a role. It needs sts:AssumeRole and, if the session gets
// tags or a source identity, sts:TagSession and sts:SetSourceIdentity, as AssumeNeeds says.
// Errors: AccessDenied, ValidationError, MalformedPolicyDocument, PackedPolicyTooLarge.
func (s *Store) AssumeRole(ctx context.Context, g authz.Grant, in AssumeInput) (out Assumed, err error) {
	c := g.Caller()
	role, err := roleTarget(in.RoleARN)
	if err != nil {
		return out, err
	}
	if err := g.Demand("sts:AssumeRole", role); err != nil {
		return out, err
	}
	var from chain
	if err := s.store.View(ctx, func(r kv.Reader) error { from, err = chainOf(r, c); return err }); err != nil {
		return out, err
	}
	if in.tagged(from) {
		if err := g.Demand("sts:TagSession", role); err != nil {
			return out, err
		}
	}
	if in.sourced(from) {
		if err := g.Demand("sts:SetSourceIdentity", role); err != nil {
			return out, err
		}
	}
	n := &Session{
		Purpose: RoleAssumed, Parent: from.parent, Provider: from.provider, ProviderID: from.providerID,
		makers: from.makers,
	}
	if err := in.inherit(n, from); err != nil {
		return out, err
	}
	if err := checkPassed(in.Pass); err != nil {
		return out, err
	}
	if out.PackedSize, err = n.restrict(in.Pass); err != nil {
		return out, err
	}
	if in.Duration == 0 {
		in.Duration = defaultAssumed
	}
	if from.session && in.Duration > longestChained {
		return out, validation(
			"The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining")
	}
	act := func(tx kv.Reader) error { return s.actAs(tx, n, role, in) }
	if err := s.store.View(ctx, act); err != nil { // before Verify, so that a refused request uses up no code
		return out, err
	}
	if in.Serial != "" {
		if err := s.mfa.Verify(ctx, c.Principal(), in.Serial, in.Code, c.At()); err != nil {
			return out, err
		}
		n.MFAAt = c.At().UTC().Truncate(time.Second)
	}
	out.Session = n
	return out, s.begin(ctx, g, n, in.Duration, func(tx kv.Tx) error { return act(tx) })
}

// inherit sets the tags and the source identity of a session. What the caller's session
// passes on can't be changed (IAM user guide, "Chaining roles with session tags", "Monitor
// and control actions taken with assumed roles").
func (in *AssumeInput) inherit(n *Session, from chain) error {
	for _, t := range in.Tags {
		if sessionTag(from.tags, t.Key) >= 0 {
			return invalidParameter("One of the specified transitive tag keys can't be set because it conflicts with " +
				"a transitive tag key from the calling session.")
		}
	}
	n.Tags = append(from.tags, in.Tags...)
	n.Transitive = append(from.transitive, in.Transitive...)
	if from.source != "" && in.SourceIdentity != "" && in.SourceIdentity != from.source {
		return fault.New(fault.AccessDenied, "The source identity of the calling session can't be changed.")
	}
	n.SourceIdentity = orElse(in.SourceIdentity, from.source)
	return nil
}

// actAs makes n a session of a role, with the role's current properties.
func (s *Store) actAs(r kv.Reader, n *Session, role arn.ARN, in AssumeInput) error {
	e, err := identity.FindRole(r, role)
	if err != nil {
		return err
	}
	if e == nil {
		return fault.Of(fault.AccessDenied)
	}
	if in.Duration < minDuration {
		return validation(
			"1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: Member must "+
				"have value greater than or equal to 900",
			int(in.Duration/time.Second),
		)
	}
	if in.Duration > e.MaxSession {
		return tooLong()
	}
	n.Principal = e.RoleSession(in.SessionName)
	return s.managed(r, n, e.Account, in.Pass.ARNs)
}

func tooLong() error {
	return validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
}

func incompleteMFA() error {
	return fault.New(fault.AccessDenied,
		"MultiFactorAuthentication failed, must provide both MFA serial number and one time pass code.")
}

func validation(format string, args ...any) error {
	return fault.New(fault.ValidationError, fmt.Sprintf(format, args...))
}

func invalidParameter(message string) error {
	return fault.New(fault.InvalidParameterValue, message)
}
