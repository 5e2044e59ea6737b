package iam

import (
	"strings"
	"unicode"

	"watertight/internal/api/constraint"
	"watertight/internal/fault"
)

// style is how IAM and STS phrase errors about inputs. Messages repeat no values, except
// for a few of STS, because IAM treats them as sensitive.
func style() *constraint.Style {
	return &constraint.Style{Code: fault.ValidationError, Pattern: matches}
}

// validate checks an input against the constraints of its shape.
func validate(in any) error { return style().Check(in) }

// matches reports whether s matches a pattern of the API reference. It returns the pattern,
// or the sentence that IAM has instead.
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
