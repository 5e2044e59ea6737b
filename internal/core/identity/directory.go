package identity

import (
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// Directory implements principal.Directory: it knows which accounts, users and roles
// exist.
type Directory struct{}

// ID returns the unique id of the user or role that an entry of a Principal element names,
// or the account with a canonical user id. It returns "" if the entry names something else.
// Entries that name an account, or a session of an account, need only the account to exist;
// services and identity providers need nothing.
func (Directory) ID(r kv.Reader, entry policy.PrincipalName) (id string, ok bool, err error) {
	if entry.Type == "CanonicalUser" {
		return AccountByCanonicalID(r, entry.Value)
	}
	if entry.Type != "AWS" || entry.Value == "*" {
		return "", true, nil
	}
	if strings.HasPrefix(entry.Value, User.IDPrefix()) || strings.HasPrefix(entry.Value, Role.IDPrefix()) {
		e, err := ReadEntity(r, entry.Value)
		return entry.Value, e != nil, err
	}
	account := entry.Value
	if a, err := arn.Parse(entry.Value); err == nil {
		if k, _, ok := EntityOf(a); ok && k != Group {
			e, err := FindARN(r, a)
			if err != nil || e == nil {
				return "", false, err
			}
			return e.ID, true, nil
		}
		account = a.Account
	}
	_, ok, err = readAccount(r, account)
	return "", ok, err
}

// Name returns the current ARN of the user or role with a unique id, "" if it was deleted.
func (Directory) Name(r kv.Reader, id string) (string, error) {
	e, err := ReadEntity(r, id)
	if err != nil || e == nil {
		return "", err
	}
	return e.ARN().String(), nil
}
