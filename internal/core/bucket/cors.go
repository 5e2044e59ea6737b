package bucket

import (
	"cmp"
	"context"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/protowire"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Limits of a CORS configuration (S3 user guide, "Elements of a CORS
// configuration").
const (
	maxCORSRules = 100
	maxCORSBytes = 64 << 10
	maxCORSID    = 255
)

// CORSRule says which origins a browser may let read the bucket's answers. An
// origin and an allowed header may hold one *, which stands for any text.
// MaxAge is in seconds; nil is not said.
type CORSRule struct {
	ID      string
	Origins []string
	Methods []string
	Headers []string
	Expose  []string
	MaxAge  *int32
}

// CORS is a bucket's configuration; the first rule that matches counts. Nil is
// none.
type CORS []CORSRule

// Match returns the first rule for an origin, a method and, for a preflight,
// the headers that the request is going to have; nil where there is none
// (S3 user guide, "How does Amazon S3 evaluate the CORS configuration").
func (c CORS) Match(origin, method string, headers []string) *CORSRule {
	for i := range c {
		r := &c[i]
		if !slices.Contains(r.Methods, method) || !slices.ContainsFunc(r.Origins, func(o string) bool { return matches(o, origin) }) {
			continue
		}
		refused := slices.ContainsFunc(headers, func(h string) bool {
			h = strings.ToLower(h)
			return h != "" && !slices.ContainsFunc(r.Headers, func(allowed string) bool { return matches(strings.ToLower(allowed), h) })
		})
		if !refused {
			return r
		}
	}
	return nil
}

// AnyOrigin reports that the rule matches the origin because it lets any in.
func (r *CORSRule) AnyOrigin(origin string) bool {
	i := slices.IndexFunc(r.Origins, func(o string) bool { return matches(o, origin) })
	return i >= 0 && r.Origins[i] == "*"
}

// matches compares a text with a pattern that holds at most one *.
func matches(pattern, s string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// check refuses what S3 refuses, and every control character: these values
// become headers.
func (c CORS) check() error {
	if len(c) == 0 {
		return malformedXML()
	}
	if len(c) > maxCORSRules {
		return badCORS("The number of CORS rules should not exceed allowed limit of 100 rules.")
	}
	size := 0
	for i := range c {
		n, err := c[i].check()
		if err != nil {
			return err
		}
		size += n
	}
	if size > maxCORSBytes {
		return badCORS("The CORS configuration should not exceed the allowed limit of 64 KB.")
	}
	return nil
}

func (r *CORSRule) check() (size int, err error) {
	if len(r.Origins) == 0 || len(r.Methods) == 0 {
		return 0, malformedXML()
	}
	if len(r.ID) > maxCORSID {
		return 0, badCORS("The ID of a CORS rule should not exceed allowed limit of 255 characters.")
	}
	for _, m := range r.Methods {
		if !isCORSMethod(m) {
			return 0, badCORS("Found unsupported HTTP method in CORS config. Unsupported method is " + m)
		}
	}
	for _, o := range r.Origins {
		if strings.Count(o, "*") > 1 {
			return 0, badCORS(`AllowedOrigin "` + o + `" can not have more than one wildcard.`)
		}
	}
	for _, h := range r.Headers {
		if strings.Count(h, "*") > 1 {
			return 0, badCORS(`AllowedHeader "` + h + `" can not have more than one wildcard.`)
		}
	}
	for _, h := range r.Expose {
		if strings.Contains(h, "*") {
			return 0, badCORS(`ExposeHeader "` + h + `" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
		}
	}
	for _, h := range slices.Concat(r.Headers, r.Expose) {
		if !isHeader(h) {
			return 0, badCORS(`AllowedHeader "` + h + `" contains invalid character.`)
		}
	}
	for i, all := range [][]string{{r.ID}, r.Origins, r.Methods, r.Headers, r.Expose} {
		for _, s := range all {
			if s == "" && i > 0 {
				return 0, malformedXML()
			}
			if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
				return 0, badCORS("A value of the CORS configuration holds a control character.")
			}
			size += len(s)
		}
	}
	return size, nil
}

func badCORS(message string) error { return fault.New(fault.InvalidRequest, message) }

func malformedXML() error {
	return fault.Of(fault.MalformedXML)
}

// PutCORS replaces a bucket's CORS configuration. It needs s3:PutBucketCORS.
// Errors: NoSuchBucket, InvalidRequest, MalformedXML.
func (s *Store) PutCORS(ctx context.Context, g authz.Grant, name string, c CORS) error {
	if err := c.check(); err != nil {
		return err
	}
	return s.changeCORS(ctx, g, name, func(tx kv.Tx, key []byte) { tx.Set(key, c.encode()) })
}

// DeleteCORS removes a bucket's CORS configuration; it is no error where there
// is none. It needs s3:PutBucketCORS, as AWS has no action of its own for it.
func (s *Store) DeleteCORS(ctx context.Context, g authz.Grant, name string) error {
	return s.changeCORS(ctx, g, name, func(tx kv.Tx, key []byte) { tx.Delete(key) })
}

func (s *Store) changeCORS(ctx context.Context, g authz.Grant, name string, do func(tx kv.Tx, key []byte)) error {
	return s.configure(ctx, g, "s3:PutBucketCORS", name, func(tx kv.Tx, b *Bucket) error {
		do(tx, corsKey(b.ID))
		return nil
	})
}

// GetCORS returns a bucket's CORS configuration. It needs s3:GetBucketCORS.
// Errors: NoSuchBucket, NoSuchCORSConfiguration.
func (s *Store) GetCORS(ctx context.Context, g authz.Grant, name string) (CORS, error) {
	if err := g.Demand("s3:GetBucketCORS", arn.Bucket(name)); err != nil {
		return nil, err
	}
	c, err := s.CORS(ctx, name)
	if err == nil && c == nil {
		err = fault.Of(fault.NoSuchCORSConfiguration).With("BucketName", name)
	}
	return c, err
}

// CORS returns a bucket's CORS configuration, nil where it has none, for what
// browsers are told. Nobody is asked for a permission: a preflight has no
// sender, and what the rules say reaches origins, never grants them anything.
func (s *Store) CORS(ctx context.Context, name string) (c CORS, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		b, err := Read(r, name)
		if err != nil {
			return err
		}
		v, err := r.Get(corsKey(b.ID))
		if err != nil || v == nil {
			return err
		}
		c, err = decodeCORS(name, v)
		return err
	})
	return c, err
}

// Preflight answers a browser that asks before it sends a request: nil is yes.
// key is "" for a request to the bucket itself (S3 API reference, "OPTIONS
// object"). What no rule could name is refused before any is read. Errors: BadRequest, AccessForbidden.
func (s *Store) Preflight(ctx context.Context, name, key, origin, method string, headers []string) error {
	if origin == "" {
		return fault.New(fault.BadRequest, "Insufficient information. Origin request header needed.")
	}
	kind := "OBJECT"
	if key == "" {
		kind = "BUCKET"
	}
	if method != "" && !isCORSMethod(method) {
		return badMethod(method)
	}
	for _, h := range headers {
		if !isHeader(h) {
			return fault.New(fault.BadRequest, `Access-Control-Request-Headers "`+h+`" contains invalid character.`)
		}
	}
	c, err := s.CORS(ctx, name)
	switch {
	case fault.Is(err, fault.NoSuchBucket):
		return forbidden("CORSResponse: Bucket not found", method, "BUCKET")
	case err != nil:
		return err
	case c == nil:
		return forbidden("CORSResponse: CORS is not enabled for this bucket.", method, "BUCKET")
	case method == "":
		return badMethod("null")
	case c.Match(origin, method, headers) == nil:
		return forbidden("CORSResponse: This CORS request is not allowed. This is usually because the evalution of Origin, request method / Access-Control-Request-Method or Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.", method, kind)
	}
	return nil
}

func badMethod(method string) error {
	return fault.New(fault.BadRequest, "Invalid Access-Control-Request-Method: "+method)
}

// isHeader accepts a token (RFC 9110, section 5.6.2).
func isHeader(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func forbidden(message, method, kind string) error {
	return fault.New(fault.AccessForbidden, message).With("Method", cmp.Or(method, "OPTIONS")).With("ResourceType", kind)
}

func isCORSMethod(m string) bool {
	switch m {
	case "GET", "PUT", "POST", "DELETE", "HEAD":
		return true
	}
	return false
}

// Fields of a CORS configuration's record: the rules, each with fields of its own.
const (
	fieldRule = 1

	fieldRuleID     = 1
	fieldRuleOrigin = 2
	fieldRuleMethod = 3
	fieldRuleHeader = 4
	fieldRuleExpose = 5
	fieldRuleMaxAge = 6 // one more than the number, so that zero seconds is said
	fieldRuleMinAge = 7 // of a negative number, without its sign
)

// corsKey names the record apart from the bucket's own, which every request
// reads.
func corsKey(id ID) []byte { return record.Key("s/", string(id[:]), "/cors") }

func (c CORS) encode() []byte {
	b := record.Start(nil)
	var one []byte
	for i := range c {
		r := &c[i]
		one = record.String(record.Start(one[:0]), fieldRuleID, r.ID)
		for field, all := range [][]string{fieldRuleOrigin: r.Origins, fieldRuleMethod: r.Methods, fieldRuleHeader: r.Headers, fieldRuleExpose: r.Expose} {
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

func decodeCORS(name string, value []byte) (CORS, error) {
	c := CORS{}
	f := record.Read(value)
	for f.Next() {
		if f.Number != fieldRule {
			continue
		}
		r, err := decodeCORSRule(f.Bytes)
		if err != nil {
			return nil, malformed(name)
		}
		c = append(c, r)
	}
	if f.Err() != nil {
		return nil, malformed(name)
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
			f.Unknown()
		}
	}
	return r, f.Err()
}
