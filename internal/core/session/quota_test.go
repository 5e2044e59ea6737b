package session

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/test/identitytest"
)

// caller returns a caller with a long-lived key at an instant.
type caller struct {
	principal policy.Principal
	key       string
	at        int64
}

// house is an account and its sessions.
type house struct {
	identitytest.Account
	*Store
}

func newHouse(t testing.TB, quota int) house {
	a := identitytest.New(t, identity.Rooms{Sessions: Ender{}})
	return house{a, New(a.Store, a.Identities, nil, Options{Quota: quota})}
}

func (h house) purger() *Operator { return NewOperator(h.Store) }

func (h house) rootKey() caller {
	return caller{identity.RootPrincipal(coretest.Account), h.RootKey.AccessKeyID, 0}
}

func (h house) userKey(u *identity.Entity) caller {
	h.T.Helper()
	return caller{u.Principal(), h.CreateKey(u).AccessKeyID, 0}
}

func (h house) grant(c caller, needs ...authz.Need) authz.Grant {
	h.T.Helper()
	if len(needs) == 0 {
		needs = []authz.Need{{Action: "s3:ListAllMyBuckets", Resource: arn.Any()}}
	}
	return coretest.GrantAll(h.T,
		authz.NewCaller(&c.principal, &authz.Situation{
			At: time.Unix(c.at, 0), AccessKeyID: c.key, SecureChannel: true,
		}), needs...)
}

func (h house) tokenOf(c caller, at int64) (*Session, error) {
	c.at = at
	return h.GetSessionToken(h.T.Context(), h.grant(c), TokenInput{})
}

func (h house) session(n *Session, err error) *Session {
	h.T.Helper()
	h.OK(err)
	return n
}

// rows counts the records of sessions, of their expirations and of their creators.
func (h house) rows() (n [4]int) {
	h.T.Helper()
	for i, prefix := range []string{sessionPrefix, endsPrefix, heldPrefix, roomPrefix} {
		h.OK(h.store.View(h.T.Context(), func(r kv.Reader) (err error) {
			n[i], err = record.Count(r, []byte(prefix))
			return err
		}))
	}
	return n
}

// TestSessionsHaveRoom: one limit applies to all sessions of a user, whichever call makes them; each
// user has its own.
func TestSessionsHaveRoom(t *testing.T) {
	h := newHouse(t, 6)
	u := h.Create(identity.User, "u")
	v := h.Create(identity.User, "v")
	role := h.Create(identity.Role, "r").ARN()
	first, second, other := h.userKey(u), h.userKey(u), h.userKey(v)
	federated := FederatedARN(coretest.Account, "f")
	ways := []func(c caller) error{
		func(c caller) error { _, err := h.tokenOf(c, 100); return err },
		func(c caller) error {
			c.at = 100
			g := h.grant(c, authz.Need{Action: "sts:GetFederationToken", Resource: federated})
			_, err := h.GetFederationToken(t.Context(), g, FederateInput{Name: "f"})
			return err
		},
		func(c caller) error {
			c.at = 100
			_, err := h.AssumeRole(t.Context(), h.grant(c, authz.Need{Action: "sts:AssumeRole", Resource: role}),
				AssumeInput{RoleARN: role.String(), SessionName: "s"})
			return err
		},
	}
	for i := range 6 {
		h.OK(ways[i%3]([]caller{first, second}[i%2]))
	}
	before := h.rows()
	for i, way := range ways {
		for _, c := range []caller{first, second} {
			if err := way(c); !fault.Is(err, "LimitExceeded") {
				t.Errorf("way %d: %v", i, err)
			}
		}
		h.OK(way(other))
	}
	h.OK(ways[0](h.rootKey()))
	if after := h.rows(); after[0] != before[0]+4 || before != [4]int{6, 6, 6, 1} {
		t.Errorf("%v, then %v", before, after)
	}

	// Another key of the same user makes no room; the end of its sessions does.
	h.OK(h.Identities.DeleteKey(t.Context(), h.Grant("iam:DeleteAccessKey", u.ARN()), "u", second.key))
	for i := range 3 {
		h.OK(ways[i](first))
	}
	h.Fails(ways[0](first), "LimitExceeded")
	later := func(c caller) error { _, err := h.tokenOf(c, 100+12*3600+1); return err }
	for range 6 {
		h.OK(later(first))
	}
	h.Fails(later(first), "LimitExceeded")

	// No records of deleted users are left.
	h.OK(h.Identities.DeleteKey(t.Context(), h.Grant("iam:DeleteAccessKey", u.ARN()), "u", first.key))
	h.OK(h.Identities.DeleteKey(t.Context(), h.Grant("iam:DeleteAccessKey", v.ARN()), "v", other.key))
	if got := h.rows(); got != [4]int{1, 1, 1, 1} {
		t.Errorf("%v rows beside the root user's one session", got)
	}
}

// TestSessionRoomAtOnce: concurrent requests can't make more sessions than sequential ones.
func TestSessionRoomAtOnce(t *testing.T) {
	h := newHouse(t, 20)
	u := h.Create(identity.User, "u")
	c := h.userKey(u)
	g := h.grant(c)
	var made, refused atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 10 {
				switch _, err := h.GetSessionToken(t.Context(), g, TokenInput{}); {
				case err == nil:
					made.Add(1)
				case fault.Is(err, "LimitExceeded"):
					refused.Add(1)
				default:
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if made.Load() != 20 || refused.Load() != 60 || h.rows() != [4]int{20, 20, 20, 1} {
		t.Errorf("%d made, %d refused, rows %v", made.Load(), refused.Load(), h.rows())
	}
}

// bearerSession returns a session for the bearer of a token, as begin writes it.
func (h house) bearerSession(subject string, i int) error {
	n := &Session{
		AccessKeyID: fmt.Sprintf("ASIA%016d", i), Secret: "s", Token: "t", Issued: time.Unix(100, 0),
		Expires: time.Unix(1000, 0).UTC(), Purpose: WebIdentity,
		Principal: policy.Principal{
			Kind: policy.RoleSession, ID: "AROAEXAMPLE:s", Account: coretest.Account,
			ARN: arn.STS(coretest.Account, "assumed-role/r/s"),
		}, makers: bearerMakers("AROAEXAMPLE", "p", subject),
	}
	return change.Background(h.T.Context(), h.store, "a test", func(tx kv.Tx) error {
		tx.Set(sessionKey(n.AccessKeyID), n.encode())
		return h.Store.take(tx, n)
	})
}

// TestBearersHaveRoom: one bearer of tokens can't use up a role's sessions, and all bearers together
// are limited, too. A session made by role chaining counts for the first session's bearer.
func TestBearersHaveRoom(t *testing.T) {
	h := newHouse(t, 3)
	made := 0
	for b := range 12 {
		for i := range 4 {
			err := h.bearerSession(fmt.Sprint("subject", b), b*10+i)
			switch {
			case err == nil:
				made++
			case !fault.Is(err, "LimitExceeded"):
				t.Fatal(err)
			}
			if i == 2 && b < 10 && err != nil || i == 3 && err == nil {
				t.Errorf("session %d of bearer %d: %v", i, b, err)
			}
		}
	}
	if made != 3*bearersShare || h.rows() != [4]int{30, 30, 60, 11} {
		t.Errorf("%d sessions, rows %v", made, h.rows())
	}
	h.OK(h.store.View(t.Context(), func(r kv.Reader) error {
		n, err := readSession(r, "ASIA0000000000000010")
		if err != nil || n == nil {
			return errors.Join(err, errors.New("no session"))
		}
		makers, err := makersOf(r, n)
		if err != nil || len(makers) != 2 || makers[1] != "AROAEXAMPLE" ||
			makers[0] != bearerMakers("AROAEXAMPLE", "p", "subject1")[0] {
			t.Errorf("%q, %v", makers, err)
		}
		return err
	}))
	if n, err := h.purger().Purge(t.Context(), time.Unix(1001, 0)); err != nil || n != 30 || h.rows() != [4]int{} {
		t.Errorf("%d purged, rows %v, %v", n, h.rows(), err)
	}
}

// TestPurgeInBatches: the purge reads no session that has not ended.
func TestPurgeInBatches(t *testing.T) {
	h := newHouse(t, 10_000)
	for i := range 2*purgeBatch + 7 {
		h.OK(h.bearerSession("s", i))
	}
	h.OK(change.Background(t.Context(), h.store, "a test", func(tx kv.Tx) error {
		tx.Set(sessionKey("ASIAMALFORMED0000000"), []byte{record.Format, 0xff}) // must not be read
		return nil
	}))
	h.session(h.tokenOf(h.rootKey(), 5000))
	if n, err := h.purger().Purge(t.Context(), time.Unix(1001, 0)); err != nil || n != 2*purgeBatch+7 ||
		h.rows() != [4]int{2, 1, 1, 1} {
		t.Errorf("%d purged, rows %v, %v", n, h.rows(), err)
	}
}
