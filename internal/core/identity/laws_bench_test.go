package identity

import (
	"fmt"
	"testing"

	"watertight/internal/core/change"
	"watertight/internal/storage/kv"
)

// crowd fills a store with accounts of at most 5,000 users each and, in each,
// managed policies of which every user has five, and returns a key of each user.
// It writes the same records as the Create methods, but many in one transaction.
func crowd(b *testing.B, h house, users, policies int) (keys []string) {
	b.Helper()
	const batch = 500
	var e []Entity
	accounts := (users + maxUsers - 1) / maxUsers
	for i := range accounts {
		account := fmt.Sprintf("%012d", i+1)
		var names []string
		write(h, policies/accounts, batch, func(tx kv.Tx, j int) {
			p := ManagedPolicy{Account: account, ID: newUniqueID("ANPA"), Name: fmt.Sprint("p", j), Path: "/",
				Default: 1, Newest: 1, Versions: []PolicyVersion{{Number: 1,
					Document: fmt.Sprintf(
						`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*",`+
							`"Resource":"arn:aws:s3:::b%d/*"}]}`,
						j,
					)}}}
			tx.Set(policyKey(p.ID), p.encode())
			tx.Set(nameKey(account, policyLetter, p.Name), []byte(p.ID))
			names = append(names, p.ARN().String())
		})
		for j := range users / accounts {
			u := Entity{Kind: User, Account: account, ID: newUniqueID("AIDA"), Name: fmt.Sprint("u", j), Path: "/"}
			for k := range 5 {
				u.Attached = append(u.Attached, names[(j+k)%len(names)])
			}
			e = append(e, u)
		}
	}
	write(h, len(e), batch, func(tx kv.Tx, i int) {
		id, secret := NewKey()
		k := storedKey{
			Key: Key{AccessKeyID: id, Secret: secret, Active: true}, account: e[i].Account, kind: ofUser,
			owner: e[i].ID,
		}
		e[i].Keys = []string{id}
		tx.Set(entityKey(e[i].ID), e[i].encode())
		tx.Set(nameKey(e[i].Account, User.letter(), e[i].Name), []byte(e[i].ID))
		tx.Set(keyKey(id), k.encode())
		keys = append(keys, id)
	})
	return keys
}

func write(h house, n, batch int, each func(tx kv.Tx, i int)) {
	h.t.Helper()
	for from := 0; from < n; from += batch {
		h.ok(change.Background(h.t.Context(), h.kv, "a benchmark", func(tx kv.Tx) error {
			for i := from; i < min(from+batch, n); i++ {
				each(tx, i)
			}
			return nil
		}))
	}
}

// BenchmarkRequests measures what identity does for each request: it finds the caller by its key
// and collects its laws. The users take turns. Many users and policies must cost no more than a
// few.
func BenchmarkRequests(b *testing.B) {
	for _, size := range []struct{ users, policies int }{{10, 10}, {10_000, 1_000}} {
		b.Run(fmt.Sprintf("%dUsers%dPolicies", size.users, size.policies), func(b *testing.B) {
			h := newHouse(b)
			keys := crowd(b, h, size.users, size.policies)
			request := func(i int) {
				c, err := h.Lookup(b.Context(), keys[i%len(keys)])
				if err != nil || c == nil {
					b.Fatal(err)
				}
				if l, err := h.Laws(b.Context(), &c.Principal); err != nil || len(l.Identity) != 5 {
					b.Fatal(len(l.Identity), err)
				}
			}
			for i := range keys {
				request(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				request(i)
			}
		})
	}
}

func BenchmarkLookupOfUser(b *testing.B) {
	h := newHouse(b)
	u := h.create(User, "u")
	k, err := h.CreateKey(b.Context(), h.may("iam:CreateAccessKey", u.ARN()), "u")
	h.ok(err)
	b.ReportAllocs()
	for b.Loop() {
		if c, err := h.Lookup(b.Context(), k.AccessKeyID); err != nil || c == nil {
			b.Fatal(err)
		}
	}
}
