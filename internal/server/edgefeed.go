package server

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/core/cdn"
	"watertight/internal/edge/remote"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// edgeFeed answers edges on other machines that ask for their configuration. It is not an
// operation of CloudFront, so no policy can allow it. Only the credential of an edge gets an
// answer.
type edgeFeed struct {
	next     http.Handler
	who      *authn.Identifier
	contents *cdn.Store
	trail    *audit.Log
	region   string
	now      func() time.Time
	// leaving ends when the server begins to stop, so that no edge waits for a newer
	// generation.
	leaving context.Context
}

// ServeHTTP implements http.Handler. All requests but those of edges go to next.
func (f edgeFeed) ServeHTTP(w http.ResponseWriter, hr *http.Request) {
	if hr.URL.Path != remote.SnapshotPath || hr.Method != http.MethodGet ||
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
	record.Event.Operation = action.OperationOf("watertight", "GetEdgeConfiguration")
	record.Event.SourceIP, record.Event.UserAgent = f.who.SourceIP(r), hr.UserAgent()
	record.Event.Secure(hr.TLS)
	sent := 0
	if err == nil {
		sent, err = f.answer(hr.Context(), w, r, record)
	}
	if err != nil {
		refused := fault.From(err)
		rest.WriteError(w, r, refused)
		record.Finish(audit.Outcome{Err: refused})
		return
	}
	record.Finish(audit.Outcome{BytesOut: int64(sent)})
}

// answer identifies the edge and answers it.
func (f edgeFeed) answer(
	ctx context.Context, w http.ResponseWriter, r *protocol.Request, record *audit.Record,
) (int, error) {
	c, _, err := f.who.Identify(ctx, r)
	if err != nil {
		record.Event.Identity.AccessKeyID = r.Claimed.AccessKeyID
		return 0, err
	}
	record.Event.Identity = audit.Identity{Principal: c.Principal(), AccessKeyID: c.AccessKeyID()}
	text, _ := r.Param("after")
	after, err := strconv.ParseUint(text, 10, 64)
	if err != nil || len(r.Query) != 1 {
		return 0, fault.New(fault.InvalidArgument, "The only parameter is after: the generation that the edge serves.")
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(f.leaving, stop)()
	s, err := f.contents.EdgeSnapshot(waiting, c, after)
	if err != nil {
		if ctx.Err() == nil && waiting.Err() != nil {
			err = fault.New(fault.ServiceUnavailable, "The CDN's configuration can't be read now. Try again later.")
		}
		return 0, err
	}
	b, err := json.Marshal(s)
	if err != nil {
		return 0, fault.Internal(err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	return w.Write(b)
}
