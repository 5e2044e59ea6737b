// Package identity holds the identities: accounts, their root users, users, groups and
// roles, their policies and their access keys. It must never know how a request is signed,
// what a request may do, or which sessions and MFA devices exist.
package identity

import (
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/core/known"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Account is an account.
type Account struct {
	ID          string // 12 digits
	Name        string
	CanonicalID string // 64 hex digits: the owner id that S3 shows
	Created     time.Time
	RootKeys    []string // access key ids of the root user
}

// Key is an access key. Secret must never be logged.
type Key struct {
	AccessKeyID, Secret string
	Active              bool
	Created             time.Time
}

// LongLived is the credential of a long-lived access key.
type LongLived struct {
	credential.Credential
	Tags []tag.Tag // of the user
}

// Rooms are the packages that identity calls through interfaces, because it must not import them.
type Rooms struct {
	Devices  Devices
	Sessions Sessions
}

// Sessions ends the sessions that were created with an access key; core/session implements it.
type Sessions interface {
	// End removes the sessions of a holder whose chains begin with an access key. The
	// holder is a user's unique id or an account.
	End(tx kv.Tx, holder, accessKeyID string) error
}

// Devices counts MFA devices; core/mfa implements it.
type Devices interface {
	// Owned returns how many devices a user has, by its unique id; "" is the root
	// user.
	Owned(r kv.Reader, account, userID string) (int, error)
	// All returns how many devices an account has, and how many of them have an owner.
	All(r kv.Reader, account string) (all, owned int, err error)
}

// Store manages the identities of a server.
type Store struct {
	store     kv.Store
	devices   Devices
	sessions  Sessions
	rootLaws  authz.PrincipalLaws
	documents *Documents
	published map[string]*ManagedPolicy // AWS's managed policies, by ARN
	laws      laws

	credentials known.Cache[string, *credential.Credential]
	uses        *Uses // nil if uses are not recorded
}
