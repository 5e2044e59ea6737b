package policy

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
)

const (
	home  = "111122223333"
	other = "444455556666"
)

var canonicalHome = strings.Repeat("0a", 32)

// caller returns a principal of the tests by its name.
func caller(name string) Principal {
	iam := func(account, resource string) arn.ARN {
		return arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: resource}
	}
	sts := func(account, resource string) arn.ARN {
		return arn.ARN{Partition: "aws", Service: "sts", Account: account, Resource: resource}
	}
	switch name {
	case "alice":
		return Principal{
			Kind: User, Account: home, ARN: iam(home, "user/alice"), ID: "AIDAALICEALICEALICE", Name: "alice",
			Canonical: canonicalHome,
		}
	case "bob":
		return Principal{
			Kind: User, Account: home, ARN: iam(home, "user/team/bob"), ID: "AIDABOBBOBBOBBOBBOB", Name: "bob",
			Canonical: canonicalHome,
		}
	case "root":
		return Principal{Kind: AccountRoot, Account: home, ARN: arn.Root(home), ID: home, Canonical: canonicalHome}
	case "session":
		return Principal{
			Kind: RoleSession, Account: home, ARN: sts(home, "assumed-role/reader/s1"),
			Role: iam(home, "role/path/reader"), ID: "AROAREADERREADER123:s1", Canonical: canonicalHome,
		}
	case "federated":
		return Principal{
			Kind: FederatedUser, Account: home, ARN: sts(home, "federated-user/fred"), Issuer: iam(home, "user/alice"),
			ID: home + ":fred", Canonical: canonicalHome,
		}
	case "stranger":
		return Principal{
			Kind: User, Account: other, ARN: iam(other, "user/mallory"), ID: "AIDAMALLORYMALLORY1", Name: "mallory",
		}
	case "otherroot":
		return Principal{Kind: AccountRoot, Account: other, ARN: arn.Root(other), ID: other}
	case "otherrole":
		return Principal{
			Kind: RoleSession, Account: other, ARN: sts(other, "assumed-role/writer/w"),
			Role: iam(other, "role/writer"), ID: "AROAWRITERWRITER123:w",
		}
	case "cloudfront":
		return Principal{Kind: Service, Name: "cloudfront.amazonaws.com"}
	case "web":
		return Principal{Kind: WebIdentity, Provider: "accounts.google.com"}
	case "anonymous":
		return Principal{Kind: Anonymous}
	}
	return Principal{}
}

// script is a file of testdata/decide: paragraphs of
//
//	policy NAME KIND            and its text, up to an empty line
//	laws identity=a,b session= resource=c owner=111122223333 mustallow
//	ask CALLER ACTION RESOURCE [ip=A] [at=T] [key=v1|v2]... -> allow|deny|silent LAYER
type script struct {
	t    *testing.T
	docs map[string]*Document
	laws Laws
	line int
	asks int
}

func TestDecide(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			s := script{t: t, docs: map[string]*Document{}}
			s.run(strings.Split(string(text), "\n"))
			if s.asks == 0 {
				t.Error("the file has no ask line")
			}
		})
	}
}

func (s *script) run(lines []string) {
	for i := 0; i < len(lines); i++ {
		s.line = i + 1
		words := strings.Fields(lines[i])
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "#"):
		case words[0] == "policy":
			var text []string
			for i++; i < len(lines) && strings.TrimSpace(lines[i]) != ""; i++ {
				text = append(text, lines[i])
			}
			s.policy(words[1], words[2], strings.TrimSpace(strings.Join(text, "\n")))
		case words[0] == "laws":
			s.setLaws(words[1:])
		case words[0] == "ask":
			s.ask(words[1:])
		default:
			s.t.Fatalf("line %d: %q", s.line, lines[i])
		}
	}
}

func (s *script) policy(name, kind, text string) {
	k, ok := map[string]Kind{
		"identity": Identity, "resource": Resource, "trust": Trust, "key": Key, "session": Session,
	}[kind]
	if !ok {
		s.t.Fatalf("line %d: kind %s", s.line, kind)
	}
	// A single statement is shorthand for a document of the newer version.
	if !strings.Contains(text, `"Statement"`) {
		text = `{"Version":"2012-10-17","Statement":[` + text + `]}`
	}
	d, err := Parse(k, []byte(text))
	if err != nil {
		s.t.Fatalf("line %d: %v", s.line, err)
	}
	sameAgain(s.t, d)
	s.docs[name] = d.Named(name)
}

func (s *script) setLaws(words []string) {
	s.laws = Laws{}
	for _, w := range words {
		name, value, _ := strings.Cut(w, "=")
		docs := []*Document{}
		if name != "owner" && value != "" {
			for _, n := range strings.Split(value, ",") {
				d, ok := s.docs[n]
				if !ok {
					s.t.Fatalf("line %d: no policy %s", s.line, n)
				}
				docs = append(docs, d)
			}
		}
		switch name {
		case "identity":
			s.laws.Identity = docs
		case "boundary":
			s.laws.Boundary = docs
		case "session":
			s.laws.Session = docs
		case "resource":
			s.laws.Resource = docs
		case "owner":
			s.laws.ResourceOwner = value
		case "mustallow":
			s.laws.ResourceMustAllow = true
		case "restrict":
			s.laws.Public.RestrictPublicBuckets = true
		default:
			s.t.Fatalf("line %d: %s", s.line, w)
		}
	}
}

func (s *script) ask(words []string) {
	s.asks++
	resource, err := arn.Parse(words[2])
	if err != nil {
		b, k, object := strings.Cut(words[2], "/")
		resource = arn.Bucket(b)
		if object {
			resource = arn.Object(b, k)
		}
	}
	r := Request{
		Principal: caller(words[0]), Action: Action(words[1]), Resource: resource,
		At: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC), Keys: map[string][]string{},
	}
	rest := words[3:]
	for len(rest) > 0 && rest[0] != "->" {
		name, value, _ := strings.Cut(rest[0], "=")
		switch name {
		case "ip":
			r.SourceIP = netip.MustParseAddr(value)
		case "at":
			if r.At, err = time.Parse(time.RFC3339, value); err != nil {
				s.t.Fatalf("line %d: %v", s.line, err)
			}
		default:
			// _ stands for a space.
			r.Keys[KeyName(name)] = strings.Split(strings.ReplaceAll(value, "_", " "), "|")
		}
		rest = rest[1:]
	}
	v := Decide(&s.laws, &r)
	got := map[Effect]string{Allow: "allow", ExplicitDeny: "deny", ImplicitDeny: "silent"}[v.Effect]
	got += " " +
		map[Layer]string{
			NoLayer: "nobody", IdentityLayer: "identity", BoundaryLayer: "boundary", SessionLayer: "session",
			ResourceLayer: "resource", PublicAccessLayer: "public",
		}[v.Layer]
	if want := strings.Join(rest[1:], " "); got != want {
		s.t.Errorf("line %d: %s: %s %v, want %s", s.line, strings.Join(words, " "), got, v.Why, want)
	}
	if len(v.Why) == 0 && r.Principal.Kind != Nobody {
		s.t.Errorf("line %d: no reason", s.line)
	}
}

func TestBecause(t *testing.T) {
	deny := mustParse(t, Identity, `{"Statement":[{"Sid":"No","Effect":"Deny","Action":"*","Resource":"*"}]}`)
	allow := mustParse(t, Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	shut := mustParse(t, Resource,
		`{"Statement":[{"Sid":"Not this","Effect":"Deny","Principal":"*","Action":"*","Resource":"*"}]}`).Named("b")
	for _, c := range []struct {
		laws          Laws
		because, why0 string
	}{
		{
			Laws{Resource: []*Document{shut}}, "with an explicit deny in a resource-based policy",
			"resource policy b, Not this",
		},
		{
			Laws{Identity: []*Document{allow, deny}}, "with an explicit deny in an identity-based policy",
			"identity policy, No",
		},
		{
			Laws{Identity: []*Document{allow}, Boundary: []*Document{deny}},
			"with an explicit deny in a permissions boundary", "boundary policy, No",
		},
		{
			Laws{Identity: []*Document{allow}, Session: []*Document{deny}}, "with an explicit deny in a session policy",
			"session policy, No",
		},
		{
			Laws{}, "because no identity-based policy allows the s3:GetObject action",
			"no identity-based policy allows it",
		},
		{
			Laws{Identity: []*Document{allow}, ResourceOwner: other},
			"because no resource-based policy allows the s3:GetObject action", "no resource-based policy allows it",
		},
		{
			Laws{Identity: []*Document{allow}, Boundary: []*Document{}},
			"because no permissions boundary allows the s3:GetObject action", "no permissions boundary allows it",
		},
		{
			Laws{Identity: []*Document{allow}, Session: []*Document{}},
			"because no session policy allows the s3:GetObject action", "no session policy allows it",
		},
		{Laws{Identity: []*Document{allow}}, "", "identity policy, Statement[0]"},
	} {
		t.Run(c.why0, func(t *testing.T) {
			v := Decide(&c.laws, &Request{
				Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k"),
			})
			if v.Because("s3:GetObject") != c.because || v.Why[0] != c.why0 {
				t.Errorf("%q, %q; want %q, %q", v.Because("s3:GetObject"), v.Why, c.because, c.why0)
			}
		})
	}
	if (Verdict{}).Because("s3:GetObject") != "" || (Verdict{}).Effect != ImplicitDeny {
		t.Error("the zero verdict is the implicit deny, without a reason")
	}
}

// TestMissingDocumentDenies: a document that could not be read might contain a Deny, so it denies.
func TestMissingDocumentDenies(t *testing.T) {
	allow := mustParse(t, Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	for i, l := range []Laws{
		{Identity: []*Document{allow, nil}},
		{Identity: []*Document{allow}, Boundary: []*Document{nil}},
		{Identity: []*Document{allow}, Session: []*Document{allow, nil}},
		{Identity: []*Document{allow}, Resource: []*Document{nil}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if v := Decide(&l, &Request{
				Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k"),
			}); v.Effect != ExplicitDeny {
				t.Errorf("%+v", v)
			}
		})
	}
}

// TestMisplacedDocuments: a document of the wrong kind allows nothing, but its Denies count.
func TestMisplacedDocuments(t *testing.T) {
	open := mustParse(t, Resource, `{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`)
	shut := mustParse(t, Resource,
		`{"Statement":[{"Effect":"Deny","Principal":{"AWS":"444455556666"},"Action":"*","Resource":"*"}]}`)
	own := mustParse(t, Identity, `{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`)
	r := Request{Principal: caller("alice"), Action: "s3:GetObject", Resource: arn.Object("b", "k")}
	for i, l := range []Laws{
		{Identity: []*Document{open}}, {Resource: []*Document{own}}, {Identity: []*Document{own, shut}},
		{Identity: []*Document{own}, Boundary: []*Document{open}},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			if v := Decide(&l, &r); v.Effect == Allow {
				t.Errorf("%+v", v)
			}
		})
	}
}
