package identity

import (
	"slices"
	"strings"

	"watertight/internal/access/action"
	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// What IAM refuses in a new document, in addition to the grammar. Documents that were
// stored before such a rule existed stay in force.

func malformedDocument(message string) error {
	return fault.New(fault.MalformedPolicyDocument, message)
}

// checkDocument checks an identity policy before it is stored.
func checkDocument(text string) (*policy.Document, error) {
	d, err := policy.Parse(policy.Identity, []byte(text))
	if err != nil {
		return nil, MalformedPolicy(err)
	}
	return d, CheckResources(d)
}

// checkManaged checks a managed policy before it is stored. It must have the version
// 2012-10-17, which enables policy variables; inline policies need not.
func checkManaged(text string) error {
	d, err := checkDocument(text)
	switch {
	case err != nil:
		return err
	case policy.Size([]byte(text)) > maxManagedDocument:
		return LimitExceeded("PolicySize", maxManagedDocument)
	case !d.Variables():
		return malformedDocument("Policy document must be version 2012-10-17 or greater.")
	}
	return nil
}

// CheckResources refuses ARNs that can't match any resource.
func CheckResources(d *policy.Document) error {
	for _, s := range d.Statements() {
		for _, text := range s.Resources {
			if err := checkResource(text); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkResource(text string) error {
	sections := strings.SplitN(text, ":", 6)
	if len(sections) < 2 {
		return nil // "*"
	}
	if !isPartition(sections[1]) {
		shown := append(slices.Clone(sections), "*", "*", "*", "*")[:6]
		if len(sections) == 6 {
			shown = sections
		}
		return malformedDocument(`Partition "` + sections[1] + `" is not valid for resource "` +
			strings.Join(shown, ":") + `".`)
	}
	if len(sections) < 6 {
		return nil
	}
	service, region, resource := sections[2], sections[3], sections[5]
	switch {
	case service == "s3" && region != "" && !begins(resource, regionalS3()):
		return malformedDocument("Resource " + text + " can not contain region information.")
	case service == "iam" && region != "":
		return malformedDocument("IAM resource " + text + " cannot contain region information.")
	case service == "iam" && resource != "*" && !begins(resource, iamPaths()):
		return malformedDocument(`IAM resource path must either be "*" or start with ` +
			strings.Join(iamPaths(), ", ") + ".")
	}
	return nil
}

func begins(s string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(s, p) })
}

func isPartition(s string) bool {
	return slices.Contains([]string{
		"*", "aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc",
	}, s)
}

// regionalS3 returns the resource types of S3 whose ARNs have a region (S3 service
// authorization reference).
func regionalS3() []string {
	return []string{
		"*", "accesspoint/", "job/", "storage-lens/", "storage-lens-group/", "access-grants/", "async-request/",
	}
}

// iamPaths returns the beginnings of IAM's resource types.
func iamPaths() []string {
	return []string{
		"user/", "federated-user/", "role/", "group/", "instance-profile/", "mfa/", "server-certificate/", "policy/",
		"sms-mfa/", "saml-provider/",
		"oidc-provider/", "report/", "access-report/",
	}
}

// checkTrust checks a trust policy before it is stored.
func checkTrust(text string) error {
	if policy.Size([]byte(text)) > maxTrust {
		return LimitExceeded("ACLSizePerRole", maxTrust)
	}
	d, err := policy.Parse(policy.Trust, []byte(text))
	if err != nil {
		return MalformedPolicy(err)
	}
	for _, statement := range d.Statements() {
		for _, action := range statement.Actions {
			if err := checkTrustAction(action); err != nil {
				return err
			}
		}
		for _, p := range statement.Principals {
			if err := checkTrusted(p); err != nil {
				return err
			}
		}
	}
	return checkShared(d)
}

// checkTrustAction refuses actions other than those that assume a role.
func checkTrustAction(entry string) error {
	matches, err := policy.ActionMatcher(entry)
	if err != nil {
		return malformedDocument("AssumeRole policy may only specify STS AssumeRole actions.")
	}
	for _, a := range action.Parse("sts").Actions {
		if a.Trust && matches(policy.Action(a.Name)) {
			return nil
		}
	}
	return malformedDocument("AssumeRole policy may only specify STS AssumeRole actions.")
}

// checkTrusted refuses principals of other partitions, and services that AWS does not have.
func checkTrusted(p policy.PrincipalName) error {
	switch p.Type {
	case "AWS", "Federated":
		if a, err := arn.Parse(p.Value); err == nil && a != arn.Any() && a.Partition != "aws" {
			return invalidPrincipal(p)
		}
	case "Service":
		for _, domain := range []string{".amazonaws.com", ".amazonaws.com.cn", ".amazon.com", ".aws.internal"} {
			if strings.HasSuffix(p.Value, domain) {
				return nil
			}
		}
		return invalidPrincipal(p)
	}
	return nil
}

func invalidPrincipal(p policy.PrincipalName) error {
	kind := p.Type
	if kind == "Service" {
		kind = "SERVICE"
	}
	return malformedDocument(`Invalid principal in policy: "` + kind + `":"` + p.Value + `"`)
}
