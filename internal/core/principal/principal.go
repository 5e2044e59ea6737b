// Package principal binds the names in a policy's Principal elements to the unique
// ids that had them when the policy was written, and finds their current names. A
// policy applies to those principals, and not to others that take such a name
// later (IAM user guide, "IAM identifiers", "Unique identifiers"). Policies of
// buckets and trust policies of roles share it. It must never know whose policy it
// is, nor what the policy allows; it asks a Directory which principals exist.
package principal

import (
	"cmp"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Directory knows which principals exist, as r sees them. core/identity implements it.
type Directory interface {
	// ID returns the unique id of the user or role that an entry of a Principal element
	// names, or the account with a canonical user id. It returns "" if the entry names
	// something else. ok is false if the account, user or role does not exist.
	ID(r kv.Reader, entry policy.PrincipalName) (id string, ok bool, err error)
	// Name returns the current ARN of the user or role with a unique id, "" if it was deleted.
	Name(r kv.Reader, id string) (string, error)
}

// Binding is a name in a policy, and the unique id that it was bound to.
type Binding struct{ Name, ID string }

// Bindings are the bindings of one policy.
type Bindings []Binding

// Unknown is the error of Bind for an entry whose principal does not exist.
type Unknown struct{ Entry policy.PrincipalName }

// Error implements error.
func (u *Unknown) Error() string { return "principal: there is no " + u.Entry.Value }

// Bind returns the ids for the names in a policy before it is written. Errors: *Unknown.
func Bind(r kv.Reader, dir Directory, d *policy.Document) (Bindings, error) {
	var all Bindings
	for _, entry := range d.Principals() {
		id, ok, err := dir.ID(r, entry)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			return nil, &Unknown{entry}
		case id != "":
			all = append(all, Binding{entry.Value, id})
		}
	}
	return all, nil
}

// Apply returns the policy with its principals bound to the ids.
func (b Bindings) Apply(d *policy.Document) *policy.Document {
	ids := make(map[string]string, len(b))
	for _, one := range b {
		ids[one.Name] = one.ID
	}
	return d.Bind(ids)
}

// Renamed maps each name in the policy that has changed to its current form. Deleted users
// and roles are shown by their unique ids; a canonical user id always stays as it is.
func (b Bindings) Renamed(r kv.Reader, dir Directory) (map[string]string, error) {
	var names map[string]string
	for _, one := range b {
		if arn.IsAccountID(one.ID) {
			continue
		}
		now, err := dir.Name(r, one.ID)
		if err != nil {
			return nil, err
		}
		if now = cmp.Or(now, one.ID); now == one.Name {
			continue
		}
		if names == nil {
			names = map[string]string{}
		}
		names[one.Name] = now
	}
	return names, nil
}

// Text returns the text of a policy with the current names. If none has changed, it returns
// the text as it was written.
func (b Bindings) Text(r kv.Reader, dir Directory, kind policy.Kind, text string) (string, error) {
	names, err := b.Renamed(r, dir)
	if err != nil || len(names) == 0 {
		return text, err
	}
	d, err := policy.Parse(kind, []byte(text))
	if err != nil {
		return "", fault.Internal(err)
	}
	return d.Rename(names).String(), nil
}
