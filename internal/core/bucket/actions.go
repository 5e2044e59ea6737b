package bucket

import (
	_ "embed"
	"slices"
	"strings"

	"watertight/internal/access/policy"
)

// knownActions is the S3 service authorization reference, "Actions, resources,
// and condition keys for Amazon S3": for each action what it is on (b a bucket,
// o an object, - nothing in a bucket) and the condition keys that not all
// actions have, in lower case; a name that ends with / is one of tags, and ! is
// before a key of all others that the action lacks.
//
//go:embed actions.txt
var knownActions string

// action is one action of S3.
type action struct {
	name               policy.Action
	onBucket, onObject bool
	keys               []string
}

// readActions reads the table of actions.
func readActions() []action {
	var all []action
	for line := range strings.Lines(knownActions) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		all = append(all, action{policy.Action("s3:" + f[0]), strings.Contains(f[1], "b"), strings.Contains(f[1], "o"), f[2:]})
	}
	return all
}

// has reports whether the action is judged by a condition key of S3.
func (a *action) has(key string) bool {
	if commonKey(key) {
		return !slices.Contains(a.keys, "!"+key)
	}
	return slices.ContainsFunc(a.keys, func(k string) bool { return sameKey(k, key) })
}

// sameKey compares a key of the table with one of a condition.
func sameKey(known, key string) bool {
	return known == key || strings.HasSuffix(known, "/") && len(key) > len(known) && strings.HasPrefix(key, known)
}

// commonKey reports the keys that every request to S3 has, and those of
// requests that come through an access point.
func commonKey(key string) bool {
	switch key {
	case "s3:authtype", "s3:signatureversion", "s3:signatureage", "s3:tlsversion", "s3:x-amz-content-sha256", "s3:resourceaccount",
		"s3:accesspointnetworkorigin", "s3:dataaccesspointarn", "s3:dataaccesspointaccount", "s3:accessgrantsinstancearn":
		return true
	}
	return sameKey("s3:accesspointtag/", key) || sameKey("s3:buckettag/", key)
}

// globalKey reports the condition keys that AWS gives to requests of every
// service (IAM user guide, "AWS global condition context keys").
func globalKey(key string) bool {
	switch key {
	case "aws:currenttime", "aws:epochtime", "aws:securetransport", "aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip",
		"aws:sourcevpcarn", "aws:vpceaccount", "aws:vpceorgid", "aws:vpceorgpaths", "aws:useragent", "aws:referer", "aws:requestedregion",
		"aws:principalaccount", "aws:principalarn", "aws:principaltype", "aws:userid", "aws:username", "aws:principalorgid", "aws:principalorgpaths",
		"aws:principalisawsservice", "aws:principalservicename", "aws:principalservicenameslist", "aws:sourcearn", "aws:sourceaccount",
		"aws:sourceowner", "aws:sourceorgid", "aws:sourceorgpaths", "aws:viaawsservice", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast",
		"aws:tokenissuetime", "aws:multifactorauthpresent", "aws:multifactorauthage", "aws:federatedprovider", "aws:sourceidentity",
		"aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:tagkeys",
		"aws:assumedroot", "aws:chatbotsourcearn", "aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4", "aws:calledviaawsmcp",
		"aws:viaawsmcpservice", "aws:ismcpserviceaction":
		return true
	}
	return slices.ContainsFunc([]string{"aws:principaltag/", "aws:requesttag/", "aws:resourcetag/"}, func(k string) bool { return sameKey(k, key) })
}
