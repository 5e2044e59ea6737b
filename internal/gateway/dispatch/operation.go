// Package dispatch is the one way in: the operation tables and the one
// pipeline. It exists so that no operation can run without having been
// matched, identified, judged and audited. It must never know what an
// operation means.
package dispatch

import (
	"context"
	"reflect"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
	"watertight/internal/limit"
)

// Operation is a row of a table, typed by its input and output shapes.
type Operation[In, Out any] struct {
	name  string
	route protocol.Route
	may   authz.Access[In]
	do    func(context.Context, authz.Grant, *In) (*Out, error)
	tells teller
	says  answers
}

// Define makes an operation. An operation without an access does not compile;
// one with the zero access makes New refuse to start.
func Define[In, Out any](name string, at protocol.Route, may authz.Access[In],
	do func(context.Context, authz.Grant, *In) (*Out, error)) Operation[In, Out] {
	return Operation[In, Out]{name: name, route: at, may: may, do: do, tells: tellerOf(reflect.TypeFor[In](), at.Action() != ""),
		says: answersOf(reflect.TypeFor[Out]())}
}

// Row is an operation of any shape, as a table holds it.
type Row interface {
	// Name is the API name, "GetObject".
	Name() string
	// Route is where the operation is found.
	Route() protocol.Route
	// Told names what an audit event says of the input, beside bucket and key.
	Told() []string

	unguarded() bool
	because() string
	compile() (*protocol.Plan, error)
	// answered writes into the event of a read what the answer says of the version.
	answered(record *audit.Record, out any) (response []audit.Param)
	serve(ctx context.Context, d *Dispatcher, r *protocol.Request, p *protocol.Plan, body protocol.Stream, c authz.Caller) (any, authz.Grant, error)
}

// Table is the operations of one service, by the name in the credential scope.
type Table struct {
	Service     string
	EventSource string // "s3.amazonaws.com"
	Rows        []Row
}

// Name implements Row.
func (o Operation[In, Out]) Name() string { return o.name }

// Route implements Row.
func (o Operation[In, Out]) Route() protocol.Route { return o.route }

func (o Operation[In, Out]) unguarded() bool { return o.may.IsZero() || o.do == nil }
func (o Operation[In, Out]) because() string { return o.may.Because() }

func (o Operation[In, Out]) compile() (*protocol.Plan, error) {
	if o.route.Action() != "" {
		return protocol.CompileQuery(o.name, reflect.TypeFor[In](), reflect.TypeFor[Out]())
	}
	return protocol.Compile(reflect.TypeFor[In](), reflect.TypeFor[Out]())
}

// serve is the pipeline from decode to handler.
func (o Operation[In, Out]) serve(ctx context.Context, d *Dispatcher, r *protocol.Request, p *protocol.Plan, body protocol.Stream, c authz.Caller) (any, authz.Grant, error) {
	if err := d.admit(ctx, o, r, p, c); err != nil {
		return nil, authz.Grant{}, err
	}
	in := new(In)
	if err := p.Decode(r, o.route, body, in); err != nil {
		return nil, authz.Grant{}, err
	}
	switch {
	case p.Streams():
		if r.Bound != nil {
			r.Bound.EndBy(time.Time{})
		}
	case r.Document == nil && r.HTTP.ContentLength != 0:
		// While the document came, the caller may have become another one.
		watched, seen := d.watch(ctx, nil)
		again, err := c.Again(watched)
		if err != nil {
			return nil, authz.Grant{}, err
		}
		c = again.WithSeen(seen)
	}
	out, g, err := o.run(ctx, d, c, in)
	if out == nil {
		return nil, g, err // not a typed nil in an interface
	}
	return out, g, err
}

// run is the pipeline from needs to handler.
func (o Operation[In, Out]) run(ctx context.Context, d *Dispatcher, c authz.Caller, in *In) (*Out, authz.Grant, error) {
	o.tell(c, in)
	judging := ctx
	if seen := c.Seen(); seen != nil {
		judging, _ = d.watch(ctx, seen)
	}
	g, err := authz.Judge(judging, d.authority, c, o.may, in)
	if err != nil {
		return nil, g, err
	}
	if err := limit.From(ctx).Allowed(); err != nil {
		return nil, g, err
	}
	if err := o.admit(ctx, c, g); err != nil {
		return nil, g, err
	}
	out, err := o.do(ctx, g, in)
	return out, g, err
}
