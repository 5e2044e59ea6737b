package iam

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"watertight/internal/fault"
)

// validate checks an input against the constraints its shape states, and says
// what AWS says: all violations in one message.
func validate(in any) error {
	var c checker
	c.members(reflect.ValueOf(in).Elem(), "")
	if len(c.found) == 0 {
		return nil
	}
	plural := "s"
	if len(c.found) == 1 {
		plural = ""
	}
	return fault.New(fault.Invalid, "ValidationError", fmt.Sprintf("%d validation error%s detected: %s", len(c.found), plural, strings.Join(c.found, "; ")))
}

type checker struct{ found []string }

// maxViolations bounds a message.
const maxViolations = 20

func (c *checker) say(value *string, path, constraint string) {
	if len(c.found) >= maxViolations {
		return
	}
	said := "Value"
	if value != nil {
		said = fmt.Sprintf("Value '%.512s'", *value)
	}
	c.found = append(c.found, fmt.Sprintf("%s at '%s' failed to satisfy constraint: %s", said, path, constraint))
}

func (c *checker) null(path string) { c.say(nil, path, "Member must not be null") }

// members checks the members of a structure at path.
func (c *checker) members(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("wire")
		if name == "" {
			name = f.Name
		}
		at := path + lowerFirst(name)
		c.member(v.Field(i), at, strings.Fields(f.Tag.Get("valid")))
	}
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

func (c *checker) member(v reflect.Value, path string, rules []string) {
	required := len(rules) > 0 && rules[0] == "required"
	if required {
		rules = rules[1:]
	}
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil(), v.Kind() == reflect.Slice && v.IsNil(), v.Kind() == reflect.String && v.Len() == 0:
		if required {
			c.null(path)
		}
		return
	case v.Kind() == reflect.Pointer:
		v = v.Elem()
	}
	for _, rule := range rules {
		c.rule(v, path, rule)
	}
	switch v.Kind() {
	case reflect.Struct:
		c.members(v, path+".")
	case reflect.Slice:
		for i := range v.Len() {
			if e := v.Index(i); e.Kind() == reflect.Struct {
				c.members(e, path+"."+strconv.Itoa(i+1)+".member.")
			}
		}
	}
}

// rule checks one constraint: a..b, A|B, or the name of a pattern.
func (c *checker) rule(v reflect.Value, path, rule string) {
	if low, high, ok := strings.Cut(rule, ".."); ok {
		c.bounds(v, path, low, high)
		return
	}
	s := v.String()
	if strings.Contains(rule, "|") {
		for one := range strings.SplitSeq(rule, "|") {
			if s == one {
				return
			}
		}
		c.say(&s, path, "Member must satisfy enum value set: ["+strings.ReplaceAll(rule, "|", ", ")+"]")
		return
	}
	if text, ok := matches(rule, s); !ok {
		c.say(&s, path, "Member must satisfy regular expression pattern: "+text)
	}
}

func (c *checker) bounds(v reflect.Value, path, low, high string) {
	a, _ := strconv.Atoi(low)
	b, _ := strconv.Atoi(high)
	n, what, value := 0, "length", ""
	switch v.Kind() {
	case reflect.String:
		value = v.String()
		n = utf8.RuneCountInString(value)
	case reflect.Slice:
		value = "[...]"
		n = v.Len()
	default:
		n, what = int(v.Int()), "value"
		value = strconv.Itoa(n)
	}
	switch {
	case n < a:
		c.say(&value, path, "Member must have "+what+" greater than or equal to "+low)
	case n > b:
		c.say(&value, path, "Member must have "+what+" less than or equal to "+high)
	}
}

// matches reports whether s fits a pattern of the API reference, and returns
// the pattern.
func matches(name, s string) (pattern string, ok bool) {
	all := func(fits func(rune) bool) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return !fits(r) })
	}
	switch name {
	case "name":
		return `[\w+=,.@-]+`, s != "" && all(isName)
	case "word":
		return `[\w]+`, s != "" && all(isWord)
	case "serial":
		return `[\w+=/:,.@-]+`, all(func(r rune) bool { return isName(r) || r == '/' || r == ':' })
	case "path":
		return `(\u002F)|(\u002F[\u0021-\u007E]+\u002F)`, s == "/" || len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' && all(isVisible)
	case "policyPath":
		return `((/[A-Za-z0-9\.,\+@=_-]+)*)/`, isPolicyPath(s)
	case "pathPrefix":
		return `\u002F[\u0021-\u007F]*`, strings.HasPrefix(s, "/") && all(func(r rune) bool { return isVisible(r) || r == 0x7f })
	case "document":
		return `[\u0009\u000A\u000D\u0020-\u00FF]+`, all(isLatin)
	case "description":
		return `[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`, all(func(r rune) bool { return isLatin(r) && (r < 0x7f || r > 0xa0) })
	case "marker":
		return `[\u0020-\u00FF]+`, all(func(r rune) bool { return r >= ' ' && r <= 0xff })
	case "tagKey":
		return `[\p{L}\p{Z}\p{N}_.:/=+\-@]+`, s != "" && all(isTagText)
	case "tagValue":
		return `[\p{L}\p{Z}\p{N}_.:/=+\-@]*`, all(isTagText)
	case "versionId":
		return `v[1-9][0-9]*(\.[A-Za-z0-9-]*)?`, isVersion(s)
	case "code":
		return `[\d]+`, all(func(r rune) bool { return r >= '0' && r <= '9' })
	case "sessionName":
		return `[\w+=,.@-]*`, all(isName)
	case "externalId":
		return `[\w+=,.@:\/-]*`, all(func(r rune) bool { return isName(r) || r == '/' || r == ':' })
	case "sessionSerial":
		return `[\w+=/:,.@-]*`, all(func(r rune) bool { return isName(r) || r == '/' || r == ':' })
	case "digits":
		return `[\d]*`, all(func(r rune) bool { return r >= '0' && r <= '9' })
	case "alias":
		return `^[a-z0-9]([a-z0-9]|-(?!-)){1,61}[a-z0-9]$`, isAlias(s)
	}
	return name, false
}

func isWord(r rune) bool {
	return r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z'
}

func isName(r rune) bool    { return isWord(r) || strings.ContainsRune("+=,.@-", r) }
func isVisible(r rune) bool { return r >= '!' && r <= '~' }
func isLatin(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= ' ' && r <= 0xff
}

func isTagText(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.In(r, unicode.Z) || strings.ContainsRune("_.:/=+-@", r)
}

func isPolicyPath(s string) bool {
	return strings.HasPrefix(s, "/") && strings.HasSuffix(s, "/") && !strings.Contains(s, "//") &&
		!strings.ContainsFunc(s, func(r rune) bool { return !isName(r) && r != '/' })
}

func isVersion(s string) bool {
	number, _, _ := strings.Cut(strings.TrimPrefix(s, "v"), ".")
	return strings.HasPrefix(s, "v") && number != "" && number[0] != '0' && strings.Trim(number, "0123456789") == ""
}

func isAlias(s string) bool {
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" && !strings.Contains(s, "--") &&
		!strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}
