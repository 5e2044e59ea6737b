package authz

import (
	"strconv"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// judgement is a verdict, and whether the caller may be told its reason.
type judgement struct {
	policy.Verdict
	told bool
}

// mayTell reports whether the caller is told why it is refused: AWS tells principals of the
// resource's own account (IAM user guide, "Troubleshoot access denied error messages"), but
// not anonymous callers and other accounts. No caller is told the reason if an object's
// tags, owner or ACL were looked up, because the reason would disclose whether the object
// exists. No caller is told the reason for a bucket that does not exist, because it must
// look like a bucket of another account.
func (c *Caller) mayTell(n *Need, res *ResourceLaws, sawObject bool) bool {
	account := c.principal.Account
	if account == "" || sawObject {
		return false
	}
	_, bucket := n.Resource.BucketOf()
	return res.Owner == account || res.Owner == "" && !bucket
}

// tooMuchWork is the error for a request whose decisions take more steps than allowed.
// Nothing of the request is executed.
func tooMuchWork() error {
	return fault.New(fault.AccessDenied,
		"Access Denied: the policies that bind this request take more work to judge than one request may.")
}

// denial returns the error for a refused need.
func (c *Caller) denial(n *Need, j judgement) *fault.Error {
	because := j.Because(n.Action)
	if !j.told || because == "" {
		return fault.Of(fault.AccessDenied)
	}
	on := ""
	switch service := n.Action.Service(); {
	case service == "iam":
	case service == "s3":
		on = " on resource: " + strconv.Quote(n.Resource.String())
	default:
		on = " on resource: " + n.Resource.String()
	}
	return fault.New(fault.AccessDenied,
		"User: "+c.principal.ARN.String()+" is not authorized to perform: "+string(n.Action)+on+" "+because)
}
