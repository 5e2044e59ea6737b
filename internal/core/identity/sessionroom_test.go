package identity

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
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// caller is a caller with a long-lived key at an instant.
type caller struct {
	principal policy.Principal
	key       string
	at        int64
}

func (h house) rootKey() caller {
	h.t.Helper()
	var a Account
	h.ok(h.kv.View(h.t.Context(), func(r kv.Reader) (err error) { a, _, err = readAccount(r, coretest.Account); return err }))
	return caller{RootPrincipal(a.ID), a.RootKeys[0], 0}
}

func (h house) userKey(name string) caller {
	h.t.Helper()
	var e *Entity
	k, err := h.CreateKey(h.t.Context(), h.may("iam:CreateAccessKey", h.on(User, name)), name)
	h.ok(err)
	h.ok(h.kv.View(h.t.Context(), func(r kv.Reader) (err error) { e, err = FindEntity(r, coretest.Account, User, name); return err }))
	return caller{e.Principal(), k.AccessKeyID, 0}
}

func (h house) grant(c caller, needs ...authz.Need) authz.Grant {
	h.t.Helper()
	if len(needs) == 0 {
		needs = []authz.Need{{Action: "s3:ListAllMyBuckets", Resource: arn.Any()}}
	}
	return coretest.GrantAll(h.t, authz.NewCaller(c.principal, authz.Situation{At: time.Unix(c.at, 0), AccessKeyID: c.key, SecureChannel: true}), needs...)
}

func (h house) tokenOf(c caller, at int64) (*Session, error) {
	c.at = at
	return h.GetSessionToken(h.t.Context(), h.grant(c), TokenInput{})
}

func (h house) session(n *Session, err error) *Session {
	h.t.Helper()
	h.ok(err)
	return n
}

// rows counts the records of sessions, of their ends and of their makers.
func (h house) rows() (n [4]int) {
	h.t.Helper()
	for i, prefix := range []string{sessionPrefix, endsPrefix, heldPrefix, roomPrefix} {
		h.ok(h.kv.View(h.t.Context(), func(r kv.Reader) (err error) { n[i], err = record.Count(r, []byte(prefix)); return err }))
	}
	return n
}

// TestSessionsHaveRoom: whatever makes them, the sessions of one user are
// bounded, together; those of others have their own room.
func TestSessionsHaveRoom(t *testing.T) {
	h := newHouse(t)
	h.LimitSessions(6)
	h.create(User, "u")
	h.create(User, "v")
	role := h.create(Role, "r").ARN()
	first, second, other := h.userKey("u"), h.userKey("u"), h.userKey("v")
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
			_, err := h.AssumeRole(t.Context(), h.grant(c, authz.Need{Action: "sts:AssumeRole", Resource: role}), AssumeInput{RoleARN: role.String(), SessionName: "s"})
			return err
		},
	}
	for i := range 6 {
		h.ok(ways[i%3]([]caller{first, second}[i%2]))
	}
	before := h.rows()
	for i, way := range ways {
		for _, c := range []caller{first, second} {
			if err := way(c); !fault.Is(err, "LimitExceeded") {
				t.Errorf("way %d: %v", i, err)
			}
		}
		h.ok(way(other))
	}
	h.ok(ways[0](h.rootKey()))
	if after := h.rows(); after[0] != before[0]+4 || before != [4]int{6, 6, 6, 1} {
		t.Errorf("%v, then %v", before, after)
	}

	// Another key of the same user brings no room, the end of its sessions does.
	h.ok(h.DeleteKey(t.Context(), h.may("iam:DeleteAccessKey", h.on(User, "u")), "u", second.key))
	for i := range 3 {
		h.ok(ways[i](first))
	}
	h.fails(ways[0](first), "LimitExceeded")
	later := func(c caller) error { _, err := h.tokenOf(c, 100+12*3600+1); return err }
	for range 6 {
		h.ok(later(first))
	}
	h.fails(later(first), "LimitExceeded")

	// Nothing is left of users that are deleted.
	h.ok(h.DeleteKey(t.Context(), h.may("iam:DeleteAccessKey", h.on(User, "u")), "u", first.key))
	h.ok(h.DeleteKey(t.Context(), h.may("iam:DeleteAccessKey", h.on(User, "v")), "v", other.key))
	if got := h.rows(); got != [4]int{1, 1, 1, 1} {
		t.Errorf("%v rows beside the root user's one session", got)
	}
}

// TestSessionRoomAtOnce: many requests at one time get no more room than one
// after another.
func TestSessionRoomAtOnce(t *testing.T) {
	h := newHouse(t)
	h.LimitSessions(20)
	h.create(User, "u")
	c := h.userKey("u")
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

// bearerSession is a session for the bearer of a token, as begin writes it.
func (h house) bearerSession(subject string, i int) error {
	n := &Session{
		AccessKeyID: fmt.Sprintf("ASIA%016d", i), Secret: "s", Token: "t", Issued: time.Unix(100, 0), Expires: time.Unix(1000, 0).UTC(), Purpose: WebIdentity,
		Principal: policy.Principal{Kind: policy.RoleSession, ID: "AROAEXAMPLE:s", Account: coretest.Account, ARN: arn.STS(coretest.Account, "assumed-role/r/s")}, makers: bearerMakers("AROAEXAMPLE", "p", subject),
	}
	return change.Background(h.t.Context(), h.kv, "a test", func(tx kv.Tx) error {
		tx.Set(sessionKey(n.AccessKeyID), n.encode())
		return h.take(tx, n)
	})
}

// TestBearersHaveRoom: one bearer of tokens can't use up a role, and all of
// them together have an end, too; the chain of a session counts as its bearer's.
func TestBearersHaveRoom(t *testing.T) {
	h := newHouse(t)
	h.LimitSessions(3)
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
	h.ok(h.kv.View(t.Context(), func(r kv.Reader) error {
		n, err := readSession(r, "ASIA0000000000000010")
		if err != nil || n == nil {
			return errors.Join(err, errors.New("no session"))
		}
		makers, err := makersOf(r, n)
		if err != nil || len(makers) != 2 || makers[1] != "AROAEXAMPLE" || makers[0] != bearerMakers("AROAEXAMPLE", "p", "subject1")[0] {
			t.Errorf("%q, %v", makers, err)
		}
		return err
	}))
	if n, err := h.PurgeSessions(t.Context(), time.Unix(1001, 0)); err != nil || n != 30 || h.rows() != [4]int{} {
		t.Errorf("%d purged, rows %v, %v", n, h.rows(), err)
	}
}

// TestPurgeInBatches walks no session that has not ended.
func TestPurgeInBatches(t *testing.T) {
	h := newHouse(t)
	h.LimitSessions(10_000)
	for i := range 2*purgeBatch + 7 {
		h.ok(h.bearerSession("s", i))
	}
	h.ok(change.Background(t.Context(), h.kv, "a test", func(tx kv.Tx) error {
		tx.Set(sessionKey("ASIAMALFORMED0000000"), []byte{record.Format, 0xff}) // not looked at
		return nil
	}))
	h.session(h.tokenOf(h.rootKey(), 5000))
	if n, err := h.PurgeSessions(t.Context(), time.Unix(1001, 0)); err != nil || n != 2*purgeBatch+7 || h.rows() != [4]int{2, 1, 1, 1} {
		t.Errorf("%d purged, rows %v, %v", n, h.rows(), err)
	}
}
