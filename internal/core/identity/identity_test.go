package identity

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// noDevices and noSessions stand for the rooms of MFA devices and sessions, and are empty.
type noDevices struct{}

func (noDevices) Owned(kv.Reader, string, string) (int, error) { return 0, nil }
func (noDevices) All(kv.Reader, string) (int, int, error)      { return 0, 0, nil }

type noSessions struct{}

func (noSessions) End(kv.Tx, string, string) error { return nil }

func open(t testing.TB) (*Store, kv.Store) {
	t.Helper()
	s := coretest.Store(t)
	i, err := New(s, Rooms{noDevices{}, noSessions{}})
	if err != nil {
		t.Fatal(err)
	}
	return i, s
}

func TestBootstrapMakesOneAccount(t *testing.T) {
	s, _ := open(t)
	first, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{At: time.Unix(1, 0)})
	a, k, created := first.Account, first.Key, first.Created
	if err != nil || !created {
		t.Fatal(created, err)
	}
	for what, ok := range map[string]bool{
		"account id":   regexp.MustCompile(`^[1-9][0-9]{11}$`).MatchString(a.ID),
		"canonical id": regexp.MustCompile(`^[0-9a-f]{64}$`).MatchString(a.CanonicalID),
		"key id":       regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(k.AccessKeyID),
		"secret":       regexp.MustCompile(`^[A-Za-z0-9+/]{40}$`).MatchString(k.Secret),
		"root key":     len(a.RootKeys) == 1 && a.RootKeys[0] == k.AccessKeyID,
		"name":         a.Name == "root",
		"created":      !a.Created.IsZero() && k.Created.Equal(a.Created) && k.Active,
	} {
		t.Run(what, func(t *testing.T) {
			if !ok {
				t.Error(what, a.ID, a.Name, a.CanonicalID, k.AccessKeyID)
			}
		})
	}
	first, err = NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{
		AccountID: "nothing that checks", AccessKeyID: "half a pair",
	})
	b, again, created := first.Account, first.Key, first.Created
	if err != nil || created || b.ID != a.ID || again.AccessKeyID != k.AccessKeyID || again.Secret != "" {
		t.Error("the second start:", b.ID, again.AccessKeyID, created, err)
	}
	if all, err := NewOperator(s).Accounts(t.Context()); err != nil || len(all) != 1 ||
		all[0].CanonicalID != a.CanonicalID {
		t.Error(len(all), err)
	}
}

func TestBootstrapTwiceAtOnce(t *testing.T) {
	s, _ := open(t)
	var group sync.WaitGroup
	made := make(chan string, 8)
	for range cap(made) {
		group.Go(func() {
			if first, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{At: time.Unix(1, 0)}); err != nil {
				t.Error(err)
			} else if first.Created {
				made <- first.Account.ID
			}
		})
	}
	group.Wait()
	if len(made) != 1 {
		t.Errorf("%d first accounts were made", len(made))
	}
}

func TestBootstrapWithGivenCredentials(t *testing.T) {
	const id, secret = "AKIDEXAMPLE00000", "0123456789abcdef"
	for name, c := range map[string]struct {
		o  BootstrapOptions
		ok bool
	}{
		"all given": {
			BootstrapOptions{AccountID: "111122223333", Name: "me", AccessKeyID: id, SecretAccessKey: secret}, true,
		},
		"eleven digits":      {BootstrapOptions{AccountID: "11112222333"}, false},
		"letters":            {BootstrapOptions{AccountID: "11112222333a"}, false},
		"key without secret": {BootstrapOptions{AccessKeyID: id}, false},
		"secret without key": {BootstrapOptions{SecretAccessKey: secret}, false},
		"short key id":       {BootstrapOptions{AccessKeyID: id[1:], SecretAccessKey: secret}, false},
		"long key id": {
			BootstrapOptions{AccessKeyID: strings.Repeat("A", 129), SecretAccessKey: secret}, false,
		},
		"slash in key id":      {BootstrapOptions{AccessKeyID: id + "/", SecretAccessKey: secret}, false},
		"short secret":         {BootstrapOptions{AccessKeyID: id, SecretAccessKey: secret[1:]}, false},
		"blank in secret":      {BootstrapOptions{AccessKeyID: id, SecretAccessKey: secret + " x"}, false},
		"control char in name": {BootstrapOptions{Name: "a\nb"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, _ := open(t)
			first, err := NewOperator(s).Bootstrap(t.Context(), c.o)
			a, k, created := first.Account, first.Key, first.Created
			if (err == nil) != c.ok || created != c.ok {
				t.Fatal(created, err)
			}
			if err != nil {
				if strings.Contains(err.Error(), secret) {
					t.Error("the error contains the secret")
				}
				return
			}
			if a.ID != c.o.AccountID || k.AccessKeyID != id || k.Secret != secret {
				t.Error(a.ID, k.AccessKeyID)
			}
		})
	}
}

func TestLookup(t *testing.T) {
	s, _ := open(t)
	a, k, err := NewOperator(s).CreateAccount(t.Context(), nil, "second", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.Lookup(t.Context(), k.AccessKeyID)
	if err != nil || c == nil || !c.Active || c.Secret != k.Secret || c.AccessKeyID != k.AccessKeyID {
		t.Fatal(c, err)
	}
	p := c.Principal
	if p.Kind != policy.AccountRoot || p.Account != a.ID || p.ARN.String() != "arn:aws:iam::"+a.ID+":root" ||
		p.ID != a.ID {
		t.Errorf("%+v", p)
	}
	for _, id := range []string{"", "AKIAAAAAAAAAAAAAAAAA", "x/../../i/a/" + a.ID, strings.Repeat("A", 5000), "\x00"} {
		if c, err := s.Lookup(t.Context(), id); c != nil || err != nil {
			t.Errorf("%.20q: %v %v", id, c, err)
		}
	}
}

func TestAccount(t *testing.T) {
	s, _ := open(t)
	a, _, err := NewOperator(s).CreateAccount(t.Context(), nil, "second", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	if got, found, err := s.Account(t.Context(), a.ID); err != nil || !found || got.CanonicalID != a.CanonicalID ||
		got.Name != "second" {
		t.Error(got, found, err)
	}
	if _, found, err := s.Account(t.Context(), "000000000000"); found || err != nil {
		t.Error(found, err)
	}
	if _, _, err := NewOperator(s).CreateAccount(t.Context(), nil, "", time.Unix(1, 0)); err == nil {
		t.Error("an account without a name was made")
	}
}

func TestKeyIDIsTakenOnce(t *testing.T) {
	s, store := open(t)
	first, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{At: time.Unix(1, 0)})
	k := first.Key
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := newAccount("thief", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	err = store.Update(t.Context(), func(tx kv.Tx) error { return add(tx, &a, &k) })
	if err == nil {
		t.Error("another account took the key")
	}
	if _, found, _ := s.Account(t.Context(), a.ID); found {
		t.Error("a part of the account was stored")
	}
}

func TestOnlyRootHasLaws(t *testing.T) {
	s, _ := open(t)
	root, err := s.Laws(t.Context(), new(RootPrincipal("111122223333")))
	if err != nil || len(root.Identity) != 1 || root.Boundary != nil {
		t.Fatal(root, err)
	}
	v := policy.Decide(&policy.Laws{Identity: root.Identity, ResourceOwner: "111122223333"},
		&policy.Request{Principal: RootPrincipal("111122223333"), Action: "s3:GetObject"})
	if v.Effect != policy.Allow {
		t.Error("the root user is denied", v)
	}
	for _, k := range []policy.PrincipalKind{
		policy.Nobody, policy.Anonymous, policy.User, policy.RoleSession, policy.FederatedUser, policy.Service,
	} {
		if laws, err := s.Laws(t.Context(), &policy.Principal{
			Kind: k, Account: "111122223333",
		}); err != nil || len(laws.Identity)+len(laws.Boundary) != 0 {
			t.Error(k, laws, err)
		}
	}
}

func TestKeyOfAnUnknownKindIsRefused(t *testing.T) {
	k := storedKey{Key: Key{Secret: "0123456789abcdef", Active: true}, account: "111122223333", kind: 2}
	if _, err := decodeKey("AKIAAAAAAAAAAAAAAAAA", k.encode()); err == nil {
		t.Error("it was accepted as a root key")
	}
	k.kind, k.Active = ofRoot, false
	if got, err := decodeKey("AKIAAAAAAAAAAAAAAAAA", k.encode()); err != nil || got.Active {
		t.Error(got.Active, err)
	}
}

func FuzzDecode(f *testing.F) {
	a, k, err := newAccount("n", time.Unix(1, 0))
	if err != nil {
		f.Fatal(err)
	}
	stored := storedKey{Key: k, account: a.ID, kind: ofRoot}
	f.Add(a.encode())
	f.Add(stored.encode())
	f.Add(record.Start(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAccount("x", b); err == nil && a.CanonicalID == "" {
			t.Error("decoded an account without a canonical id")
		}
		if k, err := decodeKey("x", b); err == nil && (k.Secret == "" || k.kind != ofRoot) {
			t.Error("decoded a key without a secret or holder")
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	s, _ := open(b)
	first, err := NewOperator(s).Bootstrap(b.Context(), BootstrapOptions{})
	k := first.Key
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if c, err := s.Lookup(b.Context(), k.AccessKeyID); err != nil || c == nil {
			b.Fatal(c, err)
		}
	}
}

func TestResetRootKeys(t *testing.T) {
	s, _ := open(t)
	first, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{At: time.Unix(1, 0)})
	a, old := first.Account, first.Key
	if err != nil {
		t.Fatal(err)
	}
	k, err := NewOperator(s).ResetRootKeys(t.Context(), nil, a.ID, time.Unix(2, 0))
	if err != nil || k.AccessKeyID == old.AccessKeyID || k.Secret == old.Secret {
		t.Fatal("the key is not new", err)
	}
	if c, err := s.Lookup(t.Context(), old.AccessKeyID); c != nil || err != nil {
		t.Errorf("the old key still exists: %v", err)
	}
	c, err := s.Lookup(t.Context(), k.AccessKeyID)
	if err != nil || c == nil || c.Secret != k.Secret || c.Principal.Account != a.ID {
		t.Errorf("the new key: %v, %v", c, err)
	}
	if _, err := NewOperator(s).ResetRootKeys(t.Context(), nil, "999999999999", time.Unix(2, 0)); err == nil {
		t.Error("an account that does not exist got a key")
	}
}

// TestBootstrapOfAChangedStore: a store with identities but without the record that
// names the first account does not count as new.
func TestBootstrapOfAChangedStore(t *testing.T) {
	s, _ := open(t)
	if _, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{At: time.Unix(1, 0)}); err != nil {
		t.Fatal(err)
	}
	err := change.Background(t.Context(), s.store, "somebody changes the store", func(tx kv.Tx) error {
		tx.Delete([]byte(firstAccount))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	show := func(Account, Key) error {
		t.Error("a key is printed")
		return nil
	}
	if again, err := NewOperator(s).Bootstrap(t.Context(), BootstrapOptions{
		At: time.Unix(2, 0), Show: show,
	}); err == nil || again.Created {
		t.Errorf("another first account is made: %v", err)
	}
}
