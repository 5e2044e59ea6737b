package iam

import (
	"context"
	"reflect"
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

// needs are worked out for each request: ARNs have the account of the caller
// and the path of what is named.
type needs[In any] func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error)

// define is dispatch.Define for this service: an input that breaks its shape's
// constraints is refused before anything is asked for.
func define[In, Out any](name string, may needs[In], do func(context.Context, authz.Grant, *In) (*Out, error)) dispatch.Row {
	if may == nil {
		return dispatch.Define(name, query.Action(name), authz.Access[In]{}, do)
	}
	return dispatch.Define(name, query.Action(name), authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		if err := validate(in); err != nil {
			return nil, err
		}
		if c.Anonymous() {
			return nil, missingToken()
		}
		return may(ctx, c, in)
	}), do)
}

// missingToken is what a caller is told who did not sign.
func missingToken() error {
	return fault.Of(fault.MissingAuthenticationToken)
}

// on asks for one action on an ARN that the caller's account makes.
func on[In any](action policy.Action, resource func(account string, in *In) arn.ARN) needs[In] {
	return func(_ context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		return []authz.Need{{Action: action, Resource: resource(c.Principal().Account, in)}}, nil
	}
}

// onAny asks for one action on "*".
func onAny[In any](action policy.Action) needs[In] {
	return on(action, func(string, *In) arn.ARN { return arn.Any() })
}

// kindName is the member that names an entity of a kind.
func kindName(k identity.EntityKind) string { return k.String() + "Name" }

// nameIn is the entity of a kind that an input names.
func nameIn(in any, k identity.EntityKind) string {
	return stringIn(in, kindName(k))
}

func stringIn(in any, member string) string {
	f := reflect.ValueOf(in).Elem().FieldByName(member)
	if f.Kind() == reflect.Pointer && !f.IsNil() {
		f = f.Elem()
	}
	if f.Kind() == reflect.String {
		return f.String()
	}
	return ""
}

// required says that a member is missing that other operations of the same
// shape have no use for.
func required(in any, member string) error {
	if stringIn(in, member) != "" {
		return nil
	}
	var c checker
	f, _ := reflect.TypeOf(in).Elem().FieldByName(member)
	c.absent(f, lowerFirst(member))
	return c.fault()
}

// onEntity asks for one action on the user, group or role that the input names,
// with the condition keys that follow from it and from the input.
func onEntity[In any](a *API, action policy.Action, k identity.EntityKind) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		if err := required(in, kindName(k)); err != nil {
			return nil, err
		}
		s, err := a.Identities.Subject(ctx, c.Principal().Account, k, nameIn(in, k))
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, in)}}, nil
	}
}

// onPolicy asks for one action on the managed policy that the input names.
func onPolicy[In any](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		if err := required(in, "PolicyArn"); err != nil {
			return nil, err
		}
		s, err := a.Identities.PolicySubject(ctx, c.Principal().Account, stringIn(in, "PolicyArn"))
		if err != nil {
			return nil, err
		}
		keys := conditionKeys(s, in)
		delete(keys, "iam:policyarn") // the resource itself
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: keys}}, nil
	}
}

// conditionKeys are those of IAM's actions (IAM service authorization
// reference): what the target is, and what the request says of it.
func conditionKeys(s identity.Subject, in any) map[string][]string {
	m := s.ResourceKeys()
	if s.Boundary != "" {
		m["iam:permissionsboundary"] = []string{s.Boundary}
	}
	if b := stringIn(in, "PermissionsBoundary"); b != "" {
		m["iam:permissionsboundary"] = []string{b}
	}
	if p := stringIn(in, "PolicyArn"); p != "" {
		m["iam:policyarn"] = []string{p}
	}
	v := reflect.ValueOf(in).Elem()
	if tags, ok := field[[]shape.NewTag](v, "Tags"); ok {
		for _, t := range tags {
			name := policy.KeyName("aws:requesttag/" + *t.Key)
			m[name] = append(m[name], *t.Value)
			m["aws:tagkeys"] = append(m["aws:tagkeys"], *t.Key)
		}
	}
	if keys, ok := field[[]string](v, "TagKeys"); ok && len(keys) > 0 {
		m["aws:tagkeys"] = keys
	}
	return m
}

func field[T any](v reflect.Value, name string) (value T, ok bool) {
	f := v.FieldByName(name)
	if !f.IsValid() {
		return value, false
	}
	value, ok = f.Interface().(T)
	return value, ok
}

// pageOf is the part of a listing that an input asks for.
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

// escape is the form policy documents have in answers (RFC 3986, section 2.1).
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

// tagsOf is the tags of an input that was validated.
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
	return &shape.PermissionsBoundary{PermissionsBoundaryType: "PermissionsBoundaryPolicy", PermissionsBoundaryArn: policyARN}
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
		Path: e.Path, RoleName: e.Name, RoleId: e.ID, Arn: e.ARN().String(), CreateDate: e.Created, Description: e.Description,
		AssumeRolePolicyDocument: escape(e.Trust), MaxSessionDuration: &longest, PermissionsBoundary: boundaryShape(e.Boundary), Tags: tagShapes(e.Tags),
		RoleLastUsed: &shape.RoleLastUsed{}, // there, and empty, where nobody has assumed it
	}
}

// each turns items into shapes; a listing without items is empty, not absent.
func each[T, S any](items []T, to func(T) S) []S {
	out := make([]S, 0, len(items))
	for _, i := range items {
		out = append(out, to(i))
	}
	return out
}

func invalid(message string) error { return fault.New(fault.ValidationError, message) }
