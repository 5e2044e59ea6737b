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

// mayTell reports whether the caller is told why it is refused: AWS tells principals of
// the resource's own account (IAM user guide, "Troubleshoot access denied error
// messages"). Anonymous callers and other accounts are not told. No caller is told
// where the object's tags, owner or ACL were looked up, since the reason would reveal
// whether the object exists, nor about a bucket that does not exist, as about one of
// another account.
func (c Caller) mayTell(n *Need, res *ResourceLaws, sawObject bool) bool {
	account := c.principal.Account
	if account == "" || sawObject {
		return false
	}
	_, bucket := n.Resource.BucketOf()
	return res.Owner == account || res.Owner == "" && !bucket
}

// tooMuchWork refuses a request whose decisions take more steps than one request may
// take. Nothing of the request is done.
func tooMuchWork() error {
	return fault.New(fault.AccessDenied,
		"Access Denied: the policies that bind this request take more work to judge than one request may.")
}

// denial returns the error for a need that is refused.
func (c Caller) denial(n *Need, j judgement) *fault.Error {
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
