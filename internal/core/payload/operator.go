package payload

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"watertight/internal/core/keys"
	"watertight/internal/core/payload/internal/blob"
	"watertight/internal/storage/seal"
)

// Operator checks sealed bytes, and puts damaged blobs into quarantine, for the operator's
// commands. It asks for no grant, and returns no plaintext.
type Operator struct {
	store *Store
	keys  OperatorKeys
}

// OperatorKeys opens data keys without a grant. keys.Operator implements it.
type OperatorKeys interface {
	Open(ctx context.Context, choice keys.Choice, wrapped, binding []byte) (seal.StreamKey, error)
}

// NewOperator returns the Operator of a Store.
func NewOperator(s *Store, k OperatorKeys) *Operator { return &Operator{s, k} }

// Renew is that of the store.
func (o *Operator) Renew(wrapped, binding []byte) ([]byte, error) {
	return o.store.Renew(wrapped, binding)
}

// ErrMissing is in the error for bytes that do not exist.
var ErrMissing = errors.New("payload: the bytes are not there")

// ErrWrongKey is in the error for bytes whose data key does not open: it was wrapped for
// another object, or it was changed.
var ErrWrongKey = errors.New("payload: the data key does not open")

// DamageError is the error for bytes that are not as their data key sealed them.
type DamageError struct {
	At     int64  // offset of the first plaintext byte that does not authenticate
	Reason string // for messages
}

// Error returns where the damage is.
func (d *DamageError) Error() string {
	return fmt.Sprintf("payload: from byte %d on: %s", d.At, d.Reason)
}

// Check names the bytes that Verify checks.
type Check struct {
	At      Location
	Inline  []byte // the sealed bytes, if they are stored inline
	Binding []byte
	Choice  keys.Choice // choice of a KMS key
	// Uncached makes Verify read from the disk, not from the system's cache.
	Uncached bool
	// Read is called before so many sealed bytes are read. If it returns an error, the check ends.
	Read func(n int64) error
}

// Verify checks that the bytes at a location are a stream that its data key sealed: their
// length, and every chunk. If a blob in quarantine is undamaged, Verify releases it.
// Errors: ErrMissing, ErrWrongKey and *DamageError; keys.ErrCustomerKey and
// keys.ErrUnavailable if only the length could be checked; any other if the bytes could not
// be read, so that nothing is known about them.
func (o *Operator) Verify(ctx context.Context, c Check) error {
	key, kerr := o.keys.Open(ctx, c.Choice, c.At.Key, c.Binding)
	closed := errors.Is(kerr, keys.ErrCustomerKey) || errors.Is(kerr, keys.ErrUnavailable)
	if kerr != nil && !closed {
		return fmt.Errorf("%w: %w", ErrWrongKey, kerr)
	}
	if closed && keys.Layers(c.At.Key) {
		key.Outer = &seal.Key{} // used only for the length
	}
	object, apart, err := o.open(c, DataKey{key})
	if err != nil {
		return err
	}
	err = kerr
	if !closed {
		err = o.chunks(object, c.Read)
	}
	if err = errors.Join(err, object.Close()); err == nil && apart {
		err = o.store.unquarantine(c.At.Blob)
	}
	return err
}

// open opens bytes whose length is right. apart is true for a blob in quarantine.
func (o *Operator) open(c Check, k DataKey) (_ *Object, apart bool, err error) {
	if c.At.Blob == "" && c.Inline == nil {
		return nil, false, ErrMissing
	}
	object, err := o.store.Open(c.At, k, c.Inline)
	if errors.Is(err, ErrQuarantined) {
		apart = true
		var b blob.Reader
		if b, err = o.store.engine.OpenQuarantined(c.At.Blob); err == nil {
			object, err = o.store.over(b, c.At, k)
		}
	}
	switch {
	case errors.Is(err, blob.ErrNotExist):
		return nil, apart, fmt.Errorf("%w: %w", ErrMissing, err)
	case errors.Is(err, seal.ErrCorrupt):
		return nil, apart, &DamageError{Reason: "the sealed bytes have another length than the record says"}
	case err == nil && c.Uncached:
		object.uncache()
	}
	return object, apart, err
}

// chunks reads every chunk.
func (o *Operator) chunks(object *Object, read func(int64) error) error {
	buf := o.store.chunks.Get().(*[]byte)
	defer o.store.chunks.Put(buf)
	for n, left := int64(0), object.Size(); n == 0 || left > 0; n, left = n+1, left-seal.ChunkSize {
		if err := read(min(left, seal.ChunkSize) + seal.Overhead); err != nil {
			return err
		}
		_, err := object.stream.Chunk(uint64(n), (*buf)[:cap(*buf)])
		if errors.Is(err, seal.ErrCorrupt) {
			return &DamageError{At: n * seal.ChunkSize, Reason: "a chunk does not authenticate"}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Shredded reports whether a data key can't be opened because the material of its key was deleted.
func (o *Operator) Shredded(ctx context.Context, choice keys.Choice, wrapped, binding []byte) (bool, error) {
	_, err := o.keys.Open(ctx, choice, wrapped, binding)
	return errors.Is(err, keys.ErrUnavailable), ctx.Err()
}

// Quarantine puts a blob into quarantine: it is not served and never removed. If it is in
// quarantine already, nothing changes.
func (o *Operator) Quarantine(name string) error {
	err := o.store.quarantine(name)
	if !errors.Is(err, blob.ErrNotExist) {
		return err
	}
	b, err := o.store.engine.OpenQuarantined(name)
	if err != nil {
		return err
	}
	return b.Close()
}

// Hold keeps the files of all blobs until release is called. A blob that loses its record
// in the meantime is moved to a separate folder, and removed after the hold or at the next
// start. So a backup can copy every blob that a snapshot of the records refers to, if the
// snapshot is taken during the hold. Only one hold is possible at a time; ok is false if
// there is another one.
func (o *Operator) Hold() (release func() error, ok bool) {
	s := o.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		return nil, false
	}
	s.held = true
	return func() error {
		s.mu.Lock()
		s.held = false
		s.mu.Unlock()
		return s.engine.Purge()
	}, true
}

// Apart counts the blobs that are set aside because no record refers to them, and those in
// quarantine.
func (o *Operator) Apart() (aside, quarantined int, err error) {
	for _, err := range o.store.engine.Aside() {
		if err != nil {
			return 0, 0, err
		}
		aside++
	}
	for _, err := range o.store.engine.Quarantined() {
		if err != nil {
			return 0, 0, err
		}
		quarantined++
	}
	return aside, quarantined, nil
}

// Unreferenced yields the blobs that no record refers to. It skips blobs whose record may
// be about to commit. It may yield a blob whose record was just deleted.
func (o *Operator) Unreferenced(ctx context.Context, live Live, total *int) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		more := true
		err := o.store.ask(ctx, o.store.blobs(total), live, func(name string, alive bool) error {
			if !alive && !yield(name, nil) {
				more = false
				return errStopped
			}
			return nil
		})
		if more && err != nil {
			yield("", err)
		}
	}
}

var errStopped = errors.New("payload: stopped")

// Present reports whether a blob still exists and is not in flight.
func (o *Operator) Present(name string) (bool, error) {
	if o.store.flying(name) {
		return false, nil
	}
	b, err := o.store.openBlob(name)
	if errors.Is(err, blob.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, b.Close()
}
