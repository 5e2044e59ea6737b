package iam

import (
	"context"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/core/mfa"
	"watertight/internal/core/page"
	"watertight/internal/core/simulate"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/dispatch"
)

// API is IAM over the core.
type API struct {
	Identities *identity.Store
	Devices    *mfa.Store
	Simulator  *simulate.Simulator
}

// needs returns what a request needs. It is called for each request, because an ARN has the
// account of the caller and the path of the named entity.
type needs[In any] func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error)

// define is dispatch.Define for this service. An input that violates the constraints of its
// shape is refused before it is authorized.
func define[In, Out any](
	name string, may needs[In], do func(context.Context, authz.Grant, *In) (*Out, error),
) dispatch.Row {
	if may == nil {
		return dispatch.Define(name, query.Action(name), authz.Access[In]{}, do)
	}
	return dispatch.Define(name, query.Action(name),
		authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
			if err := validate(in); err != nil {
				return nil, err
			}
			if c.Anonymous() {
				return nil, missingToken()
			}
			return may(ctx, c, in)
		}), do)
}

// missingToken is the error for callers who did not sign.
func missingToken() error {
	return fault.Of(fault.MissingAuthenticationToken)
}

// on needs one action on an ARN in the caller's account.
func on[In any](action policy.Action, resource func(account string, in *In) arn.ARN) needs[In] {
	return func(_ context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		return []authz.Need{{Action: action, Resource: resource(c.Principal().Account, in)}}, nil
	}
}

// onAny needs one action on "*".
func onAny[In any](action policy.Action) needs[In] {
	return on(action, func(string, *In) arn.ARN { return arn.Any() })
}

// required is the error for a missing member that is optional in the shape, because other
// operations that share the shape don't need it.
func required(m shape.Member) error {
	if m.Value != "" {
		return nil
	}
	return style().Missing(m.Name, m.Parameter)
}

// These inputs name the target of an operation and the values of its condition keys. An
// input without these methods does not compile.
type (
	entityInput[In any] interface {
		*In
		shape.EntityTarget
		shape.Conditioned
	}
	policyInput[In any] interface {
		*In
		shape.PolicyTarget
		shape.Conditioned
	}
)

// onEntity needs one action on the user, group or role that the input names, with the
// condition keys of the entity and of the input.
func onEntity[In any, P entityInput[In]](a *API, action policy.Action, k identity.EntityKind) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		m := P(in).Entity(k.String())
		if err := required(m); err != nil {
			return nil, err
		}
		s, err := a.Identities.Subject(ctx, c.Principal().Account, k, m.Value)
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, P(in).Conditions())}}, nil
	}
}

// onPolicy needs one action on the managed policy that the input names.
func onPolicy[In any, P policyInput[In]](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		m := P(in).Policy()
		if err := required(m); err != nil {
			return nil, err
		}
		s, err := a.Identities.PolicySubject(ctx, c.Principal().Account, m.Value)
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, P(in).Conditions())}}, nil
	}
}

// conditionKeys returns the condition keys of IAM's actions (IAM service authorization
// reference): those of the target, and those of the request.
func conditionKeys(s identity.Subject, of shape.Conditions) map[string][]string {
	m := s.ResourceKeys()
	if s.Boundary != "" {
		m["iam:permissionsboundary"] = []string{s.Boundary}
	}
	if of.Boundary != "" {
		m["iam:permissionsboundary"] = []string{of.Boundary}
	}
	if of.PolicyARN != "" {
		m["iam:policyarn"] = []string{of.PolicyARN}
	}
	for _, t := range of.Tags {
		name := policy.KeyName("aws:requesttag/" + *t.Key)
		m[name] = append(m[name], *t.Value)
		m["aws:tagkeys"] = append(m["aws:tagkeys"], *t.Key)
	}
	if len(of.TagKeys) > 0 {
		m["aws:tagkeys"] = of.TagKeys
	}
	return m
}

// pageOf returns the page that an input asks for.
func pageOf(marker string, most *int) page.Request {
	p := page.Request{Marker: marker}
	if most != nil {
		p.Max = *most
	}
	return p
}

func orRoot(path string) string {
	if path == "" {
		return "/"
	}
	return path
}

// escape returns a policy document in the encoding of responses (RFC 3986, section 2.1).
func escape(document string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.Grow(len(document) * 2)
	for _, c := range []byte(document) {
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hex[c>>4])
		b.WriteByte(hex[c&15])
	}
	return b.String()
}

// tagsOf returns the tags of an input that was validated.
func tagsOf(tags []shape.NewTag) []tag.Tag {
	var out []tag.Tag
	for _, t := range tags {
		out = append(out, tag.Tag{Key: *t.Key, Value: *t.Value})
	}
	return out
}

func tagShapes(tags []tag.Tag) []shape.Tag {
	var out []shape.Tag
	for _, t := range tags {
		out = append(out, shape.Tag(t))
	}
	return out
}

func boundaryShape(policyARN string) *shape.PermissionsBoundary {
	if policyARN == "" {
		return nil
	}
	return &shape.PermissionsBoundary{
		PermissionsBoundaryType: "PermissionsBoundaryPolicy", PermissionsBoundaryArn: policyARN,
	}
}

func userShape(e *identity.Entity) shape.User {
	return shape.User{
		Path: e.Path, UserName: e.Name, UserId: e.ID, Arn: e.ARN().String(), CreateDate: e.Created,
		PermissionsBoundary: boundaryShape(e.Boundary), Tags: tagShapes(e.Tags),
	}
}

func groupShape(e *identity.Entity) shape.Group {
	return shape.Group{Path: e.Path, GroupName: e.Name, GroupId: e.ID, Arn: e.ARN().String(), CreateDate: e.Created}
}

func roleShape(e *identity.Entity) shape.Role {
	longest := int(e.MaxSession / time.Second)
	return shape.Role{
		Path: e.Path, RoleName: e.Name, RoleId: e.ID, Arn: e.ARN().String(), CreateDate: e.Created,
		Description:              e.Description,
		AssumeRolePolicyDocument: escape(e.Trust), MaxSessionDuration: &longest,
		PermissionsBoundary: boundaryShape(e.Boundary), Tags: tagShapes(e.Tags),
		RoleLastUsed: &shape.RoleLastUsed{}, // present and empty for a role that was never assumed
	}
}

// each converts items to shapes. A listing without items is an empty list, not an absent one.
func each[T, S any](items []T, to func(T) S) []S {
	out := make([]S, 0, len(items))
	for _, i := range items {
		out = append(out, to(i))
	}
	return out
}

func invalid(message string) error { return fault.New(fault.ValidationError, message) }
