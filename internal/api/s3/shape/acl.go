package shape

// ACLHeaders are the ACL headers that several requests have.
type ACLHeaders struct {
	ACL              string `loc:"header,x-amz-acl"`
	GrantFullControl string `loc:"header,x-amz-grant-full-control"`
	GrantRead        string `loc:"header,x-amz-grant-read"`
	GrantReadACP     string `loc:"header,x-amz-grant-read-acp"`
	GrantWriteACP    string `loc:"header,x-amz-grant-write-acp"`
}

// PutBucketAclInput is the input of PutBucketAcl.
type PutBucketAclInput struct {
	Bucket     string `loc:"uri,Bucket"`
	GrantWrite string `loc:"header,x-amz-grant-write"`
	ACLHeaders
	Policy              *AccessControlPolicyInput `loc:"body,AccessControlPolicy"`
	ExpectedBucketOwner string                    `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// PutObjectAclInput is the input of PutObjectAcl.
type PutObjectAclInput struct {
	Bucket     string  `loc:"uri,Bucket"`
	Key        string  `loc:"uri,Key"`
	VersionId  *string `loc:"query,versionId"`
	GrantWrite string  `loc:"header,x-amz-grant-write"`
	ACLHeaders
	Policy              *AccessControlPolicyInput `loc:"body,AccessControlPolicy"`
	ExpectedBucketOwner string                    `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// PutObjectAclOutput is the output of PutObjectAcl.
type PutObjectAclOutput struct {
	VersionId string `loc:"header,x-amz-version-id"`
}

// AccessControlPolicyInput is the document of PutBucketAcl and PutObjectAcl.
type AccessControlPolicyInput struct {
	Owner             *Owner
	AccessControlList *struct {
		Grants []Grant `xml:"Grant"`
	}
}

// AccessControlPolicy is the output of GetBucketAcl and GetObjectAcl.
type AccessControlPolicy struct {
	_      struct{} `root:"AccessControlPolicy"`
	Owner  Owner
	Grants []Grant `xml:"AccessControlList>Grant" emit:"always"`
}

// Grant is a grant of an ACL.
type Grant struct {
	Grantee    Grantee
	Permission string
}

// Grantee is a canonical user, a group, or the owner of an e-mail address.
type Grantee struct {
	Type         string `xml:"http://www.w3.org/2001/XMLSchema-instance type,attr"`
	ID           string
	URI          string
	EmailAddress string
}

// PutOwnershipControlsInput is the input of PutBucketOwnershipControls.
type PutOwnershipControlsInput struct {
	Bucket              string             `loc:"uri,Bucket"`
	Controls            *OwnershipControls `loc:"body,OwnershipControls" strict:"true"`
	ExpectedBucketOwner string             `loc:"header,x-amz-expected-bucket-owner" empty:"InvalidBucketOwnerAWSAccountID"`
}

// OwnershipControls is the document of PutBucketOwnershipControls and the output
// of GetBucketOwnershipControls.
type OwnershipControls struct {
	_     struct{}        `root:"OwnershipControls"`
	Rules []OwnershipRule `xml:"Rule"`
}

// OwnershipRule is a rule of ownership.
type OwnershipRule struct {
	ObjectOwnership string
}
