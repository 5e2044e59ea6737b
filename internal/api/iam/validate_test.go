package iam

import (
	"strings"
	"testing"

	"watertight/internal/api/iam/shape"
	"watertight/internal/fault"
)

func TestValidate(t *testing.T) {
	two, empty, k := 2, "", "k"
	long := strings.Repeat("a", 129)
	for want, in := range map[string]any{
		"": &shape.CreateUserInput{UserName: "a", Path: "/x/", Tags: []shape.NewTag{{Key: &k, Value: &empty}}},
		"1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must not be " +
			"null": &shape.CreateUserInput{},
		"The specified value for path is invalid. It must begin and end with / and contain only alphanumeric " +
			"characters and/or / characters.": &shape.CreateUserInput{UserName: "a", Path: "/x"},
		"1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must have length less " +
			"than or equal to 64": &shape.CreateUserInput{UserName: long},
		"1 validation error detected: Value at 'maxSessionDuration' failed to satisfy constraint: Member must have " +
			"value greater than or equal to 3600": &shape.UpdateRoleInput{RoleName: "r", MaxSessionDuration: &two},
		"1 validation error detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member must not be " +
			"null": &shape.CreateUserInput{UserName: "a", Tags: []shape.NewTag{{Value: &k}}},
		"1 validation error detected: Value at 'tags.1.member.key' failed to satisfy constraint: Member must have " +
			"length greater than or equal to 1": &shape.CreateUserInput{
			UserName: "a", Tags: []shape.NewTag{{Key: &empty, Value: &k}},
		},
		"1 validation error detected: Value at 'tags.1.member.value' failed to satisfy constraint: Member must not " +
			"be null": &shape.CreateUserInput{UserName: "a", Tags: []shape.NewTag{{Key: &k}}},
		"1 validation error detected: Value 'On' at 'status' failed to satisfy constraint: Member must satisfy enum " +
			"value set: [Active, Inactive]": &shape.UpdateAccessKeyInput{
			AccessKeyId: "AKIAUNKNOWNUNKNOWN12", Status: "On",
		},
		"2 validation errors detected: Value at 'groupName' failed to satisfy constraint: Member must not be null; " +
			"Value at 'userName' failed to satisfy constraint: Member must not be null": &shape.MembershipInput{},
		"The request must contain the parameter " +
			"AccessKeyId.": &shape.UpdateAccessKeyInput{},
		"The specified value for accessKeyId is invalid. It must contain only alphanumeric " +
			"characters.": &shape.GetAccessKeyLastUsedInput{AccessKeyId: "AKIA-UNKNOWN-UNKNOWN"},
		"The specified value for userName is invalid. It must contain only alphanumeric characters and/or the " +
			"following: +=,.@_-": &shape.UserInput{UserName: &empty},
		"The specified value for policyDocument is invalid. It must contain only printable ASCII " +
			"characters.": &shape.PutInlinePolicyInput{PolicyName: "p", PolicyDocument: "☺"},
		"1 validation error detected: Value at 'policyName' failed to satisfy constraint: Member must have length " +
			"less than or equal to 128": &shape.PutInlinePolicyInput{PolicyName: long, PolicyDocument: "☺"},
	} {
		t.Run(want, func(t *testing.T) {
			err := validate(in)
			got := ""
			if err != nil {
				got = fault.From(err).Message
			}
			if got != want {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestPatterns(t *testing.T) {
	for name, c := range map[string]struct{ yes, no []string }{
		"name":       {[]string{"a", "A_9+=,.@-"}, []string{"", "a b", "a/b", "é", "a\n"}},
		"path":       {[]string{"/", "/a/", "/a/b~/"}, []string{"", "//", "/a", "a/", "/a b/", "/é/"}},
		"policyPath": {[]string{"/", "/a/b/"}, []string{"", "//", "/a", "/a//b/", "/~/"}},
		"versionId":  {[]string{"v1", "v10", "v1.x"}, []string{"", "1", "v0", "v", "vx"}},
		"alias":      {[]string{"abc", "a-b-c1"}, []string{"A", "-ab", "ab-", "a--b", "a.b"}},
		"code":       {[]string{"012345"}, []string{"12345x", "١٢٣"}},
		"tagKey":     {[]string{"a b", "é:/=+-@"}, []string{"", "a#", "a\n"}},
		"nothing":    {nil, []string{"", "a"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, s := range c.yes {
				if _, ok := matches(name, s); !ok {
					t.Errorf("%s refuses %q", name, s)
				}
			}
			for _, s := range c.no {
				if _, ok := matches(name, s); ok {
					t.Errorf("%s accepts %q", name, s)
				}
			}
		})
	}
}

func TestEscape(t *testing.T) {
	if got := escape("{\"a\": \"b+c~é\"}"); got != "%7B%22a%22%3A%20%22b%2Bc~%C3%A9%22%7D" {
		t.Error(got)
	}
}

// TestEveryRowHasItsName: every row is found by its name; a misspelt one would not be.
func TestEveryRowHasItsName(t *testing.T) {
	for _, r := range (&API{}).Table().Rows {
		if r.Route().String() != "Action="+r.Name() {
			t.Errorf("%s is found at %s", r.Name(), r.Route())
		}
	}
}
