package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A document is first parsed into a tree, because encoding/json accepts what the grammar
// forbids: a name that occurs twice or in another case.

type shape uint8

const (
	stringShape shape = iota
	bareShape         // a number or a boolean, in its written form
	listShape
	objectShape
	nullShape
)

type node struct {
	shape   shape
	text    string
	items   []node
	members []member
}

type member struct {
	name  string
	value node
}

// maxDepth is the nesting depth that the grammar needs: a value in a list under key,
// operator, Condition, statement, list of statements and document.
const maxDepth = 8

// read returns the document's tree. The caller has limited the length of the text.
func read(text []byte) (node, error) {
	if !json.Valid(text) {
		return node{}, &Error{BadSyntax, "", "the document is not valid JSON" + place(text)}
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	n, err := readNode(dec, "", 0)
	if err != nil {
		return node{}, err
	}
	if n.shape != objectShape {
		return node{}, &Error{BadSyntax, "", "the document is not a JSON object"}
	}
	return n, nil
}

// place returns where a text stops being JSON: " at line 2, column 7".
func place(text []byte) string {
	var any json.RawMessage
	e, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(text, &any))
	if !ok {
		return ""
	}
	before := text[:max(0, min(int(e.Offset)-1, len(text)))]
	line := bytes.LastIndexByte(before, '\n') + 1
	return fmt.Sprintf(" at line %d, column %d", bytes.Count(before, []byte{'\n'})+1, len(before)-line+1)
}

func readNode(dec *json.Decoder, path string, depth int) (node, error) {
	if depth > maxDepth {
		return node{}, &Error{BadSyntax, path, "the document is nested too deeply"}
	}
	t, err := dec.Token()
	if err != nil {
		return node{}, &Error{BadSyntax, path, "the document is not valid JSON"}
	}
	switch t := t.(type) {
	case json.Delim:
		if t == '[' {
			return readList(dec, path, depth)
		}
		return readObject(dec, path, depth)
	case string:
		if !printable(t) {
			return node{}, &Error{BadSyntax, path, "the text holds a character that is not allowed"}
		}
		return node{shape: stringShape, text: t}, nil
	case json.Number:
		return node{shape: bareShape, text: t.String()}, nil
	case bool:
		if t {
			return node{shape: bareShape, text: "true"}, nil
		}
		return node{shape: bareShape, text: "false"}, nil
	}
	return node{shape: nullShape}, nil
}

func readList(dec *json.Decoder, path string, depth int) (node, error) {
	n := node{shape: listShape}
	for dec.More() {
		item, err := readNode(dec, at(path, len(n.items)), depth+1)
		if err != nil {
			return node{}, err
		}
		n.items = append(n.items, item)
	}
	_, err := dec.Token()
	return n, err
}

func readObject(dec *json.Decoder, path string, depth int) (node, error) {
	n, seen := node{shape: objectShape}, map[string]struct{}{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return node{}, &Error{BadSyntax, path, "the document is not valid JSON"}
		}
		name, _ := t.(string)
		here := join(path, name)
		if !printable(name) {
			return node{}, &Error{BadSyntax, path, "a name holds a character that is not allowed"}
		}
		if _, twice := seen[name]; twice {
			return node{}, &Error{BadSyntax, here, "the name occurs twice in one object"}
		}
		seen[name] = struct{}{}
		value, err := readNode(dec, here, depth+1)
		if err != nil {
			return node{}, err
		}
		n.members = append(n.members, member{name, value})
	}
	_, err := dec.Token()
	return n, err
}

// printable refuses control characters, which no valid name contains, and the replacement
// character, which encoding/json puts in place of half a surrogate pair.
func printable(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == utf8.RuneError
	})
}
