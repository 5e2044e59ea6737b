package bucket

import (
	"errors"
	"net/netip"
	"slices"
	"strings"

	"watertight/internal/access/action"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// malformedPolicy returns MalformedPolicy with AWS's message.
func malformedPolicy(message string) *fault.Error {
	return fault.New(fault.MalformedPolicy, message)
}

// parsePolicy compiles a bucket policy and checks that it fits the bucket: that its
// resources are in the bucket, that its actions exist and fit the resources, and that its
// condition keys exist and fit the actions (S3 user guide, "Bucket policies"; messages as
// observed at AWS). Error: MalformedPolicy.
func (s *Store) parsePolicy(name, text string) (*policy.Document, error) {
	d, err := policy.Parse(policy.Resource, []byte(text))
	if err != nil {
		return nil, malformedPolicy(awsMessage(err)).Because(err)
	}
	for _, st := range d.Statements() {
		if message := s.checkStatement(name, &st); message != "" {
			return nil, malformedPolicy(message)
		}
	}
	return d, nil
}

const invalidAddress = "Invalid IP address in Conditions"

// awsMessage returns AWS's message for an error in a document.
func awsMessage(err error) string {
	var e *policy.Error
	if !errors.As(err, &e) {
		return "Invalid policy syntax."
	}
	switch e.Problem {
	case policy.TooLong:
		return "Policy exceeds the maximum allowed document size."
	case policy.MissingElement:
		if e.Path == "Statement" && !strings.HasPrefix(e.Text, "Missing") {
			return "Could not parse the policy: Statement is empty!"
		}
		return e.Text
	case policy.UnknownElement:
		return "Unknown field " + e.Path[strings.LastIndexByte(e.Path, '.')+1:]
	case policy.BadVersion:
		return "The policy must contain a valid version string"
	case policy.BadEffect:
		return e.Text
	case policy.BadPrincipal:
		return "Invalid principal in policy"
	case policy.BadAction:
		return "Policy has invalid action"
	case policy.BadResource:
		return "Policy has invalid resource"
	case policy.BadAddress:
		return invalidAddress
	}
	switch {
	case strings.HasPrefix(e.Text, "Policies must"), strings.HasPrefix(e.Text, "Invalid "):
		return e.Text
	case e.Path == "":
		return "This policy contains invalid Json"
	}
	return "Invalid policy syntax."
}

// checkStatement returns what is wrong with a statement, or "".
func (s *Store) checkStatement(name string, st *policy.Statement) string {
	var on struct{ bucket, object bool } // the kinds of resources
	for _, r := range st.Resources {
		inside, ok := strings.CutPrefix(r, "arn:aws:s3:::"+name)
		switch {
		case !ok || inside != "" && inside[0] != '/' && inside[0] != '*':
			return "Policy has invalid resource"
		case inside == "":
			on.bucket = true
		case inside[0] == '/':
			on.object = true
		default:
			on.bucket, on.object = true, true
		}
	}
	sets := make([]actions, len(st.Actions))
	for i, entry := range st.Actions {
		if sets[i] = s.named(entry); len(sets[i].all) == 0 {
			return "Policy has invalid action"
		}
	}
	for _, c := range st.Conditions {
		if message := s.checkCondition(&c, st, sets); message != "" {
			return message
		}
	}
	fits := func(a action.Action) bool { return a.Bucket && on.bucket || a.Object && on.object }
	for _, set := range sets {
		if !st.NotAction && !st.NotResource && !slices.ContainsFunc(set.all, fits) {
			return "Action does not apply to any resource(s) in statement"
		}
	}
	return ""
}

// actions are the actions that one entry of an Action element matches.
type actions struct {
	wild bool // the entry has wildcards: one of the actions is enough
	all  []action.Action
}

func (s *Store) named(entry string) actions {
	set := actions{wild: strings.ContainsAny(entry, "*?")}
	matches, err := policy.ActionMatcher(entry)
	if err != nil {
		return set
	}
	for _, a := range s.catalogue.Actions {
		if matches(policy.Action(a.Name)) {
			set.all = append(set.all, a)
		}
	}
	return set
}

// checkCondition refuses invalid IP addresses, condition keys that S3 does not know, and
// keys that not all of the named actions have.
func (s *Store) checkCondition(c *policy.Condition, st *policy.Statement, sets []actions) string {
	key := policy.KeyName(c.Key)
	if key == "aws:sourceip" && c.Operator != "Null" && slices.ContainsFunc(c.Values, notAddress) {
		return invalidAddress
	}
	if action.GlobalKey(key) {
		return ""
	}
	if !s.catalogue.Knows(key) {
		return "Policy has an invalid condition key"
	}
	if st.NotAction {
		return ""
	}
	has := func(a action.Action) bool { return a.Has(key) }
	lacks := func(a action.Action) bool { return !a.Has(key) }
	for _, set := range sets {
		if set.wild && !slices.ContainsFunc(set.all, has) || !set.wild && slices.ContainsFunc(set.all, lacks) {
			return "Conditions do not apply to combination of actions and resources in statement"
		}
	}
	return ""
}

func notAddress(text string) bool {
	_, err := netip.ParseAddr(text)
	if err != nil {
		_, err = netip.ParsePrefix(text)
	}
	return err != nil
}
