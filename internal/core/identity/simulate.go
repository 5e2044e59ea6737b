package identity

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// Simulation asks what policies would decide; nothing is done. The policies of
// Source, an entity's ARN, come before Policies; its boundary holds where no
// Boundaries are given.
type Simulation struct {
	Source         string
	Policies       []string
	Boundaries     []string
	Actions        []string
	Resources      []string // none is "*"
	ResourcePolicy string
	ResourceOwner  string // an account's ARN or id; empty is the caller's
	Caller         string // ARN of the user who asks, where it is not Source
	Keys           map[string][]string
	Page           page.Request
}

// Simulated is a decision on one action and resource.
type Simulated struct {
	Action, Resource string
	Effect           policy.Effect
	Matched          []Match
	Missing          []string // context keys that policies ask for and nobody gave
	Boundary         *bool    // whether the boundary allows; nil where there is none
	// Named says that resources were asked about by name; Identity and Resource
	// are then what each side says where they are of two accounts.
	Named, Foreign           bool
	IdentitySays, OwnersSays policy.Effect
}

// Match is a statement that spoke about the request.
type Match struct {
	Policy                                     string
	Resource                                   bool // a resource-based policy
	StartLine, StartColumn, EndLine, EndColumn int
}

// maxSimulated bounds the decisions of one simulation. What one page of it costs
// is bounded by policy.Work; a statement that is shown counts for stepsOfMatch,
// since its place in the answer is more work than a comparison.
const (
	maxSimulated = 10_000
	stepsOfMatch = 1 << 13
)

// SourceSubject describes the entity an ARN names. Errors: InvalidInput.
func (s *Store) SourceSubject(ctx context.Context, account, name string) (Subject, error) {
	k, entity, err := parseSource(account, name)
	if err != nil {
		return Subject{}, err
	}
	return s.Subject(ctx, account, k, entity)
}

func parseSource(account, name string) (EntityKind, string, error) {
	a, err := arn.Parse(name)
	if err == nil && a.Service == "iam" && a.Account == account {
		for _, k := range []EntityKind{User, Group, Role} {
			if strings.HasPrefix(a.Resource, k.lower()+"/") {
				return k, a.Resource[strings.LastIndexByte(a.Resource, '/')+1:], nil
			}
		}
	}
	return 0, "", invalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", name)
}

// simulator is a simulation that is ready to decide.
type simulator struct {
	identity, boundary, resource []source
	keys                         map[string][]string
	request                      policy.Request
	owner                        string
	named                        bool
	parts                        []part   // all statements
	asked                        []string // context keys that they ask for
}

// Simulate decides every action on every resource. action is what is demanded:
// iam:SimulateCustomPolicy on "*", or iam:SimulatePrincipalPolicy on the
// source. Errors: NoSuchEntity, InvalidInput.
func (s *Store) Simulate(ctx context.Context, g authz.Grant, action policy.Action, in Simulation) (all []Simulated, next string, err error) {
	m, err := s.simulator(ctx, g, action, in)
	if err != nil {
		return nil, "", err
	}
	m.named = len(in.Resources) > 0
	if !m.named {
		in.Resources = []string{"*"}
	}
	if len(in.Actions)*len(in.Resources) > maxSimulated {
		return nil, "", invalidInput("A simulation has at most %d decisions.", maxSimulated)
	}
	numbers := make([]int, len(in.Actions)*len(in.Resources))
	for i := range numbers {
		numbers[i] = i
	}
	at := func(i *int) string { return fmt.Sprintf("%08d", *i) }
	asked, next, err := page.Cut(numbers, at, in.Page, "simulation")
	if err != nil {
		return nil, "", err
	}
	for n, i := range asked {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		one, err := m.decide(in.Actions[i/len(in.Resources)], in.Resources[i%len(in.Resources)])
		switch {
		case err != nil:
			return nil, "", err
		case !m.request.Work.Exhausted():
			all = append(all, one)
		case n == 0:
			return nil, "", invalidInput("The simulation takes more work than one request may: ask for fewer or smaller policies.")
		default: // the next page goes on with this one
			in.Page.Max = n
			_, next, err = page.Cut(numbers, at, in.Page, "simulation")
			return all, next, err
		}
	}
	return all, next, nil
}

// sources gathers the policies a simulation is about.
func (s *Store) sources(ctx context.Context, g authz.Grant, action policy.Action, in Simulation) (identity, boundary []source, e *Entity, err error) {
	var texts, boundaries []Inline
	if in.Source == "" {
		err = g.Demand(action, arn.Any())
	} else {
		err = s.view(ctx, g, func(r kv.Reader, account string) error {
			k, name, err := parseSource(account, in.Source)
			if err != nil {
				return err
			}
			if e, err = demanded(r, g, account, action, k, name); err != nil {
				return err
			}
			texts, boundaries, err = s.textsOf(r, e)
			return err
		})
	}
	if err != nil {
		return nil, nil, nil, err
	}
	for i, text := range in.Policies {
		texts = append(texts, Inline{"PolicyInputList." + strconv.Itoa(i+1), text})
	}
	if len(in.Boundaries) > 0 {
		boundaries = nil
	}
	for i, text := range in.Boundaries {
		boundaries = append(boundaries, Inline{"PermissionsBoundaryPolicyInputList." + strconv.Itoa(i+1), text})
	}
	for _, group := range []struct {
		from []Inline
		to   *[]source
	}{{texts, &identity}, {boundaries, &boundary}} {
		for _, p := range group.from {
			one, err := split(p.Name, policy.Identity, p.Document)
			if err != nil {
				return nil, nil, nil, err
			}
			*group.to = append(*group.to, one)
		}
	}
	return identity, boundary, e, nil
}

// textsOf are the policies that bind an entity, as written.
func (s *Store) textsOf(r kv.Reader, e *Entity) (identity, boundary []Inline, err error) {
	groups, err := entitiesByName(r, e.Groups)
	if err != nil {
		return nil, nil, err
	}
	managed := func(name string) (Inline, error) {
		p, err := s.findPolicy(r, e.Account, name)
		if err == nil && p == nil {
			err = malformed("an attachment of " + name)
		}
		if err != nil {
			return Inline{}, err
		}
		return Inline{p.Name, p.InForce().Document}, nil
	}
	for _, from := range append([]*Entity{e}, groups...) {
		identity = append(identity, from.Inline...)
		for _, name := range from.Attached {
			p, err := managed(name)
			if err != nil {
				return nil, nil, err
			}
			identity = append(identity, p)
		}
	}
	if e.Boundary == "" {
		return identity, nil, nil
	}
	p, err := managed(e.Boundary)
	return identity, []Inline{p}, err
}

func (s *Store) simulator(ctx context.Context, g authz.Grant, action policy.Action, in Simulation) (*simulator, error) {
	identity, boundary, e, err := s.sources(ctx, g, action, in)
	if err != nil {
		return nil, err
	}
	account, err := owner(g)
	if err != nil {
		return nil, err
	}
	m := &simulator{identity: identity, boundary: boundary, keys: in.Keys, owner: account}
	m.request = policy.Request{
		At: g.Caller().At(), Keys: in.Keys, Work: policy.NewWork(),
		Principal: policy.Principal{Kind: policy.User, Account: account, ARN: entityARN(account, User, "/", "simulated"), Name: "simulated", ID: "simulated"},
	}
	switch {
	case e != nil && e.Kind == User:
		m.request.Principal = e.principal()
	case e != nil && e.Kind == Role:
		m.request.Principal = e.assumed("simulated")
	}
	if in.Caller != "" {
		a, err := arn.Parse(in.Caller)
		if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "user/") {
			return nil, invalidInput("Invalid CallerArn: %s is not the ARN of a user.", in.Caller)
		}
		m.request.Principal.Account, m.request.Principal.ARN = a.Account, a
		m.request.Principal.Name = a.Resource[strings.LastIndexByte(a.Resource, '/')+1:]
	}
	if in.ResourceOwner != "" {
		m.owner = in.ResourceOwner
		if a, err := arn.Parse(in.ResourceOwner); err == nil {
			m.owner = a.Account
		}
	}
	if in.ResourcePolicy != "" {
		// IAM API reference, SimulatePrincipalPolicy, CallerArn and ResourcePolicy.
		switch {
		case e != nil && e.Kind == Role:
			return nil, invalidInput("Simulation of resource-based policies is not supported for IAM roles.")
		case in.Caller == "" && (e == nil || e.Kind != User):
			return nil, invalidInput("Must specify a CallerArn when a resource policy is specified.")
		}
		one, err := split("ResourcePolicy", policy.Resource, in.ResourcePolicy)
		if err != nil {
			return nil, err
		}
		m.resource = []source{one}
	}
	for i, group := range [][]source{m.identity, m.boundary, m.resource} {
		for _, one := range group {
			for _, p := range one.parts {
				p.bounds = i == 1
				m.parts = append(m.parts, p)
			}
		}
	}
	m.asked = contextKeys(slices.Concat(m.identity, m.boundary, m.resource))
	return m, m.checkGiven()
}

// checkGiven refuses values that their keys can't have.
func (m *simulator) checkGiven() error {
	for _, v := range m.keys["aws:sourceip"] {
		if _, err := netip.ParseAddr(v); err != nil {
			return invalidInput("aws:SourceIp: %s is no address.", v)
		}
	}
	for _, v := range m.keys["aws:currenttime"] {
		if _, err := time.Parse(time.RFC3339, v); err != nil {
			return invalidInput("aws:CurrentTime: %s is no date.", v)
		}
	}
	return nil
}

func wholes(all []source) []*policy.Document {
	var out []*policy.Document
	for i := range all {
		out = append(out, all[i].whole)
	}
	return out
}

func (m *simulator) decide(action, resource string) (Simulated, error) {
	if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" || strings.ContainsAny(action, "*? ") {
		return Simulated{}, invalidInput("Invalid Action: %s is not the name of an action.", action)
	}
	r := m.request
	var err error
	if r.Resource, err = arn.Parse(resource); err != nil {
		return Simulated{}, invalidInput("Invalid Resource: %s is not an ARN.", resource)
	}
	r.Action = policy.Action(action)
	out := Simulated{Action: action, Resource: resource, Named: m.named, Foreign: m.owner != r.Principal.Account}
	for _, name := range m.asked {
		if !policy.Supplied(name, m.owner, r, m.keys) {
			out.Missing = append(out.Missing, name)
		}
	}
	if strings.EqualFold(action, "sts:GetCallerIdentity") { // needs no permission, and nothing takes it away
		out.Effect = policy.Allow
		return out, nil
	}
	laws := policy.Laws{Identity: wholes(m.identity), Boundary: wholes(m.boundary), Resource: wholes(m.resource), ResourceOwner: m.owner}
	out.Effect = policy.Suppose(laws, r, m.keys).Effect
	if len(m.boundary) > 0 {
		allowed := m.says(m.boundary, r) == policy.Allow
		out.Boundary = &allowed
	}
	out.IdentitySays, out.OwnersSays = m.says(m.identity, r), m.says(m.resource, r)
	// A deny that decides is all that matched (IAM API reference, EvaluationResult).
	for _, p := range m.parts {
		said := policy.Speaks(p.document, m.owner, r, m.keys)
		if said == out.Effect && said == policy.ExplicitDeny || said == policy.Allow && out.Effect != policy.ExplicitDeny && !p.bounds {
			r.Work.Spend(stepsOfMatch)
			out.Matched = append(out.Matched, p.match)
		}
	}
	return out, nil
}

// says is what one kind of policies say together.
func (m *simulator) says(all []source, r policy.Request) policy.Effect {
	out := policy.ImplicitDeny
	for i := range all {
		switch policy.Speaks(all[i].whole, m.owner, r, m.keys) {
		case policy.ExplicitDeny:
			return policy.ExplicitDeny
		case policy.Allow:
			out = policy.Allow
		}
	}
	return out
}

// ContextKeys returns the condition keys that policies ask for. action is what
// is demanded: iam:GetContextKeysForCustomPolicy on "*", or
// iam:GetContextKeysForPrincipalPolicy on the source.
// Errors: NoSuchEntity, InvalidInput.
func (s *Store) ContextKeys(ctx context.Context, g authz.Grant, action policy.Action, from string, policies []string) ([]string, error) {
	identity, boundary, _, err := s.sources(ctx, g, action, Simulation{Source: from, Policies: policies})
	if err != nil {
		return nil, err
	}
	return contextKeys(append(identity, boundary...)), nil
}
