package kms

import (
	"bytes"
	"context"
	"errors"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// Open opens a data key of a service for the operator's commands. It checks no permissions
// and opens data keys of disabled keys, too. Errors: NotFoundException for a destroyed key,
// KMSInvalidStateException for removed material, InvalidCiphertextException.
func (o *Operator) Open(ctx context.Context, wrapped, binding []byte) (seal.Key, error) {
	p, ok := parseBlob(wrapped)
	if !ok || !p.purpose.isService() {
		return seal.Key{}, invalidCiphertext()
	}
	at := o.now()
	var m *materialRecord
	err := o.store.View(ctx, func(r kv.Reader) error {
		k, err := readKey(r, p.key.String())
		switch {
		case err != nil:
			return err
		case k == nil || k.isDestroyed(at):
			return notFound("Key '" + p.key.String() + "' does not exist")
		case !k.hasMaterial(at):
			return invalidState(k.arn().String() + " is pending import.")
		}
		if m, err = readMaterial(r, k.id, p.material); err == nil && (m == nil || m.wrapped == nil) {
			err = invalidCiphertext()
		}
		return err
	})
	if err != nil {
		return seal.Key{}, err
	}
	opened, err := o.openMaterial(p.key, m)
	if err != nil {
		return seal.Key{}, err
	}
	plain, err := p.open(opened, binding)
	if err != nil || len(plain) != seal.KeySize {
		return seal.Key{}, invalidCiphertext()
	}
	return seal.Key(plain), nil
}

// Rewrap seals a data key of a service under its key's current material. If the current
// material has sealed it already, it returns false, and nothing has to be done. Errors:
// InvalidCiphertextException, AccessDenied for a destroyed key, DisabledException,
// KMSInvalidStateException.
func (o *Operator) Rewrap(ctx context.Context, wrapped, binding []byte) ([]byte, bool, error) {
	p, ok := parseBlob(wrapped)
	if !ok || !p.purpose.isService() {
		return nil, false, invalidCiphertext()
	}
	at := o.now()
	var old, current *materialRecord
	err := o.store.View(ctx, func(r kv.Reader) error {
		k, err := o.findSealer(r, "", "", &p, at)
		if err != nil {
			return err
		}
		if err := k.check(toUse, at); err != nil {
			return err
		}
		if old, err = o.decoded.material(r, k.id, p.material); err != nil {
			return err
		}
		if current, err = o.decoded.material(r, k.id, k.current); err != nil {
			return err
		}
		if old == nil || current == nil || old.wrapped == nil || current.wrapped == nil {
			return invalidCiphertext()
		}
		return nil
	})
	if err != nil || old.id == current.id {
		return wrapped, false, err
	}
	from, err := o.openMaterial(p.key, old)
	if err != nil {
		return nil, false, err
	}
	plain, err := p.open(from, binding)
	if err != nil {
		return nil, false, invalidCiphertext()
	}
	to, err := o.openMaterial(p.key, current)
	if err != nil {
		return nil, false, err
	}
	return sealBlob(forDataKeys, p.key, current.id, to, plain, binding), true, nil
}

// rewrapPortion bounds the records that one call of RewrapMaterial reads.
const rewrapPortion = 512

// RewrapMaterial wraps material under the current generation of the root key, in batches.
// after is "" in the first call, and then next of the previous call; next is "" at the end.
// It returns how many records it read, and how many of these an older generation wrapped. A
// record that changes in the meantime is left to another run. It also rewraps the private
// keys of import tokens.
func (o *Operator) RewrapMaterial(ctx context.Context, after string) (next string, read, changed int, err error) {
	type pair struct{ key, old, fresh []byte }
	var pairs []pair
	err = o.store.View(ctx, func(r kv.Reader) error {
		for _, prefix := range [...]string{importPrefix, materialPrefix} {
			from := []byte(prefix)
			if after > prefix {
				from = []byte(after + "\x00")
			}
			end := record.After([]byte(prefix))
			if bytes.Compare(from, end) >= 0 {
				continue
			}
			for p, err := range r.Scan(from, end) {
				if err != nil {
					return err
				}
				if read == rewrapPortion {
					return nil
				}
				read++
				next = string(p.Key)
				pairs = append(pairs, pair{key: bytes.Clone(p.Key), old: bytes.Clone(p.Value)})
			}
		}
		next = ""
		return nil
	})
	if err != nil {
		return "", 0, 0, err
	}
	for i := range pairs {
		if pairs[i].fresh, err = o.rewrapped(pairs[i].key, pairs[i].old); err != nil {
			return "", 0, 0, err
		}
		if pairs[i].fresh != nil {
			changed++
		}
	}
	err = change.Background(ctx, o.store, "material under the current root key", func(tx kv.Tx) error {
		set := 0
		for _, p := range pairs {
			if p.fresh == nil {
				continue
			}
			now, err := tx.Get(p.key)
			if err != nil {
				return err
			}
			if bytes.Equal(now, p.old) { // another call has written it under the current root key
				tx.Set(p.key, p.fresh)
				set++
			}
		}
		if set == 0 {
			return change.ErrUnchanged
		}
		return nil
	})
	return next, read, changed, err
}

// rewrapped returns a record with its wrapped key under the current root key, or nil if it
// is so already.
func (o *Operator) rewrapped(key, value []byte) ([]byte, error) {
	if at, ok := bytes.CutPrefix(key, []byte(importPrefix)); ok {
		return o.rewrappedImport(at, value)
	}
	at := key[len(materialPrefix):]
	if len(at) != 36+1+len(MaterialID{}) {
		return nil, record.Malformed("material of a KMS key")
	}
	id, ok := parseKeyID(string(at[:36]))
	m, err := decodeMaterial(MaterialID(at[37:]), bytes.Clone(value))
	current := o.wrapping.root.Current().Number
	switch {
	case err != nil || !ok:
		return nil, errors.Join(err, fault.Internal(seal.ErrCorrupt))
	case m.wrapped == nil || m.generation == current:
		return nil, nil
	}
	material, err := o.openMaterial(id, m)
	if err != nil {
		return nil, err
	}
	fresh := o.newMaterial(id, material, m.created, m.how)
	m.wrapped, m.generation = fresh.wrapped, fresh.generation
	return m.encode(), nil
}

// rewrappedImport is rewrapped for the record of an import token.
func (o *Operator) rewrappedImport(at, value []byte) ([]byte, error) {
	if len(at) != 36+1+8+16 {
		return nil, record.Malformed("import token of a KMS key")
	}
	id, ok := parseKeyID(string(at[:36]))
	i, err := decodeImport(bytes.Clone(value))
	if err != nil || !ok {
		return nil, errors.Join(err, fault.Internal(seal.ErrCorrupt))
	}
	name := append(append([]byte{tokenVersion}, id[:]...), at[37:]...)
	wrapped, changed, err := o.wrapping.root.For(importPurpose).Rewrap(i.wrapped, name)
	if err != nil || !changed {
		return nil, err
	}
	i.wrapped = wrapped
	return i.encode(), nil
}
