package bucket

import (
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/tag"
)

// Fields of a lifecycle configuration's record: the rules and their transitions have
// their own fields. The numbers are stored.
const (
	fieldMinimumSize   = 1
	fieldLifecycleRule = 2

	fieldLifeID             = 1
	fieldLifeDisabled       = 2
	fieldLifeForm           = 3
	fieldLifeHasPrefix      = 4 // the prefix may be empty
	fieldLifePrefix         = 5
	fieldLifeTag            = 6 // repeated: name and value
	fieldLifeGreater        = 7 // one more than the number, so that zero is stored
	fieldLifeLess           = 8
	fieldLifeDays           = 9
	fieldLifeDate           = 10
	fieldLifeMarker         = 11 // 1 true, 2 false
	fieldLifeTransition     = 12 // repeated
	fieldLifeNoncurrentDays = 13
	fieldLifeNewer          = 14
	fieldLifeNoncurrent     = 15 // repeated transition
	fieldLifeAbort          = 16

	fieldStepDays  = 1 // one more than the number
	fieldStepDate  = 2
	fieldStepClass = 3
	fieldStepNewer = 4
)

// The forms in which a rule says which objects it applies to. The numbers are stored.
const (
	formPrefix = 1 // the older form
	formFilter = 2
	formAnd    = 3
)

// dateZero is added to a date's number of days since 1970, so that dates before 1970 are
// positive, too.
const dateZero = 1_000_000

func appendDate(b []byte, n protowire.Number, t *time.Time) []byte {
	if t == nil {
		return b
	}
	return record.Uint(b, n, uint64(t.Unix()/86400+dateZero))
}

func dateOf(f *record.Fields) *time.Time {
	t := time.Unix((int64(min(f.Uint, 10*dateZero))-dateZero)*86400, 0).UTC()
	return &t
}

// appendNumber appends a number that may be zero; it appends nothing for nil.
func appendNumber[T int32 | int64](b []byte, n protowire.Number, v *T) []byte {
	if v == nil {
		return b
	}
	return record.Uint(b, n, uint64(*v)+1)
}

func numberOf(f *record.Fields) *int32 {
	n := int32(f.Int() - 1)
	return &n
}

func positive(f *record.Fields) *int32 {
	n := int32(f.Int())
	return &n
}

func sizeOf(f *record.Fields) *int64 {
	n := int64(min(f.Uint, 1<<62)) - 1
	return &n
}

func encodeLifecycle(c lifecycle.Configuration) []byte {
	b := record.Uint(record.Start(nil), fieldMinimumSize, uint64(c.MinimumSize))
	for i := range c.Rules {
		b = record.Bytes(b, fieldLifecycleRule, encodeRule(&c.Rules[i]))
	}
	return b
}

func encodeRule(r *lifecycle.Rule) []byte {
	b := record.String(record.Start(nil), fieldLifeID, r.ID)
	b = record.Bool(b, fieldLifeDisabled, r.Status == lifecycle.Disabled)
	form, p := uint64(formPrefix), &lifecycle.Predicates{Prefix: r.Prefix}
	if f := r.Filter; f != nil {
		if form, p = formFilter, &f.Predicates; f.And != nil {
			form, p = formAnd, f.And
		}
	}
	b = record.Uint(b, fieldLifeForm, form)
	if p.Prefix != nil {
		b = record.String(record.Bool(b, fieldLifeHasPrefix, true), fieldLifePrefix, *p.Prefix)
	}
	for _, t := range p.Tags {
		b = record.Pair(b, fieldLifeTag, t.Key, t.Value)
	}
	b = appendNumber(appendNumber(b, fieldLifeGreater, p.Greater), fieldLifeLess, p.Less)
	if e := r.Expiration; e != nil {
		if e.Days != nil {
			b = record.Uint(b, fieldLifeDays, uint64(*e.Days))
		}
		b = appendDate(b, fieldLifeDate, e.Date)
		if m := e.ExpiredObjectDeleteMarker; m != nil {
			n := uint64(2)
			if *m {
				n = 1
			}
			b = record.Uint(b, fieldLifeMarker, n)
		}
	}
	for _, t := range r.Transitions {
		b = record.Bytes(b, fieldLifeTransition, encodeStep(t.Days, nil, t.Date, t.Class))
	}
	if e := r.NoncurrentExpiration; e != nil {
		b = record.Uint(b, fieldLifeNoncurrentDays, uint64(*e.Days))
		if e.Newer != nil {
			b = record.Uint(b, fieldLifeNewer, uint64(*e.Newer))
		}
	}
	for _, t := range r.NoncurrentTransitions {
		b = record.Bytes(b, fieldLifeNoncurrent, encodeStep(t.Days, t.Newer, nil, t.Class))
	}
	if r.Abort != nil {
		b = record.Uint(b, fieldLifeAbort, uint64(*r.Abort.Days))
	}
	return b
}

func encodeStep(days, newer *int32, date *time.Time, class string) []byte {
	b := appendNumber(record.Start(nil), fieldStepDays, days)
	b = record.String(appendDate(b, fieldStepDate, date), fieldStepClass, class)
	if newer != nil {
		b = record.Uint(b, fieldStepNewer, uint64(*newer))
	}
	return b
}

func decodeLifecycle(value []byte) (c lifecycle.Configuration, err error) {
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldMinimumSize:
			if c.MinimumSize = lifecycle.MinimumSize(f.Uint); f.Uint > uint64(lifecycle.VariesByClass) {
				return c, record.ErrUnknown
			}
		case fieldLifecycleRule:
			r, err := decodeRule(f.Bytes)
			if err != nil {
				return c, err
			}
			c.Rules = append(c.Rules, r)
		default:
			f.Keep(nil) // a configuration is replaced as a whole
		}
	}
	if f.Err() == nil && len(c.Rules) == 0 {
		return c, record.ErrMalformed
	}
	return c, f.Err()
}

// decodeRule reads a rule. It refuses one with an unknown field, which might restrict the
// rule to fewer objects.
func decodeRule(value []byte) (r lifecycle.Rule, err error) {
	r.Status = lifecycle.Enabled
	form := uint64(0)
	var p lifecycle.Predicates
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldLifeID:
			r.ID = string(f.Bytes)
		case fieldLifeDisabled:
			r.Status = lifecycle.Disabled
		case fieldLifeForm:
			form = f.Uint
		case fieldLifeHasPrefix:
			p.Prefix = new(string)
		case fieldLifePrefix:
			prefix := string(f.Bytes)
			p.Prefix = &prefix
		case fieldLifeTag:
			name, value, ok := f.Pair()
			if !ok {
				return r, record.ErrMalformed
			}
			p.Tags = append(p.Tags, tag.Tag{Key: name, Value: value})
		case fieldLifeGreater:
			p.Greater = sizeOf(&f)
		case fieldLifeLess:
			p.Less = sizeOf(&f)
		default:
			if err := takeActions(&r, &f); err != nil {
				return r, err
			}
		}
	}
	switch form {
	case formPrefix:
		r.Prefix = p.Prefix
	case formFilter:
		r.Filter = &lifecycle.Filter{Predicates: p}
	case formAnd:
		r.Filter = &lifecycle.Filter{And: &p}
	}
	if f.Err() == nil && r.Prefix == nil && r.Filter == nil {
		return r, record.ErrMalformed
	}
	return r, f.Err()
}

// takeActions takes over a field of a rule's actions.
func takeActions(r *lifecycle.Rule, f *record.Fields) error {
	expiration := func() *lifecycle.Expiration {
		if r.Expiration == nil {
			r.Expiration = &lifecycle.Expiration{}
		}
		return r.Expiration
	}
	noncurrent := func() *lifecycle.NoncurrentExpiration {
		if r.NoncurrentExpiration == nil {
			r.NoncurrentExpiration = &lifecycle.NoncurrentExpiration{}
		}
		return r.NoncurrentExpiration
	}
	switch f.Number {
	case fieldLifeDays:
		expiration().Days = positive(f)
	case fieldLifeDate:
		expiration().Date = dateOf(f)
	case fieldLifeMarker:
		marker := f.Uint == 1
		expiration().ExpiredObjectDeleteMarker = &marker
	case fieldLifeTransition:
		s, err := decodeStep(f.Bytes)
		r.Transitions = append(r.Transitions, lifecycle.Transition{Days: s.days, Date: s.date, Class: s.class})
		return err
	case fieldLifeNoncurrentDays:
		noncurrent().Days = positive(f)
	case fieldLifeNewer:
		noncurrent().Newer = positive(f)
	case fieldLifeNoncurrent:
		s, err := decodeStep(f.Bytes)
		r.NoncurrentTransitions = append(r.NoncurrentTransitions,
			lifecycle.NoncurrentTransition{Days: s.days, Newer: s.newer, Class: s.class})
		return err
	case fieldLifeAbort:
		r.Abort = &lifecycle.Abort{Days: positive(f)}
	default:
		f.Unknown()
	}
	return nil
}

type storedStep struct {
	days, newer *int32
	date        *time.Time
	class       string
}

func decodeStep(value []byte) (s storedStep, err error) {
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldStepDays:
			s.days = numberOf(&f)
		case fieldStepDate:
			s.date = dateOf(&f)
		case fieldStepClass:
			s.class = string(f.Bytes)
		case fieldStepNewer:
			s.newer = positive(&f)
		default:
			f.Unknown()
		}
	}
	return s, f.Err()
}
