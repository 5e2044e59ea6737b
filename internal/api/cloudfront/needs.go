package cloudfront

import (
	"context"
	"maps"
	"strconv"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/cloudfront/shape"
	"watertight/internal/core/cdn"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/dialect/restxml"
	"watertight/internal/gateway/dispatch"
)

// needs returns the permissions that a request needs. action is that of the operation. It is
// called for each request, because condition keys depend on the distribution and the input.
type needs[In any] func(ctx context.Context, c authz.Caller, action policy.Action, in *In) ([]authz.Need, error)

// define is dispatch.Define for this service. The action has the operation's name, and the
// pattern has no version. Callers who did not sign are refused before authorization.
func define[In, Out any](
	name, pattern string, status int, may needs[In], do func(context.Context, authz.Grant, *In) (*Out, error),
) dispatch.Row {
	at := restxml.At(strings.Replace(pattern, " /", " /"+version+"/", 1)).Status(status)
	if may == nil {
		return dispatch.Define(name, at, authz.Access[In]{}, do)
	}
	return dispatch.Define(name, at,
		authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
			if c.Anonymous() {
				return nil, fault.Of(fault.MissingAuthenticationToken)
			}
			return may(ctx, c, policy.Action("cloudfront:"+name), in)
		}), do)
}

// keys are condition keys with their values.
type keys = map[string][]string

// onAny needs the action on "*", for listings and for kinds that policies can't name as
// resources.
func onAny[In any](_ context.Context, _ authz.Caller, action policy.Action, _ *In) ([]authz.Need, error) {
	return []authz.Need{{Action: action, Resource: arn.Any()}}, nil
}

// onNew needs the action on a new resource of a kind. Its id is not known yet, so "*" stands
// for it.
func onNew[In any](kind string) needs[In] {
	return func(_ context.Context, c authz.Caller, action policy.Action, _ *In) ([]authz.Need, error) {
		return []authz.Need{{Action: action, Resource: own(c, kind, "*"), New: true}}, nil
	}
}

// target is an input that names a resource.
type target[In any] interface {
	*In
	shape.Target
}

// on needs the action on the resource of a kind that the input names. The resource is always
// in the caller's account, so that nobody learns what exists in another one.
func on[In any, P target[In]](kind string) needs[In] {
	return func(_ context.Context, c authz.Caller, action policy.Action, in *In) ([]authz.Need, error) {
		return []authz.Need{{Action: action, Resource: own(c, kind, P(in).ID())}}, nil
	}
}

// onDistribution is on for distributions, which have tags.
func onDistribution[In any, P target[In]](a *API) needs[In] {
	return func(ctx context.Context, c authz.Caller, action policy.Action, in *In) ([]authz.Need, error) {
		n, err := a.distributionNeed(ctx, c, action, P(in).ID(), nil)
		return []authz.Need{n}, err
	}
}

// distributionNeed is the need for an action on a distribution. A distribution that does not
// exist is authorized like one without tags.
func (a *API) distributionNeed(
	ctx context.Context, c authz.Caller, action policy.Action, id string, conditions keys,
) (authz.Need, error) {
	r := own(c, "distribution", id)
	tags, err := a.CDN.TagsOf(ctx, r.Account, id)
	if err != nil {
		return authz.Need{}, err
	}
	if tags != nil {
		note(c, r)
	}
	with := keys{}
	for key, value := range tags {
		name := policy.KeyName("aws:resourcetag/" + key)
		with[name] = append(with[name], value)
	}
	maps.Copy(with, conditions)
	return authz.Need{Action: action, Resource: r, Keys: with}, nil
}

// own returns the ARN of a resource of the caller's account.
func own(c authz.Caller, kind, id string) arn.ARN {
	return arn.CloudFront(c.Principal().Account, kind+"/"+id)
}

// note adds a distribution to the audit event.
func note(c authz.Caller, r arn.ARN) {
	if record, ok := c.Record().(*audit.Record); ok {
		record.Event.Resources = append(record.Event.Resources, audit.Resource{
			Type: "AWS::CloudFront::Distribution", ARN: r, Account: r.Account,
		})
	}
}

// tagKeys returns the condition keys of tags to add.
func tagKeys(tags []shape.Tag) keys {
	with := keys{}
	for _, t := range tags {
		name := policy.KeyName("aws:requesttag/" + t.Key)
		with[name] = append(with[name], t.Value)
		with["aws:tagkeys"] = append(with["aws:tagkeys"], t.Key)
	}
	return with
}

func tagsOf(tags []shape.Tag) []tag.Tag {
	return each(tags, func(t *shape.Tag) tag.Tag { return tag.Tag{Key: t.Key, Value: t.Value} })
}

// pageOf returns the page that an input asks for. Error: InvalidArgument.
func pageOf(marker, maxItems string) (cdn.Page, error) {
	p := cdn.Page{Marker: marker}
	if maxItems == "" {
		return p, nil
	}
	n, err := strconv.Atoi(maxItems)
	if err != nil || n < 1 {
		return p, fault.New(fault.InvalidArgument, "MaxItems is not a positive number.")
	}
	p.Max = n
	return p, nil
}

// each converts a list.
func each[A, B any](all []A, convert func(*A) B) []B {
	out := make([]B, 0, len(all))
	for i := range all {
		out = append(out, convert(&all[i]))
	}
	return out
}

// answer converts what a method of core returned.
func answer[R, Out any](r *R, err error, convert func(*R) *Out) (*Out, error) {
	if err != nil {
		return nil, err
	}
	return convert(r), nil
}
