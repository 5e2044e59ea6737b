package kms

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
)

var update = flag.Bool("update", false, "rewrite testdata")

// TestMatrix asks authz about a key with each key policy, identity policy, grant and state,
// directly and through S3. Reviewers read testdata/matrix.golden: it has a column for each grant,
// and "yes" if kms:Decrypt is allowed. In the other states, allowed callers learn the state, and
// others learn nothing.
func TestMatrix(t *testing.T) {
	allow := func(who, more string) string {
		return `{"Effect":"Allow","Principal":{"AWS":"` + who + `"},"Action":"kms:*","Resource":"*"` + more + `}`
	}
	own, alice := "arn:aws:iam::"+coretest.Account+":root", user(coretest.Account, "alice")
	policies := []struct{ name, statements string }{
		{"names the account", allow(own, "")},
		{"names alice", allow(alice, "")},
		{"names alice, through S3", allow(alice,
			`,"Condition":{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com"}}`)},
		{"names another account", allow("arn:aws:iam::"+stranger+":root", "")},
		{"names the account, denies alice", allow(own, "") + "," +
			strings.Replace(allow(alice, ""), "Allow", "Deny", 1)},
	}
	identity := []struct{ name, statement string }{
		{"nothing", `{"Effect":"Allow","Action":"s3:*","Resource":"*"}`},
		{"allows", `{"Effect":"Allow","Action":"kms:*","Resource":"*"}`},
		{"denies", `{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}`},
	}
	grants := []struct {
		name string
		in   GrantInput
	}{
		{name: "none"}, {"Decrypt", GrantInput{Operations: []string{"Decrypt"}}},
		{"Encrypt", GrantInput{Operations: []string{"Encrypt"}}},
		{"App=a", GrantInput{Operations: []string{"Decrypt"}, Subset: map[string]string{"App": "a"}}},
		{"App=b", GrantInput{Operations: []string{"Decrypt"}, Subset: map[string]string{"App": "b"}}},
	}
	var got strings.Builder
	fmt.Fprintf(&got, "%-32s %-8s %-8s %-7s", "key policy", "IAM", "caller", "call")
	for _, g := range grants {
		fmt.Fprintf(&got, " %-8s", g.name)
	}
	got.WriteString("\n")
	for _, p := range policies {
		for _, i := range identity {
			for _, who := range []struct{ name, account string }{
				{"alice", coretest.Account}, {"root", coretest.Account}, {"mallory", stranger},
			} {
				for _, through := range []string{"direct", "S3"} {
					fmt.Fprintf(&got, "%-32s %-8s %-8s %-7s", p.name, i.name, who.name, through)
					for _, g := range grants {
						in := g.in
						in.Grantee = user(who.account, who.name)
						if who.name == "root" {
							in.Grantee = "arn:aws:iam::" + who.account + ":root"
						}
						answer := cell(t, p.statements, i.statement, in, who.account, who.name, through)
						fmt.Fprintf(&got, " %-8s", answer)
					}
					got.WriteString("\n")
				}
			}
		}
	}
	text := got.String()
	const file = "testdata/matrix.golden"
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != text {
		t.Errorf("%s is not this (%v):\n%s", file, err, text)
	}
}

// cell is one answer of the matrix, the same in all states.
func cell(t *testing.T, statements, identity string, in GrantInput, account, name, through string) string {
	t.Helper()
	e := newEnv(t)
	w, a := e.iam()
	who := e.person(account, name)
	d, err := policy.Parse(policy.Identity, []byte(`{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},`+
		identity+`]}`))
	if err != nil {
		t.Fatal(err)
	}
	w.iam[who.Principal().ID] = []*policy.Document{d}
	m := e.create(CreateInput{
		Policy: `{"Version":"2012-10-17","Statement":[` + statements + `]}`, BypassLockOut: true,
	})
	if len(in.Operations) > 0 {
		e.makeGrant(&m, in)
	}
	context := map[string]string{"App": "a"}
	ask := func() error {
		if through == "direct" {
			_, err := e.ask(a, who, "kms:Decrypt", m.ARN, ContextConditions(context))
			return err
		}
		g, err := a.Authorize(e.Context(), who, authz.Need{Action: "s3:PutObject", Resource: arn.Object("b", "k")})
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = e.ExtendToDecrypt(t.Context(), g, Use{
			Key: m.ARN.String(), Context: Context{Name: "App", Value: "a"}, Via: "s3",
		})
		return err
	}
	err = ask()
	if err != nil && !fault.Is(err, fault.AccessDenied) {
		t.Error(err)
	}
	if through == "S3" {
		for state, code := range map[State]fault.Code{
			Disabled: "DisabledException", PendingDeletion: "KMSInvalidStateException",
		} {
			e.change(m.ID, func(k *keyRecord) {
				if k.state, k.ends = state, (time.Time{}); state == PendingDeletion {
					k.ends = e.at.AddDate(0, 0, 7)
				}
			})
			if err != nil {
				code = fault.AccessDenied
			}
			if got := ask(); !fault.Is(got, code) {
				t.Errorf("%s: %v, want %s", state, got, code)
			}
		}
	}
	if err != nil {
		return "-"
	}
	return "yes"
}
