package server

import "watertight/internal/operator"

// edgeStatus tells the operator what the edge of this process does.
func (s *Server) edgeStatus() operator.CDNEdge {
	if s.edge == nil {
		return operator.CDNEdge{}
	}
	held := s.edge.cache.Stats()
	out := operator.CDNEdge{
		Listen: s.CDNAddr(), TLSListen: s.CDNTLSAddr(), Sites: s.edge.edge.Counts().Distributions.Load(),
		Hits: held.Hits + held.RefreshHits, Misses: held.Misses, Stale: held.Stales, Entries: held.Entries,
		Bytes: held.Bytes,
	}
	for _, t := range s.edge.origins.Troubles() {
		out.Failures = append(out.Failures, operator.OriginFailure{
			Distribution: t.Distribution, Origin: t.Origin, At: t.At, Reason: t.Reason,
		})
	}
	return out
}
