package policy

import (
	"encoding/json"
	"testing"
)

// TestAddStatement: the statement comes last, and the rest of the text stays as it was.
func TestAddStatement(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"no policy", "", `{"Version":"2012-10-17","Statement":[S]}`},
		{"a list", `{"Statement":[{"a":"]"}],"Id":"x"}`, `{"Statement":[{"a":"]"},S],"Id":"x"}`},
		{"one statement", "{ \"Statement\" : {\"a\":1}\n}", "{ \"Statement\" : [{\"a\":1},S]\n}"},
		{"white space", "{\"Statement\":[\n  {}\n ]}\n", "{\"Statement\":[\n  {},S\n ]}\n"},
		{"an empty list", `{"Statement":[ ]}`, `{"Statement":[S]}`},
		{"a member inside", `{"x":{"Statement":[1]},"Statement":[2]}`, `{"x":{"Statement":[1]},"Statement":[2,S]}`},
		{"no statements", `{"Version":"2012-10-17"}`, ""},
		{"a list alone", `[{"Statement":[]}]`, ""},
		{"half", `{"Statement":[{}]`, ""},
		{"more", `{"Statement":[{}]} x`, ""},
		{"no JSON", `x`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := AddStatement(c.text, "S")
			if (err == nil) != (c.want != "") || err == nil && got != c.want {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

// FuzzAddStatement: what was a policy is one with one statement more, and no text makes a panic.
func FuzzAddStatement(f *testing.F) {
	f.Add(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`)
	f.Add(`{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"*"}}`)
	const more = `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject","Resource":"*"}`
	f.Fuzz(func(t *testing.T, text string) {
		got, err := AddStatement(text, more)
		before, parseErr := Parse(Resource, []byte(text))
		if parseErr != nil {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		after, err := Parse(Resource, []byte(got))
		if err != nil {
			return // too long, for example
		}
		if len(after.Statements()) != len(before.Statements())+1 || !json.Valid([]byte(got)) {
			t.Errorf("%s becomes %s", text, got)
		}
	})
}
