package simulate

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"

	"watertight/internal/access/policy"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
)

// source is a policy and each of its statements.
type source struct {
	name, text string
	kind       policy.Kind
	whole      *policy.Document
	parts      []part
}

type part struct {
	document *policy.Document
	match    Match // position of the statement
	bounds   bool  // it belongs to a boundary
}

// split compiles a policy and, separately, each of its statements.
func split(name string, kind policy.Kind, text string) (source, error) {
	whole, err := policy.Parse(kind, []byte(text))
	if err != nil {
		return source{}, invalidInput("%s: %s", name, fault.From(identity.MalformedPolicy(err)).Message)
	}
	s := source{name: name, text: text, kind: kind, whole: whole}
	var head struct{ Version string }
	if err := json.Unmarshal([]byte(text), &head); err != nil {
		return source{}, invalidInput("%s: This policy contains invalid Json", name)
	}
	err = eachStatement(text, func(raw json.RawMessage, start, end int64) error {
		doc := map[string]any{"Statement": raw}
		if head.Version != "" {
			doc["Version"] = head.Version
		}
		b, err := json.Marshal(doc)
		if err != nil {
			return err
		}
		d, err := policy.Parse(kind, b)
		if err != nil {
			return err
		}
		m := Match{Policy: name, Resource: kind == policy.Resource}
		m.StartLine, m.StartColumn = s.place(start)
		m.EndLine, m.EndColumn = s.place(end)
		s.parts = append(s.parts, part{document: d, match: m})
		return nil
	})
	if err != nil {
		return source{}, invalidInput("%s: %s", name, fault.From(identity.MalformedPolicy(err)).Message)
	}
	return s, nil
}

// splitAll splits policies of entities.
func splitAll(policies []identity.Inline) ([]source, error) {
	var all []source
	for _, p := range policies {
		one, err := split(p.Name, policy.Identity, p.Document)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}

// eachStatement visits the statements of a document that was parsed before.
func eachStatement(text string, visit func(raw json.RawMessage, start, end int64) error) error {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	if _, err := d.Token(); err != nil {
		return err
	}
	one := func() error {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		end := d.InputOffset()
		return visit(raw, end-int64(len(raw)), end)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if name != "Statement" {
			var other json.RawMessage
			if err := d.Decode(&other); err != nil {
				return err
			}
			continue
		}
		rest := strings.TrimLeft(text[d.InputOffset():], " \t\r\n:")
		if !strings.HasPrefix(rest, "[") {
			if err := one(); err != nil {
				return err
			}
			continue
		}
		if _, err := d.Token(); err != nil {
			return err
		}
		for d.More() {
			if err := one(); err != nil {
				return err
			}
		}
		if _, err := d.Token(); err != nil {
			return err
		}
	}
	return nil
}

// place returns the line and column of an offset, both counted from 1.
func (s *source) place(offset int64) (line, column int) {
	before := s.text[:offset]
	return strings.Count(before, "\n") + 1, len(before) - strings.LastIndexByte(before, '\n')
}

// contextKeys returns the condition keys and policy variables of documents, sorted, without
// duplicates, spelled as in the documents.
func contextKeys(all []source) []string {
	found := map[string]string{}
	add := func(name string) { found[policy.KeyName(name)] = name }
	variables := func(text string) {
		for {
			_, rest, ok := strings.Cut(text, "${")
			name, after, closed := strings.Cut(rest, "}")
			if !ok || !closed {
				return
			}
			name, _, _ = strings.Cut(name, ",")
			if strings.Contains(name, ":") {
				add(strings.TrimSpace(name))
			}
			text = after
		}
	}
	for i := range all {
		for _, s := range all[i].whole.Statements() {
			for _, c := range s.Conditions {
				add(c.Key)
				for _, v := range c.Values {
					variables(v)
				}
			}
			for _, r := range s.Resources {
				variables(r)
			}
		}
	}
	names := make([]string, 0, len(found))
	for _, name := range found {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
