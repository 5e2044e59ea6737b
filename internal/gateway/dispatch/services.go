package dispatch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"watertight/internal/access/action"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dialect/foreign"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// service is a compiled table. A service without rows is one that this server does not
// have: nothing can verify a signature for it.
type service struct {
	protocol.Service
	dialect.Dialect
	rows []Row
	// operations are the catalogue's entries for the rows.
	operations []action.Operation
}

func newService(t Table, known []action.Operation) (*service, error) {
	var ops []dialect.Operation
	var operations []action.Operation
	var culprits []string
	for _, r := range t.Rows {
		i := slices.IndexFunc(known, func(o action.Operation) bool { return o.Name == r.Name() && !o.Unbuilt })
		switch {
		case i < 0:
			culprits = append(culprits, r.Name()+" is not in the catalogue of operations")
		case r.unguarded():
			culprits = append(culprits, r.Name()+" has no access or no handler")
		case r.Route().Sender() == dialect.Preflight && r.because() == "":
			culprits = append(culprits, r.Name()+" asks for a permission of a caller who is not identified")
		default:
			ops, operations = append(ops, r.operation()), append(operations, known[i])
		}
	}
	d, err := t.Dialect(ops)
	if err != nil {
		culprits = append(culprits, err.Error())
	}
	if len(culprits) > 0 {
		return nil, errors.New(strings.Join(culprits, "; "))
	}
	return &service{Service: t.Service, Dialect: d, rows: t.Rows, operations: operations}, nil
}

// services are the tables of the endpoint. The first one gets every request that no other
// one recognizes.
type services struct {
	all []*service
	// forms reads a form whose signature names no service of this server. It is the service
	// with operations for bearers of tokens, whose requests are not signed.
	forms *service
}

// newServices compiles the tables. catalogue returns the operations of a service in the
// catalogue. A row that is not in it, or not marked as built, is a problem.
func newServices(tables []Table, catalogue func(service string) []action.Operation) (*services, error) {
	s := &services{}
	var culprits []string
	for _, t := range tables {
		one, err := newService(t, catalogue(t.Service.Name))
		if err != nil {
			culprits = append(culprits, err.Error())
			continue
		}
		if s.named(t.Service.Name) != nil {
			culprits = append(culprits, "two tables for "+t.Service.Name)
		}
		s.all = append(s.all, one)
		for _, r := range t.Rows {
			if r.Route().Sender() == dialect.Bearer && s.forms == nil {
				s.forms = one
			}
		}
	}
	if len(culprits) > 0 {
		return nil, fmt.Errorf("dispatch: %s", strings.Join(culprits, "; "))
	}
	return s, nil
}

// named returns the service with a name, or nil.
func (s *services) named(name string) *service {
	for _, one := range s.all {
		if one.Name == name {
			return one
		}
	}
	return nil
}

// find returns the service that a request is for, and lets its dialect read the request. It
// may return the service even with an error. The credential scope decides, which authn
// verifies. If the scope names no service of this server, the service whose dialect
// recognizes the request gets it, so that the client understands the error.
func (s *services) find(r *protocol.Request) (*service, error) {
	scope := r.Scope()
	found := s.scoped(r, scope)
	if found == nil {
		found = s.recognized(r)
	}
	if found == nil && s.forms != nil && query.IsForm(r) {
		if err := s.forms.Read(r); err != nil {
			return s.forms, err
		}
		// The version in the form tells the service.
		if found = s.recognized(r); found == nil {
			found = s.foreign(r, scope)
		}
		if found == nil {
			found = s.forms
		}
		found.take(r)
		return found, nil
	}
	if found == nil {
		found = s.foreign(r, scope)
	}
	if found == nil {
		found = s.all[0]
	}
	found.take(r)
	return found, found.Read(r)
}

// take sets the service of a request.
func (s *service) take(r *protocol.Request) { r.Service, r.HomeRegion = &s.Service, s.HomeRegion }

// scoped returns the service that the scope names. If two services are signed in the same
// way, it is the one that recognizes the request, or else the first.
func (s *services) scoped(r *protocol.Request, scope string) *service {
	var first *service
	for _, one := range s.all {
		if one.SigningName != scope {
			continue
		}
		if one.Recognizes(r) {
			return one
		}
		if first == nil {
			first = one
		}
	}
	return first
}

func (s *services) recognized(r *protocol.Request) *service {
	for _, one := range s.all {
		if one.Recognizes(r) {
			return one
		}
	}
	return nil
}

// foreign returns a service that answers a request for a service that this server does not have.
func (s *services) foreign(r *protocol.Request, scope string) *service {
	name := foreign.Named(r)
	if name == "" || s.named(scope) != nil {
		return nil
	}
	return &service{
		Service: protocol.Service{Name: name, SigningName: name, Rules: sigv4.APIRules}, Dialect: foreign.Dialect{},
	}
}

// callee returns the service whose operation a request names, if that is not the service of
// the signature's scope. Such documents are posted to the root.
func (s *services) callee(r *protocol.Request) *service {
	for _, one := range s.all {
		if r.RawPath != "/" || &one.Service == r.Service || !one.Recognizes(r) {
			continue
		}
		if _, err := one.Match(r); err == nil {
			return one
		}
	}
	return nil
}
