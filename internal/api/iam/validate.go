package iam

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"watertight/internal/fault"
)

// validate checks an input against the constraints of its shape, and uses AWS's
// messages: one for all violations; a separate sentence for names, paths and documents
// with wrong characters; some missing members count as missing parameters.
func validate(in any) error {
	var c checker
	c.members(reflect.ValueOf(in).Elem(), "")
	return c.fault()
}

type checker struct {
	found     []string
	sentence  string // the first that has a separate sentence
	parameter string // the first that is missing as a parameter
	shown     string // the value at hand, where messages may hold it
}

func (c *checker) fault() error {
	switch n := len(c.found); {
	case c.parameter != "":
		return fault.New(fault.MissingParameter, "The request must contain the parameter "+c.parameter+".")
	case n == 1:
		return invalid("1 validation error detected: " + c.found[0])
	case n > 1:
		return invalid(fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.found, "; ")))
	case c.sentence != "":
		return invalid(c.sentence)
	}
	return nil
}

// maxViolations bounds a message.
const maxViolations = 20

// say notes a violation. Only values with the tag shown are repeated, some of
// STS: IAM holds them sensitive.
func (c *checker) say(path, constraint string) {
	value := ""
	if c.shown != "" {
		value = fmt.Sprintf("'%.128s' ", c.shown)
	}
	if len(c.found) < maxViolations {
		c.found = append(c.found, "Value "+value+"at '"+path+"' failed to satisfy constraint: "+constraint)
	}
}

// absent notes a member that must be there.
func (c *checker) absent(f reflect.StructField, path string) {
	if f.Tag.Get("missing") == "parameter" {
		if c.parameter == "" {
			c.parameter = f.Name
		}
		return
	}
	c.say(path, "Member must not be null")
}

// members checks the members of a structure at path.
func (c *checker) members(v reflect.Value, path string) {
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("wire")
		if name == "" {
			name = f.Name
		}
		c.member(v.Field(i), f, path+lowerFirst(name))
	}
}

func lowerFirst(s string) string {
	r, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToLower(r)) + s[n:]
}

func (c *checker) member(v reflect.Value, f reflect.StructField, path string) {
	rules := strings.Fields(f.Tag.Get("valid"))
	required := len(rules) > 0 && rules[0] == "required"
	if required {
		rules = rules[1:]
	}
	switch {
	case v.Kind() == reflect.Pointer && v.IsNil(), v.Kind() == reflect.Slice && v.IsNil(),
		v.Kind() == reflect.String && v.Len() == 0:
		if required {
			c.absent(f, path)
		}
		return
	case v.Kind() == reflect.Pointer:
		v = v.Elem()
	}
	if v.Kind() == reflect.String && v.Len() == 0 && slices.Contains(rules, "name") {
		rules = []string{"name"}
	}
	if f.Tag.Get("shown") != "" {
		c.shown = fmt.Sprint(v)
	}
	for _, rule := range rules {
		if !c.rule(v, path, rule) {
			break
		}
	}
	c.shown = ""
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
func (c *checker) rule(v reflect.Value, path, rule string) bool {
	if low, high, ok := strings.Cut(rule, ".."); ok {
		return c.bounds(v, path, low, high)
	}
	if rule == "tagKeys" {
		return c.tagKeys(v, path)
	}
	s := v.String()
	if strings.Contains(rule, "|") {
		for one := range strings.SplitSeq(rule, "|") {
			if s == one {
				return true
			}
		}
		c.shown = s
		c.say(path, "Member must satisfy enum value set: ["+strings.ReplaceAll(rule, "|", ", ")+"]")
		return false
	}
	text, ok := matches(rule, s)
	switch {
	case ok:
	case !strings.HasPrefix(text, "It must "):
		c.say(path, "Member must satisfy regular expression pattern: "+text)
	case c.sentence == "":
		c.sentence = "The specified value for " + path + " is invalid. " + text
	}
	return ok
}

// tagKeys checks the keys of tags to remove; whatever is wrong with one, all
// constraints are named.
func (c *checker) tagKeys(v reflect.Value, path string) bool {
	for i := range v.Len() {
		key := v.Index(i).String()
		if pattern, ok := matches("tagKey", key); !ok || utf8.RuneCountInString(key) > 128 {
			c.say(path,
				"Member must satisfy constraint: [Member must have length less than or equal to 128, Member must "+
					"have length greater than or equal to 1, "+
					"Member must satisfy regular expression pattern: "+pattern+", Member must not be null]")
			return false
		}
	}
	return true
}

func (c *checker) bounds(v reflect.Value, path, low, high string) bool {
	a, _ := strconv.Atoi(low)
	b, _ := strconv.Atoi(high)
	n, what := 0, "length"
	switch v.Kind() {
	case reflect.String:
		n = utf8.RuneCountInString(v.String())
	case reflect.Slice:
		n = v.Len()
	default:
		n, what = int(v.Int()), "value"
	}
	switch {
	case n < a:
		c.say(path, "Member must have "+what+" greater than or equal to "+low)
	case n > b:
		c.say(path, "Member must have "+what+" less than or equal to "+high)
	}
	return n >= a && n <= b
}

// matches reports whether s fits a pattern of the API reference, and returns
// the pattern, or the sentence that IAM says instead of it.
func matches(name, s string) (pattern string, ok bool) {
	all := func(fits func(rune) bool) bool {
		return !strings.ContainsFunc(s, func(r rune) bool { return !fits(r) })
	}
	switch name {
	case "name":
		return "It must contain only alphanumeric characters and/or the following: +=,.@_-", s != "" && all(isName)
	case "word":
		return "It must contain only alphanumeric characters.", s != "" && all(isWord)
	case "serial":
		return `[\w+=/:,.@-]+`, all(func(r rune) bool { return isName(r) || r == '/' || r == ':' })
	case "path":
		return "It must begin and end with / and contain only alphanumeric characters and/or / " +
			"characters.", s == "/" || len(s) > 2 && s[0] == '/' && s[len(s)-1] == '/' && all(isVisible)
	case "policyPath":
		return `((/[A-Za-z0-9\.,\+@=_-]+)*)/`, isPolicyPath(s)
	case "pathPrefix":
		return "It must begin with the / character and contain only alphanumeric characters and/or / " +
				"characters.", strings.HasPrefix(s, "/") && len(s) <= 512 && all(func(r rune) bool {
				return isVisible(r) ||
					r == 0x7f
			})
	case "document":
		return "It must contain only printable ASCII characters.", all(isLatin)
	case "description":
		return `[\u0009\u000A\u000D\u0020-\u007E\u00A1-\u00FF]*`, all(func(r rune) bool {
			return isLatin(r) && (r < 0x7f || r > 0xa0)
		})
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
