package operator

import (
	"context"
	"net/http"
	"time"

	"watertight/internal/fault"
)

// NewAccount is an account and the access key of its root user, shown once.
type NewAccount struct {
	AccountID       string `json:"AccountId"`
	Name            string
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey string
}

// Account is an account as the operator sees it.
type Account struct {
	AccountID string `json:"AccountId"`
	Name      string
	Created   time.Time
}

// Accounts lists the accounts.
func (c *Client) Accounts(ctx context.Context) (out []Account, err error) {
	return out, c.do(ctx, http.MethodGet, "/accounts", nil, &out)
}

// CreateAccount creates an account with a root user.
func (c *Client) CreateAccount(ctx context.Context, name string) (out NewAccount, err error) {
	return out, c.do(ctx, http.MethodPost, "/accounts", NewAccount{Name: name}, &out)
}

// ResetRoot creates one new key for an account's root user and removes the others.
func (c *Client) ResetRoot(ctx context.Context, account string) (out NewAccount, err error) {
	return out, c.do(ctx, http.MethodPost, "/root-keys", NewAccount{AccountID: account}, &out)
}

func (c commands) accounts(m *http.ServeMux) {
	m.HandleFunc("GET /accounts", handle(c, "ListAccounts", c.listAccounts))
	m.HandleFunc("POST /accounts", handle(c, "CreateAccount", c.createAccount))
	m.HandleFunc("POST /root-keys", handle(c, "ResetRootKeys", c.resetRoot))
}

func (c commands) listAccounts(ctx context.Context, _ *call, _ struct{}) ([]Account, error) {
	all, err := c.Identities.Accounts(ctx)
	out := make([]Account, 0, len(all))
	for _, a := range all {
		out = append(out, Account{AccountID: a.ID, Name: a.Name, Created: a.Created})
	}
	return out, err
}

func (c commands) createAccount(ctx context.Context, cl *call, in NewAccount) (NewAccount, error) {
	cl.param("name", in.Name)
	a, k, err := c.Identities.CreateAccount(ctx, cl.record, in.Name, cl.at)
	return NewAccount{a.ID, a.Name, k.AccessKeyID, k.Secret}, err
}

func (c commands) resetRoot(ctx context.Context, cl *call, in NewAccount) (NewAccount, error) {
	cl.record.Event.Owner = in.AccountID
	cl.param("accountId", in.AccountID)
	k, err := c.Identities.ResetRootKeys(ctx, cl.record, in.AccountID, cl.at)
	return NewAccount{AccountID: in.AccountID, AccessKeyID: k.AccessKeyID, SecretAccessKey: k.Secret}, err
}

// checkAccount refuses an account that does not exist.
func (c commands) checkAccount(ctx context.Context, id string) error {
	_, found, err := c.Identities.Account(ctx, id)
	if err == nil && !found {
		err = fault.New(fault.NoSuchEntity, "There is no account "+id+".")
	}
	return err
}
