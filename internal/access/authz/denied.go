package authz

import (
	"strconv"

	"watertight/internal/access/policy"
	"watertight/internal/fault"
)

// judgement is a verdict, and whether its reason may be told.
type judgement struct {
	policy.Verdict
	told bool
}

// mayTell reports whether the caller is told why it is refused: AWS tells
// principals of the resource's own account (IAM user guide, "Troubleshoot access
// denied error messages"). Strangers and other accounts learn nothing, nor does
// anybody where the object's own tags, owner or ACL were looked at: the reason
// would say whether it is there. Of a bucket that is nobody's it is not told either, as it
// is not of somebody else's.
func (c Caller) mayTell(n *Need, res *ResourceLaws, sawObject bool) bool {
	account := c.principal.Account
	if account == "" || sawObject {
		return false
	}
	_, bucket := n.Resource.BucketOf()
	return res.Owner == account || res.Owner == "" && !bucket
}

// tooMuchWork is the refusal of a request whose decisions take more steps than
// one request may take: nothing of it is done.
func tooMuchWork() error {
	return fault.New(fault.AccessDenied, "Access Denied: the policies that bind this request take more work to judge than one request may.")
}

// denial is the refusal of a need.
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
	return fault.New(fault.AccessDenied, "User: "+c.principal.ARN.String()+" is not authorized to perform: "+string(n.Action)+on+" "+because)
}
