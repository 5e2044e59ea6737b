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

// Services returns the services that have a table, by the names in credential scopes and
// actions. "watertight" is for the server's own operations.
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

// ServiceName returns AWS's name of a service: "Amazon S3".
func ServiceName(service string) string {
	name, _ := find(table(service), "$name")
	return strings.TrimSpace(name)
}

// Level is an access level of the service authorization reference.
type Level uint8

// The access levels. None is the level of actions that no table has.
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

// The values of Changes. The zero value is the strictest.
const (
	ChangesBucket Changes = iota // a bucket, its settings, or a resource of its account
	ChangesObject                // the contents: objects, their tags, ACLs and locks
	ChangesNothing
)

// Facts are the properties of an action that rules depend on.
type Facts struct {
	Level          Level
	Bucket, Object bool // its resource is a bucket or an object; both may be false
	Changes        Changes
	// OwnerDecides means that the owner of the object decides, and that the object's ACL
	// applies. For all other actions the bucket's owner decides (S3 user guide, "How Amazon
	// S3 authorizes a request").
	OwnerDecides bool
	// SeesTags means that conditions on the tags of the action's object apply.
	SeesTags bool
	// GivesAccess means that the action changes who may access an object.
	GivesAccess bool
	// BucketPolicy means that the action is on a bucket's policy, which the root user of
	// the bucket's account may always repair.
	BucketPolicy bool
	// Trust means that the trust policy of a role may allow the action.
	Trust bool
	// OwnAccount means that only principals of the resource's account may use the action,
	// whatever a policy allows to others.
	OwnAccount bool
	// Always means that the action needs no permission, and that no policy can deny it.
	Always bool
	// Witness is the action's position, from 1, among those that are tried first to show
	// that a policy is public; 0 means none.
	Witness uint8
}

// Of returns the facts about an action such as "s3:GetObject", in upper or lower case; ok
// is false if no table has it. An unknown action of S3 changes a bucket, so that new
// actions are reserved for the bucket's account until a table says otherwise. Of allocates
// nothing.
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

// tableFold is table for the name of a service in upper or lower case.
func tableFold(service string) string {
	if t := table(service); t != "" {
		return t
	}
	for _, known := range [...]string{"cloudfront", "iam", "kms", "s3", "sts", "watertight"} {
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

// find returns the rest of a name's line in a table.
func find(table, name string) (rest string, ok bool) {
	low, high := 0, len(table) // offsets of lines
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

// compare compares the name at the beginning of a line, which ends with a space or with the
// line, with another name. It ignores case; n is the number of equal bytes at the
// beginning.
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

// field splits the first field off a line.
func field(line string) (first, rest string) {
	first, rest, _ = strings.Cut(strings.TrimLeft(line, " "), " ")
	return first, rest
}

// readFacts decodes the fields after an action's name.
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
