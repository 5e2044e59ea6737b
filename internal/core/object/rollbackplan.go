package object

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"slices"
	"time"

	"watertight/internal/core/acl"
	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
	"watertight/internal/core/instant"
	"watertight/internal/storage/kv"
)

// rollbackPlan plans one page.
type rollbackPlan struct {
	in      *RollbackInput
	at      time.Time
	by      writer
	clock   *instant.Clock
	b       *bucket.Bucket
	private bool // public ACLs are blocked
	to      uint64
	skip    int    // bytes of a record's key before the object's key
	end     []byte // of the scan
	key     []byte // the object's key that is being judged
	looked  int    // keys that were judged
	weight  int    // keys that change, and parts; see rollbackChanges
	full    bool
	newest  *version // of key, if it is later than the instant
	ruined  bool     // a record of key can't be read
	settled bool     // the state of key at the instant is known
	out     RolledBack
	steps   []rollbackStep
	lost    alarm.Changes // what happened to current objects, as apply counts it
}

// rollbackStep is a key to be changed, as the plan read it.
type rollbackStep struct {
	key     string
	ruined  bool     // a record can't be read, so the key is skipped
	head    *version // the newest version
	old     *version // the version whose content becomes current; nil for a delete marker
	renewed []byte   // data key of old, wrapped under the current generation of the root key
}

func (p *rollbackPlan) run(r kv.Reader) error {
	if err := p.in.checkBucket(p.b); err != nil {
		return err
	}
	public, err := bucket.Public(r, p.b, p.at)
	if err != nil {
		return err
	}
	p.private, p.to = public.BlockPublicACLs, seqAt(p.in.To)
	versions := bucket.VersionsOf(p.b.ID)
	p.skip = len(versions)
	from := append(versions, p.in.Prefix...)
	p.end = record.After(from)
	if p.in.After != "" {
		if after := record.After(slot{p.b, p.in.After}.versions()); bytes.Compare(after, from) > 0 {
			from = after
		}
	}
	for from != nil && err == nil {
		from, err = p.scan(r, from)
	}
	if err == nil && !p.full {
		p.finish(nil)
	}
	return err
}

// scan reads versions, beginning at a record. It returns the record to seek next; nil at the
// end of the page or of the versions.
func (p *rollbackPlan) scan(r kv.Reader, from []byte) ([]byte, error) {
	steps := 0
	for pair, err := range r.Scan(from, p.end) {
		if err != nil {
			return nil, err
		}
		if len(pair.Key) < p.skip+seqSize {
			return nil, malformed()
		}
		key := pair.Key[p.skip : len(pair.Key)-seqSize]
		if !bytes.Equal(key, p.key) {
			if p.finish(key); p.full {
				return nil, nil
			}
			steps = 0
		}
		switch {
		case p.settled || p.ruined:
		case ^binary.BigEndian.Uint64(pair.Key[len(pair.Key)-8:]) <= p.to:
			p.settle(pair.Value)
		case p.newest == nil:
			p.newest = p.decode(pair.Value)
		}
		if steps++; steps < maxSteps {
			continue
		}
		k := slot{p.b, string(p.key)}
		if p.settled || p.ruined {
			return record.After(k.versions()), nil
		}
		return k.version(p.to), nil
	}
	return nil, nil
}

// decode reads a record. If it can't be read, the key is skipped.
func (p *rollbackPlan) decode(b []byte) *version {
	v, err := decodeVersion(bytes.Clone(b))
	p.ruined = p.ruined || err != nil
	return v
}

// settle takes the newest version at the instant, and judges the key. If that is the newest
// of all, nothing has changed since then.
func (p *rollbackPlan) settle(b []byte) {
	p.settled = true
	if p.newest == nil {
		p.out.Unchanged++
		return
	}
	if old := p.decode(b); !p.ruined {
		p.plan(old)
	}
}

// finish ends the current key, and begins the next one unless the page is full.
func (p *rollbackPlan) finish(next []byte) {
	switch {
	case p.key == nil:
	case p.ruined:
		p.weight++
		p.steps = append(p.steps, rollbackStep{key: string(p.key), ruined: true})
	case !p.settled:
		p.plan(nil)
	}
	if p.key != nil {
		p.out.Last = string(p.key)
	}
	if next == nil {
		return
	}
	if p.full = p.weight >= rollbackChanges || p.looked >= rollbackKeys; p.full {
		p.out.Next = string(p.key)
		return
	}
	if p.looked++; p.looked == 1 {
		p.out.First = string(next)
	}
	p.key = append(p.key[:0], next...)
	p.newest, p.settled, p.ruined = nil, false, false
}

// plan adds a step for the current key, unless it already has the older state.
func (p *rollbackPlan) plan(old *version) {
	j := judge(p.newest, old, p.private)
	if j.action == "" {
		p.out.count(&j)
		return
	}
	p.weight++
	s := rollbackStep{key: string(p.key), head: p.newest}
	if j.action != RollbackHides {
		if s.old = old; !old.shared {
			p.weight += int(old.etag.Parts)
		}
	}
	p.steps = append(p.steps, s)
}

// public returns the keys whose ACLs have public grants that are not blocked.
func (p *rollbackPlan) public() (keys []string) {
	for i := range p.steps {
		if s := &p.steps[i]; !p.private && s.old != nil && s.old.acl.Public() {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// conclude counts and lists the planned changes, and drops the steps that change nothing.
func (p *rollbackPlan) conclude(opens func(key string) bool) {
	left := p.steps[:0]
	for _, s := range p.steps {
		j := judged{action: RollbackSkips}
		if !s.ruined {
			j = judge(s.head, s.old, p.private || !opens(s.key))
		}
		p.out.count(&j)
		switch {
		case j.action == "":
		case p.in.DryRun || s.ruined:
			p.out.Entries = append(p.out.Entries, j.entry(s.key))
		default:
			left = append(left, s)
		}
	}
	p.steps = left
}

// judged is what a rollback has to do to a key.
type judged struct {
	action RollbackAction // "" if the key already has the older state
	old    *version       // the older state; nil or a delete marker if there was no object
	acl    acl.List       // the ACL of the new version
	bytes  int64
	public bool // the new version has public grants in its ACL
	bare   bool // the new version lacks the public grants of the old one
}

// judge compares the current state of a key with an older one. Each is an object, a delete
// marker, or nil. With private, public grants do not return.
func judge(head, old *version, private bool) judged {
	exists := head != nil && !head.deleteMarker
	j := judged{old: old}
	if old == nil || old.deleteMarker {
		if exists {
			j.action = RollbackHides
		}
		return j
	}
	j.acl, j.bytes, j.public = old.acl, old.size, old.acl.Public()
	if private && j.public {
		j.acl, j.public, j.bare = j.acl.Private(), false, true
	}
	switch {
	case !exists:
		j.action = RollbackRestores
	case !head.sameAs(old, old.acl) && !head.sameAs(old, j.acl):
		j.action = RollbackChanges
	}
	return j
}

// sameAs reports whether v is what a rollback to old would make, with an ACL.
func (v *version) sameAs(old *version, l acl.List) bool {
	return v.payloadUnique() == old.payloadUnique() && v.storageClass == old.storageClass &&
		v.owner == old.owner && v.encryption == old.encryption && reflect.DeepEqual(v.kms, old.kms) &&
		slices.Equal(v.acl, l) && slices.Equal(v.tags, old.tags) && reflect.DeepEqual(v.metadata, old.metadata)
}

func (j *judged) entry(key string) RollbackEntry {
	e := RollbackEntry{Action: j.action, Key: key}
	if j.action == RollbackRestores || j.action == RollbackChanges {
		e.VersionID, e.Size, e.Modified = j.old.id(), j.old.size, j.old.modified
		e.Public, e.Private = j.public, j.bare
	}
	return e
}

func (n *RolledBack) count(j *judged) {
	switch j.action {
	case RollbackRestores:
		n.Restored++
	case RollbackChanges:
		n.Changed++
	case RollbackHides:
		n.Hidden++
	case RollbackSkips:
		n.Skipped++
		return
	default:
		n.Unchanged++
		return
	}
	if j.action == RollbackHides {
		return
	}
	n.Bytes += j.bytes
	switch {
	case j.public:
		n.Public++
	case j.bare:
		n.Private++
	}
}
