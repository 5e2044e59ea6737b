package policy

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// KeyName returns the name under which Request.Keys holds a condition key. It is in lower
// case (see FoldCase), except for the key of an object's tag, whose case is significant.
func KeyName(name string) string {
	service, tag, ok := strings.Cut(name, "/")
	lower := FoldCase(service)
	switch {
	case !ok, lower != "s3:existingobjecttag" && lower != "s3:requestobjecttag":
		return FoldCase(name)
	case lower == service: // a fast path, because every decision looks it up
		return name
	default:
		return lower + "/" + tag
	}
}

// FoldCase returns the same text for two texts exactly if strings.EqualFold says that they are
// equal; of ASCII, the lower case. Names of condition keys often end with the name of a tag,
// and stores compare those with strings.EqualFold. strings.ToLower does not agree with it: it
// makes the same of "i" and of "\u0130", so that one key would stand for two tags.
func FoldCase(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return strings.Map(foldCase, s)
		}
	}
	return strings.ToLower(s)
}

// foldCase returns the least of the characters that differ from r only by case; of ASCII, the
// lower case.
func foldCase(r rune) rune {
	least := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		least = min(least, f)
	}
	if 'A' <= least && least <= 'Z' {
		least += 'a' - 'A'
	}
	return least
}

// keyRef is a condition key that a document refers to.
type keyRef struct {
	name    string
	derived derived
}

func refTo(name string) keyRef {
	name = KeyName(name)
	return keyRef{name, derivedKey(name)}
}

// derived is a condition key whose value follows from the request's typed fields. It is
// never read from Request.Keys, so that no caller can forget it or set it to a wrong value.
type derived uint8

const (
	notDerived derived = iota
	currentTime
	epochTime
	sourceIP
	principalARN
	principalAccount
	principalType
	userID
	userName
	isService
	serviceName
	resourceAccount
	s3ResourceAccount
	callerAccount
	versionID
)

func derivedKey(name string) derived {
	switch name {
	case "aws:currenttime":
		return currentTime
	case "aws:epochtime":
		return epochTime
	case "aws:sourceip":
		return sourceIP
	case "aws:principalarn":
		return principalARN
	case "aws:principalaccount":
		return principalAccount
	case "aws:principaltype":
		return principalType
	case "aws:userid":
		return userID
	case "aws:username":
		return userName
	case "aws:principalisawsservice":
		return isService
	case "aws:principalservicename", "aws:principalservicenameslist":
		return serviceName
	case "aws:resourceaccount":
		return resourceAccount
	case "s3:resourceaccount":
		return s3ResourceAccount
	case "kms:calleraccount":
		return callerAccount
	case "s3:versionid":
		return versionID
	}
	return notDerived
}

// situation is a request during a decision, with values that were computed so far.
type situation struct {
	request Request
	action  actionSet         // of the request's action; if it is zero, no statement is passed over
	owner   string            // of the resource or, for an object, of its bucket
	joined  string            // last section of the resource, if it was needed
	known   [versionID]string // values of all derived keys except the version
	// ignoreGroups means that IgnorePublicAcls is on.
	ignoreGroups bool
	spent, most  int // steps; see Work
}

// section returns the last section of the request's resource. For an object, it is joined
// once per decision, and only if a pattern needs it.
func (in *situation) section() string {
	if in.joined == "" {
		in.joined = in.request.Resource.Section()
	}
	return in.joined
}

// values are the values of one key; n is 0 if the key is absent.
type values struct {
	one  string
	many []string
	n    int
}

func (v values) at(i int) string {
	if v.many != nil {
		return v.many[i]
	}
	return v.one
}

func (in *situation) values(k keyRef) values {
	if k.derived == notDerived {
		many := in.request.key(k.name)
		return values{many: many, n: len(many)}
	}
	if in.request.given != nil {
		if many, ok := in.request.given[k.name]; ok {
			return values{many: many, n: len(many)}
		}
	}
	if k.derived == versionID {
		if id := in.request.Version; id != nil {
			return values{one: *id, n: 1}
		}
		return values{}
	}
	one := in.known[k.derived]
	if one == "" {
		one = in.derive(k.derived)
		in.known[k.derived] = one
	}
	if one == "" {
		return values{}
	}
	return values{one: one, n: 1}
}

// derive returns the value of a derived key, empty if the request has none (IAM user guide,
// "AWS global condition context keys").
func (in *situation) derive(k derived) string {
	p := &in.request.Principal
	signed := p.Kind != Anonymous && p.Kind != WebIdentity
	switch k {
	case currentTime, epochTime:
		return in.time(k)
	case sourceIP:
		if a := in.request.SourceIP; a.IsValid() {
			return a.Unmap().WithZone("").String()
		}
	case principalARN:
		if p.Kind == RoleSession && !p.Role.IsZero() {
			return p.Role.String()
		}
		if signed && p.Kind != Service && p.Kind != RoleSession && !p.ARN.IsZero() {
			return p.ARN.String()
		}
	case principalAccount:
		if p.Kind == Anonymous {
			return "anonymous"
		}
		return p.Account
	case principalType:
		return p.Kind.keyValue()
	case userID:
		if p.Kind == Anonymous {
			return "anonymous"
		}
		return p.ID
	case userName:
		if p.Kind == User {
			return p.Name
		}
	case isService:
		if signed {
			return strconv.FormatBool(p.Kind == Service)
		}
	case serviceName:
		if p.Kind == Service {
			return p.Name
		}
	case resourceAccount:
		return in.owner
	case s3ResourceAccount:
		if in.request.Action.Service() == "s3" {
			return in.owner
		}
	case callerAccount:
		if in.request.Action.Service() == "kms" {
			return p.Account
		}
	}
	return ""
}

// time returns a key's value for the time of the request; a request without a time has none.
func (in *situation) time(k derived) string {
	at := in.request.At
	switch {
	case at.IsZero():
		return ""
	case k == epochTime:
		return strconv.FormatInt(at.Unix(), 10)
	}
	return at.UTC().Format("2006-01-02T15:04:05Z")
}

// keyValue returns the value of aws:PrincipalType.
func (k PrincipalKind) keyValue() string {
	switch k {
	case Anonymous:
		return "Anonymous"
	case AccountRoot:
		return "Account"
	case User:
		return "User"
	case RoleSession:
		return "AssumedRole"
	case FederatedUser, WebIdentity:
		return "FederatedUser"
	case Service:
		return "Service"
	}
	return ""
}
