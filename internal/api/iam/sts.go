// Package iam is the dialect of IAM and STS: two operation tables, and thin handlers that
// translate between shapes and core. It must contain no rules.
package iam

import (
	"context"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/session"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// STS is the security token service over the core.
type STS struct{ Sessions *session.Store }

// Table returns the operations of STS.
func (a *STS) Table() dispatch.Table {
	return dispatch.Table{
		Service: protocol.Service{Name: "sts", SigningName: "sts", HomeRegion: "us-east-1", Rules: sigv4.FormRules},
		Dialect: query.API("2011-06-15", "https://sts.amazonaws.com/doc/2011-06-15/"),
		Rows: []dispatch.Row{
			dispatch.Define("GetCallerIdentity", query.Action("GetCallerIdentity"),
				authz.Open[shape.Empty]("it tells callers who they are, and no policy can deny it; the core refuses "+
					"callers who did not sign"), a.getCallerIdentity),
			dispatch.Define("GetSessionToken", query.Action("GetSessionToken"),
				authz.Open[shape.GetSessionTokenInput]("users need no permission to act as themselves; the core "+
					"refuses sessions and callers who did not sign"), a.getSessionToken),
			define("GetAccessKeyInfo", onAny[shape.GetAccessKeyInfoInput]("sts:GetAccessKeyInfo"), a.getAccessKeyInfo),
			define("AssumeRole", a.mayAssumeRole, a.assumeRole),
			define("GetFederationToken", a.mayGetFederationToken, a.getFederationToken),
			dispatch.Define("AssumeRoleWithWebIdentity", query.Action("AssumeRoleWithWebIdentity").Bearer(),
				authz.AskFor(a.mayAssumeWithToken), a.assumeWithToken),
		},
	}
}

func webInput(in *shape.AssumeRoleWithWebIdentityInput) session.WebInput {
	return session.WebInput{
		RoleARN: in.RoleArn, SessionName: in.RoleSessionName, Token: in.WebIdentityToken,
		Duration: seconds(in.DurationSeconds), Pass: passed(in.Policy, in.PolicyArns),
	}
}

// mayAssumeWithToken needs the permission of the token's bearer, because the request is not signed.
func (a *STS) mayAssumeWithToken(
	ctx context.Context, c authz.Caller, in *shape.AssumeRoleWithWebIdentityInput,
) ([]authz.Need, error) {
	if err := validate(in); err != nil {
		return nil, err
	}
	if in.ProviderId != "" {
		return nil, fault.New(fault.InvalidParameterValue,
			"ProviderId is for OAuth 2.0 access tokens, of which none are accepted.")
	}
	noteRole(c, in.RoleArn)
	return a.Sessions.WebNeeds(ctx, webInput(in))
}

func (a *STS) assumeWithToken(
	ctx context.Context, g authz.Grant, in *shape.AssumeRoleWithWebIdentityInput,
) (*shape.AssumeRoleWithWebIdentityOutput, error) {
	what := webInput(in)
	if r, ok := g.Caller().Record().(*audit.Record); ok {
		what.Verified = func(p policy.Principal) { r.Event.Identity.Principal = &p }
	}
	s, err := a.Sessions.AssumeRoleWithWebIdentity(ctx, g, what)
	if err != nil {
		return nil, err
	}
	return &shape.AssumeRoleWithWebIdentityOutput{
		Credentials: credentials(s.Session), AssumedRoleUser: assumedUser(s.Assumed),
		PackedPolicySize:            percent(s.Assumed),
		SubjectFromWebIdentityToken: s.Subject, Provider: s.Issuer, Audience: s.Audience,
		SourceIdentity: s.SourceIdentity,
	}, nil
}

func (a *STS) getCallerIdentity(
	_ context.Context, g authz.Grant, _ *shape.Empty,
) (*shape.GetCallerIdentityOutput, error) {
	p, err := a.Sessions.Identity(g)
	if err != nil {
		return nil, err
	}
	return &shape.GetCallerIdentityOutput{UserId: p.ID, Account: p.Account, Arn: p.ARN.String()}, nil
}

func (a *STS) getAccessKeyInfo(
	ctx context.Context, g authz.Grant, in *shape.GetAccessKeyInfoInput,
) (*shape.GetAccessKeyInfoOutput, error) {
	account, err := a.Sessions.AccountOfKey(ctx, g, in.AccessKeyId)
	if err != nil {
		return nil, err
	}
	if account == "" {
		return nil, fault.New(fault.AccessDenied, "Access denied.")
	}
	return &shape.GetAccessKeyInfoOutput{Account: account}, nil
}

func (a *STS) getSessionToken(
	ctx context.Context, g authz.Grant, in *shape.GetSessionTokenInput,
) (*shape.GetSessionTokenOutput, error) {
	if _, err := a.Sessions.Identity(g); err != nil { // callers who did not sign get no error of the input
		return nil, err
	}
	if err := validate(in); err != nil {
		return nil, err
	}
	s, err := a.Sessions.GetSessionToken(ctx, g, session.TokenInput{
		Duration: seconds(in.DurationSeconds), Serial: in.SerialNumber, Code: in.TokenCode,
	})
	if err != nil {
		return nil, err
	}
	return &shape.GetSessionTokenOutput{Credentials: credentials(s)}, nil
}

// noteRole adds the requested role to the audit event, even if the request is refused.
func noteRole(c authz.Caller, role string) {
	r, ok := c.Record().(*audit.Record)
	if !ok {
		return
	}
	if at, err := arn.Parse(role); err == nil && at.Service == "iam" {
		r.Event.Resources = []audit.Resource{{Type: "AWS::IAM::Role", ARN: at, Account: at.Account}}
	}
}

func assumeInput(in *shape.AssumeRoleInput) session.AssumeInput {
	return session.AssumeInput{
		RoleARN: in.RoleArn, SessionName: in.RoleSessionName, Duration: seconds(in.DurationSeconds),
		Pass: passed(in.Policy, in.PolicyArns),
		Tags: sessionTags(in.Tags), Transitive: in.TransitiveTagKeys, ExternalID: in.ExternalId,
		SourceIdentity: in.SourceIdentity,
		Serial:         in.SerialNumber, Code: in.TokenCode,
	}
}

func (a *STS) mayAssumeRole(ctx context.Context, c authz.Caller, in *shape.AssumeRoleInput) ([]authz.Need, error) {
	if len(in.ProvidedContexts) > 0 {
		return nil, fault.New(fault.NotImplemented, "ProvidedContexts are not implemented.")
	}
	noteRole(c, in.RoleArn)
	return a.Sessions.AssumeNeeds(ctx, c, assumeInput(in))
}

func (a *STS) assumeRole(
	ctx context.Context, g authz.Grant, in *shape.AssumeRoleInput,
) (*shape.AssumeRoleOutput, error) {
	s, err := a.Sessions.AssumeRole(ctx, g, assumeInput(in))
	if err != nil {
		return nil, err
	}
	return &shape.AssumeRoleOutput{
		Credentials: credentials(s.Session), AssumedRoleUser: assumedUser(s), PackedPolicySize: percent(s),
		SourceIdentity: s.SourceIdentity,
	}, nil
}

func federateInput(in *shape.GetFederationTokenInput) session.FederateInput {
	return session.FederateInput{
		Name: in.Name, Duration: seconds(in.DurationSeconds), Pass: passed(in.Policy, in.PolicyArns),
		Tags: sessionTags(in.Tags),
	}
}

func (a *STS) mayGetFederationToken(
	_ context.Context, c authz.Caller, in *shape.GetFederationTokenInput,
) ([]authz.Need, error) {
	return a.Sessions.FederateNeeds(c, federateInput(in))
}

func (a *STS) getFederationToken(
	ctx context.Context, g authz.Grant, in *shape.GetFederationTokenInput,
) (*shape.GetFederationTokenOutput, error) {
	s, err := a.Sessions.GetFederationToken(ctx, g, federateInput(in))
	if err != nil {
		return nil, err
	}
	return &shape.GetFederationTokenOutput{
		Credentials:      credentials(s.Session),
		FederatedUser:    shape.FederatedUser{FederatedUserId: s.Principal.ID, Arn: s.Principal.ARN.String()},
		PackedPolicySize: percent(s),
	}, nil
}

func passed(text string, arns []shape.PolicyDescriptor) session.Passed {
	p := session.Passed{Policy: text}
	for _, a := range arns {
		p.ARNs = append(p.ARNs, a.Arn)
	}
	return p
}

func sessionTags(tags []shape.SessionTag) []tag.Tag {
	var out []tag.Tag
	for _, t := range tags {
		out = append(out, tag.Tag{Key: t.Key, Value: t.Value})
	}
	return out
}

func assumedUser(s session.Assumed) shape.AssumedRoleUser {
	return shape.AssumedRoleUser{AssumedRoleId: s.Principal.ID, Arn: s.Principal.ARN.String()}
}

// percent returns nil if the session has no policies or tags.
func percent(s session.Assumed) *int {
	if s.PackedSize == 0 {
		return nil
	}
	return &s.PackedSize
}

func seconds(n *int) time.Duration {
	if n == nil {
		return 0
	}
	// 0 would count as unset in core, so a request for 0 s becomes 1 s, which core refuses
	return max(1, time.Duration(*n)) * time.Second
}

func credentials(s *session.Session) shape.Credentials {
	return shape.Credentials{
		AccessKeyId: s.AccessKeyID, SecretAccessKey: s.Secret, SessionToken: s.Token, Expiration: s.Expires,
	}
}
