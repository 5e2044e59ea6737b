package distribution

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"watertight/internal/fault"
)

// invalid returns InvalidArgument, for problems without a code of their own.
func invalid(format string, args ...any) error {
	return fault.New(fault.InvalidArgument, fmt.Sprintf(format, args...))
}

// oneOf refuses a value that is not among those that the member may have.
func oneOf(member, value string, values ...string) error {
	if !slices.Contains(values, value) {
		return invalid("%s is %.64q, but must be one of %s.", member, value, strings.Join(values, ", "))
	}
	return nil
}

// between refuses a number that is given and lies outside a range.
func between(code fault.Code, member string, value *int, minimum, maximum int) error {
	if value != nil && (*value < minimum || *value > maximum) {
		return fault.New(code, fmt.Sprintf("%s is %d, but must be from %d to %d.", member, *value, minimum, maximum))
	}
	return nil
}

// first returns the first error.
func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// consistent refuses a document with a list whose Quantity is not the number of its Items.
// Error: InconsistentQuantities.
func consistent(document any) error {
	if list := inconsistent(reflect.ValueOf(document)); list != "" {
		return fault.New(fault.InconsistentQuantities,
			"The value of Quantity and the size of Items don't match in "+list+".")
	}
	return nil
}

// inconsistent returns the name of the first such list in a value, or "".
func inconsistent(v reflect.Value) string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return ""
		}
		return inconsistent(v.Elem())
	case reflect.Slice:
		for i := range v.Len() {
			if list := inconsistent(v.Index(i)); list != "" {
				return list
			}
		}
	case reflect.Struct:
		quantity, items := v.FieldByName("Quantity"), v.FieldByName("Items")
		if quantity.IsValid() && items.IsValid() && quantity.Int() != int64(items.Len()) {
			return v.Type().Name()
		}
		for i := range v.NumField() {
			if list := inconsistent(v.Field(i)); list != "" {
				return list
			}
		}
	}
	return ""
}

// isToken reports whether s can be the name of a header (RFC 9110, section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') &&
			!strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return s != ""
}

// isHeaderValue reports whether s can be the value of a header: ASCII without control
// characters.
func isHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] >= 0x7f {
			return false
		}
	}
	return s == strings.TrimSpace(s)
}

// isPath reports whether s can be a path in a request: printable ASCII without spaces, with
// valid escapes, and without a query.
func isPath(s string) bool {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c >= 0x7f || strings.IndexByte("?#\\\"<>^`{|}", c) >= 0:
			return false
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
		}
	}
	return true
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

// isHost reports whether s is a host name of DNS, in any case.
func isHost(s string) bool {
	if len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if !isLabel(label) {
			return false
		}
	}
	return true
}

// isLabel reports whether s is a label of a host name. Buckets may have underscores.
func isLabel(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 63 && s[0] != '-' && s[len(s)-1] != '-'
}

// repeated returns the first item that occurs twice, without regard to case if fold is set.
func repeated(items []string, fold bool) (string, bool) {
	seen := make(map[string]struct{}, len(items))
	for _, item := range items {
		key := item
		if fold {
			key = strings.ToLower(item)
		}
		if _, twice := seen[key]; twice {
			return item, true
		}
		seen[key] = struct{}{}
	}
	return "", false
}

// isName reports whether s can be the name of a policy, key or group.
func isName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

// maxComment is the length of a comment, in bytes.
const maxComment = 128

// named refuses names and comments of policies, keys and groups.
func named(name, comment string) error {
	switch {
	case !isName(name):
		return invalid("Name has 1 to 128 letters, digits, hyphens and underscores.")
	case len(comment) > maxComment:
		return invalid("Comment has at most %d characters.", maxComment)
	}
	return nil
}

// maxReference is the length of a caller reference, in bytes.
const maxReference = 255

// checkReference refuses a caller reference.
func checkReference(reference string) error {
	if reference == "" || len(reference) > maxReference {
		return invalid("CallerReference has 1 to %d characters.", maxReference)
	}
	return nil
}

// climbs reports whether a path has a segment of dots, encoded or not (RFC 3986, section 3.3).
func climbs(path string) bool {
	for s := range strings.SplitSeq(strings.ToLower(path), "/") {
		if s = strings.ReplaceAll(s, "%2e", "."); s == "." || s == ".." {
			return true
		}
	}
	return false
}
