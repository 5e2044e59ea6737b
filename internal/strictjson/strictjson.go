// Package strictjson decodes JSON that strangers wrote and whose members decide about
// access. It exists because encoding/json accepts documents that two readers may understand
// differently: a name that occurs twice, a name in another case, bytes that are not valid
// text. It must never know what a document is about.
package strictjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// Value is an encoded value of a document that was read.
type Value = json.RawMessage

// Object holds the members of an object by their exact names. Case is significant.
type Object map[string]Value

// Read reads a whole document, which must be an object. It refuses invalid JSON,
// anything after the document, a name that occurs twice in any object of it, bytes
// and escapes that are not valid text, and nesting deeper than depth (the document
// itself has depth 1). The caller bounds the size.
func Read(document []byte, depth int) (Object, error) {
	if err := check(document, depth); err != nil {
		return nil, err
	}
	return Members(document)
}

// Members returns the members of a value that is an object.
func Members(v Value) (Object, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(v, " \t\r\n"), []byte("{")) {
		return nil, errors.New("strictjson: an object is expected")
	}
	var o Object
	err := json.Unmarshal(v, &o)
	return o, err
}

// Items returns the items of a value that is a list.
func Items(v Value) ([]Value, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(v, " \t\r\n"), []byte("[")) {
		return nil, errors.New("strictjson: a list is expected")
	}
	var items []Value
	err := json.Unmarshal(v, &items)
	return items, err
}

// Text returns the text of a value that is a string.
func Text(v Value) (string, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(v, " \t\r\n"), []byte(`"`)) {
		return "", errors.New("strictjson: a string is expected")
	}
	var s string
	err := json.Unmarshal(v, &s)
	return s, err
}

// Text returns the text of a member that is a string, or "" if there is no such member.
func (o Object) Text(name string) (string, error) {
	v, ok := o[name]
	if !ok {
		return "", nil
	}
	s, err := Text(v)
	if err != nil {
		return "", fmt.Errorf("%w: %.64q", err, name)
	}
	return s, nil
}

// frame is an object or a list that is being read.
type frame struct {
	names map[string]struct{} // of an object; nil for a list
	value bool                // the next token of an object is a value, not a name
}

func check(document []byte, depth int) error {
	if !utf8.Valid(document) {
		return errors.New("strictjson: not UTF-8")
	}
	if !json.Valid(document) {
		return errors.New("strictjson: not valid JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(document))
	dec.UseNumber()
	var open []frame
	for {
		t, err := dec.Token()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if d, ok := t.(json.Delim); ok && (d == '}' || d == ']') {
			open = open[:len(open)-1]
			continue
		}
		if text, ok := t.(string); ok && strings.ContainsRune(text, utf8.RuneError) {
			return errors.New("strictjson: half a character")
		}
		if len(open) > 0 && open[len(open)-1].names != nil {
			if name, err := open[len(open)-1].next(t); name || err != nil {
				if err != nil {
					return err
				}
				continue
			}
		}
		if d, ok := t.(json.Delim); ok {
			if len(open) == depth {
				return errors.New("strictjson: nested too deeply")
			}
			f := frame{}
			if d == '{' {
				f.names = map[string]struct{}{}
			}
			open = append(open, f)
		}
	}
}

// next takes a token of an object, and reports whether it is a name.
func (f *frame) next(t json.Token) (name bool, err error) {
	if f.value {
		f.value = false
		return false, nil
	}
	text, _ := t.(string)
	if _, twice := f.names[text]; twice {
		return true, fmt.Errorf("strictjson: %.64q stands twice in one object", text)
	}
	f.names[text] = struct{}{}
	f.value = true
	return true, nil
}
