package policy

import (
	"encoding/json"
	"math/big"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A second evaluator, written from the rules only: it reads the documents' JSON for every decision, has
// no compiled form and shares no code with the first. It is slow and simple on purpose.

type naiveLaws struct {
	identity, boundary, session, resource []object
	owner                                 string
	mustAllow                             bool
	grants                                []KeyGrant
}

type object = map[string]any

func naiveRead(text string) object {
	var d object
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&d); err != nil {
		panic(err)
	}
	return d
}

func naiveList(v any) []string {
	switch v := v.(type) {
	case []any:
		var out []string
		for _, w := range v {
			out = append(out, naiveList(w)...)
		}
		return out
	case bool:
		return []string{strconv.FormatBool(v)}
	case json.Number:
		return []string{v.String()}
	case string:
		return []string{v}
	}
	return nil
}

func naiveContext(r Request, owner string) map[string][]string {
	c := map[string][]string{}
	for k, v := range r.Keys {
		c[k] = v
	}
	for _, k := range []string{
		"aws:currenttime", "aws:epochtime", "aws:sourceip", "aws:principalarn", "aws:principalaccount",
		"aws:principaltype", "aws:userid", "aws:username", "aws:principalisawsservice", "aws:principalservicename",
		"aws:principalservicenameslist", "aws:resourceaccount", "s3:resourceaccount",
		"kms:calleraccount",
	} {
		delete(c, k)
	}
	set := func(k, v string) {
		if v != "" {
			c[k] = []string{v}
		}
	}
	set("aws:resourceaccount", owner)
	if strings.HasPrefix(string(r.Action), "s3:") {
		set("s3:resourceaccount", owner)
	}
	if strings.HasPrefix(string(r.Action), "kms:") {
		set("kms:calleraccount", r.Principal.Account)
	}
	set("aws:currenttime", r.At.UTC().Format("2006-01-02T15:04:05Z"))
	set("aws:epochtime", strconv.FormatInt(r.At.Unix(), 10))
	if r.SourceIP.IsValid() {
		set("aws:sourceip", r.SourceIP.String())
	}
	p := r.Principal
	set("aws:principalaccount", p.Account)
	set("aws:userid", p.ID)
	switch p.Kind {
	case Anonymous:
		set("aws:principaltype", "Anonymous")
		set("aws:principalaccount", "anonymous")
		set("aws:userid", "anonymous")
	case WebIdentity:
		set("aws:principaltype", "FederatedUser")
	case Service:
		set("aws:principaltype", "Service")
		set("aws:principalisawsservice", "true")
		set("aws:principalservicename", p.Name)
		set("aws:principalservicenameslist", p.Name)
	default:
		set("aws:principalisawsservice", "false")
		set("aws:principalarn", p.ARN.String())
		switch p.Kind {
		case AccountRoot:
			set("aws:principaltype", "Account")
		case User:
			set("aws:principaltype", "User")
			set("aws:username", p.Name)
		case RoleSession:
			set("aws:principaltype", "AssumedRole")
			set("aws:principalarn", p.Role.String())
		case FederatedUser:
			set("aws:principaltype", "FederatedUser")
		}
	}
	return c
}

// naiveRune is a character, or a wildcard.
type naiveRune struct {
	r    rune
	wild bool
}

func naiveExpand(text string, wild, variables bool, c map[string][]string) ([]naiveRune, bool) {
	var out []naiveRune
	for text != "" {
		if variables && strings.HasPrefix(text, "${") {
			end := strings.Index(text, "}")
			inner := text[2:end]
			text = text[end+1:]
			value := inner
			if inner != "*" && inner != "?" && inner != "$" {
				key, def, hasDefault := strings.Cut(inner, ", '")
				values := c[naiveKey(key)]
				switch {
				case len(values) == 1:
					value = values[0]
				case len(values) == 0 && hasDefault:
					value = strings.TrimSuffix(def, "'")
				default:
					return nil, false
				}
			}
			for _, r := range value {
				out = append(out, naiveRune{r, false})
			}
			continue
		}
		r := []rune(text)[0]
		text = text[len(string(r)):]
		out = append(out, naiveRune{r, wild && (r == '*' || r == '?')})
	}
	return out, true
}

func naiveKey(k string) string {
	if i := strings.Index(k, "/"); i >= 0 && strings.HasPrefix(strings.ToLower(k), "s3:existingobjecttag/") {
		return strings.ToLower(k[:i]) + k[i:]
	}
	return strings.ToLower(k)
}

func naiveGlob(p []naiveRune, s []rune) bool {
	if len(p) == 0 {
		return len(s) == 0
	}
	switch {
	case p[0].wild && p[0].r == '*':
		for i := 0; i <= len(s); i++ {
			if naiveGlob(p[1:], s[i:]) {
				return true
			}
		}
		return false
	case len(s) == 0:
		return false
	case p[0].wild || p[0].r == s[0]:
		return naiveGlob(p[1:], s[1:])
	}
	return false
}

func naiveMatch(text, s string, wild, variables bool, c map[string][]string) bool {
	p, ok := naiveExpand(text, wild, variables, c)
	return ok && naiveGlob(p, []rune(s))
}

func naiveARN(pattern, s string, variables bool, c map[string][]string) bool {
	if pattern == "*" {
		return true
	}
	p, v := strings.SplitN(pattern, ":", 6), strings.SplitN(s, ":", 6)
	if len(v) < 6 {
		return false
	}
	for i := range p {
		if !naiveMatch(p[i], v[i], true, variables, c) {
			return false
		}
	}
	return true
}

func naiveDate(s string) (time.Time, bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) != 4 {
		return time.Unix(n, 0), true
	}
	for _, l := range []string{time.RFC3339, "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006"} {
		if t, err := time.Parse(l, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func naiveOrder(name string, order int) bool {
	switch {
	case strings.HasSuffix(name, "LessThan"):
		return order < 0
	case strings.HasSuffix(name, "LessThanEquals"):
		return order <= 0
	case strings.HasSuffix(name, "GreaterThan"):
		return order > 0
	case strings.HasSuffix(name, "GreaterThanEquals"):
		return order >= 0
	}
	return order == 0
}

// naiveFits compares one value of the request with one of the policy, under the
// positive form of the operator.
func naiveFits(op, want, got string, variables bool, c map[string][]string) bool {
	switch {
	case op == "StringLike":
		return naiveMatch(want, got, true, variables, c)
	case op == "StringEquals":
		return naiveMatch(want, got, false, variables, c)
	case op == "StringEqualsIgnoreCase":
		p, ok := naiveExpand(want, false, variables, c)
		var b strings.Builder
		for _, r := range p {
			b.WriteRune(r.r)
		}
		return ok && strings.EqualFold(b.String(), got)
	case strings.HasPrefix(op, "Arn"):
		return naiveARN(want, got, variables, c)
	case strings.HasPrefix(op, "Numeric"):
		a, ok1 := new(big.Rat).SetString(got)
		b, ok2 := new(big.Rat).SetString(want)
		return ok1 && ok2 && naiveOrder(op, a.Cmp(b))
	case strings.HasPrefix(op, "Date"):
		a, ok1 := naiveDate(got)
		b, ok2 := naiveDate(want)
		return ok1 && ok2 && naiveOrder(op, a.Compare(b))
	case op == "Bool":
		return (strings.EqualFold(got, "true") || strings.EqualFold(got, "false")) && strings.EqualFold(got, want)
	case op == "IpAddress":
		if !strings.Contains(want, "/") {
			return net.ParseIP(want).Equal(net.ParseIP(got))
		}
		_, n, err := net.ParseCIDR(want)
		ip := net.ParseIP(got)
		return err == nil && ip != nil && n.Contains(ip)
	}
	panic(op)
}

func naiveCondition(op, key string, want []string, allow, variables bool, c map[string][]string) bool {
	got := c[naiveKey(key)]
	if op == "Null" {
		return slices.Contains(want, strconv.FormatBool(len(got) == 0))
	}
	all, any := strings.HasPrefix(op, "ForAllValues:"), strings.HasPrefix(op, "ForAnyValue:")
	op = strings.TrimPrefix(strings.TrimPrefix(op, "ForAllValues:"), "ForAnyValue:")
	ifExists := strings.HasSuffix(op, "IfExists")
	op = strings.TrimSuffix(op, "IfExists")
	negated := strings.Contains(op, "Not")
	op = strings.Replace(op, "Not", "", 1)
	if len(got) == 0 {
		return !any && (ifExists || all || negated)
	}
	count := 0
	for _, g := range got {
		if slices.ContainsFunc(want, func(w string) bool { return naiveFits(op, w, g, variables, c) }) != negated {
			count++
		}
	}
	if all || !any && allow {
		return count == len(got)
	}
	return count > 0
}

// naivePrincipal says how an entry names the caller: "", account, limited, user
// or direct.
func naivePrincipal(kind, entry string, p Principal) string {
	member := p.Account != ""
	switch {
	case kind == "AWS" && entry == "*":
		return "everybody"
	case kind == "CanonicalUser" && member && entry == p.Canonical,
		kind == "AWS" && member && (entry == p.Account || entry == "arn:aws:iam::"+p.Account+":root"):
		if p.Kind == AccountRoot {
			return "direct"
		}
		return "account"
	case kind == "Service" && p.Kind == Service && entry == p.Name,
		kind == "Federated" && p.Kind == WebIdentity && entry == p.Provider:
		return "direct"
	case kind != "AWS":
		return ""
	case p.Kind == User && (entry == p.ARN.String() || entry == p.ID):
		return "user"
	case p.Kind == RoleSession && (entry == p.Role.String() || strings.HasPrefix(p.ID, entry+":")):
		return "role"
	case p.Kind == FederatedUser && entry == p.Issuer.String():
		return "role"
	case (p.Kind == RoleSession || p.Kind == FederatedUser) && entry == p.ARN.String():
		return "direct"
	}
	return ""
}

func naiveNames(element any, p Principal) map[string]bool {
	out := map[string]bool{}
	if s, ok := element.(string); ok {
		element = object{"AWS": s}
	}
	for kind, v := range element.(object) {
		for _, e := range naiveList(v) {
			out[naivePrincipal(kind, e, p)] = true
		}
	}
	delete(out, "")
	return out
}

// naiveSays returns what one layer says: deny, or the set of ways in which it
// allows.
func naiveSays(docs []object, isResource bool, r Request, owner string) (deny bool, allows map[string]bool) {
	allows = map[string]bool{}
	c := naiveContext(r, owner)
	for _, d := range docs {
		variables := d["Version"] == "2012-10-17"
		for _, v := range d["Statement"].([]any) {
			s := v.(object)
			ways := naiveApplies(s, isResource, variables, r, c)
			if s["Effect"] == "Allow" && r.Principal.Kind == WebIdentity {
				delete(ways, "everybody") // the bearer of a token must be named by its issuer
			}
			if len(ways) > 0 && s["Effect"] == "Deny" {
				deny = true
			}
			if s["Effect"] == "Allow" {
				for w := range ways {
					allows[w] = true
				}
			}
		}
	}
	return deny, allows
}

func naiveApplies(s object, isResource, variables bool, r Request, c map[string][]string) map[string]bool {
	element := func(name string, match func(string) bool) bool {
		if v, ok := s["Not"+name]; ok {
			return !slices.ContainsFunc(naiveList(v), match)
		}
		return slices.ContainsFunc(naiveList(s[name]), match)
	}
	if !element("Action", func(p string) bool {
		return naiveMatch(strings.ToLower(p), strings.ToLower(string(r.Action)), true, false, c)
	}) || !element("Resource", func(p string) bool {
		return p == "*" || r.Resource.String() != "*" && naiveARN(p, r.Resource.String(), variables, c)
	}) {
		return nil
	}
	byARN := false
	conditions, _ := s["Condition"].(object)
	for op, keys := range conditions {
		for key, want := range keys.(object) {
			if !naiveCondition(op, key, naiveList(want), s["Effect"] == "Allow", variables, c) {
				return nil
			}
			if naiveKey(key) == "aws:principalarn" && !strings.Contains(op, "Not") &&
				!strings.HasSuffix(op, "IfExists") && op != "Null" && !strings.HasPrefix(op, "ForAll") {
				byARN = true
			}
		}
	}
	if !isResource {
		return map[string]bool{"identity": true}
	}
	if v, ok := s["NotPrincipal"]; ok {
		named := naiveNames(v, r.Principal)
		spared := named["everybody"] || map[PrincipalKind]bool{
			AccountRoot: named["direct"], User: named["account"] && named["user"],
			RoleSession:   named["account"] && named["role"] && named["direct"],
			FederatedUser: named["account"] && named["direct"],
			Service:       named["direct"], WebIdentity: named["direct"],
		}[r.Principal.Kind]
		if spared {
			return nil
		}
		return map[string]bool{"everybody": true}
	}
	ways := naiveNames(s["Principal"], r.Principal)
	if ways["everybody"] && byARN {
		ways["direct"] = true
	}
	return ways
}

func naiveDecide(l naiveLaws, r Request) Effect {
	p := r.Principal
	if p.Kind == Nobody {
		return ImplicitDeny
	}
	resourceDeny, ways := naiveSays(l.resource, true, r, l.owner)
	identityDeny, identity := naiveSays(l.identity, false, r, l.owner)
	boundaryDeny, boundary := naiveSays(l.boundary, false, r, l.owner)
	sessionDeny, session := naiveSays(l.session, false, r, l.owner)
	if p.Kind == AccountRoot && p.Account == l.owner && strings.HasSuffix(string(r.Action), "BucketPolicy") {
		resourceDeny = false
	}
	if resourceDeny || identityDeny || boundaryDeny || sessionDeny {
		return ExplicitDeny
	}
	inIdentity := len(identity) > 0
	inBoundary := l.boundary == nil || len(boundary) > 0
	inSession := len(session) > 0 || l.session == nil && p.Kind != FederatedUser
	answer := func(ok bool) Effect {
		if ok {
			return Allow
		}
		return ImplicitDeny
	}
	switch {
	case strings.HasPrefix(string(r.Action), "kms:") && (p.Kind == Anonymous || p.Kind == WebIdentity):
		return ImplicitDeny // KMS takes signed requests only
	case naiveGranted(l.grants, r, inIdentity, inBoundary, inSession):
		return Allow
	case naiveOwn(r.Action) && p.Account != l.owner:
		return ImplicitDeny
	case p.Account == "" && r.Action == "s3:PutBucketPolicy":
		return ImplicitDeny
	case p.Account == "":
		return answer(len(ways) > 0 && inBoundary && inSession)
	case l.owner != "" && l.owner != p.Account:
		return answer(len(ways) > 0 && inIdentity && inBoundary && inSession)
	case ways["direct"]:
		return Allow
	case ways["user"] && inSession:
		return Allow
	case (ways["role"] || ways["everybody"]) && inBoundary && inSession:
		return Allow
	case l.mustAllow && len(ways) == 0:
		return ImplicitDeny
	}
	return answer(inIdentity && inBoundary && inSession)
}

// naiveOwn reports the actions that no other account has (KMS API reference,
// "Cross-account use: No").
func naiveOwn(a Action) bool {
	return a == "kms:PutKeyPolicy" || a == "kms:DisableKey"
}

// naiveGranted reports whether a grant of the key allows the request. No grant allows actions that other
// accounts can't have.
func naiveGranted(grants []KeyGrant, r Request, inIdentity, inBoundary, inSession bool) bool {
	context := map[string]string{} // with the case of its names
	for _, name := range r.Keys["kms:encryptioncontextkeys"] {
		if v := r.Keys["kms:encryptioncontext:"+strings.ToLower(name)]; len(v) == 1 {
			context[name] = v[0]
		} else {
			context[name] = "\x00"
		}
	}
	holds := func(all map[string]string) bool {
		for name, value := range all {
			if got, ok := context[name]; !ok || got != value {
				return false
			}
		}
		return true
	}
	for _, g := range grants {
		operation := strings.TrimPrefix(string(r.Action), "kms:")
		if !slices.Contains(g.Operations, operation) || operation == "RetireGrant" {
			continue
		}
		constrained := operation != "DescribeKey"
		if constrained && g.Equals != nil && (len(context) != len(g.Equals) || !holds(g.Equals)) ||
			constrained && g.Subset != nil && !holds(g.Subset) {
			continue
		}
		if operation == "CreateGrant" {
			wanted, kind := r.Keys["kms:grantoperations"], strings.Join(r.Keys["kms:grantconstrainttype"], "+")
			inside := len(wanted) > 0
			for _, o := range wanted {
				inside = inside && slices.Contains(g.Operations, o)
			}
			if !inside || g.Equals != nil && kind != "EncryptionContextEquals" ||
				g.Subset != nil && kind != "EncryptionContextEquals" && kind != "EncryptionContextSubset" {
				continue
			}
		}
		ways := naiveNames(object{"AWS": g.Grantee}, r.Principal)
		if ways["direct"] || ways["user"] && inSession || ways["role"] && inBoundary && inSession ||
			ways["account"] && inIdentity && inBoundary && inSession {
			return true
		}
	}
	return false
}
