package bucket

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const region = "us-east-1"

const other = "444455556666"

func grant(t testing.TB, account, name string, actions ...policy.Action) authz.Grant {
	return coretest.Grant(t, coretest.Root(account, nil), arn.Bucket(name), actions...)
}

func open(t testing.TB) *Store { return New(coretest.Store(t), region, nil) }

func (s *Store) make(t testing.TB, account, name string) Bucket {
	t.Helper()
	b, err := s.Create(t.Context(), grant(t, account, name, "s3:CreateBucket"), CreateInput{Name: name})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func wants(t *testing.T, err error, kind fault.Kind, code string, members ...string) {
	t.Helper()
	f := fault.From(err)
	if f == nil || string(f.Code) != code || f.Kind != kind {
		t.Fatalf("%v, want %s", err, code)
	}
	for i := 0; i < len(members); i += 2 {
		if got := f.Members[members[i]]; got != members[i+1] {
			t.Errorf("%s: %q, want %q", members[i], got, members[i+1])
		}
	}
}

func TestNewBucketHasTheDefaults(t *testing.T) {
	s := open(t)
	made := s.make(t, coretest.Account, "first")
	b, err := s.Head(t.Context(), grant(t, coretest.Account, "first", "s3:ListBucket"), "first")
	if err != nil || !reflect.DeepEqual(b, made) {
		t.Fatalf("%v\n%+v\n%+v", err, b, made)
	}
	if b.Owner != coretest.Account || b.Region != region || b.ID == (ID{}) || time.Since(b.Created) > time.Minute {
		t.Errorf("%+v", b)
	}
	want := Settings{
		Public: policy.PublicAccess{
			BlockPublicACLs: true, IgnorePublicACLs: true, BlockPublicPolicy: true, RestrictPublicBuckets: true,
		},
		Ownership: BucketOwnerEnforced, Encryption: AES256,
	}
	if b.Settings != want {
		t.Errorf("%+v", b.Settings)
	}
	if where, err := s.Location(t.Context(), grant(t, coretest.Account, "first", "s3:GetBucketLocation"),
		"first"); err != nil || where != region {
		t.Error(where, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "taken")
	create := func(account, name, location string) error {
		_, err := s.Create(t.Context(), grant(t, account, name, "s3:CreateBucket"), CreateInput{
			Name: name, Location: location,
		})
		return err
	}
	if err := create(coretest.Account, "taken", ""); err != nil {
		t.Errorf("creating it again in us-east-1: %v", err)
	}
	_, err := s.Create(t.Context(),
		grant(t, coretest.Account, "taken", "s3:CreateBucket",
			"s3:PutBucketOwnershipControls"), CreateInput{Name: "taken", Ownership: ObjectWriter})
	wants(t, err, fault.KindConflict, "BucketAlreadyOwnedByYou", "BucketName", "taken")
	elsewhere := New(coretest.Store(t), "eu-west-1", nil)
	for range 2 {
		_, err = elsewhere.Create(t.Context(), grant(t, coretest.Account, "taken", "s3:CreateBucket"),
			CreateInput{Name: "taken", Location: "eu-west-1"})
	}
	wants(t, err, fault.KindConflict, "BucketAlreadyOwnedByYou", "BucketName", "taken")
	wants(t, create(other, "taken", ""), fault.KindConflict, "BucketAlreadyExists", "BucketName", "taken")
	wants(t, create(other, "Upper", ""), fault.KindInvalid, "InvalidBucketName", "BucketName", "Upper")
	wants(t, create(other, "fine", "us-east-2"), fault.KindInvalid, "IllegalLocationConstraintException")
	if l, err := s.List(t.Context(), listGrant(t, other), ListInput{}); err != nil || len(l.Buckets) != 0 {
		t.Error("a refused request created a bucket", l, err)
	}
}

func listGrant(t testing.TB, account string) authz.Grant {
	return coretest.Grant(t, coretest.Root(account, nil), arn.AllBuckets(), "s3:ListAllMyBuckets")
}

func TestDelete(t *testing.T) {
	store := coretest.Store(t)
	s := New(store, region, nil)
	b := s.make(t, coretest.Account, "first")
	g := grant(t, coretest.Account, "first", "s3:DeleteBucket", "s3:ListBucket")
	version := append(VersionsOf(b.ID), "k\x00........"...)
	set := func(fn func(kv.Tx)) {
		if err := store.Update(t.Context(), func(tx kv.Tx) error { fn(tx); return nil }); err != nil {
			t.Fatal(err)
		}
	}
	set(func(tx kv.Tx) { tx.Set(version, []byte("x")) })
	wants(t, s.Delete(t.Context(), g, "first"), fault.KindConflict, "BucketNotEmpty", "BucketName", "first")
	set(func(tx kv.Tx) { tx.Delete(version) })
	if err := s.Delete(t.Context(), g, "first"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Head(t.Context(), g, "first")
	wants(t, err, fault.KindNotFound, "NoSuchBucket", "BucketName", "first")
	wants(t, s.Delete(t.Context(), g, "first"), fault.KindNotFound, "NoSuchBucket")
	if again := s.make(t, other, "first"); again.ID == b.ID {
		t.Error("the new bucket has the old one's id")
	}
	for p, err := range dump(t, store) {
		if bytes.Contains(p.Key, []byte(coretest.Account+"/")) || err != nil {
			t.Errorf("record left: %q %v", p.Key, err)
		}
	}
}

func dump(t *testing.T, store kv.Store) func(func(kv.Pair, error) bool) {
	return func(yield func(kv.Pair, error) bool) {
		err := store.View(t.Context(), func(r kv.Reader) error {
			r.Scan(nil, nil)(yield)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func TestOneOfManyMakesTheBucket(t *testing.T) {
	s := open(t)
	var group sync.WaitGroup
	won := make(chan string, 8)
	for i := range cap(won) {
		account := fmt.Sprintf("%012d", i+1)
		g := grant(t, account, "wanted", "s3:CreateBucket")
		group.Go(func() {
			if _, err := s.Create(t.Context(), g, CreateInput{Name: "wanted"}); err == nil {
				won <- account
			} else if !fault.Is(err, "BucketAlreadyExists") {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if len(won) != 1 {
		t.Fatalf("%d requests created the bucket", len(won))
	}
	if laws, err := s.Laws(t.Context(), "wanted", time.Now()); err != nil || laws.Owner != <-won {
		t.Error(laws, err)
	}
}

func TestTooManyBuckets(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "first")
	err := s.store.Update(t.Context(), func(tx kv.Tx) error {
		n, err := readCount(tx, coretest.Account)
		if n != 1 || err != nil {
			t.Error("count", n, err)
		}
		writeCount(tx, coretest.Account, MaxPerAccount-1)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.make(t, coretest.Account, "second")
	_, err = s.Create(t.Context(), grant(t, coretest.Account, "third", "s3:CreateBucket"), CreateInput{Name: "third"})
	wants(t, err, fault.KindInvalid, "TooManyBuckets")
	if err := s.Delete(t.Context(), grant(t, coretest.Account, "second", "s3:DeleteBucket"), "second"); err != nil {
		t.Fatal(err)
	}
	s.make(t, coretest.Account, "third")
	s.make(t, other, "fourth")
}

func TestLaws(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "first")
	laws, err := s.Laws(t.Context(), "first", time.Now())
	if err != nil || laws.Owner != coretest.Account || laws.Public != blockAll() || laws.MustAllow ||
		laws.Documents != nil {
		t.Error(laws, err)
	}
	for _, name := range []string{"missing", "", "first/x", strings.Repeat("x", 5000), "\x00"} {
		if laws, err := s.Laws(t.Context(), name, time.Now()); err != nil || laws.Owner != "" ||
			laws.Public != (policy.PublicAccess{}) {
			t.Errorf("%.20q: %+v %v", name, laws, err)
		}
	}
}

func TestList(t *testing.T) {
	s := open(t)
	all := []string{"a-1", "a-2", "a.1", "b-1", "b-2", "b-3"}
	slices.Sort(all)
	for _, name := range all {
		s.make(t, coretest.Account, name)
	}
	s.make(t, other, "a-0")
	g := listGrant(t, coretest.Account)
	for i, c := range []struct {
		in   ListInput
		want []string
	}{
		{ListInput{}, all},
		{ListInput{Prefix: "b"}, []string{"b-1", "b-2", "b-3"}},
		{ListInput{Prefix: "b-3"}, []string{"b-3"}},
		{ListInput{Prefix: "c"}, nil},
		{ListInput{Prefix: "\xff"}, nil},
		{ListInput{Region: region}, all},
		{ListInput{Region: "eu-west-1"}, nil},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for page := 1; page <= len(all)+1; page++ {
				var got []string
				in := c.in
				in.Max = &page
				for turn := 0; ; turn++ {
					l, err := s.List(t.Context(), g, in)
					if err != nil || turn > len(all) || len(l.Buckets) > page || l.Owner != coretest.Account {
						t.Fatal(turn, l, err)
					}
					for _, b := range l.Buckets {
						got = append(got, b.Name)
						if b.Region != region || b.Created.IsZero() {
							t.Errorf("%+v", b)
						}
					}
					if l.Token == "" {
						break
					}
					in.Token = &l.Token
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%+v, pages of %d: %q", c.in, page, got)
				}
			}
		})
	}
}

func TestListRefuses(t *testing.T) {
	s := open(t)
	for _, name := range []string{"a-1", "a-2"} {
		s.make(t, coretest.Account, name)
		s.make(t, other, "other-"+name)
	}
	for _, n := range []int{-1, 0, 10_001} {
		_, err := s.List(t.Context(), listGrant(t, coretest.Account), ListInput{Max: &n})
		wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "max-buckets")
	}
	one := 1
	l, err := s.List(t.Context(), listGrant(t, other), ListInput{Max: &one})
	if err != nil || l.Token == "" {
		t.Fatal(l, err)
	}
	empty := ""
	for _, token := range []*string{&l.Token, &empty} {
		_, err = s.List(t.Context(), listGrant(t, coretest.Account), ListInput{Token: token})
		wants(t, err, fault.KindInvalid, "InvalidArgument", "ArgumentName", "continuation-token")
	}
}

func FuzzDecode(f *testing.F) {
	b := Bucket{
		ID: ID{1}, Owner: coretest.Account, Region: region, Created: time.Unix(1, 0),
		Settings: Settings{
			Versioning: Suspended, Public: blockAll(), Ownership: BucketOwnerEnforced, Encryption: AES256,
		},
	}
	f.Add(b.encode())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, v []byte) {
		b, err := decode("name", v)
		if err != nil {
			return
		}
		again, err := decode("name", b.encode())
		if err != nil || !reflect.DeepEqual(again, b) {
			t.Fatalf("%v\n%+v\n%+v", err, b, again)
		}
	})
}
