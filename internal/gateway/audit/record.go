package audit

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
)

// prefix begins the key of every event that waits in the store, and after ends the range:
// prefix, microseconds (8 bytes, big-endian), random (8 bytes).
const (
	prefix  = "a/"
	after   = "a0"
	keySize = len(prefix) + 16
)

// Record is the audit event of one request. The dispatcher sets Event before the handler
// runs, and calls Finish at the end; in between, core takes the entry of each change. A
// request without a change has one event. A request with several changes, one after
// another, has an event for each, with the same requestID. A request that fails after its
// change was made has a second event that reports the failure.
type Record struct {
	Event Event

	log      *Log
	mu       sync.Mutex
	key      []byte
	value    []byte
	id       [16]byte          // eventID of the entry
	noted    []Param           // responseElements of the change
	room     [usualNotes]Param // of noted
	source   *source
	changed  bool // an entry is in the store
	finished bool
	granted  bool // at least one need was allowed
	promised int  // bytes of the queue
}

var _ authz.Record = (*Record)(nil)

// Begin returns the record of a request that arrived at a time.
func (l *Log) Begin(requestID string, at time.Time) *Record {
	return l.BeginIn(new(Record), requestID, at)
}

// BeginIn is Begin in the memory of r, a zero record.
func (l *Log) BeginIn(r *Record, requestID string, at time.Time) *Record {
	r.log, r.Event.RequestID, r.Event.Time = l, requestID, at
	return r
}

// Granted records that the caller was allowed at least part of what it asked for. From then
// on a failure has its own event and is never only counted.
func (r *Record) Granted() {
	r.mu.Lock()
	r.granted = true
	r.mu.Unlock()
}

// Admit reserves space for the event of a read that is about to be answered. It waits for
// space. Changes do not wait here: their events commit with the change. Finish must follow.
// Error: ServiceUnavailable if there is no space in time.
func (r *Record) Admit(ctx context.Context) error {
	r.mu.Lock()
	n, of := r.Event.size(), r.source
	r.mu.Unlock()
	if of != nil {
		n += escaped(of.key) + escaped(of.bucket)
	}
	if of == nil && !r.Event.Operation.Reads {
		return nil
	}
	if err := r.log.queue.admit(ctx, n); err != nil {
		r.mu.Lock()
		r.granted = false // it is counted like the requests that were refused
		r.mu.Unlock()
		return err
	}
	r.mu.Lock()
	r.promised += n
	r.mu.Unlock()
	return nil
}

// Note implements authz.Record. The note of a write's encryption also counts as the
// encryption that was applied, because a bucket's default is known only then.
func (r *Record) Note(name string, values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.value = nil
	if name == "x-amz-server-side-encryption" && len(values) == 1 {
		kind := SSEApplied(values[0])
		if strings.HasPrefix(r.Event.SSEApplied, defaultSSE) {
			kind = defaultSSE + kind
		}
		r.Event.SSEApplied = kind
	}
	r.noted = slices.DeleteFunc(r.noted, func(p Param) bool { return p.Name == name })
	if r.noted == nil {
		r.noted = r.room[:0]
	}
	for _, v := range values {
		r.noted = append(r.noted, Param{Name: name, Value: v, Harmless: plainNote(name)})
	}
}

// plainNote reports whether a name is one of those that many requests note. They are no
// secrets, so Secret need not look for words in them.
func plainNote(name string) bool {
	switch name {
	case "kms:Decrypt", "kms:GenerateDataKey", "x-amz-server-side-encryption", "x-amz-version-id":
		return true
	}
	return false
}

// usualNotes is how much most changes note: the use of a key and the encryption.
const usualNotes = 2

// defaultSSE begins CloudTrail's name of an encryption that the request did not choose.
const defaultSSE = "Default_"

// SSEApplied returns CloudTrail's name of an encryption, given its header's value (S3 user
// guide, "Amazon S3 CloudTrail events"; the name for aws:kms:dsse is not documented).
func SSEApplied(encryption string) string {
	switch encryption {
	case "aws:kms":
		return "SSE_KMS"
	case "aws:kms:dsse":
		return "DSSE_KMS"
	}
	return "SSE_S3"
}

// source is an object of another account that a copy reads.
type source struct{ bucket, key, owner string }

// Source names an object of another account that a copy reads. The account that owns it
// gets an event of the read.
func (r *Record) Source(bucket, key, owner string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.source = &source{bucket, key, owner}
}

// Entry returns the key and the value of the event of a change that succeeds. Until
// Committed it returns the same event, however often the transaction is repeated, except
// for what was noted since. The caller must not modify the slices.
func (r *Record) Entry() (key, value []byte, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.key == nil {
		id := newID(r.Event.Time)
		r.key, r.id = append([]byte(prefix), id[:]...), randomID()
	}
	if r.value == nil {
		e := r.Event
		e.ErrorCode, e.ErrorMessage = "", ""
		if e.Response = r.noted; len(r.Event.Response) > 0 {
			e.Response = slices.Concat(r.Event.Response, r.noted)
		}
		r.value = e.appendJSON(make([]byte, 0, 1536), r.id, r.log.region)
	}
	return r.key, r.value, nil
}

// Committed records that the entry is in the store.
func (r *Record) Committed() {
	r.mu.Lock()
	if r.key == nil {
		r.mu.Unlock()
		return
	}
	r.key, r.value, r.noted, r.changed = nil, nil, nil, true
	r.mu.Unlock()
	r.log.committed()
}

// Outcome is the result of a request.
type Outcome struct {
	Err               error // nil means success; code and message are recorded, the cause is not
	BytesIn, BytesOut int64
	SSEApplied        string
	Response          []Param // responseElements
}

// Finish passes the event to the writer unless a change has already committed it. Only the
// first call has an effect. It does not wait for the disk; if the writer is behind, it
// waits a moment for space.
func (r *Record) Finish(o Outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.finished {
		return
	}
	r.finished = true
	if r.changed && o.Err == nil {
		if r.source == nil {
			r.log.queue.release(r.promised)
			return
		}
		r.log.direct(r.reading(), true, r.promised)
		return
	}
	e := &r.Event
	if f := fault.From(o.Err); f != nil {
		e.ErrorCode, e.ErrorMessage = string(f.Code), f.Message
		if e.ErrorCode == "" {
			e.ErrorCode = "InternalError"
		}
	}
	e.BytesIn, e.BytesOut, e.Response = o.BytesIn, o.BytesOut, o.Response
	if o.Err == nil && len(e.Response) == 0 {
		e.Response = r.noted // of a change that was not made
	}
	if o.SSEApplied != "" {
		e.SSEApplied = o.SSEApplied
	}
	r.log.direct(e, r.granted, r.promised)
}

// reading returns the event for the owner of the object that was copied.
func (r *Record) reading() *Event {
	e := r.Event
	e.Operation = action.OperationOf("s3", "GetObject")
	e.Bucket, e.Key, e.Owner = r.source.bucket, r.source.key, r.source.owner
	e.BytesIn, e.BytesOut, e.SSEApplied = 0, 0, ""
	e.Parameters = nil
	for _, p := range r.Event.Parameters {
		if strings.HasPrefix(p.Name, "x-amz-copy-source") {
			e.Parameters = append(e.Parameters, p)
		}
	}
	e.Parameters = append(e.Parameters, Param{Name: "copiedTo", Value: r.Event.Bucket + "/" + r.Event.Key})
	return &e
}

// newID returns 8 bytes of time and 8 random bytes, so that ids ascend by request and are unique.
func newID(at time.Time) (id [16]byte) {
	binary.BigEndian.PutUint64(id[:8], uint64(max(0, at.UnixMicro())))
	rand.Read(id[8:])
	return id
}

func randomID() (id [16]byte) {
	rand.Read(id[:])
	return id
}
