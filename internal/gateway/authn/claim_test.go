package authn

import (
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

func claimOf(i *Identifier, r *protocol.Request) (*sigv4.Claim, error) {
	return sigv4.Parse(r.HTTP, sigv4.Target{Path: r.RawPath, Query: r.RawQuery, Service: r.Service, Region: i.options.Region, Document: r.Document}, r.At)
}
