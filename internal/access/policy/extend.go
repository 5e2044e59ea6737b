package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// errNoStatements is the error for a text that has no place for another statement.
var errNoStatements = errors.New("policy: the document has no list of statements")

// AddStatement returns the text of a document with one more statement at the end. The rest of
// the text stays as it was written, byte for byte. An empty text becomes a document of this
// statement alone. The result is not checked: the caller parses it.
func AddStatement(text, statement string) (string, error) {
	if text == "" {
		return `{"Version":"2012-10-17","Statement":[` + statement + `]}`, nil
	}
	d := json.NewDecoder(strings.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') || !json.Valid([]byte(text)) {
		return "", errNoStatements
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return "", errNoStatements
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return "", errNoStatements
		}
		if name != "Statement" {
			continue
		}
		end := int(d.InputOffset())
		from := end - len(value)
		return text[:from] + withItem(value, statement) + text[end:], nil
	}
	return "", errNoStatements
}

// withItem returns a list with one more item. A value that is no list becomes one.
func withItem(value json.RawMessage, item string) string {
	if value[0] != '[' {
		return "[" + string(value) + "," + item + "]"
	}
	inside := value[:len(value)-1]
	trimmed := bytes.TrimRight(inside, " \t\r\n")
	if len(trimmed) == 1 {
		return "[" + item + "]"
	}
	return string(trimmed) + "," + item + string(inside[len(trimmed):]) + "]"
}
