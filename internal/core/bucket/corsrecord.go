package bucket

import (
	"context"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
)

// corsRules is the setting in the record s/ID/cors. Nil means no configuration.
func corsRules() setting[CORS] {
	return setting[CORS]{
		// AWS has no separate action for deleting it.
		name: "cors", put: "s3:PutBucketCORS", get: "s3:GetBucketCORS",
		missing: fault.NoSuchCORSConfiguration,
		encode:  encodeCORS, decode: decodeCORS,
		isRemoving: func(c CORS) bool { return c == nil },
	}
}

// PutCORS replaces a bucket's CORS configuration. It needs s3:PutBucketCORS.
// Errors: NoSuchBucket, InvalidRequest, MalformedXML.
func (s *Store) PutCORS(ctx context.Context, g authz.Grant, name string, c CORS) error {
	if err := c.check(); err != nil {
		return err
	}
	return corsRules().replace(ctx, s, g, name, c)
}

// DeleteCORS removes a bucket's CORS configuration, if it has one. It needs
// s3:PutBucketCORS.
func (s *Store) DeleteCORS(ctx context.Context, g authz.Grant, name string) error {
	return corsRules().replace(ctx, s, g, name, nil)
}

// GetCORS returns a bucket's CORS configuration. It needs s3:GetBucketCORS.
// Errors: NoSuchBucket, NoSuchCORSConfiguration.
func (s *Store) GetCORS(ctx context.Context, g authz.Grant, name string) (CORS, error) {
	return corsRules().read(ctx, s, g, name)
}

// CORS returns a bucket's CORS configuration, nil if it has none, for the CORS headers of
// responses. It asks for no grant: a preflight has no caller, and the rules only add
// headers to a response; they never permit a request.
func (s *Store) CORS(ctx context.Context, name string) (CORS, error) {
	c, _, err := corsRules().find(ctx, s, name)
	return c, err
}

// Fields of a CORS configuration's record: the rules. Each rule has its own fields.
const (
	fieldRule = 1

	fieldRuleID     = 1
	fieldRuleOrigin = 2
	fieldRuleMethod = 3
	fieldRuleHeader = 4
	fieldRuleExpose = 5
	fieldRuleMaxAge = 6 // MaxAge plus one, so that zero seconds are stored, too
	fieldRuleMinAge = 7 // absolute value of a negative MaxAge
)

func encodeCORS(c CORS) []byte {
	b := record.Start(nil)
	var one []byte
	for i := range c {
		r := &c[i]
		one = record.String(record.Start(one[:0]), fieldRuleID, r.ID)
		for field, all := range [][]string{
			fieldRuleOrigin: r.Origins, fieldRuleMethod: r.Methods, fieldRuleHeader: r.Headers,
			fieldRuleExpose: r.Expose,
		} {
			for _, s := range all {
				one = record.String(one, protowire.Number(field), s)
			}
		}
		switch {
		case r.MaxAge == nil:
		case *r.MaxAge < 0:
			one = record.Uint(one, fieldRuleMinAge, uint64(-int64(*r.MaxAge)))
		default:
			one = record.Uint(one, fieldRuleMaxAge, uint64(*r.MaxAge)+1)
		}
		b = record.Bytes(b, fieldRule, one)
	}
	return b
}

func decodeCORS(value []byte) (CORS, error) {
	c := CORS{}
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldRule {
			f.Keep(nil) // a configuration is replaced as a whole
			continue
		}
		r, err := decodeCORSRule(f.Bytes)
		if err != nil {
			return nil, err
		}
		c = append(c, r)
	}
	if f.Err() != nil {
		return nil, f.Err()
	}
	return c, nil
}

func decodeCORSRule(value []byte) (r CORSRule, err error) {
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldRuleID:
			r.ID = string(f.Bytes)
		case fieldRuleOrigin:
			r.Origins = append(r.Origins, string(f.Bytes))
		case fieldRuleMethod:
			r.Methods = append(r.Methods, string(f.Bytes))
		case fieldRuleHeader:
			r.Headers = append(r.Headers, string(f.Bytes))
		case fieldRuleExpose:
			r.Expose = append(r.Expose, string(f.Bytes))
		case fieldRuleMaxAge:
			if f.Uint == 0 || f.Uint > math.MaxInt32+1 {
				return r, record.ErrMalformed
			}
			n := int32(f.Uint - 1)
			r.MaxAge = &n
		case fieldRuleMinAge:
			if f.Uint == 0 || f.Uint > math.MaxInt32+1 {
				return r, record.ErrMalformed
			}
			n := int32(-int64(f.Uint))
			r.MaxAge = &n
		default:
			f.Keep(nil)
		}
	}
	return r, f.Err()
}
