package kms

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/kms/shape"
	"watertight/internal/core/kms"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/dialect/json"
	"watertight/internal/gateway/dispatch"
)

// needs returns what a request needs. It is called for each request, because it resolves
// the name of the key, and condition keys depend on the key and the input.
type needs[In any] func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error)

// define is dispatch.Define for this service. Callers who did not sign are refused before
// authorization, and so are inputs that violate the constraints of their shapes.
func define[In, Out any](
	name string, may needs[In], do func(context.Context, authz.Grant, *In) (*Out, error),
) dispatch.Row {
	if may == nil {
		return dispatch.Define(name, json.Target(name), authz.Access[In]{}, do)
	}
	return dispatch.Define(name, json.Target(name),
		authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
			if c.Anonymous() {
				return nil, fault.Of(fault.MissingAuthenticationToken)
			}
			if err := style().Check(in); err != nil {
				return nil, err
			}
			return may(ctx, c, in)
		}), do)
}

// keys are condition keys with their values.
type keys = map[string][]string

// onAny needs one action on "*".
func onAny[In any](action policy.Action, conditions func(*In) keys) needs[In] {
	return func(_ context.Context, _ authz.Caller, in *In) ([]authz.Need, error) {
		return []authz.Need{{Action: action, Resource: arn.Any(), Keys: conditions(in)}}, nil
	}
}

// none returns no condition keys.
func none[In any](*In) keys { return nil }

// keyed is an input that names a key.
type keyed[In any] interface {
	*In
	shape.KeyTarget
}

// onKey needs one action on the key that the input names.
func onKey[In any, P keyed[In]](a *API, action policy.Action, conditions func(*In) keys) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		return a.keyNeeds(ctx, c, action, P(in).Key(), conditions(in))
	}
}

func (a *API) keyNeeds(
	ctx context.Context, c authz.Caller, action policy.Action, name string, conditions keys,
) ([]authz.Need, error) {
	n, err := a.keyNeed(ctx, c, action, name, conditions)
	return []authz.Need{n}, err
}

// keyNeed is the need for an action on the key that a name means for the caller. A key that
// does not exist is authorized as if it did, so that a caller without permissions can't
// find out which keys exist. The core then answers that there is no such key.
func (a *API) keyNeed(
	ctx context.Context, c authz.Caller, action policy.Action, name string, conditions keys,
) (authz.Need, error) {
	account := c.Principal().Account
	s, err := a.Keys.Subject(ctx, account, name, c.At())
	switch {
	case fault.Is(err, fault.NotFoundException):
		at := a.absent(account, name)
		return authz.Need{Action: action, Resource: at, Keys: conditions, New: at.Account == account}, nil
	case err != nil:
		return authz.Need{}, err
	}
	return a.needOn(c, action, &s, conditions), nil
}

// needOn is the need for an action on an existing key.
func (a *API) needOn(c authz.Caller, action policy.Action, s *kms.Subject, conditions keys) authz.Need {
	note(c, s.ARN)
	with := s.Conditions()
	maps.Copy(with, conditions)
	return authz.Need{Action: action, Resource: s.ARN, Keys: with}
}

// absent returns the ARN that a key or alias with this name would have.
func (a *API) absent(account, name string) arn.ARN {
	if at, err := arn.Parse(name); err == nil && strings.HasPrefix(name, "arn:") {
		return at
	}
	at := a.Keys.AliasARN(account, name)
	if !strings.HasPrefix(name, "alias/") {
		at.Resource = "key/" + name
	}
	return at
}

// note adds a key to the audit event.
func note(c authz.Caller, key arn.ARN) {
	r, ok := c.Record().(*audit.Record)
	if !ok {
		return
	}
	for _, known := range r.Event.Resources {
		if known.ARN == key {
			return
		}
	}
	r.Event.Resources = append(r.Event.Resources, audit.Resource{
		Type: "AWS::KMS::Key", ARN: key, Account: key.Account,
	})
}

// tagKeys returns the condition keys of tags to add, or of tag keys to remove.
func tagKeys(tags []shape.Tag, removed []string) keys {
	with := keys{}
	for _, t := range tags {
		name := policy.KeyName("aws:requesttag/" + *t.TagKey)
		with[name] = append(with[name], *t.TagValue)
		with["aws:tagkeys"] = append(with["aws:tagkeys"], *t.TagKey)
	}
	if len(removed) > 0 {
		with["aws:tagkeys"] = removed
	}
	return with
}

func truth(b bool) []string { return []string{strconv.FormatBool(b)} }

// value returns what p points to, or the zero value if p is nil.
func value[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// idOf returns the id in a key's ARN.
func idOf(key arn.ARN) string { return strings.TrimPrefix(key.Resource, "key/") }

// pageOf returns the page that an input asks for.
func pageOf(marker *string, limit *int) page.Request {
	return page.Request{Marker: value(marker), Max: value(limit)}
}

// each converts a list for a response. The result is never nil, so an empty list is shown.
func each[A, B any](all []A, shape func(*A) B) []B {
	out := make([]B, 0, len(all))
	for i := range all {
		out = append(out, shape(&all[i]))
	}
	return out
}
