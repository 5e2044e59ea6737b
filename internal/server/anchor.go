package server

import (
	"context"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/datadir"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
	"watertight/internal/operator"
)

// openAnchor opens the place of the store's anchor. A new store is refused where there is an
// anchor already.
func (s *Server) openAnchor(ctx context.Context) (err error) {
	s.anchor, err = datadir.OpenAnchor(datadir.AnchorOptions{
		Place: s.config.Anchor, Optional: s.config.AnchorOptional, Every: s.config.AnchorInterval, Data: s.config.Data,
		Files: s.config.Files, Getenv: s.config.Getenv, Logger: s.log,
	})
	if err == nil && s.newData {
		err = s.anchor.CheckNew(ctx)
	}
	return err
}

// anchorEvent begins an event of the anchor.
func (s *Server) anchorEvent(operation string, details map[string]string) *audit.Record {
	r := s.trail.Begin(protocol.NewRequestID(), time.Now())
	r.Event.Operation = action.OperationOf("watertight", operation)
	r.Event.Identity = audit.Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "operator"}}
	for name, value := range details {
		r.Event.Parameters = append(r.Event.Parameters, audit.Param{Name: name, Value: value})
	}
	return r
}

// anchorHealth says how far the anchor is behind; nil if there is none.
func (s *Server) anchorHealth() *operator.AnchorHealth {
	behind, on := s.anchor.Behind()
	if !on {
		return nil
	}
	return &operator.AnchorHealth{Behind: behind}
}
