// Package constraint checks inputs against the constraints that their shapes state, in
// AWS's words. It exists so that all services refuse an input in one way. It must never
// know an operation or who may do it.
//
// The tag valid of a member has its constraints as the API reference states them:
// required, a length or a range a..b, an enumeration A|B, and the names of patterns and
// of long enumerations. The tag each has those of the items of a list.
package constraint

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

// Style is how a service phrases its errors.
type Style struct {
	Code fault.Code // "ValidationException"
	// Pattern reports whether a text matches a pattern of the API reference; name is the
	// pattern's name in tags. It returns the pattern, or a sentence that begins with "It
	// must ", for the message.
	Pattern func(name, s string) (pattern string, ok bool)
	// Enumeration returns A|B for the name that a long enumeration has in tags, or "" for
	// an unknown name; it may be nil.
	Enumeration func(name string) string
	// Values: messages repeat the value, except that of members with the tag secret. If it
	// is false, they repeat only the values of members with the tag shown.
	Values bool
}

// Check checks an input, which is a pointer to a structure. All violations are in one
// message. Names, paths and documents with wrong characters have a separate sentence
// instead, and some missing members count as missing parameters.
func (s *Style) Check(in any) error {
	c := checker{style: s}
	c.members(reflect.ValueOf(in).Elem(), "")
	return c.fault()
}

// Missing is the error for an input without a member that the operation needs. With
// parameter set, the message says that a parameter is missing.
func (s *Style) Missing(name string, parameter bool) error {
	c := checker{style: s}
	if parameter {
		c.parameter = name
	} else {
		c.say(lowerFirst(name), notNull)
	}
	return c.fault()
}

const notNull = "Member must not be null"

type checker struct {
	style     *Style
	found     []string
	sentence  string // the first violation that has a separate sentence
	parameter string // the first member that is missing as a parameter
	shown     string // " 'VALUE'" of the current member, if messages may repeat it
}

func (c *checker) fault() error {
	switch n := len(c.found); {
	case c.parameter != "":
		return fault.New(fault.MissingParameter, "The request must contain the parameter "+c.parameter+".")
	case n == 1:
		return fault.New(c.style.Code, "1 validation error detected: "+c.found[0])
	case n > 1:
		return fault.New(c.style.Code,
			fmt.Sprintf("%d validation errors detected: %s", n, strings.Join(c.found, "; ")))
	case c.sentence != "":
		return fault.New(c.style.Code, c.sentence)
	}
	return nil
}

// maxViolations bounds the length of a message.
const maxViolations = 20

// say adds a violation to the message.
func (c *checker) say(path, violated string) {
	if len(c.found) < maxViolations {
		c.found = append(c.found, "Value"+c.shown+" at '"+path+"' failed to satisfy constraint: "+violated)
	}
}

// absent adds a required member that is missing.
func (c *checker) absent(f reflect.StructField, path string) {
	if f.Tag.Get("missing") == "parameter" {
		if c.parameter == "" {
			c.parameter = f.Name
		}
		return
	}
	if c.shown = ""; c.style.Values {
		c.shown = " null"
	}
	c.say(path, notNull)
	c.shown = ""
}

// members checks the members of the structure at path.
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
		v.Kind() == reflect.Map && v.IsNil(), v.Kind() == reflect.String && v.Len() == 0:
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
	c.shown = c.shows(v, f)
	for _, rule := range rules {
		if !c.rule(v, path, rule) {
			break
		}
	}
	c.items(v, path, strings.Fields(f.Tag.Get("each")))
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

// shows returns the value in the form in which a message repeats it, or "" if it must not.
func (c *checker) shows(v reflect.Value, f reflect.StructField) string {
	switch {
	case f.Tag.Get("secret") != "", v.Kind() == reflect.Struct, v.Kind() == reflect.Map,
		v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.String,
		!c.style.Values && f.Tag.Get("shown") == "":
		return ""
	case v.Kind() == reflect.Slice:
		all := v.Slice(0, min(v.Len(), maxViolations)).Convert(reflect.TypeFor[[]string]()).Interface().([]string)
		return fmt.Sprintf(" '[%.128s]'", strings.Join(all, ", "))
	}
	return fmt.Sprintf(" '%.128s'", fmt.Sprint(v))
}

// rule checks one constraint: a..b, A|B, or the name of a pattern.
func (c *checker) rule(v reflect.Value, path, rule string) bool {
	if low, high, ok := strings.Cut(rule, ".."); ok {
		return c.bounds(v, path, low, high)
	}
	if rule == "tagKeys" {
		return c.tagKeys(v, path)
	}
	s, rule := v.String(), c.spelled(rule)
	if strings.Contains(rule, "|") {
		if slices.Contains(strings.Split(rule, "|"), s) {
			return true
		}
		c.shown = fmt.Sprintf(" '%.128s'", s)
		c.say(path, enumeration(rule))
		return false
	}
	text, ok := c.style.Pattern(rule, s)
	switch {
	case ok:
	case !strings.HasPrefix(text, "It must "):
		c.say(path, "Member must satisfy regular expression pattern: "+text)
	case c.sentence == "":
		c.sentence = "The specified value for " + path + " is invalid. " + text
	}
	return ok
}

// spelled replaces the name of an enumeration with its values.
func (c *checker) spelled(rule string) string {
	if c.style.Enumeration != nil {
		if values := c.style.Enumeration(rule); values != "" {
			return values
		}
	}
	return rule
}

func enumeration(rule string) string {
	return "Member must satisfy enum value set: [" + strings.ReplaceAll(rule, "|", ", ") + "]"
}

// items checks the texts of a list. If one is invalid, the message names all constraints,
// as AWS's does.
func (c *checker) items(v reflect.Value, path string, rules []string) {
	if len(rules) == 0 {
		return
	}
	var named []string
	fits := true
	for _, rule := range rules {
		if low, high, ok := strings.Cut(rule, ".."); ok {
			named = append(named, "Member must have length less than or equal to "+high,
				"Member must have length greater than or equal to "+low)
			a, _ := strconv.Atoi(low)
			b, _ := strconv.Atoi(high)
			for i := range v.Len() {
				n := utf8.RuneCountInString(v.Index(i).String())
				fits = fits && n >= a && n <= b
			}
			continue
		}
		rule = c.spelled(rule)
		named = append(named, enumeration(rule))
		for i := range v.Len() {
			fits = fits && slices.Contains(strings.Split(rule, "|"), v.Index(i).String())
		}
	}
	if !fits {
		c.say(path, "Member must satisfy constraint: ["+strings.Join(append(named, notNull), ", ")+"]")
	}
}

// tagKeys checks the keys of tags to remove. If one is invalid, the message names all
// constraints, as AWS's does.
func (c *checker) tagKeys(v reflect.Value, path string) bool {
	for i := range v.Len() {
		key := v.Index(i).String()
		if pattern, ok := c.style.Pattern("tagKey", key); !ok || utf8.RuneCountInString(key) > 128 {
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
