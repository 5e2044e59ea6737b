package policy

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"watertight/internal/access/arn"
)

// Limits of documents (IAM and STS quotas; S3 bucket policy limits; KMS quotas). IAM counts
// characters without white space. For IAM, the limit here is the largest one, that of
// inline policies of roles; packages that know what a document is attached to apply a
// smaller limit with Size.
const (
	maxIdentity = 10_240
	maxTrust    = 4_096
	maxSession  = 2_048
	maxResource = 20 << 10
	maxKey      = 32 << 10
	maxText     = 131_072 // length of an IAM document including white space
)

// Size returns the size of a document as IAM counts it: characters, without white space.
func Size(text []byte) int {
	n := 0
	for _, c := range text {
		// Continuation bytes of UTF-8 are not counted.
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' && c&0xC0 != 0x80 {
			n++
		}
	}
	return n
}

// Parse parses and compiles a document. Anything unknown is an error, because a condition
// that Parse does not understand must not be ignored. Its errors are *Error.
func Parse(kind Kind, text []byte) (*Document, error) {
	if err := checkText(kind, text); err != nil {
		return nil, err
	}
	root, err := read(text)
	if err != nil {
		return nil, err
	}
	p := parser{kind: kind, doc: &Document{kind: kind}}
	if err := p.document(root); err != nil {
		return nil, err
	}
	p.doc.giveReasons("")
	slices.Sort(p.doc.mentions)
	p.doc.mentions = slices.Compact(p.doc.mentions)
	p.doc.timed = p.doc.Mentions("aws:CurrentTime") || p.doc.Mentions("aws:EpochTime") ||
		p.doc.Mentions("aws:MultiFactorAuthAge")
	p.doc.classify()
	p.doc.admitsAll = slices.ContainsFunc(p.doc.statements, func(s statement) bool {
		return s.allow && slices.ContainsFunc(s.principals, func(e principal) bool { return e.kind == everybody })
	})
	return p.doc, nil
}

func checkText(kind Kind, text []byte) error {
	size, limit := len(text), 0
	switch kind {
	case Identity:
		size, limit = Size(text), maxIdentity
	case Trust:
		size, limit = Size(text), maxTrust
	case Session:
		size, limit = utf8.RuneCount(text), maxSession
	case Resource:
		limit = maxResource
	case Key:
		limit = maxKey
	default:
		return &Error{BadSyntax, "", "the kind of document is unknown"}
	}
	if size > limit || len(text) > maxText {
		return &Error{TooLong, "", "the document is longer than " + strconv.Itoa(limit) + " characters"}
	}
	if kind == Resource && (len(text) == 0 || text[0] != '{') {
		return &Error{BadSyntax, "", "Policies must be valid JSON and the first byte must be '{'"}
	}
	if !utf8.Valid(text) {
		return &Error{BadSyntax, "", "the document is not UTF-8"}
	}
	// The services' own pattern for documents. S3 has none, because object keys may contain
	// any character.
	for _, r := range string(text) {
		if kind != Resource && r > 0xFF {
			return &Error{BadSyntax, "", "the document holds a character above U+00FF; write it as an escape"}
		}
	}
	return nil
}

type parser struct {
	kind Kind
	doc  *Document
}

func at(path string, i int) string { return path + "[" + strconv.Itoa(i) + "]" }

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func (n node) get(name string) (node, bool) {
	for _, m := range n.members {
		if m.name == name {
			return m.value, true
		}
	}
	return node{}, false
}

// only refuses members other than names.
func (n node) only(path string, names ...string) error {
	if n.shape != objectShape {
		return &Error{BadSyntax, path, "an object is expected"}
	}
	for _, m := range n.members {
		if !slices.Contains(names, m.name) {
			return &Error{UnknownElement, join(path, m.name), "the element is not known here"}
		}
	}
	return nil
}

// list returns a string, or the strings of a list that is not empty.
func (n node) list(path string, problem Problem) ([]string, error) {
	if n.shape == stringShape {
		return []string{n.text}, nil
	}
	if n.shape != listShape || len(n.items) == 0 {
		return nil, &Error{problem, path, "a string or a list of strings is expected"}
	}
	out := make([]string, len(n.items))
	for i, item := range n.items {
		if item.shape != stringShape {
			return nil, &Error{problem, at(path, i), "a string is expected"}
		}
		out[i] = item.text
	}
	return out, nil
}

func (p *parser) document(root node) error {
	if err := root.only("", "Version", "Id", "Statement"); err != nil {
		return err
	}
	if v, ok := root.get("Version"); ok {
		if v.shape != stringShape || v.text != version2008 && v.text != version2012 {
			return &Error{BadVersion, "Version", "the version is " + version2012 + " or " + version2008}
		}
		p.doc.version = v.text
	}
	if v, ok := root.get("Id"); ok {
		if v.shape != stringShape {
			return &Error{BadSyntax, "Id", "a string is expected"}
		}
		p.doc.id = v.text
	}
	v, ok := root.get("Statement")
	if !ok {
		return &Error{MissingElement, "Statement", "Missing required field Statement"}
	}
	if v.shape != listShape {
		return p.statement(v, "Statement")
	}
	if len(v.items) == 0 {
		return &Error{MissingElement, "Statement", "there is no statement"}
	}
	for i, item := range v.items {
		if err := p.statement(item, at("Statement", i)); err != nil {
			return err
		}
	}
	return nil
}

func (p *parser) statement(n node, path string) error {
	if err := n.only(path, p.elements()...); err != nil {
		return err
	}
	var s statement
	for _, step := range [...]func(node, string, *statement) error{
		p.sid, p.effect, p.principal, p.action, p.resource, p.conditions,
	} {
		if err := step(n, path, &s); err != nil {
			return err
		}
	}
	for i := range s.conditions {
		c := &s.conditions[i]
		s.direct = s.direct ||
			c.ref.derived == principalARN && !c.negated && !c.ifExists && c.set != forAll && c.family != nullFamily
	}
	p.doc.statements = append(p.doc.statements, s)
	return nil
}

// elements returns the names of the elements that a statement of the kind may have.
func (p *parser) elements() []string {
	names := []string{"Sid", "Effect", "Action", "NotAction", "Condition"}
	if p.kind != Trust {
		names = append(names, "Resource", "NotResource")
	}
	switch p.kind {
	case Resource, Key:
		names = append(names, "Principal", "NotPrincipal")
	case Trust:
		names = append(names, "Principal")
	}
	return names
}

func (p *parser) sid(n node, path string, s *statement) error {
	v, ok := n.get("Sid")
	if !ok {
		return nil
	}
	path = join(path, "Sid")
	if v.shape != stringShape {
		return &Error{BadSid, path, "a string is expected"}
	}
	s.sid = v.text
	if p.kind == Resource || p.kind == Key || s.sid == "" {
		return nil
	}
	const alphanumeric = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	if strings.Trim(s.sid, alphanumeric) != "" {
		return &Error{BadSid, path, "Statement IDs (SID) must be alpha-numeric"}
	}
	if slices.ContainsFunc(p.doc.statements, func(other statement) bool { return other.sid == s.sid }) {
		return &Error{BadSid, path, "Statement IDs (SID) in a single policy must be unique"}
	}
	return nil
}

func (p *parser) effect(n node, path string, s *statement) error {
	v, ok := n.get("Effect")
	if !ok {
		return &Error{MissingElement, join(path, "Effect"), "Missing required field Effect"}
	}
	if v.shape != stringShape || v.text != "Allow" && v.text != "Deny" {
		return &Error{BadEffect, join(path, "Effect"), "Invalid effect: " + v.text}
	}
	s.allow = v.text == "Allow"
	return nil
}

// either returns an element or its negation. Exactly one of them must exist.
func (n node) either(path, name string) (v node, not bool, here string, err error) {
	v, has := n.get(name)
	w, hasNot := n.get("Not" + name)
	switch {
	case has && hasNot:
		return v, false, path, &Error{BadSyntax, path, name + " and Not" + name + " exclude each other"}
	case has:
		return v, false, join(path, name), nil
	case hasNot:
		return w, true, join(path, "Not"+name), nil
	}
	return v, false, path, &Error{MissingElement, join(path, name), "Missing required field " + name}
}

func (p *parser) action(n node, path string, s *statement) error {
	v, not, path, err := n.either(path, "Action")
	if err != nil {
		return err
	}
	list, err := v.list(path, BadAction)
	if err != nil {
		return err
	}
	s.notAction = not
	for _, text := range list {
		a, err := compileAction(text, p.loose())
		if err == nil && p.kind == Trust && !strings.HasPrefix(strings.ToLower(text), "sts:") {
			err = errors.New("AssumeRole policy may only specify STS AssumeRole actions")
		}
		if err != nil {
			return &Error{BadAction, path, err.Error()}
		}
		s.actions = append(s.actions, a)
	}
	if !not {
		s.may = actionsOf(s.actions)
	}
	return nil
}

func compileAction(text string, loose bool) (actionPattern, error) {
	if text == "*" {
		return actionPattern{text: text, any: true}, nil
	}
	const letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
	more := "" // additional characters in names of services and actions that IAM accepts, although no such name exists
	if loose {
		more = ". "
	}
	lower := strings.ToLower(text)
	service, name, ok := strings.Cut(lower, ":")
	if !ok || service == "" || name == "" || strings.Trim(service, letters+strings.TrimSpace(more)) != "" ||
		strings.Trim(name, letters+more+"_.*?") != "" {
		return actionPattern{}, errors.New(
			`an action is "*" or is written service:name, with wildcards only in the name`)
	}
	p, err := compile(lower, true, false)
	a := actionPattern{text: text, p: p}
	a.may = a.set()
	return a, err
}

func (p *parser) resource(n node, path string, s *statement) error {
	if p.kind == Trust {
		return nil
	}
	v, not, path, err := n.either(path, "Resource")
	if err != nil {
		return err
	}
	list, err := v.list(path, BadResource)
	if err != nil {
		return err
	}
	s.notResource = not
	if p.kind == Key && not {
		return &Error{BadResource, path, "a key policy is about its own key: Resource is \"*\""}
	}
	for _, text := range list {
		if p.kind == Key && !isKey(text) {
			return &Error{BadResource, path, "a key policy is about its own key: Resource is \"*\""}
		}
		a, err := p.resourceARN(text, s)
		if err != nil {
			return &Error{BadResource, path, err.Error()}
		}
		s.resources = append(s.resources, a)
		p.mention(a.sections[5])
	}
	return nil
}

// isKey reports whether text may be a Resource of a key policy: "*", which means the key,
// or the ARN of a key. core/kms checks whether it is the ARN of this key.
func isKey(text string) bool {
	if text == "*" {
		return true
	}
	a, err := arn.Parse(text)
	return err == nil && a.Service == "kms" && a.Region != "" && arn.IsAccountID(a.Account) &&
		strings.HasPrefix(a.Resource, "key/") && !strings.ContainsAny(text, "*?$")
}

func (p *parser) variables() bool { return p.doc.version == version2012 }

func (p *parser) mention(patterns ...pattern) {
	for _, q := range patterns {
		for i := range q {
			if q[i].kind == variable {
				p.doc.mentions = append(p.doc.mentions, q[i].ref.name)
			}
		}
	}
}
