// Package dispatch is the only entry to the operations: it has the operation tables and the
// one pipeline. It exists so that no operation can run unless its request has been matched,
// identified, authorized and audited. It must never know what an operation means.
package dispatch

import (
	"context"
	"reflect"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/limit"
)

// Operation is a row of a table, typed by its input and output shapes.
type Operation[In, Out any] struct {
	name   string
	route  dialect.Route
	may    authz.Access[In]
	do     func(context.Context, authz.Grant, *In) (*Out, error)
	asked  members
	given  given // which requests have some of asked
	answer answers
}

// Define returns an operation. An operation without an access does not compile; with one
// that has the zero access, New refuses to start.
func Define[In, Out any](name string, at dialect.Route, may authz.Access[In],
	do func(context.Context, authz.Grant, *In) (*Out, error)) Operation[In, Out] {
	asked, given := membersOf(reflect.TypeFor[In]())
	return Operation[In, Out]{name: name, route: at, may: may, do: do, asked: asked, given: given,
		answer: answersOf(reflect.TypeFor[Out]())}
}

// Row is an operation of any shape, as a table holds it.
type Row interface {
	// Name returns the API name, "GetObject".
	Name() string
	// Route says which requests are for the operation.
	Route() dialect.Route
	// Recorded returns the names of the input's fields in the audit event, without bucket and key.
	Recorded() []string

	unguarded() bool
	because() string
	operation() dialect.Operation
	// answered adds to the event of a read what the response says about the version.
	answered(record *audit.Record, out any) (response []audit.Param)
	serve(
		ctx context.Context, d *Dispatcher, r *protocol.Request, wire codec, body sigv4.Body, c authz.Caller,
	) (any, authz.Grant, error)
}

// Table has the operations of one service, and what distinguishes its requests from those
// of others.
type Table struct {
	Service protocol.Service
	Dialect dialect.Compile
	Rows    []Row
}

// codec is the dialect of a table, for one of its operations.
type codec struct {
	dialect.Dialect
	op int
}

// Name implements Row.
func (o Operation[In, Out]) Name() string { return o.name }

// Route implements Row.
func (o Operation[In, Out]) Route() dialect.Route { return o.route }

func (o Operation[In, Out]) unguarded() bool { return o.may.IsZero() || o.do == nil }
func (o Operation[In, Out]) because() string { return o.may.Because() }

func (o Operation[In, Out]) operation() dialect.Operation {
	return dialect.Operation{Name: o.name, Route: o.route, In: reflect.TypeFor[In](), Out: reflect.TypeFor[Out]()}
}

// serve is the pipeline from decode to handler.
func (o Operation[In, Out]) serve(
	ctx context.Context, d *Dispatcher, r *protocol.Request, wire codec, body sigv4.Body, c authz.Caller,
) (any, authz.Grant, error) {
	if err := d.admit(ctx, o.because(), r, wire, c); err != nil {
		return nil, authz.Grant{}, err
	}
	in := new(In)
	if err := wire.Decode(wire.op, r, body, in); err != nil {
		return nil, authz.Grant{}, err
	}
	switch {
	case wire.Streams(wire.op):
		if r.Bound != nil {
			r.Bound.EndBy(time.Time{})
		}
	case r.Document == nil && r.HTTP.ContentLength != 0:
		// While the document was received, the caller may have changed.
		watched, seen := d.watch(ctx, nil)
		again, err := c.Again(watched)
		if err != nil {
			return nil, authz.Grant{}, err
		}
		c = again.WithSeen(seen)
	}
	out, g, err := o.run(ctx, d, r, c, in)
	if out == nil {
		return nil, g, err // not a typed nil in an interface
	}
	return out, g, err
}

// run is the pipeline from needs to handler.
func (o Operation[In, Out]) run(
	ctx context.Context, d *Dispatcher, r *protocol.Request, c authz.Caller, in *In,
) (*Out, authz.Grant, error) {
	o.record(r, c, in)
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
