package cdn

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"time"

	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Keys of this package's records. T is the letter of a kind, HOST a domain name by its labels
// from the last to the first.
//
//	x/T/ID                 a resource
//	x/n/ACCOUNT/T/ID       the resources of an account
//	x/m/ACCOUNT/T/NAME     the id of a resource by its name
//	x/r/ACCOUNT/T/HASH     the id of a resource by its caller reference's SHA-256
//	x/u/USED/USER          what uses a resource
//	x/a/HOST               the distribution of a domain name
//	x/v/ID/NUMBER          invalidations of a distribution, newest first
//	x/w/NUMBER             paths of an invalidation
//	x/s                    generation and numbers
//	x/e/KEY                edges on other machines, by access key id
const (
	ownedPrefix     = "x/n/"
	namePrefix      = "x/m/"
	referencePrefix = "x/r/"
	usePrefix       = "x/u/"
	hostPrefix      = "x/a/"
	batchPrefix     = "x/v/"
	pathsPrefix     = "x/w/"
	statePrefix     = "x/s"
	edgePrefix      = "x/e/"
)

func itemPrefix(k kind) []byte         { return record.Key("x/", k.letter, "/") }
func itemKey(k kind, id string) []byte { return record.Key("x/", k.letter, "/", id) }
func ownedKey(k kind, account, id string) []byte {
	return record.Key(ownedPrefix, account, "/", k.letter, "/", id)
}
func nameKey(k kind, account, name string) []byte {
	return record.Key(namePrefix, account, "/", k.letter, "/", name)
}
func referenceKey(k kind, account, reference string) []byte {
	sum := sha256.Sum256([]byte(reference))
	return record.Key(referencePrefix, account, "/", k.letter, "/", string(sum[:]))
}
func useKey(used, user string) []byte { return record.Key(usePrefix, used, "/", user) }

// item is the record of a resource.
type item struct {
	id         string
	account    string
	created    time.Time
	modified   time.Time
	etag       string
	generation uint64 // that of its last change
	document   []byte // JSON of its configuration
	domainName string // of a distribution
	tags       []tag.Tag
	kept       []byte // ancillary fields of a later program
}

// Fields of a resource's record. The numbers are stored.
const (
	fieldAccount    = 1
	fieldCreated    = 2
	fieldModified   = 3
	fieldETag       = 4
	fieldGeneration = 5
	fieldDocument   = 6
	fieldDomainName = 7
	fieldTag        = 8 // repeated pair
)

func (i *item) encode() []byte {
	r := record.Start(make([]byte, 0, 128+len(i.document)))
	r = record.String(r, fieldAccount, i.account)
	r = record.Time(r, fieldCreated, i.created)
	r = record.Time(r, fieldModified, i.modified)
	r = record.String(r, fieldETag, i.etag)
	r = record.Uint(r, fieldGeneration, i.generation)
	r = record.Bytes(r, fieldDocument, i.document)
	r = record.String(r, fieldDomainName, i.domainName)
	for _, t := range i.tags {
		r = record.Pair(r, fieldTag, t.Key, t.Value)
	}
	return append(r, i.kept...)
}

func decodeItem(id string, value []byte) (*item, error) {
	i := &item{id: id}
	ok := true
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldAccount:
			i.account = string(f.Bytes)
		case fieldCreated:
			i.created = f.Time()
		case fieldModified:
			i.modified = f.Time()
		case fieldETag:
			i.etag = string(f.Bytes)
		case fieldGeneration:
			i.generation = f.Uint
		case fieldDocument:
			i.document = bytes.Clone(f.Bytes)
		case fieldDomainName:
			i.domainName = string(f.Bytes)
		case fieldTag:
			key, value, good := f.Pair()
			ok = ok && good
			i.tags = append(i.tags, tag.Tag{Key: key, Value: value})
		default:
			i.kept = f.Keep(i.kept)
		}
	}
	if err := f.Err(); err != nil {
		return nil, fault.Internal(err)
	}
	if !ok || i.account == "" || i.etag == "" || i.document == nil {
		return nil, record.Malformed("CDN " + id)
	}
	return i, nil
}

func (i *item) write(tx kv.Tx, k kind) { tx.Set(itemKey(k, i.id), i.encode()) }

// config decodes a resource's configuration. It refuses a document with an unknown member,
// which may restrict access.
func config[C any](i *item) (c C, err error) {
	d := json.NewDecoder(bytes.NewReader(i.document))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return c, record.Malformed("configuration of CDN " + i.id)
	}
	if _, err := d.Token(); err != io.EOF {
		return c, record.Malformed("configuration of CDN " + i.id)
	}
	return c, nil
}

// set replaces a resource's configuration, and its ETag.
func (i *item) set(config any, generation uint64, at time.Time) error {
	document, err := json.Marshal(config)
	if err != nil {
		return fault.Internal(err)
	}
	i.document, i.generation, i.modified, i.etag = document, generation, at, newID('E')
	return nil
}

// readItem returns a resource of an account. If there is none, the error is the kind's.
func readItem(r kv.Reader, k kind, account, id string) (*item, error) {
	i, err := readAnyItem(r, k, id)
	if err != nil {
		return nil, err
	}
	if i.account != account {
		return nil, fault.Of(k.missing)
	}
	return i, nil
}

// readAnyItem is readItem for every account. Only the operator may use it.
func readAnyItem(r kv.Reader, k kind, id string) (*item, error) {
	v, err := r.Get(itemKey(k, id))
	if err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fault.Of(k.missing)
	}
	return decodeItem(id, v)
}

// read returns a resource of an account and its configuration.
func read[C any](r kv.Reader, k kind, account, id string) (*item, C, error) {
	i, err := readItem(r, k, account, id)
	if err != nil {
		var none C
		return nil, none, err
	}
	c, err := config[C](i)
	return i, c, err
}

// state is the record of generation and numbers.
type state struct {
	generation uint64
	number     uint64 // of the newest invalidation
	oldest     uint64 // number of the oldest invalidation that edges are told
}

// Fields of the state. The numbers are stored.
const (
	fieldStateGeneration = 1
	fieldStateNumber     = 2
	fieldStateOldest     = 3
)

func readState(r kv.Reader) (*state, error) {
	v, err := r.Get([]byte(statePrefix))
	if err != nil || v == nil {
		return &state{}, err
	}
	s := &state{}
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldStateGeneration:
			s.generation = f.Uint
		case fieldStateNumber:
			s.number = f.Uint
		case fieldStateOldest:
			s.oldest = f.Uint
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return nil, record.Malformed("state of the CDN")
	}
	return s, nil
}

func (s *state) encode() []byte {
	r := record.Uint(record.Start(nil), fieldStateGeneration, s.generation)
	r = record.Uint(r, fieldStateNumber, s.number)
	return record.Uint(r, fieldStateOldest, s.oldest)
}

func (s *state) write(tx kv.Tx) { tx.Set([]byte(statePrefix), s.encode()) }
