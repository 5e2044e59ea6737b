package identity

import (
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
)

// TestStoredForm: every record of this package is written as docs/FORMAT.md says, with
// each stored number.
func TestStoredForm(t *testing.T) {
	var all []coretest.Record
	add := func(name string, b []byte) { all = append(all, coretest.Record{Name: name, Bytes: b}) }
	at := time.UnixMicro(1_700_000_000_000_001).UTC()
	const account = coretest.Account
	tags := []tag.Tag{{Key: "k", Value: "v"}}
	a := &Account{ID: account, Name: "n", CanonicalID: "c0ffee", Created: at, RootKeys: []string{"AKIA1", "AKIA2"}}
	add("account", a.encode())
	add("access key of the root user",
		(&storedKey{Key: Key{Secret: "s", Created: at, Active: true}, account: account, kind: ofRoot}).encode())
	add("inactive access key of a user",
		(&storedKey{Key: Key{Secret: "s", Created: at}, account: account, kind: ofUser, owner: "AIDAEXAMPLE"}).encode())
	for _, k := range []EntityKind{User, Group, Role} {
		e := &Entity{
			Kind: k, Account: account, ID: "X", Name: "n", Path: "/p/", Created: at,
			Tags: append(tags[:1:1], tag.Tag{Key: "l"}), Boundary: "b",
			Inline: []Inline{{"i", "{}"}}, Attached: []string{"a", "b"}, Groups: []string{"AGPA"},
			Keys: []string{"AKIA"},
		}
		if k == Role {
			e.Trust, e.Description, e.MaxSession = "{}", "d", 2*time.Hour
			e.Bound = principal.Bindings{{Name: "arn:aws:iam::111122223333:user/u", ID: "AIDAEXAMPLE"}}
		}
		add(k.String(), e.encode())
	}
	p := &ManagedPolicy{
		Account: account, ID: "ANPA", Name: "n", Path: "/", Description: "d", Created: at, Updated: at, Default: 2,
		Newest:   3,
		Versions: []PolicyVersion{{1, at, "x"}, {2, at, "y"}}, Tags: tags,
	}
	add("managed policy", p.encode())
	o := &Provider{
		Account: account, URL: "u", ID: "id", ClientIDs: []string{"c"}, Thumbprints: []string{"t"}, Created: at,
		Tags: tags,
	}
	add("provider", o.encode())
	add("settings", (&settings{alias: "a", password: &PasswordPolicy{
		MinimumLength: 8, Symbols: true, Numbers: true, Uppercase: true, Lower: true, UsersMayChange: true, MaxAge: 9,
		ReusePrevention: 10, HardExpiry: true,
	}}).encode())
	add("last use of a key", (&Use{At: at, Service: "s3", Region: "us-east-1"}).encode())
	add("last uses of services", (&accesses{at, at.Add(time.Second), at.Add(time.Minute)}).encode())
	coretest.Golden(t, "testdata/records.golden", all)
}
