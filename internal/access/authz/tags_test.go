package authz

import (
	"errors"
	"fmt"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

func blue(t *testing.T, effect, action string) *policy.Document {
	t.Helper()
	d, err := policy.Parse(policy.Identity,
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"`+effect+`","Action":"`+action+`","Resource":"*",`+
			`"Condition":{"StringEquals":{"s3:ExistingObjectTag/Colour":"blue"}}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTagsDecide(t *testing.T) {
	w := &world{owner: account, identity: []*policy.Document{blue(t, "Allow", "s3:*")}, tags: map[string]string{
		"b/blue current Colour": "blue", "b/red current Colour": "red", "b/red v1 Colour": "blue",
		"b/case current colour": "blue",
	}}
	a := New(w)
	for _, c := range []struct {
		action  policy.Action
		key     string
		version string
		allowed bool
	}{
		{"s3:GetObject", "blue", "", true},
		{"s3:GetObjectTagging", "blue", "", true},
		{"s3:PutObjectTagging", "blue", "", true},
		{"s3:DeleteObjectTagging", "blue", "", true},
		{"s3:GetObjectAcl", "blue", "", true},
		{"s3:GetObject", "red", "", false},
		{"s3:GetObjectVersion", "red", "v1", true},
		{"s3:GetObjectVersionTagging", "red", "v1", true},
		{"s3:GetObjectVersion", "blue", "v1", false},
		{"s3:GetObject", "case", "", false},
		{"s3:GetObject", "absent", "", false},
		{"s3:PutObject", "blue", "", false}, // the key is not one of this action's
		{"s3:DeleteObject", "blue", "", false},
	} {
		t.Run(string(c.action)+" "+c.key, func(t *testing.T) {
			n := Need{Action: c.action, Resource: arn.Object("b", c.key)}
			if c.version != "" {
				n.Version = &c.version
			}
			if _, err := a.Authorize(t.Context(), user(), n); (err == nil) != c.allowed {
				t.Errorf("%+v: %v", c, err)
			}
		})
	}
}

func TestTagsDeny(t *testing.T) {
	w := allowing(t, "s3:*")
	w.identity = append(w.identity, blue(t, "Deny", "s3:GetObject"))
	w.tags = map[string]string{"b/blue current Colour": "blue"}
	_, err := New(w).Authorize(t.Context(), user(), get("blue"))
	denied(t, "a denied tag", err)
	if _, err := New(w).Authorize(t.Context(), user(), get("red")); err != nil {
		t.Error(err)
	}
	w.err = errors.New("the store is down")
	if _, err := New(w).Authorize(t.Context(), user(), get("red")); err == nil {
		t.Error("the request is allowed although the tags can't be read")
	}
}

// TestUnreadablePolicies: a policy of the bucket that could not be read denies; only
// the root user can repair it.
func TestUnreadablePolicies(t *testing.T) {
	w := allowing(t, "s3:*")
	w.policies = []*policy.Document{nil}
	for _, action := range []policy.Action{"s3:GetObject", "s3:PutObject"} {
		_, err := New(w).Authorize(t.Context(), user(), Need{Action: action, Resource: arn.Object("b", "k")})
		denied(t, string(action), err)
	}
	root := NewCaller(&policy.Principal{
		Kind: policy.AccountRoot, Account: account, ID: account, ARN: arn.Root(account),
	}, &Situation{})
	for action, allowed := range map[policy.Action]bool{"s3:PutBucketPolicy": true, "s3:ListBucket": false} {
		t.Run(fmt.Sprint(action), func(t *testing.T) {
			if _, err := New(w).Authorize(t.Context(), root, Need{
				Action: action, Resource: arn.Bucket("b"),
			}); (err == nil) != allowed {
				t.Errorf("%s: %v", action, err)
			}
		})
	}
}

// TestTagsAreAskedForOnlyWhenNeeded: tags cost a lookup, so they are read only if a policy needs them.
func TestTagsAreAskedForOnlyWhenNeeded(t *testing.T) {
	w := allowing(t, "s3:*")
	if _, err := New(w).Authorize(t.Context(), user(), get("k")); err != nil || w.asked != 0 {
		t.Errorf("asked %d times: %v", w.asked, err)
	}
	w.identity = append(w.identity, blue(t, "Deny", "s3:*"))
	put := Need{Action: "s3:PutObject", Resource: arn.Object("b", "k")}
	if _, err := New(w).Authorize(t.Context(), user(), put); err != nil || w.asked != 0 {
		t.Errorf("asked %d times: %v", w.asked, err)
	}
	if _, err := New(w).Authorize(t.Context(), user(), get("k")); err != nil || w.asked != 1 {
		t.Errorf("asked %d times: %v", w.asked, err)
	}
}
