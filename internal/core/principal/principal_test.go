package principal

import (
	"errors"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/storage/kv"
)

// directory maps names to ids.
type directory map[string]string

func (d directory) ID(_ kv.Reader, entry policy.PrincipalName) (string, bool, error) {
	if entry.Type != "AWS" && entry.Type != "CanonicalUser" || entry.Value == "*" {
		return "", true, nil
	}
	id, ok := d[entry.Value]
	return id, ok, nil
}

func (d directory) Name(_ kv.Reader, id string) (string, error) {
	for name, other := range d {
		if other == id {
			return name, nil
		}
	}
	return "", nil
}

const (
	account   = "111122223333"
	alice     = "arn:aws:iam::111122223333:user/alice"
	alicia    = "arn:aws:iam::111122223333:user/a/alicia"
	aliceID   = "AIDAEXAMPLEEXAMPLE001"
	canonical = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

func document(t *testing.T, principal string) (string, *policy.Document) {
	t.Helper()
	text := `{ "Statement": {"Effect": "Allow", "Principal": ` + principal + `, "Action": "s3:*", "Resource": "` +
		alice + `"} }`
	d, err := policy.Parse(policy.Resource, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return text, d
}

// TestBindings: a policy applies to the principals that had its names when it was written. It is
// shown with their current names, in its Principal elements only.
func TestBindings(t *testing.T) {
	then := directory{alice: aliceID, canonical: account}
	for name, c := range map[string]struct {
		principal string
		now       directory
		shown     string // what is shown in place of the name; "" for the text as it was written
		named     string // who has the name in the policy now
	}{
		"nothing changed": {`{"AWS":"` + alice + `"}`, then, "", aliceID},
		"renamed":         {`{"AWS":"` + alice + `"}`, directory{alicia: aliceID}, alicia, ""},
		"deleted":         {`{"AWS":"` + alice + `"}`, directory{}, aliceID, ""},
		"made again": {
			`{"AWS":"` + alice + `"}`, directory{alice: "AIDASOMEBODYELSE00001"}, aliceID, "AIDASOMEBODYELSE00001",
		},
		"spelt differently": {
			`{"AWS":"` + strings.Replace(alice, "a", `\u0061`, 1) + `"}`, directory{alicia: aliceID}, alicia, "",
		},
		"a canonical id": {`{"CanonicalUser":"` + canonical + `"}`, then, "", ""},
		"everybody":      {`"*"`, then, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			text, d := document(t, c.principal)
			b, err := Bind(nil, then, d)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := b.Text(nil, c.now, policy.Resource, text)
			if err != nil {
				t.Fatal(err)
			}
			want := text
			if c.shown != "" {
				want = `{"Statement":[{"Effect":"Allow","Principal":{"AWS":"` + c.shown +
					`"},"Action":"s3:*","Resource":"` + alice + `"}]}`
			}
			if shown != want {
				t.Errorf("shown %s, want %s", shown, want)
			}
			if c.principal == `"*"` || strings.Contains(c.principal, "Canonical") {
				return
			}
			for id, want := range map[string]bool{aliceID: true, c.named: c.named == aliceID} {
				a, err := arn.Parse(alice)
				if err != nil {
					t.Fatal(err)
				}
				p := policy.Principal{Kind: policy.User, Account: account, ARN: a, ID: id}
				laws := policy.Laws{Resource: []*policy.Document{b.Apply(d)}, ResourceOwner: account}
				got := policy.Decide(&laws, &policy.Request{
					Principal: p, Action: "s3:GetObject", Resource: a,
				}).Effect == policy.Allow
				if id != "" && got != want {
					t.Errorf("%s: allowed %v", id, got)
				}
			}
		})
	}
}

func TestBindRefusesUnknownNames(t *testing.T) {
	_, d := document(t, `{"AWS":["`+account+`","`+alice+`"]}`)
	_, err := Bind(nil, directory{account: ""}, d)
	if unknown, ok := errors.AsType[*Unknown](err); !ok ||
		unknown.Entry != (policy.PrincipalName{Type: "AWS", Value: alice}) {
		t.Error(err)
	}
}
