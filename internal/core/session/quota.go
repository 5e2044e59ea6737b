package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Some sessions need no permission, so their number is limited. A session counts for its
// makers. If its chain begins with an access key, the maker is the key's user or root user.
// If it begins with the token of an identity provider, the makers are the bearer of the
// token in the role that was assumed with it, and that role.

// DefaultQuota is the maximum number of unexpired sessions of one maker. All bearers of
// tokens together may have bearersShare times as many in one role.
const (
	DefaultQuota = 1000
	bearersShare = 10
)

// Records of the sessions of a maker:
//
//	i/q/MAKER              the number of its sessions
//	i/h/MAKER 0 END KEYID  one of them, and the long-lived key of its chain
//	i/x/END KEYID          a session by its end, and its makers
//
// END is 8 bytes of Unix seconds.
const (
	roomPrefix = "i/q/"
	heldPrefix = "i/h/"
	endsPrefix = "i/x/"
)

const (
	fieldRoomTaken  = 1
	fieldHeldParent = 1
	fieldEndsMaker  = 1 // repeated
)

func roomKey(maker string) []byte { return record.Key(roomPrefix, maker) }

func heldKey(maker string, end time.Time, accessKeyID string) []byte {
	return append(record.Big(record.Key(heldPrefix, maker, "\x00"), uint64(end.Unix())), accessKeyID...)
}

func endsKey(end time.Time, accessKeyID string) []byte {
	return append(record.Big([]byte(endsPrefix), uint64(end.Unix())), accessKeyID...)
}

// held is a session as the records above name it.
type held struct {
	accessKeyID string
	end         time.Time
}

// heldAt decodes END KEYID at an offset of a record's key.
func heldAt(key []byte, prefix int) (held, error) {
	if len(key) < prefix+8 {
		return held{}, record.Malformed("the end of a session")
	}
	end := binary.BigEndian.Uint64(key[prefix:])
	return held{string(key[prefix+8:]), time.Unix(int64(end), 0).UTC()}, nil
}

// bearerMakers returns the makers of a session of a role for the bearer of a token.
func bearerMakers(roleID, provider, subject string) []string {
	sum := sha256.Sum256([]byte(provider + "\x00" + subject))
	return []string{roleID + "/" + hex.EncodeToString(sum[:16]), roleID}
}

// makersOf returns the makers of a session.
func makersOf(r kv.Reader, n *Session) ([]string, error) {
	if n.Parent == "" {
		v, err := r.Get(endsKey(n.Expires, n.AccessKeyID))
		if err != nil {
			return nil, err
		}
		if v != nil {
			return readMakers(v)
		}
		return []string{n.roleID()}, nil // the session is older than the records of makers
	}
	holder, found, err := identity.KeyHolder(r, n.Parent)
	if err == nil && !found {
		err = fault.Of(fault.AccessDenied)
	}
	return []string{holder}, err
}

func readMakers(value []byte) ([]string, error) {
	var makers []string
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldEndsMaker {
			f.Unknown()
			break
		}
		makers = append(makers, string(f.Bytes))
	}
	if f.Err() != nil || len(makers) == 0 {
		return nil, record.Malformed("the makers of a session")
	}
	return makers, nil
}

func taken(r kv.Reader, maker string) (uint64, error) {
	v, err := r.Get(roomKey(maker))
	if err != nil || v == nil {
		return 0, err
	}
	var n uint64
	f := record.Read(v)
	for f.Next() {
		if f.Number != fieldRoomTaken {
			f.Unknown()
			break
		}
		n = f.Uint
	}
	if f.Err() != nil {
		return 0, record.Malformed("the sessions of " + maker)
	}
	return n, nil
}

func setTaken(tx kv.Tx, maker string, n uint64) {
	if n == 0 {
		tx.Delete(roomKey(maker))
		return
	}
	tx.Set(roomKey(maker), record.Uint(record.Start(nil), fieldRoomTaken, n))
}

// limit returns the maximum number of sessions of a maker.
func (s *Store) limit(maker string) uint64 {
	if strings.HasPrefix(maker, identity.Role.IDPrefix()) && !strings.Contains(maker, "/") {
		return uint64(s.quota) * bearersShare
	}
	return uint64(s.quota)
}

// take counts a session for each of its makers. Errors: LimitExceeded.
func (s *Store) take(tx kv.Tx, n *Session) error {
	makers := n.makers
	if makers == nil {
		var err error
		if makers, err = makersOf(tx, n); err != nil {
			return err
		}
	}
	ends := record.Start(nil)
	for _, maker := range makers {
		count, err := taken(tx, maker)
		if err != nil {
			return err
		}
		if count >= s.limit(maker) {
			if _, err := purge(tx, record.Key(heldPrefix, maker, "\x00"), n.Issued); err != nil {
				return err
			}
			if count, err = taken(tx, maker); err != nil {
				return err
			}
		}
		if count >= s.limit(maker) {
			return fault.New(fault.LimitExceeded,
				fmt.Sprintf(
					"Cannot exceed quota for sessions that have not expired: %d. They end by themselves, and with "+
						"the access key that they came from.",
					s.limit(maker),
				)).WithKind(fault.KindInvalid)
		}
		setTaken(tx, maker, count+1)
		tx.Set(heldKey(maker, n.Expires, n.AccessKeyID), record.String(record.Start(nil), fieldHeldParent, n.Parent))
		ends = record.String(ends, fieldEndsMaker, maker)
	}
	tx.Set(endsKey(n.Expires, n.AccessKeyID), ends)
	return nil
}

// purgeBatch bounds the transactions of purge.
const purgeBatch = 200

// purge removes a batch of the sessions that ended before at. prefix selects the records;
// they are in the order of the sessions' ends.
func purge(tx kv.Tx, prefix []byte, at time.Time) (int, error) {
	var ended []held
	for p, err := range tx.Scan(prefix, record.Big(append([]byte(nil), prefix...), uint64(max(0, at.Unix())))) {
		if err != nil {
			return 0, err
		}
		h, err := heldAt(p.Key, len(prefix))
		if err != nil {
			return 0, err
		}
		if ended = append(ended, h); len(ended) == purgeBatch {
			break
		}
	}
	for _, h := range ended {
		if err := drop(tx, h); err != nil {
			return 0, err
		}
	}
	return len(ended), nil
}

// drop removes a session and its counts.
func drop(tx kv.Tx, h held) error {
	key := endsKey(h.end, h.accessKeyID)
	v, err := tx.Get(key)
	if err != nil {
		return err
	}
	makers, err := readMakers(v)
	if err != nil {
		return err
	}
	for _, maker := range makers {
		n, err := taken(tx, maker)
		if err != nil {
			return err
		}
		setTaken(tx, maker, max(n, 1)-1)
		tx.Delete(heldKey(maker, h.end, h.accessKeyID))
	}
	tx.Delete(key)
	tx.Delete(sessionKey(h.accessKeyID))
	return nil
}

// Ender ends sessions for core/identity, which must not know more about them.
type Ender struct{}

// End removes the sessions of a maker whose chains begin with an access key. The maker is a
// user's unique id or an account.
func (Ender) End(tx kv.Tx, maker, parent string) error {
	prefix := record.Key(heldPrefix, maker, "\x00")
	var all []held
	for p, err := range tx.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		h, err := heldAt(p.Key, len(prefix))
		if err != nil {
			return err
		}
		f := record.Read(p.Value)
		for f.Next() {
			if f.Number != fieldHeldParent {
				f.Unknown()
				break
			}
			if string(f.Bytes) == parent {
				all = append(all, h)
			}
		}
		if f.Err() != nil {
			return record.Malformed("a session of " + maker)
		}
	}
	for _, h := range all {
		if err := drop(tx, h); err != nil {
			return err
		}
	}
	return nil
}

// Purge removes sessions that ended before at. They are refused from their end on; removing
// them only frees space and quota.
func (s *Operator) Purge(ctx context.Context, at time.Time) (removed int, err error) {
	for {
		n := 0
		err := change.Background(ctx, s.store, "sessions that ended are removed", func(tx kv.Tx) (err error) {
			if n, err = purge(tx, []byte(endsPrefix), at); err == nil && n == 0 {
				err = change.ErrUnchanged
			}
			return err
		})
		if err != nil {
			return removed, err
		}
		if removed += n; n < purgeBatch {
			return removed, nil
		}
	}
}
