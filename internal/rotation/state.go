package rotation

import (
	"context"
	"time"

	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// stateKey is the key of the record of the newest rotation.
const stateKey = "w"

// state is the newest rotation as it is stored.
type state struct {
	Report
	part  int    // the part that is being rewrapped
	after string // position in it
	needs map[uint32]uint64
}

// Fields of the record. The numbers are stored.
const (
	fieldGeneration = 1
	fieldBegan      = 2
	fieldEnded      = 3
	fieldPart       = 4
	fieldAfter      = 5
	fieldReport     = 6 // repeated
	fieldNeeds      = 7 // repeated

	fieldName      = 1
	fieldSeen      = 2
	fieldRewrapped = 3
	fieldFailed    = 4

	fieldNumber = 1
	fieldCount  = 2
)

// of returns the report of a part.
func (st *state) of(name string) *PartReport {
	for i := range st.Parts {
		if st.Parts[i].Name == name {
			return &st.Parts[i]
		}
	}
	st.Parts = append(st.Parts, PartReport{Name: name})
	return &st.Parts[len(st.Parts)-1]
}

func (st *state) encode() []byte {
	r := record.Uint(record.Start(nil), fieldGeneration, uint64(st.Generation))
	r = record.Time(r, fieldBegan, st.Began)
	if !st.Ended.IsZero() {
		r = record.Time(r, fieldEnded, st.Ended)
	}
	r = record.Uint(r, fieldPart, uint64(st.part))
	r = record.String(r, fieldAfter, st.after)
	for _, p := range st.Parts {
		one := record.String(record.Start(nil), fieldName, p.Name)
		one = record.Uint(one, fieldSeen, p.Seen)
		one = record.Uint(one, fieldRewrapped, p.Rewrapped)
		r = record.Bytes(r, fieldReport, record.Uint(one, fieldFailed, p.Failed))
	}
	for g, n := range st.needs {
		if g != st.Generation {
			one := record.Uint(record.Start(nil), fieldNumber, uint64(g))
			r = record.Bytes(r, fieldNeeds, record.Uint(one, fieldCount, n))
		}
	}
	return r
}

func decodeState(b []byte) (st state, err error) {
	st.needs = map[uint32]uint64{}
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldGeneration:
			st.Generation = uint32(f.Uint)
		case fieldBegan:
			st.Began = f.Time()
		case fieldEnded:
			st.Ended = f.Time()
		case fieldPart:
			st.part = f.Int()
		case fieldAfter:
			st.after = string(f.Bytes)
		case fieldReport:
			p, err := decodePart(f.Bytes)
			if err != nil {
				return st, err
			}
			st.Parts = append(st.Parts, p)
		case fieldNeeds:
			numbers := map[int]uint64{}
			n := record.Read(f.Bytes)
			for n.Next() {
				numbers[int(n.Number)] = n.Uint
			}
			if n.Err() != nil {
				return st, fault.Internal(n.Err())
			}
			st.needs[uint32(numbers[fieldNumber])] = numbers[fieldCount]
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return st, fault.Internal(err)
	}
	return st, nil
}

func decodePart(b []byte) (p PartReport, err error) {
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldName:
			p.Name = string(f.Bytes)
		case fieldSeen:
			p.Seen = f.Uint
		case fieldRewrapped:
			p.Rewrapped = f.Uint
		case fieldFailed:
			p.Failed = f.Uint
		default:
			f.Unknown()
		}
	}
	if err := f.Err(); err != nil {
		return p, fault.Internal(err)
	}
	return p, nil
}

// load returns the newest rotation, or the zero state if there was none.
func (r *Rotation) load(ctx context.Context) (st state, err error) {
	err = r.o.Store.View(ctx, func(rd kv.Reader) error {
		b, err := rd.Get([]byte(stateKey))
		if err != nil || b == nil {
			return err
		}
		st, err = decodeState(b)
		return err
	})
	if !st.Ended.IsZero() {
		st.Ended = st.Ended.In(time.UTC)
	}
	return st, err
}

func (r *Rotation) save(ctx context.Context, st *state) error {
	text := st.encode()
	return change.Background(ctx, r.o.Store, "how far the rotation of the root key is", func(tx kv.Tx) error {
		tx.Set([]byte(stateKey), text)
		return nil
	})
}
