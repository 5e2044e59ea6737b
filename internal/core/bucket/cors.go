package bucket

import (
	"slices"
	"strings"

	"watertight/internal/fault"
)

// Limits of a CORS configuration (S3 user guide, "Elements of a CORS
// configuration").
const (
	maxCORSRules = 100
	maxCORSBytes = 64 << 10
	maxCORSID    = 255
)

// CORSRule says from which origins scripts in a browser may read the bucket's responses. An
// origin and an allowed header may contain one *, which matches any text. MaxAge is in
// seconds; nil means that it is not set.
type CORSRule struct {
	ID      string
	Origins []string
	Methods []string
	Headers []string
	Expose  []string
	MaxAge  *int32
}

// CORS is a bucket's CORS configuration. The first rule that matches applies. Nil means no
// configuration.
type CORS []CORSRule

// Match returns the first rule that matches an origin, a method and, for a preflight, the
// headers that the actual request will have. It returns nil if no rule matches (S3 user
// guide, "How does Amazon S3 evaluate the CORS configuration").
func (c CORS) Match(origin, method string, headers []string) *CORSRule {
	for i := range c {
		r := &c[i]
		if !slices.Contains(r.Methods, method) ||
			!slices.ContainsFunc(r.Origins, func(o string) bool { return matches(o, origin) }) {
			continue
		}
		refused := slices.ContainsFunc(headers, func(h string) bool {
			h = strings.ToLower(h)
			return h != "" &&
				!slices.ContainsFunc(r.Headers, func(allowed string) bool {
					return matches(strings.ToLower(allowed),
						h)
				})
		})
		if !refused {
			return r
		}
	}
	return nil
}

// AnyOrigin reports whether the rule matches the origin by a "*".
func (r *CORSRule) AnyOrigin(origin string) bool {
	i := slices.IndexFunc(r.Origins, func(o string) bool { return matches(o, origin) })
	return i >= 0 && r.Origins[i] == "*"
}

// matches reports whether s matches a pattern with at most one *.
func matches(pattern, s string) bool {
	before, after, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == s
	}
	return len(s) >= len(before)+len(after) && strings.HasPrefix(s, before) && strings.HasSuffix(s, after)
}

// check refuses what S3 refuses. It also refuses control characters, because the values
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
			return 0, badCORS(`ExposeHeader "` + h +
				`" contains wildcard. We currently do not support wildcard for ExposeHeader.`)
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

// isHeader accepts a token (RFC 9110, section 5.6.2).
func isHeader(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c >= 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, c)
	})
}

func isCORSMethod(m string) bool {
	switch m {
	case "GET", "PUT", "POST", "DELETE", "HEAD":
		return true
	}
	return false
}
