package session

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/oidc"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// TestRefusedPoliciesFillNoCache: the session policy in a request for a session is not cached,
// whether the request is refused or not. That of a stored session is cached once it is used.
func TestRefusedPoliciesFillNoCache(t *testing.T) {
	h := newHouse(t, 0)
	for i := range 20 {
		text := fmt.Sprintf(
			`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject",`+
				`"Resource":"arn:aws:s3:::%d%s"}}`,
			i, strings.Repeat("?", 1800),
		)
		in := WebInput{
			RoleARN: "arn:aws:iam::" + coretest.Account + ":role/none", SessionName: "xx", Token: "not.a.token",
			Pass: Passed{Policy: text},
		}
		if _, err := h.WebNeeds(t.Context(), in); err == nil {
			t.Fatal("a made-up token has needs")
		}
		if err := checkPassed(in.Pass); err != nil {
			t.Fatal(err)
		}
		if _, err := (&Session{}).restrict(in.Pass); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.documents.Len(); n != 0 {
		t.Errorf("%d policies were kept", n)
	}
	n := &Session{
		Restricted: true,
		Policies:   []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`},
	}
	err := h.store.View(t.Context(), func(r kv.Reader) error {
		_, err := h.sessionPolicies(r, n)
		return err
	})
	if err != nil || h.documents.Len() != 1 {
		t.Errorf("%d policies of sessions are kept, %v", h.documents.Len(), err)
	}
}

// TestPassedResources: an invalid session policy is refused with IAM's messages, like any other
// policy.
func TestPassedResources(t *testing.T) {
	for element, message := range map[string]string{
		`"Resource":"arn:aws:s3:::b/*"`:      "",
		`"Resource":"arn:foo:s3:::b"`:        `Partition "foo" is not valid for resource "arn:foo:s3:::b".`,
		`"NotResource":"arn:aws:s3:us-1::b"`: "Resource arn:aws:s3:us-1::b can not contain region information.",
	} {
		t.Run(element, func(t *testing.T) {
			err := checkPassed(Passed{
				Policy: `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*",` + element + `}}`,
			})
			if message == "" && err != nil ||
				message != "" && (!fault.Is(err, fault.MalformedPolicyDocument) || fault.From(err).Message != message) {
				t.Errorf("%v, want %q", err, message)
			}
		})
	}
}

// TestClaimsOfOneConditionKey: the names of claims may differ only by case; then their condition key has the values
// of all, except that of the claims that a token is verified by.
func TestClaimsOfOneConditionKey(t *testing.T) {
	keys := claimKeys("idp.example.com", &oidc.Token{
		Audience: "app", Subject: "anna",
		Claims: map[string][]string{
			"team": {"red"}, "Team": {"blue"}, "sub": {"anna"}, "Sub": {"otto"}, "aud": {"app"}, "AUD": {"other"},
		},
	})
	slices.Sort(keys["idp.example.com:team"])
	want := map[string][]string{
		"idp.example.com:team": {"blue", "red"}, "idp.example.com:sub": {"anna"}, "idp.example.com:aud": {"app"},
	}
	if !maps.EqualFunc(keys, want, slices.Equal) {
		t.Error(keys)
	}
}
