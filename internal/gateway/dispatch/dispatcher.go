package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/protocol"
)

// Options are what the dispatcher needs besides the rooms.
type Options struct {
	Protocol protocol.Options
	Sharing  Sharing // nil shares nothing
	Logger   *slog.Logger
	// Document is how long a request may take to bring its document, from its
	// headers on; 0 is a minute. Streams have no time as a whole.
	Document time.Duration
	// Watch returns a context that remembers what is read under it, and what
	// stands for that, for whoever commits (see authz.Situation.Seen); what it is
	// given goes on: it came from the same request. nil remembers nothing.
	Watch func(ctx context.Context, seen any) (context.Context, any)
}

func (o *Options) documentTime() time.Duration { return cmp.Or(o.Document, time.Minute) }

func (d *Dispatcher) watch(ctx context.Context, seen any) (context.Context, any) {
	if d.options.Watch == nil {
		return ctx, nil
	}
	return d.options.Watch(ctx, seen)
}

// Sharing says what the pages of another origin may read. It is asked only for
// requests that name an origin; it can add headers to an answer, and never
// changes what is allowed.
type Sharing interface {
	// Share returns nil where nothing is shared. headers are those that a
	// preflight announces.
	Share(ctx context.Context, bucket, origin, method string, headers []string) (*protocol.Sharing, error)
}

// Dispatcher is the http.Handler of the whole endpoint.
type Dispatcher struct {
	who       *authn.Identifier
	authority *authz.Authority
	log       *audit.Log
	options   Options
	services  map[string]*service
	encoder   protocol.Encoder
}

// service is one table, ready to serve.
type service struct {
	source string
	router *protocol.Router
	rows   []Row
	plans  []*protocol.Plan
	// operations are what the catalogue says of the rows.
	operations []action.Operation
}

// New compiles the tables. It refuses, and names every culprit, when an
// operation has no access or two operations claim one request.
func New(who *authn.Identifier, az *authz.Authority, log *audit.Log, o Options, tables ...Table) (*Dispatcher, error) {
	d := &Dispatcher{who: who, authority: az, log: log, options: o, services: map[string]*service{}}
	var culprits []string
	for _, t := range tables {
		s, err := newService(t)
		if err != nil {
			culprits = append(culprits, err.Error())
			continue
		}
		if _, twice := d.services[t.Service]; twice {
			culprits = append(culprits, "two tables for "+t.Service)
		}
		d.services[t.Service] = s
	}
	if len(culprits) > 0 {
		return nil, errors.New("dispatch: " + strings.Join(culprits, "; "))
	}
	return d, nil
}

func newService(t Table) (*service, error) {
	s := &service{source: t.EventSource, rows: t.Rows}
	var routes []protocol.Route
	var culprits []string
	known := action.Parse(t.Service).Operations
	for _, r := range t.Rows {
		i := slices.IndexFunc(known, func(o action.Operation) bool { return o.Name == r.Name() && !o.Unbuilt })
		if i < 0 {
			culprits = append(culprits, r.Name()+" is not in the catalogue of operations")
			continue
		}
		if r.unguarded() {
			culprits = append(culprits, r.Name()+" has no access or no handler")
			continue
		}
		if r.Route().IsPreflight() && r.because() == "" {
			culprits = append(culprits, r.Name()+" asks for a permission of a caller whom nobody identifies")
			continue
		}
		p, err := r.compile()
		if err != nil {
			culprits = append(culprits, fmt.Sprintf("%s: %v", r.Name(), err))
			continue
		}
		s.plans = append(s.plans, p)
		s.operations = append(s.operations, known[i])
		routes = append(routes, r.Route())
	}
	if len(culprits) > 0 {
		return nil, errors.New(strings.Join(culprits, "; "))
	}
	var err error
	s.router, err = protocol.NewRouter(routes)
	return s, err
}

// Operations lists the rows of a service in table order, for tests and
// documentation.
func (d *Dispatcher) Operations(serviceName string) []Row {
	if s := d.services[serviceName]; s != nil {
		return s.rows
	}
	return nil
}

// Openness returns why a row asks for no permission, or "".
func Openness(r Row) string { return r.because() }
