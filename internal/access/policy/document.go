package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"watertight/internal/access/arn"
)

// Kind is where a document stands.
type Kind uint8

// Identity documents are attached to principals.
const Identity Kind = iota

// Document is a parsed policy.
type Document struct{ statements []statement }

type statement struct {
	sid       string
	allow     bool
	actions   []string // patterns, in lower case
	resources []string // patterns
}

// maxDocument bounds a document, in bytes (IAM quotas: the largest is 20 KB).
const maxDocument = 20 << 10

// Parse reads an identity document. Elements it does not know are errors:
// a condition that is not understood must not pass for one that holds.
func Parse(kind Kind, text []byte) (*Document, error) {
	if kind != Identity {
		return nil, errors.New("policy: only identity documents are known")
	}
	if len(text) > maxDocument {
		return nil, errors.New("policy: the document is too long")
	}
	var raw struct {
		Version   string
		Statement []struct {
			Sid, Effect      string
			Action, Resource list
		}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&raw); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, errors.New("policy: text after the document")
	}
	if raw.Version != "2012-10-17" || len(raw.Statement) == 0 {
		return nil, errors.New("policy: Version 2012-10-17 and a Statement are required")
	}
	d := &Document{}
	for i, s := range raw.Statement {
		if s.Effect != "Allow" && s.Effect != "Deny" || len(s.Action) == 0 || len(s.Resource) == 0 {
			return nil, fmt.Errorf("policy: Statement[%d] needs Effect, Action and Resource", i)
		}
		st := statement{sid: s.Sid, allow: s.Effect == "Allow", resources: s.Resource}
		for _, a := range s.Action {
			st.actions = append(st.actions, strings.ToLower(a))
		}
		d.statements = append(d.statements, st)
	}
	return d, nil
}

// list is a string or a list of strings.
type list []string

// UnmarshalJSON implements json.Unmarshaler.
func (l *list) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*l = list{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(l))
}

// matches reports whether a statement is about an action on a resource.
func (s *statement) matches(a Action, r arn.ARN) bool {
	action := strings.ToLower(string(a))
	found := false
	for _, p := range s.actions {
		found = found || glob(p, action)
	}
	if !found {
		return false
	}
	for _, p := range s.resources {
		if p == "*" || glob(p, r.String()) {
			return true
		}
	}
	return false
}

// glob matches * (any run) and ? (one byte) in linear space and without
// recursion.
func glob(pattern, s string) bool {
	p, i, star, mark := 0, 0, -1, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p, i = p+1, i+1
		case star >= 0:
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}
