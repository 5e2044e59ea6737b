package policy_test

import (
	"fmt"
	"net/netip"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// A user has a policy, and the bucket, which belongs to the same account, has one that
// denies requests from other addresses.
func ExampleDecide() {
	const account = "111122223333"
	user, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":{
		"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/${aws:username}/*"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	bucket, err := policy.Parse(policy.Resource, []byte(`{"Version":"2012-10-17","Statement":{
		"Effect":"Deny","Principal":"*","Action":"*","Resource":"arn:aws:s3:::photos/*",
		"Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	laws := policy.Laws{
		Identity: []*policy.Document{user}, Resource: []*policy.Document{bucket}, ResourceOwner: account,
	}
	ask := func(key, from string) {
		v := policy.Decide(&laws, &policy.Request{
			Principal: policy.Principal{
				Kind: policy.User, Account: account, Name: "anna", ID: "AIDAEXAMPLEEXAMPLE",
				ARN: arn.IAM(account, "user/anna"),
			},
			Action: "s3:GetObject", Resource: arn.Object("photos", key), SourceIP: netip.MustParseAddr(from),
		})
		answer := "allowed"
		if v.Effect != policy.Allow {
			answer = "denied " + v.Because("s3:GetObject")
		}
		fmt.Println(key, "from", from+":", answer)
	}
	ask("anna/cat.jpg", "192.0.2.7")
	ask("otto/cat.jpg", "192.0.2.7")
	ask("anna/cat.jpg", "198.51.100.7")
	// Output:
	// anna/cat.jpg from 192.0.2.7: allowed
	// otto/cat.jpg from 192.0.2.7: denied because no identity-based policy allows the s3:GetObject action
	// anna/cat.jpg from 198.51.100.7: denied with an explicit deny in a resource-based policy
}

// A bucket policy that names everyone is public, and the witness shows a request
// that it allows.
func ExamplePublic() {
	d, err := policy.Parse(policy.Resource, []byte(`{"Statement":{"Sid":"Website",
		"Effect":"Allow","Principal":"*","Action":"s3:Get*","Resource":"arn:aws:s3:::site/*"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	public, why := policy.Public(d, policy.Peers{})
	fmt.Println(public, why.Sid, why.Request.Action, why.Request.Resource)
	// Output: true Website s3:GetObject arn:aws:s3:::site/x
}
