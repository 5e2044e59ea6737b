// Package credential defines the credentials against which signatures are verified. It
// exists so that core, which stores credentials, and the gateway, which verifies
// signatures, share one type without depending on each other. It must never know how either
// does its work.
package credential

import (
	"time"

	"watertight/internal/access/policy"
)

// Credential is an access key, its secret, and the principal that it identifies. Secret and
// Token must never be logged.
type Credential struct {
	AccessKeyID, Secret string
	Active              bool
	Principal           policy.Principal

	// The fields of temporary credentials; Token is "" for long-lived ones.
	Token                  string
	Issued, Expires, MFAAt time.Time // MFAAt is zero without MFA
	SourceIdentity         string
	Session                []*policy.Document  // session policies; nil means no restriction
	Keys                   map[string][]string // condition keys, in lower case
}
