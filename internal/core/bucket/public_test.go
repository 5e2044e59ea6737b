package bucket

import (
	"fmt"
	"testing"
	"time"

	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

func (s *Store) say(t testing.TB, account string, a AccountPublic) {
	t.Helper()
	if err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set(publicKey(account), a.encode())
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (s *Store) public(t testing.TB, b Bucket, at time.Time) (p policy.PublicAccess) {
	t.Helper()
	err := s.store.View(t.Context(), func(r kv.Reader) (err error) {
		p, err = Public(r, &b, at)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestPublicIsMerged: the stricter setting wins. An account without a setting has all four on, and
// an exception holds only between its two instants.
func TestPublicIsMerged(t *testing.T) {
	s := open(t)
	b := s.make(t, coretest.Account, "first")
	now := time.Now().UTC().Truncate(time.Second)
	own := policy.PublicAccess{IgnorePublicACLs: true}
	b.Public = own
	if got := s.public(t, b, now); got != blockAll() {
		t.Error("account without a setting:", got)
	}
	s.say(t, coretest.Account, AccountPublic{Access: policy.PublicAccess{BlockPublicPolicy: true}})
	if got := s.public(t, b, now); got != (policy.PublicAccess{IgnorePublicACLs: true, BlockPublicPolicy: true}) {
		t.Error("merged", got)
	}
	s.say(t, coretest.Account, AccountPublic{None: true})
	if got := s.public(t, b, now); got != own {
		t.Error("the account deleted its setting", got)
	}
	s.say(t, coretest.Account, AccountPublic{
		Access: blockAll(), From: now, Until: now.Add(time.Hour), Reason: "a test",
	})
	for at, want := range map[time.Time]policy.PublicAccess{
		{}: blockAll(), now.Add(-time.Second): blockAll(), now: own, now.Add(time.Hour - time.Nanosecond): own,
		now.Add(time.Hour): blockAll(),
	} {
		t.Run(fmt.Sprint(at), func(t *testing.T) {
			if got := s.public(t, b, at); got != want {
				t.Errorf("at %v: %v", at, got)
			}
		})
	}
}

// TestPublicUnsetBlocks: a setting that the record does not have blocks.
func TestPublicUnsetBlocks(t *testing.T) {
	b := Bucket{ID: ID{1}, Owner: coretest.Account}
	value := record.String(record.Bytes(record.Start(nil), fieldID, b.ID[:]), fieldOwner, b.Owner)
	if got, err := decode("b", value); err != nil || got.Public != blockAll() || got.PublicNone {
		t.Error(got, err)
	}
	if got, err := decode("b", record.Uint(value, fieldPublic, 15)); err != nil || got.Public != blockAll() {
		t.Error("a record without the bit that settings have:", got, err)
	}
	for i, want := range []Settings{
		{}, {PublicNone: true}, {Public: policy.PublicAccess{BlockPublicACLs: true}}, {Public: blockAll()},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			b.Settings = want
			if got, err := decode("b", b.encode()); err != nil || got.Settings != want {
				t.Errorf("%+v: %+v %v", want, got, err)
			}
		})
	}
}

// TestPublicMalformed: a setting that cannot be read blocks all public access.
func TestPublicMalformed(t *testing.T) {
	s := open(t)
	b := s.make(t, coretest.Account, "first")
	if err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		tx.Set(publicKey(coretest.Account), []byte{9})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if laws, err := s.Laws(t.Context(), b.Name, time.Now()); err == nil {
		t.Error(laws)
	}
}
