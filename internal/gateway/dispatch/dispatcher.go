package dispatch

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/protocol"
)

// Options are what the dispatcher needs besides the packages it calls.
type Options struct {
	Protocol protocol.Options
	Sharing  Sharing // nil shares nothing
	Logger   *slog.Logger
	// Document is how long a request may take to bring its document, from its
	// headers on; 0 is a minute. Streams have no time as a whole.
	Document time.Duration
	// Watch returns a context that remembers what is read under it, and a value that
	// represents it for the transaction that commits (see authz.Situation.Seen). If it
	// is given such a value of the same request, it continues that. nil remembers nothing.
	Watch func(ctx context.Context, seen any) (context.Context, any)
}

func (o *Options) documentTime() time.Duration { return cmp.Or(o.Document, time.Minute) }

func (d *Dispatcher) watch(ctx context.Context, seen any) (context.Context, any) {
	if d.options.Watch == nil {
		return ctx, nil
	}
	return d.options.Watch(ctx, seen)
}

// Sharing decides what pages of another origin may read. It is asked only for
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
	services  *services
}

// New compiles the tables; the first one gets the requests that none of the
// others recognizes. It refuses, and names every culprit, when an operation has no
// access or two operations claim one request.
func New(who *authn.Identifier, az *authz.Authority, log *audit.Log, o Options, tables ...Table) (*Dispatcher, error) {
	s, err := newServices(tables, func(service string) []action.Operation { return action.Parse(service).Operations })
	if err != nil {
		return nil, err
	}
	return &Dispatcher{who: who, authority: az, log: log, options: o, services: s}, nil
}

// Operations lists the rows of a service in table order, for tests and
// documentation.
func (d *Dispatcher) Operations(serviceName string) []Row {
	if s := d.services.named(serviceName); s != nil {
		return s.rows
	}
	return nil
}

// Openness returns why a row asks for no permission, or "".
func Openness(r Row) string { return r.because() }
