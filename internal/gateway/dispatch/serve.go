package dispatch

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

var errAbandoned = errors.New("dispatch: the request was not brought to its end")

// exchange is one request and its response in the pipeline.
type exchange struct {
	request   protocol.Request
	service   *service
	row       Row           // nil if no row matched
	op        int           // its index in the table
	record    *audit.Record // nil until the request is matched
	anonymous bool          // it was identified as one of nobody
	answered  bool
	grant     authz.Grant
	within    *InProcess // nil for a request from the network
	began     time.Time  // by the machine's clock, if the request is observed

	operation action.Operation // operation of the row

	event audit.Record // memory for record
	meter meter        // memory for the body
}

// ServeHTTP serves a request from the network. It is the only entry for those.
func (d *Dispatcher) ServeHTTP(w http.ResponseWriter, hr *http.Request) { d.serve(w, hr, nil) }

// serve sets the time of the request and runs the pipeline.
func (d *Dispatcher) serve(w http.ResponseWriter, hr *http.Request, within *InProcess) {
	o := d.options.Protocol
	if o.Now == nil {
		o.Now = time.Now
	}
	at := o.Now()
	bound, _ := hr.Body.(protocol.Bound)
	if bound != nil {
		bound.EndBy(at.Add(d.options.documentTime()))
	}
	x := &exchange{service: d.services.all[0], within: within}
	if d.options.Observe != nil {
		x.began = time.Now()
	}
	r := &x.request
	r.Open(hr, at)
	err := d.read(x, o)
	r.Bound = bound
	defer x.end(w)
	var out any
	if err == nil {
		out, err = d.run(hr.Context(), x)
	}
	d.answer(w, x, out, err)
}

// read parses a request and finds its service. If that fails, only the connection of the
// request is known. If a service of the Query or JSON dialect could not read its form or
// document, that service answers; otherwise the first service does.
func (d *Dispatcher) read(x *exchange, o protocol.Options) error {
	r := &x.request
	at := r.At
	err := r.Parse(o)
	switch {
	case x.within != nil:
		if err = x.within.read(x, err); err == nil {
			return nil
		}
	case err == nil:
		var s *service
		if s, err = d.services.find(r); err == nil {
			x.service = s
			return nil
		}
		if s.Rules != sigv4.S3Rules {
			x.service = s
		}
	}
	r.Forget(at)
	r.InProcess = x.within != nil
	x.service.take(r)
	return err
}

// run is match → identify → decode → needs → Authorize → handler.
func (d *Dispatcher) run(ctx context.Context, x *exchange) (any, error) {
	r := &x.request
	unmatched := d.match(x)
	x.record = d.log.BeginIn(&x.event, r.ID, r.At)
	describe(x)
	x.record.Event.SourceIP = d.who.SourceIP(r)
	if x.within != nil {
		x.record.Event.Source = x.within.Service.SourceARN
	}
	if x.service.rows == nil {
		return nil, unmatched // no service could verify the signature
	}
	watched, seen := ctx, any(nil)
	if r.HTTP.Method != http.MethodGet && r.HTTP.Method != http.MethodHead { // these methods change nothing
		watched, seen = d.watch(ctx, nil)
	}
	c, body, err := d.identify(watched, x)
	if r.Claimed.Method != "" {
		x.record.Event.SignatureVersion, x.record.Event.AuthenticationMethod = "SigV4", r.Claimed.Method
	}
	if err != nil {
		x.record.Event.Key = r.Key
		x.record.Event.Identity.AccessKeyID = r.Claimed.AccessKeyID // unverified, so the rest stays empty
		return nil, err
	}
	x.record.Event.Key = r.Key // for a form, it is known only now
	x.anonymous, x.record.Event.Identity = c.Anonymous(), identityOf(c)
	if r.Claimed.SourceARN != "" {
		x.record.Event.Source = r.Claimed.SourceARN
	}
	if err := hold(ctx, c); err != nil {
		return nil, err
	}
	if unmatched != nil {
		// A caller who could not sign must not learn what exists here.
		return nil, unmatched
	}
	x.meter = meter{body, &x.record.Event}
	out, g, err := x.row.serve(ctx, d, r, codec{x.service, x.op}, &x.meter, c.WithRecord(x.record).WithSeen(seen))
	x.grant = g
	return out, err
}

// identify identifies the caller in the way that the operation requires.
func (d *Dispatcher) identify(ctx context.Context, x *exchange) (authz.Caller, sigv4.Body, error) {
	if x.row != nil {
		switch x.row.Route().Sender() {
		case dialect.Preflight, dialect.Bearer:
			return d.who.Nobody(ctx, &x.request)
		case dialect.SignedForm:
			if x.within.signs() {
				return authz.Caller{}, nil, errServiceForm()
			}
			return d.who.IdentifyForm(ctx, &x.request)
		}
	}
	if x.within.signs() {
		return d.who.IdentifyService(&x.request, &x.within.Service)
	}
	return d.who.Identify(ctx, &x.request)
}

// match finds the row of the request. If a document names an operation of another service
// than the signature's, that service answers, because the client understands its error for
// the signature.
func (d *Dispatcher) match(x *exchange) error {
	i, err := x.service.Match(&x.request)
	if err != nil {
		if s := d.services.callee(&x.request); s != nil && x.service.rows != nil {
			x.service = s
			s.take(&x.request)
		}
		return err
	}
	x.row, x.op, x.operation = x.service.rows[i], i, x.service.operations[i]
	return nil
}

// answer is conceal → encode → audit.
func (d *Dispatcher) answer(w http.ResponseWriter, x *exchange, out any, err error) {
	x.answered = true
	d.share(w, &x.request)
	var sent int64
	var response []audit.Param
	if err == nil {
		response = x.row.answered(x.record, out)
		sent, err = x.service.Encode(x.op, w, &x.request, out)
		if err != nil && sent != 0 {
			d.finish(x, max(sent, 0), fault.From(err), nil)
			d.observe(x, w, sent, fault.From(err))
			panic(http.ErrAbortHandler) // after the first byte, nothing else tells the client
		}
	}
	var f *fault.Error
	if err != nil {
		f = concealFrom(err, x)
		protocol.CommonHeaders(w, &x.request)
		x.service.WriteError(w, &x.request, f)
	}
	d.finish(x, sent, f, response)
	d.observe(x, w, sent, f)
}

// end records a request that a panic ended; any other request has its event already.
func (x *exchange) end(w http.ResponseWriter) {
	if !x.answered { // the answer to a panic has the ids of this event
		protocol.CommonHeaders(w, &x.request)
	}
	if x.record != nil {
		x.record.Finish(audit.Outcome{Err: errAbandoned})
	}
}

// share adds the headers that allow scripts of another origin to read the response, even an error.
func (d *Dispatcher) share(w http.ResponseWriter, r *protocol.Request) {
	if !r.May(protocol.InitialOf("Origin")) || len(r.HTTP.Header["Origin"]) == 0 || r.Bucket == "" ||
		d.options.Sharing == nil {
		return
	}
	origin, method, headers := r.CrossOrigin()
	if origin == "" {
		return
	}
	ctx := r.HTTP.Context()
	s, err := d.options.Sharing.Share(ctx, r.Bucket, origin, method, headers)
	if err != nil { // without the headers, scripts can't read the response
		d.options.Logger.LogAttrs(ctx, slog.LevelError, "reading CORS rules", slog.String("request", r.ID),
			slog.Any("cause", err))
		return
	}
	if s != nil {
		s.Write(w.Header(), origin, headers)
	}
}

// finish finishes the audit event, and logs the causes that the client was not told.
func (d *Dispatcher) finish(x *exchange, sent int64, f *fault.Error, response []audit.Param) {
	if x.record != nil {
		o := audit.Outcome{BytesIn: x.record.Event.BytesIn, BytesOut: sent, Response: response}
		if f != nil {
			o.Err, o.Response = f, nil
		}
		x.record.Finish(o)
	}
	level := slog.LevelDebug
	ctx := x.request.HTTP.Context()
	if f != nil && f.Kind == fault.KindInternal && !clientGone(ctx, f.Err) {
		level = slog.LevelError
	}
	if !d.options.Logger.Enabled(ctx, level) {
		return
	}
	name, code := "-", "-"
	if x.row != nil {
		name = x.row.Name()
	}
	attrs := []slog.Attr{slog.String("request", x.request.ID), slog.String("operation", name)}
	if f != nil {
		code = string(f.Code)
		if f.Err != nil {
			attrs = append(attrs, slog.Any("cause", f.Err))
		}
	}
	d.options.Logger.LogAttrs(ctx, level, "request", append(attrs, slog.String("code", code))...)
}

// describe records what is known before the caller is identified.
func describe(x *exchange) {
	r, e := &x.request, &x.record.Event
	e.Bucket, e.Key, e.Host, e.HostID = r.Bucket, r.Key, r.HTTP.Host, r.HostID
	e.SourceIP, e.UserAgent = r.Peer, r.Header("User-Agent")
	e.Operation = x.operation
	if x.row == nil {
		e.Operation = action.OperationOf(r.Service.SigningName, "Unknown")
	}
	e.MFA = r.May(protocol.InitialOf("X-Amz-Mfa")) && len(r.HTTP.Header["X-Amz-Mfa"]) > 0 ||
		// or hoisted into a presigned URL
		slices.ContainsFunc(r.Query, func(p protocol.Param) bool { return strings.EqualFold(p.Name, "x-amz-mfa") })
	e.Secure(r.HTTP.TLS)
}

// identityOf returns the caller in the form of the audit event.
func identityOf(c authz.Caller) audit.Identity {
	return audit.Identity{
		Principal: c.Who(), AccessKeyID: c.AccessKeyID(), Created: c.Issued(), MFA: c.MFA(),
		SourceIdentity: c.SourceIdentity(),
	}
}

// meter counts the bytes that were read of a body.
type meter struct {
	sigv4.Body
	event *audit.Event
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.Body.Read(p)
	m.event.BytesIn += int64(n)
	return n, err
}
