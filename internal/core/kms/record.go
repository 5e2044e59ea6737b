package kms

import (
	"crypto/rand"
	"encoding/hex"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/change/record"
	"watertight/internal/core/principal"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Keys of this package's records. UUID is a key's id in its written form; times are 8
// bytes, microseconds since 1970.
//
//	k/k/UUID            a key
//	k/n/ACCOUNT/UUID    the keys of an account
//	k/c/ACCOUNT         how many an account has
//	k/m/UUID/MATERIAL   a material of a key, by its id (32 bytes)
//	k/a/ACCOUNT/ALIAS   an alias, without "alias/"
//	k/b/UUID/ALIAS      the aliases of a key
//	k/d/END UUID        when a key is destroyed
//	k/x/END UUID        when a key's imported material expires
//	k/t/END UUID        when a key's material is rotated next
//	k/u/UUID            last use of a key
//	k/e/UUID            old values of a key's material may lie in the store's files
//	k/i/UUID/END TOKEN  what an import token stands for (TOKEN: 16 bytes)
const (
	keyPrefix      = "k/k/"
	ownedPrefix    = "k/n/"
	countPrefix    = "k/c/"
	materialPrefix = "k/m/"
	aliasPrefix    = "k/a/"
	aliasedPrefix  = "k/b/"
	deletionPrefix = "k/d/"
	expiryPrefix   = "k/x/"
	rotationPrefix = "k/t/"
	usedPrefix     = "k/u/"
	importPrefix   = "k/i/"
	erasePrefix    = "k/e/"
)

func keyKey(id string) []byte            { return record.Key(keyPrefix, id) }
func ownedKey(account, id string) []byte { return record.Key(ownedPrefix, account, "/", id) }
func countKey(account string) []byte     { return record.Key(countPrefix, account) }
func materialsOf(id string) []byte       { return record.Key(materialPrefix, id, "/") }
func materialKey(id string, m MaterialID) []byte {
	return record.Key(materialPrefix, id, "/", string(m[:]))
}

func dueKey(prefix string, at time.Time, id string) []byte {
	return append(record.Big([]byte(prefix), uint64(max(0, at.UnixMicro()))), id...)
}

// PolicyID identifies one version of a key's policy.
type PolicyID [8]byte

// keyRecord is the record of a key.
type keyRecord struct {
	id          string
	region      string
	account     string
	created     time.Time
	description string
	state       State
	managed     bool
	imported    bool
	policy      string
	bound       principal.Bindings
	policyID    PolicyID
	tags        []tag.Tag
	ends        time.Time // end of the waiting period, if deletion is pending
	window      int       // days
	current     MaterialID
	materials   uint64    // how many the key has had
	validTo     time.Time // end of imported material; zero means that it does not expire
	period      int       // days between automatic rotations; 0 is off
	next        time.Time // time of the next automatic rotation
	onDemand    int       // number of rotations on demand
	grants      uint64    // number of grants
	kept        []byte    // ancillary fields of a later program
	shared      shared    // zero in a transaction
}

// Fields of a key's record. The numbers are stored.
const (
	fieldRegion      = 1
	fieldAccount     = 2
	fieldCreated     = 3
	fieldDescription = 4
	fieldState       = 5
	fieldManaged     = 6
	fieldImported    = 7
	fieldPolicy      = 8
	fieldBound       = 9 // repeated pair: ARN, unique id
	fieldPolicyID    = 10
	fieldTag         = 11 // repeated pair
	fieldEnds        = 12
	fieldWindow      = 13
	fieldCurrent     = 14
	fieldMaterials   = 15
	fieldValidTo     = 16
	fieldPeriod      = 17
	fieldNext        = 18
	fieldOnDemand    = 19
	fieldGrants      = 20
)

func (k *keyRecord) encode() []byte {
	r := record.Start(make([]byte, 0, 192+len(k.policy)+len(k.description)))
	r = record.String(r, fieldRegion, k.region)
	r = record.String(r, fieldAccount, k.account)
	r = record.Time(r, fieldCreated, k.created)
	r = record.String(r, fieldDescription, k.description)
	r = record.Uint(r, fieldState, uint64(k.state))
	r = record.Bool(r, fieldManaged, k.managed)
	r = record.Bool(r, fieldImported, k.imported)
	r = record.String(r, fieldPolicy, k.policy)
	for _, b := range k.bound {
		r = record.Pair(r, fieldBound, b.Name, b.ID)
	}
	r = record.Bytes(r, fieldPolicyID, k.policyID[:])
	for _, t := range k.tags {
		r = record.Pair(r, fieldTag, t.Key, t.Value)
	}
	if !k.ends.IsZero() {
		r = record.Time(r, fieldEnds, k.ends)
	}
	r = record.Uint(r, fieldWindow, uint64(max(0, k.window)))
	if k.current != (MaterialID{}) {
		r = record.Bytes(r, fieldCurrent, k.current[:])
	}
	r = record.Uint(r, fieldMaterials, k.materials)
	if !k.validTo.IsZero() {
		r = record.Time(r, fieldValidTo, k.validTo)
	}
	r = record.Uint(r, fieldPeriod, uint64(max(0, k.period)))
	if !k.next.IsZero() {
		r = record.Time(r, fieldNext, k.next)
	}
	r = record.Uint(r, fieldOnDemand, uint64(max(0, k.onDemand)))
	r = record.Uint(r, fieldGrants, k.grants)
	return append(r, k.kept...)
}

func decodeKey(id string, value []byte) (*keyRecord, error) {
	k := &keyRecord{id: id}
	ok := true
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldRegion:
			k.region = string(f.Bytes)
		case fieldAccount:
			k.account = string(f.Bytes)
		case fieldCreated:
			k.created = f.Time()
		case fieldDescription:
			k.description = string(f.Bytes)
		case fieldState:
			k.state = State(min(f.Uint, 255))
			if !k.state.known() || k.state == PendingImport { // it follows from the material
				f.Unknown()
			}
		case fieldManaged:
			k.managed = f.Uint != 0
		case fieldImported:
			k.imported = f.Uint != 0
		case fieldPolicy, fieldBound, fieldPolicyID:
			ok = k.decodePolicy(&f) && ok
		case fieldTag:
			name, value, good := f.Pair()
			ok = ok && good
			k.tags = append(k.tags, tag.Tag{Key: name, Value: value})
		case fieldEnds:
			k.ends = f.Time()
		case fieldWindow:
			k.window = f.Int()
		case fieldCurrent:
			ok = copy(k.current[:], f.Bytes) == len(k.current) && ok
		case fieldMaterials:
			k.materials = f.Uint
		case fieldValidTo:
			k.validTo = f.Time()
		case fieldPeriod:
			k.period = f.Int()
		case fieldNext:
			k.next = f.Time()
		case fieldOnDemand:
			k.onDemand = f.Int()
		case fieldGrants:
			k.grants = f.Uint
		default:
			k.kept = f.Keep(k.kept)
		}
	}
	if err := f.Err(); err != nil {
		return nil, fault.Internal(err)
	}
	if !ok || k.region == "" || k.account == "" || k.policy == "" || k.state == 0 ||
		(k.state == PendingDeletion) == k.ends.IsZero() {
		return nil, record.Malformed("KMS key " + id)
	}
	return k, nil
}

// decodePolicy reads the fields of the policy.
func (k *keyRecord) decodePolicy(f *record.Fields) bool {
	switch f.Number {
	case fieldPolicy:
		k.policy = string(f.Bytes)
	case fieldPolicyID:
		return copy(k.policyID[:], f.Bytes) == len(k.policyID)
	default:
		name, id, ok := f.Pair()
		k.bound = append(k.bound, principal.Binding{Name: name, ID: id})
		return ok
	}
	return true
}

// readKey returns the key with an id, or nil if there is none.
func readKey(r kv.Reader, id string) (*keyRecord, error) {
	v, err := r.Get(keyKey(id))
	if err != nil || v == nil {
		return nil, err
	}
	return decodeKey(id, v)
}

func (k *keyRecord) write(tx kv.Tx) { tx.Set(keyKey(k.id), k.encode()) }

// setPolicy replaces the policy's text and the unique ids of its principals.
func (k *keyRecord) setPolicy(text string, bound principal.Bindings) {
	k.policy, k.bound = text, bound
	rand.Read(k.policyID[:])
}

func (k *keyRecord) arn() arn.ARN {
	if k.shared.name != "" {
		return k.shared.arn
	}
	return arn.ARN{
		Partition: "aws", Service: "kms", Region: k.region, Account: k.account, Resource: "key/" + k.id,
	}
}

// text returns the key's ARN as text.
func (k *keyRecord) text() string {
	if k.shared.name != "" {
		return k.shared.name
	}
	return k.arn().String()
}

// texts returns the key's ARN as text, alone in a slice that must not be modified.
func (k *keyRecord) texts() []string {
	if k.shared.name != "" {
		return k.shared.names
	}
	return []string{k.text()}
}

// binary returns the key's id as it is written in ciphertext.
func (k *keyRecord) binary() (keyID, bool) {
	if k.shared.name != "" {
		return k.shared.binary, true
	}
	return parseKeyID(k.id)
}

func (k *keyRecord) key() Key { return Key{ARN: k.arn(), Name: k.text(), ID: k.id, Managed: k.managed} }

// metadata returns the metadata of a key at a time.
func (k *keyRecord) metadata(at time.Time) Metadata {
	m := Metadata{
		Account: k.account, ID: k.id, ARN: k.arn(), Created: k.created, Description: k.description,
		State: k.stateAt(at), Managed: k.managed, Imported: k.imported,
	}
	if m.State == PendingDeletion {
		m.DeletionDate, m.PendingWindow = k.ends, k.window
	}
	if k.hasMaterial(at) {
		m.HasMaterial, m.Material, m.ValidTo = true, k.current, k.validTo
	}
	return m
}

// The id of a key is a random UUID (RFC 9562, version 4) in lower case. Ciphertext contains
// its 16 bytes.
type keyID [16]byte

func newKeyID() (id keyID) {
	rand.Read(id[:])
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id
}

func (id keyID) String() string {
	var b [36]byte
	at := 0
	for _, part := range [...][]byte{id[:4], id[4:6], id[6:8], id[8:10], id[10:]} {
		if at > 0 {
			b[at] = '-'
			at++
		}
		at += hex.Encode(b[at:], part)
	}
	return string(b[:])
}

// parseKeyID decodes the written form of an id.
func parseKeyID(s string) (id keyID, ok bool) {
	if len(s) != 36 {
		return id, false
	}
	n := 0 // number of digits so far
	for i := range len(s) {
		c := s[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return keyID{}, false
			}
			continue
		}
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		default:
			return keyID{}, false
		}
		id[n/2] = id[n/2]<<4 | c
		n++
	}
	return id, true
}
