package policy

import (
	"strings"
	"testing"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
)

// mayAll returns laws that allow a principal everything, by its own policies and the resource's.
func mayAll(t *testing.T, frozen *Document) Laws {
	t.Helper()
	all, err := Parse(Identity, []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	everyone, err := Parse(Resource, []byte(
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:*","Resource":"*"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	l := Laws{
		Identity: []*Document{all}, Session: []*Document{all}, Resource: []*Document{everyone}, ResourceOwner: home,
	}
	if frozen != nil {
		l.Resource = append(l.Resource, frozen)
	}
	return l
}

// TestFreeze decides on every action of S3 in the catalogue, and on some unknown ones: the frozen holder
// may only list and read, and everybody else may do what the other policies allow.
func TestFreeze(t *testing.T) {
	var actions []Action
	for _, a := range action.Parse("s3").Actions {
		actions = append(actions, Action(a.Name))
	}
	actions = append(actions, "s3:InventedTomorrow", "watertight:InventedTomorrow")
	if len(actions) < 100 {
		t.Fatalf("%d actions", len(actions))
	}
	federated := caller("federated")
	federated.IssuerID = caller("alice").ID
	for _, c := range []struct {
		frozen string
		caller Principal
		bound  bool
	}{
		{"AIDAALICEALICEALICE", caller("alice"), true},
		{"AIDAALICEALICEALICE", federated, true},
		{"AIDAALICEALICEALICE", caller("bob"), false},
		{"AIDAALICEALICEALICE", caller("root"), false},
		{"AIDAALICEALICEALICE", caller("anonymous"), false},
		{"AROAREADERREADER123", caller("session"), true},
		{"AROAREADERREADER123:s1", caller("session"), false},
		{home, caller("root"), true},
		{home, caller("alice"), false},
		{home, federated, false},
		{other, caller("root"), false},
		{"AIDAMALLORYMALLORY1", caller("stranger"), true},
		{anonymousHolder, caller("anonymous"), true},
		{anonymousHolder, caller("alice"), false},
		{Everyone, caller("alice"), true},
		{Everyone, caller("root"), true},
		{Everyone, caller("anonymous"), true},
	} {
		name := c.frozen + " and " + c.caller.ARN.String()
		t.Run(name, func(t *testing.T) {
			for _, a := range actions {
				r := Request{Principal: c.caller, Action: a, Resource: arn.Object("b", "k")}
				if !a.Facts().Object {
					r.Resource = arn.Bucket("b")
				}
				before := Decide(new(mayAll(t, nil)), &r)
				after := Decide(new(mayAll(t, Freeze([]string{"AIDASOMEBODYELSE123", c.frozen}))), &r)
				f := a.Facts()
				reads := f.Changes == action.ChangesNothing && (f.Level == action.List || f.Level == action.Read)
				switch {
				case c.bound && !reads && (after.Effect != ExplicitDeny || after.Layer != ResourceLayer):
					t.Errorf("%s: %v in %v", a, after.Effect, after.Layer)
				case (!c.bound || reads) && after.Effect != before.Effect:
					t.Errorf("%s: %v, and without the freeze %v", a, after.Effect, before.Effect)
				}
			}
		})
	}
}

// TestReadsAreNotFrozen lists the actions that stay allowed, so that it fails if a change of the
// catalogue allows more.
func TestReadsAreNotFrozen(t *testing.T) {
	for _, a := range action.Parse("s3").Actions {
		if isChange(a.Name) {
			continue
		}
		_, name, _ := strings.Cut(a.Name, ":")
		if !strings.HasPrefix(name, "Get") && !strings.HasPrefix(name, "List") && !strings.HasPrefix(name, "Describe") {
			t.Errorf("%s does not count as a change", a.Name)
		}
	}
}

// TestFreezeWithoutOwner: a freeze applies to objects of other accounts, too, for which the bucket's
// policies can only deny.
func TestFreezeWithoutOwner(t *testing.T) {
	l := mayAll(t, nil)
	l.Guard, l.Resource, l.ResourceOwner, l.BucketOwner = []*Document{Freeze([]string{other})}, nil, other, home
	r := Request{Principal: caller("otherroot"), Action: "s3:PutObjectAcl", Resource: arn.Object("b", "k")}
	if v := Decide(&l, &r); v.Effect != ExplicitDeny {
		t.Errorf("%+v", v)
	}
}
