package session

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"watertight/internal/access/policy"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Passed are the session policies of a request: one as text, others by the ARNs of managed
// policies.
type Passed struct {
	Policy string
	ARNs   []string
}

// Limits of session policies and tags (STS API reference, AssumeRole). AWS packs them into
// an internal format and does not document its limit.
const (
	maxSessionText = 2048 // characters
	maxPassed      = 10
	maxPacked      = 4096 // bytes, deflated
)

// restrict sets the session policies of a request, which checkPassed has validated. It
// returns the percentage of the limit for policies and tags that they use. Errors:
// PackedPolicyTooLarge.
func (n *Session) restrict(in Passed) (percent int, err error) {
	n.Policies = nil
	if in.Policy != "" {
		n.Policies = []string{in.Policy}
	}
	n.Restricted = n.Restricted || in.Policy != "" || len(in.ARNs) > 0
	if in.Policy == "" && len(in.ARNs)+len(n.Tags) == 0 {
		return 0, nil
	}
	size, err := packed(in, n.Tags)
	if err != nil {
		return 0, fault.Internal(err)
	}
	percent = (size*100 + maxPacked - 1) / maxPacked
	switch {
	case percent <= 100:
		return percent, nil
	case n.Restricted:
		return 0, packedTooLarge("policy", percent)
	}
	return 0, packedTooLarge("session tags", percent)
}

// checkPassed checks only what is in the request itself. It stores nothing. Errors:
// MalformedPolicyDocument, PackedPolicyTooLarge, InvalidParameterValue.
func checkPassed(in Passed) error {
	if len(in.ARNs) > maxPassed {
		return invalidParameter(fmt.Sprintf("A session has at most %d managed policies.", maxPassed))
	}
	if size := utf8.RuneCountInString(in.Policy); size > maxSessionText {
		return packedTooLarge("policy", size*100/maxSessionText)
	}
	if in.Policy == "" {
		return nil
	}
	d, err := policy.Parse(policy.Session, []byte(in.Policy))
	if err != nil {
		return identity.MalformedPolicy(err)
	}
	return identity.CheckResources(d)
}

func packedTooLarge(what string, percent int) error {
	message := fmt.Sprintf("Packed size of %s consumes %d%% of allotted space.", what, percent)
	if what == "policy" {
		message = fmt.Sprintf("Packed policy consumes %d%% of allotted space, please use smaller policy.", percent)
	}
	return fault.New(fault.PackedPolicyTooLarge, message)
}

// packed returns the deflated size of policies and tags.
func packed(in Passed, tags []tag.Tag) (int, error) {
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		return 0, err
	}
	parts := append([]string{in.Policy}, in.ARNs...)
	for _, t := range tags {
		parts = append(parts, t.Key, t.Value)
	}
	if _, err := w.Write([]byte(strings.Join(parts, "\x00"))); err != nil {
		return 0, err
	}
	if err := w.Close(); err != nil {
		return 0, err
	}
	return b.Len(), nil
}

// managed binds a session to the managed policies that its request names. They must exist.
// Each request of the session reads them again.
func (s *Store) managed(r kv.Reader, n *Session, account string, names []string) error {
	n.Managed = nil
	for _, name := range names {
		p, err := s.identities.FindPolicy(r, account, name)
		if err != nil {
			return err
		}
		if p == nil {
			return fault.New(fault.MalformedPolicyDocument, "Policy "+name+" does not exist or is not attachable.")
		}
		n.Managed = append(n.Managed, PolicyRef{name, p.ID})
	}
	return nil
}

// sessionPolicies returns the compiled policies of a session. For a deleted one it returns
// nil, which denies everything.
func (s *Store) sessionPolicies(r kv.Reader, n *Session) ([]*policy.Document, error) {
	if !n.Restricted {
		return nil, nil
	}
	all := make([]*policy.Document, 0, len(n.Policies)+len(n.Managed))
	for _, text := range n.Policies {
		d, err := s.documents.Get(policy.Session, text)
		if err != nil {
			return nil, fault.Internal(err)
		}
		all = append(all, d)
	}
	for _, m := range n.Managed {
		p, err := s.identities.FindPolicy(r, n.Principal.Account, m.ARN)
		if err != nil {
			return nil, err
		}
		if p == nil || p.ID != m.ID {
			all = append(all, nil)
			continue
		}
		d, err := s.identities.Document(p.InForce().Document)
		if err != nil {
			return nil, err
		}
		all = append(all, d.Named(identity.PolicyName(m.ARN)))
	}
	return all, nil
}

// checkSessionTags checks the tags of a request for a session (IAM user guide,
// "Pass session tags in AWS STS").
func checkSessionTags(tags []tag.Tag, transitive []string) error {
	if len(transitive) > tag.MaxIAM {
		return invalidParameter(fmt.Sprintf("A session has at most %d tags.", tag.MaxIAM))
	}
	if err := tag.CheckIAM(tags); err != nil { // the rules of IAM, with the error codes of STS
		return invalidParameter(fault.From(err).Message)
	}
	for _, key := range transitive {
		if sessionTag(tags, key) < 0 {
			return invalidParameter("The specified transitive tag key must be included in the requested tags.")
		}
	}
	return nil
}

// sessionTagKeys returns the condition keys for the tags in a request for a session.
func sessionTagKeys(tags []tag.Tag, transitive []string) map[string][]string {
	m := map[string][]string{}
	for _, t := range tags {
		name := policy.KeyName("aws:requesttag/" + t.Key)
		m[name] = append(m[name], t.Value)
		m["aws:tagkeys"] = append(m["aws:tagkeys"], t.Key)
	}
	if len(transitive) > 0 {
		m["sts:transitivetagkeys"] = slices.Clone(transitive)
	}
	return m
}

// sessionTag returns the index of a key among a session's tags, or -1. Tag keys of a
// session never differ only by case.
func sessionTag(tags []tag.Tag, key string) int {
	return slices.IndexFunc(tags, func(t tag.Tag) bool { return strings.EqualFold(t.Key, key) })
}
