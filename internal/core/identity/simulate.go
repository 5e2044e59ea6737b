package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
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
	Page           Page
}

// Simulated is a decision on one action and resource.
type Simulated struct {
	Action, Resource string
	Effect           policy.Effect
	Matched          []Match
	Missing          []string // context keys that policies ask for and nobody gave
	Boundary         *bool    // whether the boundary allows; nil where there is none
}

// Match is a statement that spoke about the request.
type Match struct {
	Policy                                     string
	Resource                                   bool // a resource-based policy
	StartLine, StartColumn, EndLine, EndColumn int
}

// maxSimulated bounds the decisions of one simulation.
const maxSimulated = 10_000

// source is a policy and its statements one by one.
type source struct {
	name, text string
	kind       policy.Kind
	whole      *policy.Document
	parts      []part
}

type part struct {
	document *policy.Document
	match    Match // where it stands
}

// stepsOfMatch is what a statement that is reported counts for: its place in the
// answer is more work than a comparison.
const stepsOfMatch = 1 << 10

// split compiles a policy and, each by itself, its statements.
func split(name string, kind policy.Kind, text string) (source, error) {
	whole, err := policy.Parse(kind, []byte(text))
	if err != nil {
		return source{}, invalidInput("%s: %s", name, fault.From(malformedPolicy(err)).Message)
	}
	s := source{name: name, text: text, kind: kind, whole: whole}
	var head struct{ Version string }
	if err := json.Unmarshal([]byte(text), &head); err != nil {
		return source{}, invalidInput("%s: This policy contains invalid Json", name)
	}
	err = eachStatement(text, func(raw json.RawMessage, start, end int64) error {
		doc := map[string]any{"Statement": raw}
		if head.Version != "" {
			doc["Version"] = head.Version
		}
		b, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		d, err := policy.Parse(kind, b)
		if err != nil {
			return err
		}
		m := Match{Policy: name, Resource: kind == policy.Resource}
		m.StartLine, m.StartColumn = s.place(start)
		m.EndLine, m.EndColumn = s.place(end)
		s.parts = append(s.parts, part{d, m})
		return nil
	})
	if err != nil {
		return source{}, invalidInput("%s: %s", name, fault.From(malformedPolicy(err)).Message)
	}
	return s, nil
}

// eachStatement visits the statements of a document that was parsed before.
func eachStatement(text string, visit func(raw json.RawMessage, start, end int64) error) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if _, err := d.Token(); err != nil {
		return err
	}
	one := func() error {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		end := d.InputOffset()
		return visit(raw, end-int64(len(raw)), end)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if name != "Statement" {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return err
			}
			continue
		}
		rest := strings.TrimLeft(text[d.InputOffset():], " \t\r\n:")
		if !strings.HasPrefix(rest, "[") {
			if err := one(); err != nil {
				return err
			}
			continue
		}
		if _, err := d.Token(); err != nil {
			return err
		}
		for d.More() {
			if err := one(); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	return nil
}

// place is the line and column of an offset, both from 1.
func (s *source) place(offset int64) (line, column int) {
	before := s.text[:offset]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}

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
	missing                      []string // context keys that policies ask for and nobody gave
}

// Simulate decides every action on every resource. action is what is demanded:
// iam:SimulateCustomPolicy on "*", or iam:SimulatePrincipalPolicy on the
// source. Errors: NoSuchEntity, InvalidInput.
func (s *Store) Simulate(ctx context.Context, g authz.Grant, action policy.Action, in Simulation) (all []Simulated, next string, err error) {
	m, err := s.simulator(ctx, g, action, in)
	if err != nil {
		return nil, "", err
	}
	if len(in.Resources) == 0 {
		in.Resources = []string{"*"}
	}
	if len(in.Actions)*len(in.Resources) > maxSimulated {
		return nil, "", invalidInput("A simulation has at most %d decisions.", maxSimulated)
	}
	numbers := make([]int, len(in.Actions)*len(in.Resources))
	for i := range numbers {
		numbers[i] = i
	}
	numbers, next, err = cut(numbers, func(i *int) string { return fmt.Sprintf("%08d", *i) }, in.Page, "simulation")
	if err != nil {
		return nil, "", err
	}
	for _, i := range numbers {
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		one, err := m.decide(in.Actions[i/len(in.Resources)], in.Resources[i%len(in.Resources)])
		if err != nil {
			return nil, "", err
		}
		all = append(all, one)
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
		one, err := split("ResourcePolicy", policy.Resource, in.ResourcePolicy)
		if err != nil {
			return nil, err
		}
		m.resource = []source{one}
	}
	for _, name := range contextKeys(slices.Concat(m.identity, m.boundary, m.resource)) {
		if len(m.keys[policy.KeyName(name)]) == 0 {
			m.missing = append(m.missing, name)
		}
	}
	return m, m.situate()
}

// situate reads the context keys that a request has fields for.
func (m *simulator) situate() error {
	first := func(name string) string {
		if v := m.keys[name]; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	if v := first("aws:sourceip"); v != "" {
		a, err := netip.ParseAddr(v)
		if err != nil {
			return invalidInput("aws:SourceIp: %s is no address.", v)
		}
		m.request.SourceIP = a
	}
	if v := first("aws:currenttime"); v != "" {
		at, err := time.Parse(time.RFC3339, v)
		if err != nil {
			return invalidInput("aws:CurrentTime: %s is no date.", v)
		}
		m.request.At = at
	}
	if v := first("aws:username"); v != "" {
		m.request.Principal.Name = v
	}
	if v := first("aws:userid"); v != "" {
		m.request.Principal.ID = v
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
	out := Simulated{Action: action, Resource: resource, Missing: m.missing}
	laws := policy.Laws{Identity: wholes(m.identity), Boundary: wholes(m.boundary), Resource: wholes(m.resource), ResourceOwner: m.owner}
	out.Effect = policy.Decide(laws, r).Effect
	if len(m.boundary) > 0 {
		allowed := policy.Decide(policy.Laws{Identity: laws.Boundary, ResourceOwner: r.Principal.Account}, r).Effect == policy.Allow
		out.Boundary = &allowed
	}
	for _, group := range [][]source{m.identity, m.resource} {
		for i := range group {
			out.Matched = append(out.Matched, group[i].matches(r)...)
		}
	}
	if m.request.Work.Exhausted() {
		return Simulated{}, invalidInput("The simulation takes more work than one request may: ask for fewer actions, resources or policies.")
	}
	return out, nil
}

// matches are the statements of a policy that speak about a request.
func (s *source) matches(r policy.Request) []Match {
	var out []Match
	for _, p := range s.parts {
		l := policy.Laws{ResourceOwner: r.Principal.Account}
		if s.kind == policy.Resource {
			// Whom it names decides how far it goes; that it does is what counts.
			l.Resource, l.ResourceOwner, l.Identity = []*policy.Document{p.document}, "other", nil
		} else {
			l.Identity = []*policy.Document{p.document}
		}
		v := policy.Decide(l, r)
		said := v.Effect != policy.ImplicitDeny || s.kind == policy.Resource && v.Layer == policy.IdentityLayer
		if !said {
			continue
		}
		r.Work.Spend(stepsOfMatch)
		out = append(out, p.match)
	}
	return out
}

// contextKeys are the condition keys and policy variables of documents, as
// written, sorted and once each.
func contextKeys(all []source) []string {
	found := map[string]string{}
	add := func(name string) { found[policy.KeyName(name)] = name }
	variables := func(text string) {
		for {
			_, rest, ok := strings.Cut(text, "${")
			name, after, closed := strings.Cut(rest, "}")
			if !ok || !closed {
				return
			}
			name, _, _ = strings.Cut(name, ",")
			if strings.Contains(name, ":") {
				add(strings.TrimSpace(name))
			}
			text = after
		}
	}
	for i := range all {
		for _, s := range all[i].whole.Statements() {
			for _, c := range s.Conditions {
				add(c.Key)
				for _, v := range c.Values {
					variables(v)
				}
			}
			for _, r := range s.Resources {
				variables(r)
			}
		}
	}
	names := make([]string, 0, len(found))
	for _, name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
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
