package simulate

import (
	"strings"
	"testing"

	"watertight/internal/access/policy"
)

const (
	allowAll = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`
	denyAll  = `{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}`
)

// FuzzSplit: every statement of a document is found, with its position.
func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		allowAll, denyAll, `{"Statement" : [ ` + denyAll[39:len(denyAll)-1] + ` ] , "Version":"2012-10-17"}`,
		`{"Id":"x","Statement":{}}`, "[", "",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := split("p", policy.Identity, text)
		if err != nil {
			return
		}
		if len(s.parts) != len(s.whole.Statements()) {
			t.Fatalf("%d of %d statements", len(s.parts), len(s.whole.Statements()))
		}
		for _, p := range s.parts {
			m := p.match
			if from, to := offset(text, m.StartLine,
				m.StartColumn), offset(text, m.EndLine, m.EndColumn); text[from] != '{' || text[to-1] != '}' {
				t.Errorf("%q", text[from:to])
			}
		}
	})
}

// offset returns the position of a line and a column, both counted from 1.
func offset(text string, line, column int) int {
	at := 0
	for ; line > 1; line-- {
		at += strings.IndexByte(text[at:], '\n') + 1
	}
	return at + column - 1
}
