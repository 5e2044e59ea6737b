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

// Options are what the dispatcher needs in addition to the packages that it calls.
type Options struct {
	Protocol protocol.Options
	Sharing  Sharing // if it is nil, no response is shared
	Logger   *slog.Logger
	// Document is the maximum time for receiving a document, from the request's headers on;
	// 0 means one minute. Streams have no total limit.
	Document time.Duration
	// Watch returns a context that records what is read under it, and a value that
	// represents these reads for the transaction that commits (see authz.Situation.Seen).
	// If seen is such a value of the same request, Watch continues it. If Watch is nil,
	// nothing is recorded.
	Watch func(ctx context.Context, seen any) (context.Context, any)
	// Observe is called when a request has ended, unless it is nil. It must not keep its argument.
	Observe func(*Observation)
}

func (o *Options) documentTime() time.Duration { return cmp.Or(o.Document, time.Minute) }

func (d *Dispatcher) watch(ctx context.Context, seen any) (context.Context, any) {
	if d.options.Watch == nil {
		return ctx, nil
	}
	return d.options.Watch(ctx, seen)
}

// Sharing decides which responses scripts of another origin may read. It is asked only for
// requests with an origin. It can add headers to a response, and never changes what is
// allowed.
type Sharing interface {
	// Share returns nil if the response is not shared. headers are those that a preflight
	// announces.
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

// New compiles the tables. The first table gets the requests that no other table
// recognizes. New fails, and names all problems, if an operation has no access or if two
// operations match the same request.
func New(who *authn.Identifier, az *authz.Authority, log *audit.Log, o Options, tables ...Table) (*Dispatcher, error) {
	s, err := newServices(tables, func(service string) []action.Operation { return action.Parse(service).Operations })
	if err != nil {
		return nil, err
	}
	return &Dispatcher{who: who, authority: az, log: log, options: o, services: s}, nil
}

// Operations returns the rows of a service in table order, for tests and documentation.
func (d *Dispatcher) Operations(serviceName string) []Row {
	if s := d.services.named(serviceName); s != nil {
		return s.rows
	}
	return nil
}

// Openness returns why a row needs no permission, or "".
func Openness(r Row) string { return r.because() }
