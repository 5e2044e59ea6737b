package authz

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

const account = "111122223333"

// world implements Facts with data, and counts the questions.
type world struct {
	identity     []*policy.Document
	owner        string
	err          error
	resources    map[string]int
	tags         map[string]string // of object versions: "key version name" and value
	asked        int               // how often tags were asked for
	policies     []*policy.Document
	public       policy.PublicAccess
	acl          *policy.Document // of the bucket
	object       ObjectLaws
	objectsAsked int
	until        time.Time
	grants       map[string]*policy.Document // of a key, by unique id of the principal
}

func (w *world) Principal(context.Context, *policy.Principal) (*PrincipalLaws, error) {
	return &PrincipalLaws{Identity: w.identity}, w.err
}

func (w *world) Resource(_ context.Context, r arn.ARN, _ time.Time) (*ResourceLaws, error) {
	if w.resources == nil {
		w.resources = map[string]int{}
	}
	w.resources[r.String()]++
	return &ResourceLaws{
		Owner: w.owner, Documents: w.policies, Public: w.public, Until: w.until, ACL: w.acl, HasGrants: w.grants != nil,
	}, w.err
}

func (w *world) ObjectTags(_ context.Context, object arn.ARN, version *string) (map[string]string, error) {
	w.asked++
	of := object.Section() + " current "
	if version != nil {
		of = object.Section() + " " + *version + " "
	}
	out := map[string]string{}
	for k, v := range w.tags {
		if name, ok := strings.CutPrefix(k, of); ok {
			out[name] = v
		}
	}
	return out, w.err
}

func (w *world) Grants(_ context.Context, _ arn.ARN, to *policy.Principal) ([]*policy.Document, error) {
	if d := w.grants[to.ID]; d != nil {
		return []*policy.Document{d}, w.err
	}
	return nil, w.err
}

func (w *world) Object(context.Context, arn.ARN, *string) (ObjectLaws, error) {
	w.objectsAsked++
	return w.object, w.err
}

// allowing returns a world with one account, in which an identity policy allows the action.
func allowing(t *testing.T, action string) *world {
	t.Helper()
	d, err := policy.Parse(policy.Identity, fmt.Appendf(nil,
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":%q,"Resource":"*"}]}`, action))
	if err != nil {
		t.Fatal(err)
	}
	return &world{identity: []*policy.Document{d}, owner: account}
}

func user() Caller {
	return NewCaller(&policy.Principal{
		Kind: policy.User, Account: account, ID: "AIDAEXAMPLE", Name: "alice",
		ARN: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "user/alice"},
	}, &Situation{At: time.Unix(1, 0)})
}

func get(key string) Need { return Need{Action: "s3:GetObject", Resource: arn.Object("b", key)} }

func denied(t *testing.T, what string, err error) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.KindDenied || e.Code != "AccessDenied" {
		t.Errorf("%s: %v, want AccessDenied", what, err)
	}
}

type input struct{}

func TestZeroAccessSaysNothing(t *testing.T) {
	for name, a := range map[string]Access[input]{
		"zero": {}, "no need": Ask1[input](nil), "no needs": Ask[input](nil), "no reason": Open[input](""),
	} {
		t.Run(name, func(t *testing.T) {
			if !a.IsZero() {
				t.Errorf("%s: not zero", name)
			}
			if _, err := a.Needs(t.Context(), Caller{}, &input{}); err == nil {
				t.Errorf("%s: the access has needs", name)
			}
			if g, err := Judge(t.Context(), New(allowing(t, "*")), user(), a, &input{}); err == nil {
				t.Errorf("%s: decided, %+v", name, g)
			}
		})
	}
}

func TestZeroCallerAndNoNeedsAreRefused(t *testing.T) {
	all := New(allowing(t, "*"))
	if _, err := all.Authorize(t.Context(), user(), get("k")); err != nil {
		t.Fatalf("an allowed need is refused: %v", err)
	}
	_, err := all.Authorize(t.Context(), user())
	denied(t, "no needs", err)
	_, err = all.Authorize(t.Context(), Caller{}, get("k"))
	denied(t, "zero caller", err)
	_, err = (*Authority)(nil).Authorize(t.Context(), user(), get("k"))
	denied(t, "no authority", err)
	for name, a := range map[string]Access[input]{
		"open": Open[input]("public by nature"),
		"ask":  Ask1(func(*input) Need { return get("k") }),
	} {
		_, err := Judge(t.Context(), all, Caller{}, a, &input{})
		denied(t, name+" to the zero caller", err)
	}
	_, err = Judge(t.Context(), all, user(), Ask(func(*input) ([]Need, error) { return nil, nil }), &input{})
	denied(t, "an access without needs", err)
	broken := errors.New("broken")
	if _, err = Judge(t.Context(), all, user(), Ask(func(*input) ([]Need, error) { return []Need{get("k")}, broken }),
		&input{}); !errors.Is(err, broken) {
		t.Errorf("a needs function that fails: %v", err)
	}
}

func TestFactsThatFailRefuse(t *testing.T) {
	w := allowing(t, "*")
	w.err = errors.New("broken")
	g, err := New(w).Authorize(t.Context(), user(), get("k"))
	if !errors.Is(err, w.err) || g.Allows("s3:GetObject", arn.Object("b", "k")) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestZeroGrantCoversNothing(t *testing.T) {
	var g Grant
	denied(t, "Demand", g.Demand("s3:GetObject", arn.Object("b", "k")))
	if g.Allows("", arn.ARN{}) || g.Refused() {
		t.Error("the zero grant allows something")
	}
	if _, err := New(allowing(t, "*")).Authorize(t.Context(), g.Caller(), get("k")); err == nil {
		t.Error("the caller of a zero grant is authorized")
	}
}

func TestOpenGrantCoversNothing(t *testing.T) {
	g, err := Judge(t.Context(), New(allowing(t, "*")), user(), Open[input]("public by nature"), &input{})
	if err != nil {
		t.Fatal(err)
	}
	denied(t, "Demand", g.Demand("s3:GetObject", arn.Object("b", "k")))
	if g.Caller().Principal().Name != "alice" {
		t.Error("an open access keeps its caller")
	}
}

func TestGrantCoversOnlyItsNeeds(t *testing.T) {
	g, err := New(allowing(t, "s3:*")).Authorize(t.Context(), user(), get("k"))
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Demand("s3:GetObject", arn.Object("b", "k")); err != nil {
		t.Error(err)
	}
	denied(t, "another action", g.Demand("s3:PutObject", arn.Object("b", "k")))
	denied(t, "another key", g.Demand("s3:GetObject", arn.Object("b", "kk")))
	denied(t, "the bucket", g.Demand("s3:GetObject", arn.Bucket("b")))
}

func TestOneHardRefusalRefusesAll(t *testing.T) {
	_, err := New(allowing(t, "s3:GetObject")).Authorize(t.Context(), user(), get("k"), Need{
		Action: "s3:PutObject", Resource: arn.Object("b", "k"),
	})
	denied(t, "put", err)
}

func TestSoftNeeds(t *testing.T) {
	list := Need{Action: "s3:ListBucket", Resource: arn.Bucket("b"), Soft: true}
	a := New(allowing(t, "s3:GetObject"))
	g, err := a.Authorize(t.Context(), user(), get("k"), list)
	if err != nil {
		t.Fatal(err)
	}
	if g.Allows(list.Action, list.Resource) || !g.Refused() || !g.Allows("s3:GetObject", arn.Object("b", "k")) {
		t.Errorf("%+v", g.g)
	}
	if g, err = New(allowing(t, "s3:*")).Authorize(t.Context(), user(), get("k"), list); err != nil ||
		!g.Allows(list.Action, list.Resource) || g.Refused() {
		t.Errorf("%+v, %v", g.g, err)
	}
	// If all needs are soft, a signed caller gets a decision per need, and a stranger is refused.
	if g, err = a.Authorize(t.Context(), user(), list); err != nil || g.Allows(list.Action, list.Resource) {
		t.Errorf("%+v, %v", g.g, err)
	}
	_, err = a.Authorize(t.Context(), NewCaller(&policy.Principal{Kind: policy.Anonymous}, &Situation{}), list)
	denied(t, "anonymous", err)
}

func TestManyNeedsAreIndexed(t *testing.T) {
	w := allowing(t, "s3:*")
	for _, n := range []int{1, indexFrom - 1, indexFrom, indexFrom + 1, 1000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			var needs []Need
			for i := range n {
				needs = append(needs, get(fmt.Sprint(i)))
			}
			w.resources = nil
			g, err := New(w).Authorize(t.Context(), user(), needs...)
			if err != nil {
				t.Fatal(err)
			}
			if (g.g.index != nil) != (n >= indexFrom) {
				t.Errorf("%d needs: index %v", n, g.g.index != nil)
			}
			for i := range n {
				if !g.Allows("s3:GetObject", arn.Object("b", fmt.Sprint(i))) {
					t.Fatalf("%d needs: %d is not covered", n, i)
				}
			}
			if g.Allows("s3:GetObject", arn.Object("b", fmt.Sprint(n))) {
				t.Errorf("%d needs: a further need is covered", n)
			}
			if len(w.resources) != 1 || w.resources["arn:aws:s3:::b"] != 1 {
				t.Errorf("%d needs: the laws of one bucket were asked for as %v", n, w.resources)
			}
		})
	}
}

func TestNewResourceBelongsToTheCaller(t *testing.T) {
	w := allowing(t, "s3:*")
	w.owner = "444455556666"
	create := Need{Action: "s3:CreateBucket", Resource: arn.Bucket("b"), New: true}
	if _, err := New(w).Authorize(t.Context(), user(), create); err != nil || len(w.resources) != 0 {
		t.Errorf("%v, asked %v", err, w.resources)
	}
	create.New = false
	_, err := New(w).Authorize(t.Context(), user(), create)
	denied(t, "another account's bucket", err)
}
