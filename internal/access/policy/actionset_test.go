package policy

import (
	"strings"
	"testing"

	"watertight/internal/access/action"
)

// TestActionSetHasWhatMatches: a pattern's set has every action that the pattern matches, however
// it is spelled; and a decision about one service passes over patterns of another one.
func TestActionSetHasWhatMatches(t *testing.T) {
	var all []string
	for _, service := range action.Services() {
		for _, a := range action.Parse(service).Actions {
			all = append(all, a.Name)
		}
	}
	patterns := []string{
		"*", "s3:*", "S3:Get*", "s3:*Object", "s3:?etObject", "kms:*", "iam:*User*", "s3:GetObject*",
		"kms:D*", "kms:De*", "KMS:DEC*", "kms:De?rypt", "kms:d??rypt*", "s3:Ge?Object",
	}
	for _, name := range all {
		patterns = append(patterns, name, strings.ToLower(name), strings.ToUpper(name))
	}
	for _, text := range patterns {
		t.Run(text, func(t *testing.T) {
			p, err := compileAction(text, true)
			if err != nil {
				t.Fatal(err)
			}
			set := actionsOf([]actionPattern{p})
			for _, name := range all {
				for _, spelled := range []string{name, strings.ToUpper(name), strings.ToLower(name)} {
					if p.matches(spelled, nil) && !set.meets(actionOf(Action(spelled))) {
						t.Errorf("the set of %s lacks %s", text, spelled)
					}
					in := situation{action: actionOf(Action(spelled)), most: decisionSteps}
					if p.matches(spelled, &in) != p.matches(spelled, nil) {
						t.Errorf("in a decision, %s is another answer for %s", text, spelled)
					}
				}
			}
		})
	}
	if iam := actionsOf([]actionPattern{mustCompileAction(t, "iam:*")}); iam.meets(actionOf("s3:GetObject")) {
		t.Error("a statement about IAM is not passed over for S3")
	}
	if set := actionsOf([]actionPattern{mustCompileAction(t, "kms:Describe*")}); set.meets(actionOf("kms:Decrypt")) {
		t.Error("a statement about kms:Describe* is not passed over for kms:Decrypt")
	}
}

func mustCompileAction(t *testing.T, text string) actionPattern {
	t.Helper()
	p, err := compileAction(text, false)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
