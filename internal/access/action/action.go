// Package action is the catalogue of AWS's actions and operations: one table for each
// service. It exists so that no other package keeps a list of them. It is pure: only the
// standard library. It must never know a request, a policy or a caller.
//
// An action is what a policy allows ("s3:GetObjectVersion"); an operation is what
// a client calls and what an audit event names ("GetObject"). A table has lines for
// both; names of operations end with "()":
//
//	PutObjectAcl    permissions object object owner,tags @acl existingobjecttag/
//	PutObjectAcl()  data write
//
// The line of an action has its access level, its resources, what it changes, further
// facts (see Facts) and the condition keys that not all actions of the service have.
// Keys have the prefix of the service unless another is written; an ! marks a key that
// the action lacks although all others have it. The line of an operation has the
// category of its events, whether it reads, and further words (see Operation). "*" and
// "*()" are for names that the table does not have, "@" begins a group of condition
// keys, and "@every" is the group that all actions have.
// "$global" is a service with one region, "$source" the service that its events name,
// and "$name" what AWS calls it.
//
// Lines are sorted by name without regard to case, and are searched in place: there
// is no index to build, pass on or keep.
package action

import (
	_ "embed"
	"strconv"
	"strings"
)

//go:embed cloudfront.txt
var cloudfront string

//go:embed iam.txt
var iam string

//go:embed kms.txt
var kms string

//go:embed s3.txt
var s3 string

//go:embed s3control.txt
var s3control string

//go:embed sts.txt
var sts string

//go:embed watertight.txt
var watertight string

//go:embed global.txt
var global string

// Services returns the services that have a table, by the names that credential scopes
// and actions use. "watertight" is for the server's own operations.
func Services() []string {
	return []string{"cloudfront", "iam", "kms", "s3", "s3control", "sts", "watertight"}
}

func table(service string) string {
	switch service {
	case "cloudfront":
		return cloudfront
	case "iam":
		return iam
	case "kms":
		return kms
	case "s3":
		return s3
	case "s3control":
		return s3control
	case "sts":
		return sts
	case "watertight":
		return watertight
	}
	return ""
}

// ServiceName is what AWS calls a service: "Amazon S3".
func ServiceName(service string) string {
	name, _ := find(table(service), "$name")
	return strings.TrimSpace(name)
}

// Level is an access level of the service authorization reference.
type Level uint8

// The access levels. None is an action that no table knows.
const (
	None Level = iota
	List
	Read
	Write
	Tagging
	Permissions // permissions management
)

// Changes is what an action changes in a bucket.
type Changes uint8

// What an action changes. The zero value is the strictest.
const (
	ChangesBucket Changes = iota // a bucket, its settings, or what is its account's
	ChangesObject                // what is stored: objects, their tags, ACLs and locks
	ChangesNothing
)

// Facts are what rules ask about an action.
type Facts struct {
	Level          Level
	Bucket, Object bool // it is about buckets, or about objects; it may be about neither
	Changes        Changes
	// OwnerDecides: the owner of the object decides, and the object's ACL counts. About
	// all other actions the bucket's owner decides (S3 user guide, "How Amazon S3
	// authorizes a request").
	OwnerDecides bool
	// SeesTags: the action is judged by the tags that its object has.
	SeesTags bool
	// GivesAccess: the action changes who may access an object.
	GivesAccess bool
	// BucketPolicy: the action is about a bucket's policy, which the root user of the
	// bucket's account may always repair.
	BucketPolicy bool
	// Trust: the trust policy of a role may allow it.
	Trust bool
	// OwnAccount: only principals of the resource's account have the action, whatever a
	// policy allows to others.
	OwnAccount bool
	// Always: the action needs no permission, and no policy can deny it.
	Always bool
	// Witness is the action's place among those that are tried first to show that a
	// policy is public, from 1 on; 0 is none.
	Witness uint8
}

// Of returns the facts about an action such as "s3:GetObject", in any case of its
// letters; ok is false where no table has it. An unknown action of S3 changes a bucket,
// so that new actions are reserved for the bucket's account until a table says
// otherwise. Of allocates nothing.
func Of(action string) (f Facts, ok bool) {
	service, name, _ := strings.Cut(action, ":")
	t := tableFold(service)
	if t == "" {
		return Facts{Changes: ChangesNothing}, false
	}
	line, ok := "", isName(name)
	if ok {
		line, ok = find(t, name)
	}
	if !ok {
		line, _ = find(t, "*")
	}
	return readFacts(line), ok
}

// tableFold is table for a service in any case of its letters.
func tableFold(service string) string {
	if t := table(service); t != "" {
		return t
	}
	for _, known := range [...]string{"iam", "kms", "s3", "sts"} {
		if strings.EqualFold(service, known) {
			return table(known)
		}
	}
	return ""
}

func isName(s string) bool {
	for i := range len(s) {
		if c := lower(s[i]); (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

// find returns what follows a name in its line of a table.
func find(table, name string) (rest string, ok bool) {
	low, high := 0, len(table) // where lines begin
	for low < high {
		line, middle := low, low+(high-low)/2
		if n := strings.IndexByte(table[middle:high], '\n'); middle+n+1 < high {
			line = middle + n + 1
		}
		n, order := compare(table[line:], name)
		switch {
		case order == 0:
			rest, _, _ = strings.Cut(table[line+n:], "\n")
			return rest, true
		case order > 0:
			high = line
		default:
			low = line + strings.IndexByte(table[line:], '\n') + 1
		}
	}
	return "", false
}

// compare orders the name that a line begins with, which ends with a space or the
// line, and another one, without regard to the case of their letters; n is how many
// bytes they share.
func compare(line, name string) (n, order int) {
	for ; n < len(name); n++ {
		x, y := lower(line[n]), lower(name[n])
		switch {
		case x == ' ' || x == '\n':
			return n, -1
		case x != y:
			return n, int(x) - int(y)
		}
	}
	if line[n] == ' ' || line[n] == '\n' {
		return n, 0
	}
	return n, 1
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// field cuts the first field off a line.
func field(line string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	return first, rest
}

// readFacts reads what follows an action's name.
func readFacts(line string) (f Facts) {
	level, line := field(line)
	on, line := field(line)
	changes, line := field(line)
	facts, _ := field(line)
	f.Level = readLevel(level)
	for more := true; more; {
		var one string
		one, on, more = strings.Cut(on, ",")
		f.Bucket, f.Object = f.Bucket || one == "bucket", f.Object || one == "object"
	}
	switch changes {
	case "object":
		f.Changes = ChangesObject
	case "nothing":
		f.Changes = ChangesNothing
	}
	for more := true; more; {
		var one string
		one, facts, more = strings.Cut(facts, ",")
		switch one {
		case "owner":
			f.OwnerDecides = true
		case "tags":
			f.SeesTags = true
		case "gives":
			f.GivesAccess = true
		case "policy":
			f.BucketPolicy = true
		case "trust":
			f.Trust = true
		case "own":
			f.OwnAccount = true
		case "always":
			f.Always = true
		}
		if place, ok := strings.CutPrefix(one, "witness="); ok {
			n, _ := strconv.ParseUint(place, 10, 8)
			f.Witness = uint8(n)
		}
	}
	return f
}

func readLevel(word string) Level {
	switch word {
	case "list":
		return List
	case "read":
		return Read
	case "write":
		return Write
	case "tagging":
		return Tagging
	case "permissions":
		return Permissions
	}
	return None
}
