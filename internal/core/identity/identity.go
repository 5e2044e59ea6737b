// Package identity holds who exists: accounts, their root users, users, groups
// and roles, their policies, credentials and MFA devices. It must never know how a request is signed or what is allowed.
package identity

import (
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/oidc"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Account is an account.
type Account struct {
	ID          string // 12 digits
	Name        string
	CanonicalID string // 64 hex digits: the owner id S3 shows
	Created     time.Time
	RootKeys    []string // access key ids of the root user
}

// Key is an access key. Secret must never be logged.
type Key struct {
	AccessKeyID, Secret string
	Active              bool
	Created             time.Time
}

// Credential is what a signature is checked against, and whom it proves.
type Credential struct {
	AccessKeyID, Secret string
	Active              bool
	Principal           policy.Principal
	tags                []tag.Tag // of the user

	// Of temporary credentials alone.
	Token                  string
	Issued, Expires, MFAAt time.Time           // MFAAt is zero without MFA
	Session                []*policy.Document  // session policies; nil is no restriction
	Keys                   map[string][]string // condition keys, in lower case
}

// BootstrapOptions say how the first account looks; empty fields are random,
// an empty Name is "root".
type BootstrapOptions struct {
	AccountID, Name              string
	AccessKeyID, SecretAccessKey string
	At                           time.Time    // when the account is made
	Record                       authz.Record // its audit event; may be nil
	// Show, where it is set, shows the root user's key to whoever starts the
	// server, before the account lasts: there is never an account whose key
	// nobody was shown. An error of it ends the bootstrap, and nothing was made.
	Show func(Account, Key) error
}

// Store is the identities of one server.
type Store struct {
	store     kv.Store
	root      []*policy.Document
	documents *documents
	published map[string]*ManagedPolicy // AWS's own, by ARN
	laws      *laws
	uses      *Uses          // nil where nobody notes them
	issuers   *oidc.Verifier // nil verifies nothing
	sessions  int            // of one maker; see LimitSessions
}
