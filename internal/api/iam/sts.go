// Package iam is the dialect of IAM and STS: two operation tables and thin
// handlers that translate between shapes and core. No rule lives here.
package iam

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
)

// STS is the security token service over the core.
type STS struct{ Identities *identity.Store }

// Table is the operations of STS.
func (a *STS) Table() dispatch.Table {
	return dispatch.Table{Service: "sts", EventSource: "sts.amazonaws.com", Rows: []dispatch.Row{
		dispatch.Define("GetCallerIdentity", protocol.Query("GetCallerIdentity"),
			authz.Open[shape.Empty]("it tells callers who they are, and no policy can deny it; the handler refuses strangers"), a.getCallerIdentity),
		dispatch.Define("GetSessionToken", protocol.Query("GetSessionToken"),
			authz.Open[shape.GetSessionTokenInput]("users need no permission to act as themselves; the core refuses strangers and sessions"), a.getSessionToken),
		dispatch.Define("GetAccessKeyInfo", protocol.Query("GetAccessKeyInfo"), authz.Ask1(mayGetAccessKeyInfo), a.getAccessKeyInfo),
	}}
}

func mayGetAccessKeyInfo(*shape.GetAccessKeyInfoInput) authz.Need {
	return authz.Need{Action: "sts:GetAccessKeyInfo", Resource: arn.Any()}
}

func (a *STS) getCallerIdentity(_ context.Context, g authz.Grant, _ *shape.Empty) (*shape.GetCallerIdentityOutput, error) {
	if g.Caller().Anonymous() {
		return nil, fault.AccessDenied()
	}
	p := g.Caller().Principal()
	return &shape.GetCallerIdentityOutput{UserId: p.ID, Account: p.Account, Arn: p.ARN.String()}, nil
}

func (a *STS) getAccessKeyInfo(ctx context.Context, g authz.Grant, in *shape.GetAccessKeyInfoInput) (*shape.GetAccessKeyInfoOutput, error) {
	account, err := a.Identities.AccountOfKey(ctx, g, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	if account == "" {
		return nil, fault.New(fault.Denied, "AccessDenied", "Access denied.")
	}
	return &shape.GetAccessKeyInfoOutput{Account: account}, nil
}

func (a *STS) getSessionToken(ctx context.Context, g authz.Grant, in *shape.GetSessionTokenInput) (*shape.GetSessionTokenOutput, error) {
	if g.Caller().Anonymous() {
		return nil, fault.AccessDenied()
	}
	if in.SerialNumber != "" || in.TokenCode != "" {
		return nil, fault.New(fault.Denied, "AccessDenied", "MultiFactorAuthentication failed, unable to validate MFA code.")
	}
	s, err := a.Identities.GetSessionToken(ctx, g, seconds(in.DurationSeconds))
	if err != nil {
		return nil, err
	}
	return &shape.GetSessionTokenOutput{Credentials: credentials(s)}, nil
}

func seconds(n *int) time.Duration {
	if n == nil {
		return 0
	}
	return max(1, time.Duration(*n)) * time.Second // none given is another thing than none
}

func credentials(s *identity.Session) shape.Credentials {
	return shape.Credentials{AccessKeyId: s.AccessKeyID, SecretAccessKey: s.Secret, SessionToken: s.Token, Expiration: s.Expires}
}
