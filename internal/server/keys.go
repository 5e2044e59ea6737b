package server

import (
	"context"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/kms"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// keySweep is how often the server checks which keys are due. A key whose time has ended
// can't be used even before that.
const keySweep = time.Minute

// keepKeys destroys keys whose waiting period has ended, removes expired material and
// rotates keys: at the start, and then every minute.
func (s *Server) keepKeys(ctx context.Context) {
	tick := time.NewTicker(keySweep)
	defer tick.Stop()
	keys := kms.NewOperator(s.keys)
	for {
		n, err := keys.Sweep(ctx, s.config.Now(), s.keyEvent)
		s.swept(ctx, "customers' keys: destroyed for ever", n.Destroyed, nil)
		s.swept(ctx, "customers' keys: imported material has expired", n.Expired, nil)
		s.swept(ctx, "customers' keys: material erased from the store's files", n.Erased, nil)
		s.swept(ctx, "customers' keys: rotated", n.Rotated, err)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// keyEvent returns the audit event of what the server does to a key by itself, by its name
// in CloudTrail (KMS developer guide, "AWS KMS log entries in AWS CloudTrail").
func (s *Server) keyEvent(what kms.Happening, key arn.ARN) authz.Record {
	r := s.trail.Begin(protocol.NewRequestID(), s.config.Now())
	name := ""
	switch what {
	case kms.KeyDestroyed:
		name = "DeleteKey"
	case kms.MaterialExpired:
		name = "DeleteExpiredKeyMaterial"
	case kms.KeyRotated:
		name = "RotateKey"
	}
	r.Event.Operation = action.OperationOf("kms", name)
	r.Event.Identity = audit.Identity{Principal: &policy.Principal{Kind: policy.Service, Name: "kms.amazonaws.com"}}
	r.Event.Resources = []audit.Resource{{Type: "AWS::KMS::Key", ARN: key, Account: key.Account}}
	return r
}
