package server

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/cdn"
	"watertight/internal/core/kms"
	"watertight/internal/edge/remote"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/storage/seal"
)

// edgeFeed answers edges on other machines that ask for their configuration, or for the key of
// their cache. These are no operations of CloudFront, so no policy can allow them. Only the
// credential of an edge gets an answer.
type edgeFeed struct {
	next     http.Handler
	who      *authn.Identifier
	contents *cdn.Store
	trail    *audit.Log
	region   string
	now      func() time.Time
	// cacheKey returns what an edge uses a key of KMS for its cache with.
	cacheKey func(e *cdn.Edge, on arn.ARN, secure bool) (cacheUse, error)
	// leaving ends when the server begins to stop, so that no edge waits for a newer
	// generation.
	leaving context.Context
}

// ServeHTTP implements http.Handler. All requests but those of edges go to next.
func (f edgeFeed) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	name, answer := "GetEdgeConfiguration", f.snapshot
	if hr.URL.Path == remote.CacheKeyPath {
		name, answer = "GetEdgeCacheKey", f.key
	} else if hr.URL.Path != remote.SnapshotPath {
		answer = nil
	}
	if answer == nil || hr.Method != http.MethodGet ||
		!strings.Contains(hr.Header.Get("Authorization"), "Credential="+cdn.EdgePrefix) {
		f.next.ServeHTTP(w, hr)
		return
	}
	at, id := time.Now(), protocol.NewRequestID()
	if f.now != nil {
		at = f.now()
	}
	r, err := protocol.Parse(hr, protocol.Options{Region: f.region, Now: f.now}, id, at)
	if err != nil {
		r = protocol.Unparsed(hr, id, at)
	}
	r.Service = &protocol.Service{
		Name: "cloudfront", SigningName: "cloudfront", HomeRegion: "us-east-1", Rules: sigv4.APIRules,
	}
	r.HomeRegion = r.Service.HomeRegion
	protocol.CommonHeaders(w, r)
	record := f.trail.Begin(id, at)
	record.Event.Operation = action.OperationOf("watertight", name)
	record.Event.SourceIP, record.Event.UserAgent = f.who.SourceIP(r), hr.UserAgent()
	record.Event.Secure(hr.TLS)
	sent := 0
	if err == nil {
		sent, err = f.answer(hr.Context(), w, r, record, answer)
	}
	if err != nil {
		refused := fault.From(err)
		rest.WriteError(w, r, refused)
		record.Finish(audit.Outcome{Err: refused})
		return
	}
	record.Finish(audit.Outcome{BytesOut: int64(sent)})
}

// answer identifies the edge and answers it with what of returns.
func (f edgeFeed) answer(
	ctx context.Context, w http.ResponseWriter, r *protocol.Request, record *audit.Record,
	of func(context.Context, authz.Caller, *protocol.Request, *audit.Event) (any, error),
) (int, error) {
	c, _, err := f.who.Identify(ctx, r)
	if err != nil {
		record.Event.Identity.AccessKeyID = r.Claimed.AccessKeyID
		return 0, err
	}
	record.Event.Identity = audit.Identity{Principal: c.Who(), AccessKeyID: c.AccessKeyID()}
	document, err := of(ctx, c, r, &record.Event)
	if err != nil {
		return 0, err
	}
	b, err := json.Marshal(document)
	if err != nil {
		return 0, fault.Internal(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	return w.Write(b)
}

// snapshot answers SnapshotPath.
func (f edgeFeed) snapshot(
	ctx context.Context, c authz.Caller, r *protocol.Request, _ *audit.Event,
) (any, error) {
	text, _ := r.Param("after")
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(r.Query) != 1 {
		return nil, fault.New(fault.InvalidArgument, "The only parameter is after: the generation it serves.")
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(f.leaving, stop)()
	s, err := f.contents.EdgeSnapshot(waiting, c, after)
	if err != nil && ctx.Err() == nil && waiting.Err() != nil {
		err = fault.New(fault.ServiceUnavailable, "The CDN's configuration can't be read now. Try again later.")
	}
	return s, err
}

// key answers CacheKeyPath: with a new key, or with the one that is wrapped in a parameter.
func (f edgeFeed) key(ctx context.Context, c authz.Caller, r *protocol.Request, event *audit.Event) (any, error) {
	name, _ := r.Param("key")
	text, opens := r.Param("wrapped")
	on, err := arn.Parse(name)
	wrapped, undecoded := base64.RawURLEncoding.DecodeString(text)
	if err != nil || !kms.IsKey(on) || undecoded != nil || opens && len(r.Query) != 2 || !opens && len(r.Query) != 1 {
		return nil, fault.New(fault.InvalidArgument, "The parameters are key, the ARN of a key, and wrapped.")
	}
	event.Resources = append(event.Resources, audit.Resource{Type: "AWS::KMS::Key", ARN: on, Account: on.Account})
	e, err := f.contents.RemoteEdge(ctx, c)
	if err != nil {
		return nil, err
	}
	_, secure := f.who.Sender(r)
	use, err := f.cacheKey(&e, on, secure)
	if err != nil {
		return nil, err
	}
	var key seal.Key
	if opens {
		key, err = use.unwrap(ctx, wrapped)
	} else {
		key, wrapped, err = use.generate(ctx)
	}
	if err != nil {
		return nil, err
	}
	return remote.CacheKey{Plain: key[:], Wrapped: wrapped}, nil
}
