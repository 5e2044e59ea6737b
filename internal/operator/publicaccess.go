package operator

import (
	"context"
	"net/http"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
)

// PublicAccess is a Block Public Access setting under AWS's names.
type PublicAccess struct {
	BlockPublicAcls, IgnorePublicAcls, BlockPublicPolicy, RestrictPublicBuckets bool
}

func shown(p policy.PublicAccess) PublicAccess {
	return PublicAccess{p.BlockPublicACLs, p.IgnorePublicACLs, p.BlockPublicPolicy, p.RestrictPublicBuckets}
}

// AccountPublic is an account's Block Public Access setting.
type AccountPublic struct {
	AccountID string       `json:"AccountId"`
	Blocked   PublicAccess // now
	None      bool         // the account deleted its setting
	Until     *time.Time   `json:",omitempty"` // end of an exception
	Reason    string       `json:",omitempty"`
}

// Deputy is a statement by which any account can make a service get in.
type Deputy = policy.Deputy

// BucketPublic describes who can access a bucket.
type BucketPublic struct {
	Bucket, AccountID string
	Own               PublicAccess // the bucket's setting
	OwnNone           bool         // the bucket's was deleted
	OfAccount         AccountPublic
	Effective         PublicAccess // the stricter of both
	HasPolicy         bool
	Public            bool     // the policy is public
	Open              bool     // the policy allows callers that it does not name
	Why               *Opening `json:",omitempty"`
	Accounts          []string // other accounts that get in by name
	Services          []string
	Deputies          []Deputy `json:",omitempty"` // by which any account can make a service get in
}

// KeyPublic describes who can use a customer's key.
type KeyPublic struct {
	Key, AccountID, State string
	Managed               bool     // the server manages it, under a policy that nobody can change
	Public                bool     // its policy allows callers that it does not name
	Why                   *Opening `json:",omitempty"`
	Accounts              []string // other accounts, by policy and grants
	Services              []string
	Deputies              []Deputy `json:",omitempty"` // see BucketPublic
	Named                 []string // principals that the policy allows something
	Grantees              []string // of the first 1,000 grants
	Grants                int
}

// PublicCommand asks for the state of public access, or for a change of it.
type PublicCommand struct {
	AccountID, Bucket string // one of them
	Key               string // or a key, by its id or ARN
	Block             bool
	For               time.Duration
	Reason            string
}

// AccountPublic reports an account's Block Public Access setting.
func (c *Client) AccountPublic(ctx context.Context, account string) (out AccountPublic, err error) {
	return out, c.do(ctx, http.MethodPost, "/public-access/account", PublicCommand{AccountID: account}, &out)
}

// BucketPublic reports who can access a bucket.
func (c *Client) BucketPublic(ctx context.Context, bucket string) (out BucketPublic, err error) {
	return out, c.do(ctx, http.MethodPost, "/public-access/bucket", PublicCommand{Bucket: bucket}, &out)
}

// KeyPublic reports who can use a customer's key.
func (c *Client) KeyPublic(ctx context.Context, key string) (out KeyPublic, err error) {
	return out, c.do(ctx, http.MethodPost, "/public-access/key", PublicCommand{Key: key}, &out)
}

// SetPublic blocks public access, or unblocks it.
func (c *Client) SetPublic(ctx context.Context, in PublicCommand) error {
	return c.do(ctx, http.MethodPut, "/public-access", in, &struct{}{})
}

func (c commands) publicAccess(m *http.ServeMux) {
	m.HandleFunc("POST /public-access/account", handle(c, "GetPublicAccess", c.accountPublic))
	m.HandleFunc("POST /public-access/bucket", handle(c, "GetPublicAccess", c.bucketPublic))
	m.HandleFunc("POST /public-access/key", handle(c, "GetPublicAccess", c.keyPublic))
	m.HandleFunc("PUT /public-access", handle(c, "UnblockPublicAccess", c.setPublic))
}

func (c commands) accountPublic(ctx context.Context, cl *call, in PublicCommand) (AccountPublic, error) {
	cl.record.Event.Owner = in.AccountID
	cl.param("accountId", in.AccountID)
	if err := c.checkAccount(ctx, in.AccountID); err != nil {
		return AccountPublic{}, err
	}
	a, err := c.Buckets.ReportAccount(ctx, in.AccountID)
	return ofAccount(in.AccountID, &a, cl.at), err
}

func ofAccount(id string, a *bucket.AccountPublic, now time.Time) AccountPublic {
	out := AccountPublic{AccountID: id, Blocked: shown(a.At(now)), None: a.None, Reason: a.Reason}
	if now.Before(a.Until) {
		out.Until = &a.Until
	}
	return out
}

func (c commands) bucketPublic(ctx context.Context, cl *call, in PublicCommand) (BucketPublic, error) {
	cl.record.Event.Bucket = in.Bucket
	r, err := c.Buckets.Report(ctx, in.Bucket, cl.at)
	if err != nil {
		return BucketPublic{}, err
	}
	return BucketPublic{
		Bucket: in.Bucket, AccountID: r.Account, Own: shown(r.Own), OwnNone: r.OwnNone,
		OfAccount: ofAccount(r.Account, &r.OfAccount, cl.at), Effective: shown(r.Merged),
		HasPolicy: r.HasPolicy, Public: r.Exposure.Witness != nil, Open: r.Exposure.Open,
		Why: opening(r.Exposure.Witness, in.Bucket), Accounts: r.Exposure.Accounts, Services: r.Exposure.Services,
		Deputies: r.Exposure.Deputies,
	}, nil
}

func (c commands) keyPublic(ctx context.Context, cl *call, in PublicCommand) (KeyPublic, error) {
	cl.param("keyId", in.Key)
	r, err := c.Keys.Report(ctx, in.Key, cl.at)
	if err != nil {
		return KeyPublic{}, err
	}
	return KeyPublic{
		Key: r.ARN.String(), AccountID: r.ARN.Account, State: r.State.String(), Managed: r.Managed,
		Public: r.Exposure.Witness != nil, Why: opening(r.Exposure.Witness, ""), Accounts: r.Exposure.Accounts,
		Services: r.Exposure.Services, Deputies: r.Exposure.Deputies,
		Named: r.Named, Grantees: r.Grantees, Grants: r.Grants,
	}, nil
}

// setPublic blocks or unblocks. The audit event has the reason.
func (c commands) setPublic(ctx context.Context, cl *call, in PublicCommand) (struct{}, error) {
	e := &cl.record.Event
	e.Bucket, e.Owner = in.Bucket, in.AccountID
	if in.Block {
		e.Operation = action.OperationOf("watertight", "BlockPublicAccess")
	}
	b := bucket.Block{Account: in.AccountID, Bucket: in.Bucket, On: in.Block, At: cl.at, Reason: in.Reason}
	cl.param("accountId", in.AccountID)
	cl.param("reason", in.Reason)
	if in.For != 0 {
		b.Until = b.At.Add(in.For)
		cl.param("until", b.Until.UTC().Format(time.RFC3339))
	}
	if in.AccountID != "" {
		if err := c.checkAccount(ctx, in.AccountID); err != nil {
			return struct{}{}, err
		}
	}
	return struct{}{}, c.Buckets.SetPublic(ctx, cl.record, b)
}
