package authz_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
)

// account implements Facts for one account with one user and one bucket.
type account struct {
	id   string
	user *policy.Document
}

func (a account) Principal(context.Context, *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{Identity: []*policy.Document{a.user}}, nil
}

func (a account) Resource(context.Context, arn.ARN, time.Time) (*authz.ResourceLaws, error) {
	return &authz.ResourceLaws{Owner: a.id}, nil
}

func (account) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) {
	return nil, nil
}

func (account) Object(context.Context, arn.ARN, *string) (authz.ObjectLaws, error) {
	return authz.ObjectLaws{}, nil
}

func (account) Grants(context.Context, arn.ARN, *policy.Principal) ([]*policy.Document, error) {
	return nil, nil
}

// An operation says what it needs, the authority returns a grant or refuses, and core demands the grant
// for what it is about to do. A refused soft need does not refuse the request: the handler asks the
// grant for it.
func ExampleAuthority_Authorize() {
	const id = "111122223333"
	reads, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":{
		"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::photos/*"}}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	authority := authz.New(account{id, reads})
	// Only gateway/authn makes callers, after it has verified a signature.
	anna := authz.NewCaller(&policy.Principal{
		Kind: policy.User, Account: id, Name: "anna", ID: "AIDAEXAMPLEEXAMPLE", ARN: arn.IAM(id, "user/anna"),
	}, &authz.Situation{At: time.Unix(1, 0)})

	object, bucket := arn.Object("photos", "cat.jpg"), arn.Bucket("photos")
	grant, err := authority.Authorize(context.Background(), anna,
		authz.Need{Action: "s3:GetObject", Resource: object},
		authz.Need{Action: "s3:ListBucket", Resource: bucket, Soft: true})
	fmt.Println("granted:", err == nil)
	fmt.Println("may read:", grant.Demand("s3:GetObject", object) == nil)
	fmt.Println("may list:", grant.Allows("s3:ListBucket", bucket))
	fmt.Println("may write:", grant.Demand("s3:PutObject", object) == nil)

	_, err = authority.Authorize(context.Background(), anna, authz.Need{Action: "s3:DeleteObject", Resource: object})
	fmt.Println(strings.Replace(err.Error(), " on resource", "\non resource", 1))
	// Output:
	// granted: true
	// may read: true
	// may list: false
	// may write: false
	// AccessDenied: User: arn:aws:iam::111122223333:user/anna is not authorized to perform: s3:DeleteObject
	// on resource: "arn:aws:s3:::photos/cat.jpg" because no identity-based policy allows the s3:DeleteObject action
}
