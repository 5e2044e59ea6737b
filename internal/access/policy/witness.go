package policy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
)

// Openness says what makes a statement public.
type Openness uint8

// What makes a statement public.
const (
	Alone    Openness = iota // it allows everyone, from more than a few addresses
	Together                 // all statements together allow too many addresses
	Behind                   // the addresses of Range may be anyone's
)

// Witness is the statement that makes a document public.
type Witness struct {
	Statement int // its index; -1 if the document could not be read
	Sid       string
	Principal PrincipalName
	Because   Openness
	// Conditions are those of the statement; none of them restricts it to fixed values.
	Conditions []Condition
	// Range is the largest address range from which the statement allows everyone; it is
	// not valid if the statement does not restrict addresses.
	Range netip.Prefix
	// Request is a request that the document allows, without a signature or signed by
	// another account. It is nil if none of the requests that were tried is allowed, or if
	// the statement is for an identity provider.
	Request *Request
}

func (d *Document) witness(r *reach) *Witness {
	s := &d.statements[r.statement]
	w := &Witness{
		Statement: r.statement, Sid: s.sid, Principal: r.principal.PrincipalName, Because: r.because,
		Conditions: s.asWritten().Conditions, Range: widest(r.ranges),
	}
	if r.principal.kind != ofProvider {
		w.Request = d.intruder(s, w.Range)
	}
	return w
}

// width returns the number of variable bits of a range.
func width(p netip.Prefix) int {
	if !p.IsValid() {
		return -1
	}
	return p.Addr().BitLen() - p.Bits()
}

// Stranger is an account that owns nothing here. What its root user may do, anyone with an
// AWS account may do.
const Stranger = "999999999999"

const (
	absentOwner = "000000000000" // owner of the resource in a stranger's request
	someKey     = "00000000-0000-4000-8000-000000000000"
	sometime    = 1_893_456_000 // seconds: 2030-01-01, unless a condition needs another time
)

// somewhere returns an address that is reserved for documentation (RFC 5737).
func somewhere() netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, 7}) }

// intruder looks for a request that the statement allows. Decide confirms it.
func (d *Document) intruder(s *statement, from netip.Prefix) *Request {
	all, err := Parse(Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		return nil
	}
	laws := Laws{
		Identity: []*Document{all}, Session: []*Document{all}, Resource: []*Document{d}, ResourceOwner: absentOwner,
		ResourceMustAllow: d.kind == Key,
	}
	tries, actions := mostTries, s.someActions(d.kind)
	for _, who := range s.strangers() {
		for _, a := range actions {
			for _, r := range s.someResources(d.kind, who.Name) {
				in := Request{
					Principal: who, Action: a, Resource: r, At: time.Unix(sometime, 0).UTC(), SourceIP: within(from),
					Keys: map[string][]string{"aws:securetransport": {"true"}},
				}
				s.satisfy(&in, &tries)
				if Decide(&laws, &in).Effect == Allow {
					return &in
				}
				if tries--; tries < 0 {
					return nil
				}
			}
		}
	}
	return nil
}

// within returns an address of the range, if possible one that is reserved for documentation.
func within(from netip.Prefix) netip.Addr {
	address := somewhere()
	if !from.IsValid() || from.Contains(address) {
		return address
	}
	if next := from.Addr().Next(); from.Contains(next) {
		return next
	}
	return from.Addr()
}

// strangers returns principals that no statement names: the anonymous one, and the root
// user, users and sessions of an account that owns nothing here. Some have the names in the
// statement's conditions, if a stranger can have them.
func (s *statement) strangers() []Principal {
	sts := func(resource string) arn.ARN {
		return arn.ARN{Partition: "aws", Service: "sts", Account: Stranger, Resource: resource}
	}
	iam := func(resource string) arn.ARN {
		return arn.ARN{Partition: "aws", Service: "iam", Account: Stranger, Resource: resource}
	}
	user := func(path, id string) Principal {
		return Principal{
			Kind: User, Account: Stranger, ARN: iam("user/" + path), ID: id,
			Name: path[strings.LastIndexByte(path, '/')+1:],
		}
	}
	session := func(path, name string) Principal {
		role := path[strings.LastIndexByte(path, '/')+1:]
		return Principal{
			Kind: RoleSession, Account: Stranger, ARN: sts("assumed-role/" + role + "/" + name),
			Role: iam("role/" + path), ID: "AROASTRANGERSTRANGER:" + name,
		}
	}
	all := []Principal{
		{Kind: Anonymous}, {Kind: AccountRoot, Account: Stranger, ARN: arn.Root(Stranger), ID: Stranger},
		user("stranger", "AIDASTRANGERSTRANGER"), session("stranger", "session"),
		{
			Kind: FederatedUser, Account: Stranger, ARN: sts("federated-user/stranger"), Issuer: iam("user/stranger"),
			ID: Stranger + ":stranger",
		},
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		for _, v := range c.values {
			text := strings.ReplaceAll(plainly(v.text), "${aws:username}", "stranger")
			switch c.ref.derived {
			case userName:
				all = append(all, user(text, "AIDASTRANGERSTRANGER"))
			case userID:
				if id, name, isSession := strings.Cut(text, ":"); isSession && !arn.IsAccountID(id) {
					all = append(all, session("stranger", name))
				}
			case principalARN:
				section := strings.SplitN(text, ":", 6)
				path, isUser := strings.CutPrefix(section[len(section)-1], "user/")
				role, isRole := strings.CutPrefix(section[len(section)-1], "role/")
				switch {
				case isUser:
					all = append(all, user(path+strings.Repeat("x", 1-min(1, len(path))), "AIDASTRANGERSTRANGER"))
				case isRole:
					all = append(all, session(role+strings.Repeat("x", 1-min(1, len(role))), "session"))
				}
			}
		}
	}
	return all[:min(len(all), 32)]
}

// someActions returns actions that the statement matches: first those that show most
// clearly that it is public, then those that its patterns contain.
func (s *statement) someActions(kind Kind) []Action {
	var out []Action
	telling := action.Witnesses()
	if kind == Key {
		telling = []string{"kms:Decrypt", "kms:GenerateDataKey", "kms:Encrypt", "kms:CreateGrant", "kms:DescribeKey"}
	}
	for _, name := range telling {
		if s.aboutAction(name, nil) {
			out = append(out, Action(name))
		}
	}
	for i := range s.actions {
		if a := plainly(s.actions[i].text); !s.notAction && !slices.Contains(out, Action(a)) {
			out = append(out, Action(a))
		}
	}
	return out[:min(len(out), 8)]
}

// plainly replaces the wildcards of a pattern: a * with nothing, a ? with x.
func plainly(pattern string) string {
	return strings.ReplaceAll(strings.ReplaceAll(pattern, "*", ""), "?", "x")
}

// someResources returns resources that the statement's patterns match for a stranger with a name.
func (s *statement) someResources(kind Kind, name string) []arn.ARN {
	out := []arn.ARN{}
	if kind == Key {
		return append(out, arn.ARN{
			Partition: "aws", Service: "kms", Region: "us-east-1", Account: absentOwner, Resource: "key/" + someKey,
		})
	}
	if len(s.resources) == 0 { // an ACL
		out = append(out, arn.Object("bucket", "key"))
	}
	for i := range s.resources {
		text := strings.ReplaceAll(s.resources[i].text, "${aws:username}", name)
		if text == "*" {
			out = append(out, arn.Object("bucket", "key"), arn.Bucket("bucket"))
			continue
		}
		for _, run := range [...]string{"x", ""} {
			a, err := arn.Parse(strings.ReplaceAll(strings.ReplaceAll(text, "*", run), "?", "x"))
			if err == nil && !slices.Contains(out, a) {
				out = append(out, a)
			}
		}
	}
	if s.notResource {
		out = append(out, arn.Object("bucket", "key"), arn.Bucket("bucket"), arn.Object("other", "key"))
	}
	return out[:min(len(out), 16)]
}

// mostTries bounds how often conditions are tried for one witness, or for one request of a
// comparison, because a document may have any number of them.
const mostTries = 2_000

// satisfy changes a request so that it meets the statement's conditions, one after another,
// as far as this succeeds within the number of tries.
func (s *statement) satisfy(r *Request, tries *int) {
	for i := range s.conditions {
		ref := s.conditions[i].ref
		var about []*condition
		for j := range s.conditions {
			if s.conditions[j].ref.name == ref.name {
				about = append(about, &s.conditions[j])
			}
		}
		holds := func() bool {
			if *tries--; *tries < 0 {
				return false
			}
			in := situation{request: *r, owner: absentOwner, most: decisionSteps}
			return !slices.ContainsFunc(about, func(c *condition) bool { return !c.holds(&in, true) })
		}
		if holds() {
			continue
		}
		for _, c := range about {
			for k := range c.values {
				if *tries < 0 {
					return
				}
				if c.try(&c.values[k], r, holds) {
					break
				}
			}
		}
	}
}

// try sets values of the condition's key in the request until holds returns true.
func (c *condition) try(o *operand, r *Request, holds func() bool) bool {
	switch {
	case c.ref.derived == sourceIP:
		for _, a := range [...]netip.Addr{
			o.prefix.Addr(), o.prefix.Addr().Next(), netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: 7}), {},
		} {
			if r.SourceIP = a; holds() {
				return true
			}
		}
		return false
	case c.ref.derived == currentTime || c.ref.derived == epochTime:
		at := o.at
		if c.family != dateFamily {
			n, err := strconv.ParseInt(o.text, 10, 40)
			if err != nil {
				return false
			}
			at = time.Unix(n, 0).UTC()
		}
		for _, d := range [...]time.Duration{0, -time.Second, time.Second} {
			if r.At = at.Add(d); holds() {
				return true
			}
		}
		return false
	case c.ref.derived == versionID:
		for _, v := range c.candidates(o) {
			if r.Version = &v; holds() {
				return true
			}
		}
		r.Version = nil
		return holds()
	case c.ref.derived != notDerived:
		return false // a stranger can't choose its own identity
	}
	for _, v := range c.candidates(o) {
		if r.Keys[c.ref.name] = []string{v}; holds() {
			return true
		}
	}
	delete(r.Keys, c.ref.name)
	return holds()
}

// candidates returns values near an operand.
func (c *condition) candidates(o *operand) []string {
	switch c.family {
	case numericFamily:
		out := []string{o.text}
		if n, err := strconv.ParseInt(o.text, 10, 62); err == nil {
			out = append(out, strconv.FormatInt(n-1, 10), strconv.FormatInt(n+1, 10))
		}
		return out
	case dateFamily:
		return []string{o.text, strconv.FormatInt(o.at.Unix()-1, 10), strconv.FormatInt(o.at.Unix()+1, 10)}
	case boolFamily:
		return []string{"true", "false"}
	case nullFamily:
		return []string{"x"}
	case binaryFamily:
		return []string{o.bytes, o.bytes + "x"}
	case ipFamily:
		return []string{o.prefix.Addr().String(), o.prefix.Addr().Next().String(), somewhere().String()}
	case arnFamily:
		return []string{plainly(o.text), strings.ReplaceAll(plainly(o.text), "::", ":x:"), "arn:aws:s3:::x"}
	}
	return []string{o.text, plainly(o.text), strings.ReplaceAll(o.text, "*", "x"), plainly(o.text) + "x", "x"}
}
