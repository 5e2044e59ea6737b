// Package simulate is IAM's policy simulator: it finds what policies would decide about a
// hypothetical request. It is a separate package so that a hypothetical value can't reach
// the decision on a real request. It must never change anything, nor know how requests are
// authorized.
package simulate

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
	"watertight/internal/core/identity"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Simulator decides hypothetical requests by the policies of a server's identities and by
// those in the request.
type Simulator struct {
	store      kv.Store
	identities *identity.Store
}

// New returns a Simulator of the identities in store.
func New(store kv.Store, identities *identity.Store) *Simulator {
	return &Simulator{store: store, identities: identities}
}

// Input is a hypothetical request, and the policies that decide it.
type Input struct {
	Source         string   // ARN of an entity whose policies are added before Policies; only for Principal
	Policies       []string // documents
	Boundaries     []string // documents; if empty, the boundary of Source
	Actions        []string
	Resources      []string // if empty, "*"
	ResourcePolicy string
	ResourceOwner  string // an account's ARN or id; if empty, the caller's account
	Caller         string // ARN of the calling user, if that is not Source
	Keys           map[string][]string
	Page           page.Request
}

// Decision is the decision on one action and resource.
type Decision struct {
	Action, Resource string
	Effect           policy.Effect
	Matched          []Match
	Missing          []string // context keys that the policies refer to and that the input does not have
	Boundary         *bool    // whether the boundary allows the request; nil if there is none
	// Named says that the request named resources. Foreign says that caller and resource
	// belong to two accounts; IdentitySays and OwnersSays are then the two decisions.
	Named, Foreign           bool
	IdentitySays, OwnersSays policy.Effect
}

// Match is a statement that applied to the request.
type Match struct {
	Policy                                     string
	Resource                                   bool // in a resource-based policy
	StartLine, StartColumn, EndLine, EndColumn int
}

// maxDecision bounds the decisions of one simulation. policy.Work bounds the cost of one
// page; a statement that is shown counts for stepsOfMatch, because finding its position is
// more work than a comparison.
const (
	maxDecision  = 10_000
	stepsOfMatch = 1 << 13
)

// Source returns the entity with an ARN as the subject of an authorization. It asks for no
// grant: its result reaches a caller only through a decision. Errors: InvalidInput.
func (s *Simulator) Source(ctx context.Context, account, name string) (identity.Subject, error) {
	k, entity, err := parseSource(account, name)
	if err != nil {
		return identity.Subject{}, err
	}
	return s.identities.Subject(ctx, account, k, entity)
}

func parseSource(account, name string) (identity.EntityKind, string, error) {
	if a, err := arn.Parse(name); err == nil && a.Account == account {
		if k, entity, ok := identity.EntityOf(a); ok {
			return k, entity, nil
		}
	}
	return 0, "", invalidInput("Invalid Entity Arn: %s does not clearly define entity type and name.", name)
}

func invalidInput(format string, args ...any) error {
	return fault.New(fault.InvalidInput, fmt.Sprintf(format, args...))
}

// simulation is a simulation whose policies are compiled.
type simulation struct {
	identity, boundary, resource []source
	keys                         map[string][]string
	request                      policy.Request
	owner                        string
	named                        bool
	parts                        []part   // all statements
	asked                        []string // context keys that the statements refer to
}

// Custom decides every action on every resource by the policies in the request, and returns
// a page of decisions and the marker of the next page. It needs iam:SimulateCustomPolicy on
// "*". Errors: InvalidInput, ValidationError.
func (s *Simulator) Custom(ctx context.Context, g authz.Grant, in Input) (all []Decision, next string, err error) {
	if err := g.Demand("iam:SimulateCustomPolicy", arn.Any()); err != nil {
		return nil, "", err
	}
	return run(ctx, g, &entityPolicies{}, in)
}

// Principal is Custom with the policies of an entity. It needs
// iam:SimulatePrincipalPolicy on the entity.
// Errors: NoSuchEntity, InvalidInput, ValidationError.
func (s *Simulator) Principal(ctx context.Context, g authz.Grant, in Input) (all []Decision, next string, err error) {
	of, err := s.policiesOf(ctx, g, "iam:SimulatePrincipalPolicy", in.Source)
	if err != nil {
		return nil, "", err
	}
	return run(ctx, g, of, in)
}

// CustomContextKeys returns the condition keys that policies refer to. It needs
// iam:GetContextKeysForCustomPolicy on "*". Errors: InvalidInput.
func (s *Simulator) CustomContextKeys(ctx context.Context, g authz.Grant, policies []string) ([]string, error) {
	if err := g.Demand("iam:GetContextKeysForCustomPolicy", arn.Any()); err != nil {
		return nil, err
	}
	return keysIn(&entityPolicies{}, policies)
}

// PrincipalContextKeys is CustomContextKeys with the policies of the entity with an ARN. It
// needs iam:GetContextKeysForPrincipalPolicy on the entity. Errors: NoSuchEntity,
// InvalidInput.
func (s *Simulator) PrincipalContextKeys(
	ctx context.Context, g authz.Grant, entity string, policies []string,
) ([]string, error) {
	of, err := s.policiesOf(ctx, g, "iam:GetContextKeysForPrincipalPolicy", entity)
	if err != nil {
		return nil, err
	}
	return keysIn(of, policies)
}

func keysIn(of *entityPolicies, policies []string) ([]string, error) {
	identities, boundary, err := of.compile(Input{Policies: policies})
	if err != nil {
		return nil, err
	}
	return contextKeys(append(identities, boundary...)), nil
}

// entityPolicies are the policies of the simulated entity; without an entity there are none.
type entityPolicies struct {
	entity             *identity.Entity
	identity, boundary []identity.Inline
}

// policiesOf demands action on an entity and returns its policies.
func (s *Simulator) policiesOf(
	ctx context.Context, g authz.Grant, action policy.Action, source string,
) (*entityPolicies, error) {
	of := &entityPolicies{}
	err := identity.View(ctx, s.store, g, func(r kv.Reader, account string) error {
		k, name, err := parseSource(account, source)
		if err != nil {
			return err
		}
		if of.entity, err = identity.DemandEntity(r, g, account, action, k, name); err != nil {
			return err
		}
		of.identity, of.boundary, err = s.identities.PolicyTexts(r, of.entity)
		return err
	})
	return of, err
}

// compile compiles the policies of a simulation.
func (of *entityPolicies) compile(in Input) (identities, boundary []source, err error) {
	texts, boundaries := of.identity, of.boundary
	for i, text := range in.Policies {
		texts = append(texts, identity.Inline{Name: "PolicyInputList." + strconv.Itoa(i+1), Document: text})
	}
	if len(in.Boundaries) > 0 {
		boundaries = nil
	}
	for i, text := range in.Boundaries {
		boundaries = append(boundaries, identity.Inline{
			Name: "PermissionsBoundaryPolicyInputList." + strconv.Itoa(i+1), Document: text,
		})
	}
	if identities, err = splitAll(texts); err != nil {
		return nil, nil, err
	}
	boundary, err = splitAll(boundaries)
	return identities, boundary, err
}

// run decides the page of actions and resources that the input asks for.
func run(ctx context.Context, g authz.Grant, of *entityPolicies, in Input) (all []Decision, next string, err error) {
	m, err := newSimulation(g, of, in)
	if err != nil {
		return nil, "", err
	}
	m.named = len(in.Resources) > 0
	if !m.named {
		in.Resources = []string{"*"}
	}
	if len(in.Actions)*len(in.Resources) > maxDecision {
		return nil, "", invalidInput("A simulation has at most %d decisions.", maxDecision)
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
			return nil, "", invalidInput(
				"The simulation takes more work than one request may: ask for fewer or smaller policies.")
		default: // the next page continues here
			in.Page.Max = n
			_, next, err = page.Cut(numbers, at, in.Page, "simulation")
			return all, next, err
		}
	}
	return all, next, nil
}

func newSimulation(g authz.Grant, of *entityPolicies, in Input) (*simulation, error) {
	identities, boundary, err := of.compile(in)
	if err != nil {
		return nil, err
	}
	account, err := identity.CallerAccount(g)
	if err != nil {
		return nil, err
	}
	m := &simulation{identity: identities, boundary: boundary, keys: in.Keys, owner: account}
	m.request = policy.Request{
		At: g.Caller().At(), Keys: in.Keys, Work: new(policy.Work),
		Principal: policy.Principal{
			Kind: policy.User, Account: account, ARN: identity.EntityARN(account, identity.User, "/", "simulated"),
			Name: "simulated", ID: "simulated",
		},
	}
	e := of.entity
	switch {
	case e != nil && e.Kind == identity.User:
		m.request.Principal = e.Principal()
	case e != nil && e.Kind == identity.Role:
		m.request.Principal = e.RoleSession("simulated")
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
		// See IAM API reference, SimulatePrincipalPolicy, CallerArn and ResourcePolicy.
		switch {
		case e != nil && e.Kind == identity.Role:
			return nil, invalidInput("Simulation of resource-based policies is not supported for IAM roles.")
		case in.Caller == "" && (e == nil || e.Kind != identity.User):
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

// checkGiven refuses values that are invalid for their context keys.
func (m *simulation) checkGiven() error {
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

func (m *simulation) decide(action, resource string) (Decision, error) {
	if service, name, ok := strings.Cut(action, ":"); !ok || service == "" || name == "" ||
		strings.ContainsAny(action, "*? ") {
		return Decision{}, invalidInput("Invalid Action: %s is not the name of an action.", action)
	}
	r := m.request
	var err error
	if r.Resource, err = arn.Parse(resource); err != nil {
		return Decision{}, invalidInput("Invalid Resource: %s is not an ARN.", resource)
	}
	r.Action = policy.Action(action)
	out := Decision{Action: action, Resource: resource, Named: m.named, Foreign: m.owner != r.Principal.Account}
	for _, name := range m.asked {
		if !policy.Supplied(name, m.owner, r, m.keys) {
			out.Missing = append(out.Missing, name)
		}
	}
	if r.Action.Facts().Always {
		out.Effect = policy.Allow
		return out, nil
	}
	laws := policy.Laws{
		Identity: wholes(m.identity), Boundary: wholes(m.boundary), Resource: wholes(m.resource),
		ResourceOwner: m.owner,
	}
	out.Effect = policy.Suppose(laws, r, m.keys).Effect
	if len(m.boundary) > 0 {
		allowed := m.says(m.boundary, r) == policy.Allow
		out.Boundary = &allowed
	}
	out.IdentitySays, out.OwnersSays = m.says(m.identity, r), m.says(m.resource, r)
	// If a Deny decides, only Deny statements are shown (IAM API reference, EvaluationResult).
	for _, p := range m.parts {
		said := policy.Speaks(p.document, m.owner, r, m.keys)
		if said == out.Effect && said == policy.ExplicitDeny ||
			said == policy.Allow && out.Effect != policy.ExplicitDeny && !p.bounds {
			r.Work.Spend(stepsOfMatch)
			out.Matched = append(out.Matched, p.match)
		}
	}
	return out, nil
}

// says returns the joint decision of policies of one kind.
func (m *simulation) says(all []source, r policy.Request) policy.Effect {
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
