package authn

import (
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

func claimOf(i *Identifier, r *protocol.Request) (*sigv4.Claim, error) {
	return sigv4.Parse(r.HTTP, r.RawPath, r.RawQuery, i.options.Region, r.At)
}
