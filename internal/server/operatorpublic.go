package server

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
)

// PublicAccess is a Block Public Access setting under AWS's names.
type PublicAccess struct {
	BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
}

func shown(p policy.PublicAccess) PublicAccess {
	return PublicAccess{p.BlockPublicACLs, p.IgnorePublicACLs, p.BlockPublicPolicy, p.RestrictPublicBuckets}
}

// AccountPublic is what an account says of public access.
type AccountPublic struct {
	AccountID string       `json:"AccountId"`
	Blocked   PublicAccess // now
	None      bool         // the account deleted its setting
	Until     *time.Time   `json:",omitempty"` // end of an exception
	Reason    string       `json:",omitempty"`
}

// Opening is why a policy is public, and a request that it lets in.
type Opening struct {
	Statement  int    // its index; -1 where the policy cannot be read
	Sid        string `json:",omitempty"`
	Principal  string
	Because    string
	Conditions []policy.Condition `json:",omitempty"`
	Range      string             `json:",omitempty"` // widest range of addresses
	Request    *Intruder          `json:",omitempty"`
}

// Intruder is a request that a public policy lets in.
type Intruder struct {
	Caller, Action, Resource, SourceIP, At string
	Keys                                   map[string][]string
}

// BucketPublic is whom a bucket lets in.
type BucketPublic struct {
	Bucket, AccountID string
	Own               PublicAccess // the bucket's setting
	OwnNone           bool         // the bucket's was deleted
	OfAccount         AccountPublic
	Effective         PublicAccess // the stricter of both
	HasPolicy         bool
	Public            bool     // the policy is public
	Open              bool     // and somebody whom nobody named gets in
	Why               *Opening `json:",omitempty"`
	Accounts          []string // other accounts that get in by name
	Services          []string
}

// PublicCommand asks for the state of public access, or for a change of it.
type PublicCommand struct {
	AccountID, Bucket string // one of them
	Block             bool
	For               time.Duration
	Reason            string
}

// PreviewCommand asks what a policy would change.
type PreviewCommand struct{ Bucket, Policy string }

// Preview is what a policy would change.
type Preview struct {
	Public, Refused, Cut bool
	Changes              []policy.Change
}

func (s *Server) publicCommands(m *http.ServeMux) {
	m.HandleFunc("POST /public-access/account", operate(s, func(ctx context.Context, r *audit.Record, in PublicCommand) (AccountPublic, error) {
		r.Event.Operation, r.Event.Owner = "GetPublicAccess", in.AccountID
		r.Event.Parameters = append(r.Event.Parameters, audit.Param{Name: "accountId", Value: in.AccountID})
		return s.accountPublic(ctx, in.AccountID)
	}))
	m.HandleFunc("POST /public-access/bucket", operate(s, func(ctx context.Context, r *audit.Record, in PublicCommand) (BucketPublic, error) {
		r.Event.Operation, r.Event.Bucket = "GetPublicAccess", in.Bucket
		return s.bucketPublic(ctx, in.Bucket)
	}))
	m.HandleFunc("PUT /public-access", operate(s, s.setPublic))
	m.HandleFunc("POST /policy-preview", operate(s, func(ctx context.Context, r *audit.Record, in PreviewCommand) (Preview, error) {
		r.Event.Operation, r.Event.Bucket = "GetPolicyPreview", in.Bucket
		const mostSubjects = 2_000
		p, err := s.buckets.Preview(ctx, in.Bucket, in.Policy, time.Now(), func(owner string, names []policy.PrincipalName) ([]policy.Subject, bool, error) {
			return s.identities.Subjects(ctx, owner, names, mostSubjects)
		})
		return Preview{p.Public, p.Refused, p.Cut, p.Changes}, err
	}))
}

// checkAccount refuses an account that is not there.
func (s *Server) checkAccount(ctx context.Context, id string) error {
	_, found, err := s.identities.Account(ctx, id)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "NoSuchEntity", "There is no account "+id+".")
	}
	return err
}

func (s *Server) accountPublic(ctx context.Context, id string) (AccountPublic, error) {
	if err := s.checkAccount(ctx, id); err != nil {
		return AccountPublic{}, err
	}
	a, err := s.buckets.ReportAccount(ctx, id)
	return ofAccount(id, &a, time.Now()), err
}

func ofAccount(id string, a *bucket.AccountPublic, now time.Time) AccountPublic {
	out := AccountPublic{AccountID: id, Blocked: shown(a.At(now)), None: a.None, Reason: a.Reason}
	if now.Before(a.Until) {
		out.Until = &a.Until
	}
	return out
}

func (s *Server) bucketPublic(ctx context.Context, name string) (BucketPublic, error) {
	now := time.Now()
	r, err := s.buckets.Report(ctx, name, now)
	if err != nil {
		return BucketPublic{}, err
	}
	return BucketPublic{
		Bucket: name, AccountID: r.Account, Own: shown(r.Own), OwnNone: r.OwnNone, OfAccount: ofAccount(r.Account, &r.OfAccount, now), Effective: shown(r.Merged),
		HasPolicy: r.HasPolicy, Public: r.Exposure.Witness != nil, Open: r.Exposure.Open, Why: opening(r.Exposure.Witness, name),
		Accounts: r.Exposure.Accounts, Services: r.Exposure.Services,
	}, nil
}

// opening is a witness for the operator's eyes.
func opening(w *policy.Witness, name string) *Opening {
	if w == nil {
		return nil
	}
	o := &Opening{Statement: w.Statement, Sid: w.Sid, Principal: w.Principal.Value, Conditions: w.Conditions}
	switch w.Because {
	case policy.Alone:
		o.Because = "it names nobody, and no few addresses"
	case policy.Together:
		o.Because = "the addresses that all statements let in are too many together"
	case policy.Behind:
		o.Because = "anybody may stand behind these addresses: a proxy that --trusted-proxy does not name, or somebody on this machine or in a private network"
	}
	if w.Range.IsValid() {
		o.Range = w.Range.String()
	}
	if r := w.Request; r != nil {
		at := r.Resource
		if at == arn.Bucket("bucket") || at == arn.Object("bucket", "key") {
			at.Resource = name + at.Resource[len("bucket"):]
		}
		o.Request = &Intruder{Action: string(r.Action), Resource: at.String(), At: r.At.Format(time.RFC3339), Keys: r.Keys}
		o.Request.Caller = stranger(&r.Principal)
		if r.SourceIP.IsValid() {
			o.Request.SourceIP = r.SourceIP.String()
		}
	}
	return o
}

// stranger describes who a witness is: nobody, or somebody of any other account.
func stranger(p *policy.Principal) string {
	of := " of any other account"
	switch p.Kind {
	case policy.Anonymous:
		return "anonymous"
	case policy.AccountRoot:
		return "the root user" + of
	case policy.User:
		return "a user named " + strconv.Quote(p.Name) + of
	case policy.RoleSession:
		role, name, _ := strings.Cut(strings.TrimPrefix(p.ARN.Resource, "assumed-role/"), "/")
		return "a session named " + strconv.Quote(name) + " of a role named " + strconv.Quote(role) + of
	}
	return "a federated user" + of
}

// setPublic is the operator's change; the reason is in its audit event.
func (s *Server) setPublic(ctx context.Context, r *audit.Record, in PublicCommand) (struct{}, error) {
	e := &r.Event
	e.Operation, e.Bucket, e.Owner = "UnblockPublicAccess", in.Bucket, in.AccountID
	if in.Block {
		e.Operation = "BlockPublicAccess"
	}
	b := bucket.Block{Account: in.AccountID, Bucket: in.Bucket, On: in.Block, At: time.Now(), Reason: in.Reason}
	e.Parameters = append(e.Parameters, audit.Param{Name: "accountId", Value: in.AccountID}, audit.Param{Name: "reason", Value: in.Reason})
	if in.For != 0 {
		b.Until = b.At.Add(in.For)
		e.Parameters = append(e.Parameters, audit.Param{Name: "until", Value: b.Until.UTC().Format(time.RFC3339)})
	}
	if in.AccountID != "" {
		if err := s.checkAccount(ctx, in.AccountID); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, s.buckets.Operate(ctx, r, b)
}
