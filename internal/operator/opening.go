package operator

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Opening is the reason why a policy is public, and a request that it allows.
type Opening struct {
	Statement  int    // its index; -1 if the policy cannot be read
	Sid        string `json:",omitempty"`
	Principal  string
	Because    string
	Conditions []policy.Condition `json:",omitempty"`
	Range      string             `json:",omitempty"` // widest range of addresses
	Request    *Intruder          `json:",omitempty"`
}

// Intruder is a request that a public policy allows.
type Intruder struct {
	Caller, Action, Resource, SourceIP, At string
	Keys                                   map[string][]string
}

// opening describes a witness to the operator.
func opening(w *policy.Witness, name string) *Opening {
	if w == nil {
		return nil
	}
	o := &Opening{Statement: w.Statement, Sid: w.Sid, Principal: w.Principal.Value, Conditions: w.Conditions}
	switch w.Because {
	case policy.Alone:
		o.Because = "it neither names a principal nor limits the addresses to a few"
	case policy.Together:
		o.Because = "the statements together allow too many addresses"
	case policy.Behind:
		o.Because = "these addresses may hide anybody: a proxy that --trusted-proxy does not name, or a caller on " +
			"this machine or in a private network"
	}
	if w.Range.IsValid() {
		o.Range = w.Range.String()
	}
	if r := w.Request; r != nil {
		at := r.Resource
		if at == arn.Bucket("bucket") || at == arn.Object("bucket", "key") {
			at.Resource = name
		}
		keys := maps.Clone(r.Keys)
		if r.Version != nil {
			keys["s3:versionid"] = []string{*r.Version}
		}
		o.Request = &Intruder{
			Action: string(r.Action), Resource: at.String(), At: r.At.Format(time.RFC3339), Keys: keys,
		}
		o.Request.Caller = stranger(&r.Principal)
		if r.SourceIP.IsValid() {
			o.Request.SourceIP = r.SourceIP.String()
		}
	}
	return o
}

// stranger describes the caller of a witness: anonymous, or of any other account.
func stranger(p *policy.Principal) string {
	of := " of any other account"
	switch p.Kind {
	case policy.Anonymous:
		return "anonymous"
	case policy.AccountRoot:
		return "the root user" + of
	case policy.User:
		return "a user named " + strconv.Quote(p.Name) + of
	case policy.RoleSession:
		role, name, _ := strings.Cut(strings.TrimPrefix(p.ARN.Resource, "assumed-role/"), "/")
		return "a session named " + strconv.Quote(name) + " of a role named " + strconv.Quote(role) + of
	}
	return "a federated user" + of
}
