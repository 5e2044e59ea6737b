package form

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/fault"
)

// Policy says what its signer allows the sender of a form to post (S3 user guide, "POST policy").
type Policy struct {
	expires    time.Time
	conditions []condition
}

// condition is one condition. text is the condition as it was written, for errors.
type condition struct {
	operator string // "eq", "starts-with", "content-length-range"; "" is never met
	field    string // lower case, without $
	value    string
	min, max int64
	text     string
}

// ParsePolicy parses a policy as a form has it, in base64. Error: InvalidPolicyDocument.
func ParsePolicy(encoded string) (*Policy, error) {
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	doc, err := readPolicy(b)
	if err != nil {
		return nil, err
	}
	if doc.expiration == nil {
		return nil, badPolicy("Policy missing expiration.")
	}
	if doc.conditions == nil {
		return nil, badPolicy("Policy missing conditions.")
	}
	p := &Policy{}
	if p.expires, err = time.Parse(time.RFC3339, *doc.expiration); err != nil ||
		!strings.HasSuffix(*doc.expiration, "Z") {
		return nil, badPolicy("Invalid 'expiration' value: '" + *doc.expiration + "'")
	}
	for _, raw := range doc.conditions {
		c, err := parseCondition(raw)
		if err != nil {
			return nil, err
		}
		p.conditions = append(p.conditions, c)
	}
	return p, nil
}

// document is a policy as it was written.
type document struct {
	expiration *string
	conditions []json.RawMessage
}

// readPolicy parses the members one by one. encoding/json would accept a name in another
// case, and of a repeated name the last value, which another reader of the same policy may
// not use.
func readPolicy(b []byte) (document, error) {
	var d document
	if !utf8.Valid(b) || !json.Valid(b) {
		return d, badPolicy("Invalid JSON.")
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return d, badPolicy("Invalid JSON.")
	}
	for seen := map[string]bool{}; dec.More(); {
		token, err := dec.Token()
		name, _ := token.(string)
		switch {
		case err != nil:
			return d, badPolicy("Invalid JSON.")
		case seen[name]:
			return d, badPolicy("Duplicate element '" + name + "'.")
		}
		seen[name] = true
		switch name {
		case "expiration":
			err = dec.Decode(&d.expiration)
		case "conditions":
			err = dec.Decode(&d.conditions)
		default:
			return d, badPolicy("Unexpected element '" + name + "'.")
		}
		if err != nil {
			return d, badPolicy("Invalid JSON.")
		}
	}
	return d, nil
}

func badPolicy(why string) error {
	return fault.New(fault.InvalidPolicyDocument, "Invalid Policy: "+why)
}

func parseCondition(raw json.RawMessage) (condition, error) {
	c := condition{text: compact(raw)}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("{")) {
		return c, c.parseSimple(raw)
	}
	var list []any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if err := dec.Decode(&list); err != nil {
		return c, badPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return c, badPolicy("Invalid Condition: missing operation identifier.")
	}
	written, _ := list[0].(string)
	operator := strings.ToLower(written)
	switch operator {
	case "content-length-range", "eq", "starts-with":
	default:
		return c, badPolicy("Invalid Condition: unknown operation '" + written + "'.")
	}
	if len(list) != 3 {
		return c, badPolicy("Invalid " + operator + ": wrong number of arguments.")
	}
	if operator == "content-length-range" {
		var ok, ok2 bool
		c.min, ok = bound(list[1])
		c.max, ok2 = bound(list[2])
		if c.min < 0 || c.max < 0 {
			return c, badPolicy("Invalid content-length-range: the bounds must not be negative.")
		}
		if ok && ok2 {
			c.operator = operator
		}
		return c, nil
	}
	field, ok := list[1].(string)
	value, ok2 := list[2].(string)
	if !ok || !ok2 {
		return c, badPolicy("Invalid JSON.")
	}
	// Without the dollar it names no field, and is never met.
	if name, named := strings.CutPrefix(field, "$"); named {
		c.operator, c.field, c.value = operator, strings.ToLower(name), value
	}
	return c, nil
}

// parseSimple parses {"field": "value"}, token by token, so that it notices a repeated property.
func (c *condition) parseSimple(raw json.RawMessage) error {
	const one = "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.Token() // the brace
	name, err := dec.Token()
	field, ok := name.(string)
	if err != nil || !ok {
		return badPolicy(one)
	}
	value, err := dec.Token()
	if err != nil {
		return badPolicy(one)
	}
	text, ok := value.(string)
	if !ok {
		return badPolicy("Invalid Simple-Condition: value must be a string.")
	}
	if dec.More() {
		return badPolicy(one)
	}
	c.operator, c.field, c.value = "eq", strings.ToLower(field), text
	c.text = fmt.Sprintf("[%q, %q, %q]", "eq", "$"+field, text)
	return nil
}

// bound returns a whole number of bytes, which must be written as a number.
func bound(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil
}

func compact(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Compact(&b, raw); err != nil {
		return ""
	}
	return b.String()
}

// Check checks a form that is posted to a bucket: the policy's expiration, each of its
// conditions, and that a condition covers every field. The size of the file is checked
// while it is read. Error: AccessDenied.
func (p *Policy) Check(f *Form, bucket string, now time.Time) error {
	if !now.Before(p.expires) {
		return denied("Policy expired.")
	}
	covered := map[string]bool{}
	for _, c := range p.conditions {
		if !c.holds(f, bucket) {
			if secret(c.field) {
				return denied("Policy Condition failed: " + c.field)
			}
			return denied("Policy Condition failed: " + c.text)
		}
		if c.operator == "content-length-range" {
			if f.File.max < 0 {
				f.File.Limit(c.min, c.max)
			} else {
				f.File.Limit(max(f.File.min, c.min), min(f.File.max, c.max))
			}
			continue
		}
		covered[c.field] = true
	}
	if named, ok := f.fields["bucket"]; ok && named != bucket {
		return denied("the field bucket names another bucket than the request.")
	}
	var extra []string
	for name := range f.fields {
		if !covered[name] && !exempt(name) {
			extra = append(extra, name)
		}
	}
	if extra == nil {
		return nil
	}
	slices.Sort(extra)
	return denied("Extra input fields: " + strings.Join(extra, ", "))
}

func denied(why string) error {
	return fault.New(fault.AccessDenied, "Invalid according to Policy: "+why)
}

// exempt reports whether a field needs no condition.
func exempt(name string) bool { return name == "policy" || name == "x-amz-signature" || ignored(name) }

func (c *condition) holds(f *Form, bucket string) bool {
	got := f.fields[c.field]
	if c.field == "bucket" {
		got = bucket
	}
	switch c.operator {
	case "eq":
		return got == c.value
	case "starts-with":
		if c.field == "content-type" && strings.Contains(got, ",") {
			return !slices.ContainsFunc(strings.Split(got, ","), func(one string) bool {
				return !strings.HasPrefix(strings.TrimSpace(one), c.value)
			})
		}
		return strings.HasPrefix(got, c.value)
	case "content-length-range":
		return c.min <= c.max
	}
	return false
}
