package bucket

import (
	"strings"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const source = "arn:aws:cloudfront::" + coretest.Account + ":distribution/E1"

// added adds a statement about an action to the policy of the bucket box.
func (s *Store) added(t testing.TB, name, action string) (problem string, err error) {
	t.Helper()
	add := NewOperator(s).AddStatement(name, time.Now(), func(source string) string {
		return `{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":"` + action +
			`","Resource":"arn:aws:s3:::` + name + `/*",` +
			`"Condition":{"StringEquals":{"AWS:SourceArn":"` + source + `"}}}`
	})
	err = s.store.Update(t.Context(), func(tx kv.Tx) (err error) {
		problem, err = add(tx, source)
		return err
	})
	return problem, err
}

// blocked turns Block Public Access of the account and of the bucket on or off.
func (s *Store) blocked(t testing.TB, on bool) {
	t.Helper()
	for _, b := range []Block{
		{Bucket: "box", On: on, At: time.Now()}, {Account: coretest.Account, On: on, At: time.Now(), Reason: "a test"},
	} {
		if err := NewOperator(s).SetPublic(t.Context(), nil, b); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Store) text(t testing.TB) string {
	t.Helper()
	text, err := s.GetPolicy(t.Context(), grant(t, coretest.Account, "box", "s3:GetBucketPolicy"), "box")
	if err != nil && !fault.Is(err, fault.NoSuchBucketPolicy) {
		t.Fatal(err)
	}
	return text
}

// TestAddStatement: a policy gets one more statement and is otherwise what it was, with the
// users that it always named; one that can't take it stays as it is.
func TestAddStatement(t *testing.T) {
	ofAlice := `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + alice +
		`"},"Action":"s3:GetObject","Resource":"arn:aws:s3:::box/*"}}`
	public := strings.Replace(ofAlice, `{"AWS":"`+alice+`"}`, `"*"`, 1)
	for _, c := range []struct {
		name, policy, action string
		open                 bool // Block Public Access is off while the policy is put
		problem              string
	}{
		{"no policy", "", "s3:GetObject", false, ""},
		{"one statement", ofAlice, "s3:GetObject", false, ""},
		{"an action that there is not", ofAlice, "s3:Nothing", false, "would not be valid"},
		{"a public policy", public, "s3:GetObject", true, "Block Public Access"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openPolicies(t)
			s.blocked(t, !c.open)
			if c.policy != "" {
				if err := s.put(t, coretest.Account, c.policy, false); err != nil {
					t.Fatal(err)
				}
			}
			s.blocked(t, true)
			delete(s.principals.(census), alice) // she is still the one whom the policy names
			before := s.text(t)
			problem, err := s.added(t, "box", c.action)
			if err != nil || (problem == "") != (c.problem == "") || !strings.Contains(problem, c.problem) {
				t.Fatalf("%q, %v", problem, err)
			}
			after := s.text(t)
			if (after != before) != (c.problem == "") || strings.Contains(after, source) != (c.problem == "") ||
				strings.Contains(before, "AIDAALICEALICEALICE") != strings.Contains(after, "AIDAALICEALICEALICE") {
				t.Errorf("before %s\nafter  %s", before, after)
			}
		})
	}
	if _, err := openPolicies(t).added(t, "nothing", "s3:GetObject"); !fault.Is(err, fault.NoSuchBucket) {
		t.Error(err)
	}
}
