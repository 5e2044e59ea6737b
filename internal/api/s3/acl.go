package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/acl"
	"watertight/internal/core/object"
)

// aclKeys returns the condition keys for the ACL headers of a request, with the values as
// they were sent.
func aclKeys(h *shape.ACLHeaders, write string) map[string][]string {
	keys := map[string][]string{}
	if *h == (shape.ACLHeaders{}) && write == "" {
		return keys
	}
	for _, said := range [...]struct{ name, value string }{
		{"s3:x-amz-acl", h.ACL}, {"s3:x-amz-grant-full-control", h.GrantFullControl},
		{"s3:x-amz-grant-read", h.GrantRead}, {"s3:x-amz-grant-read-acp", h.GrantReadACP},
		{"s3:x-amz-grant-write", write}, {"s3:x-amz-grant-write-acp", h.GrantWriteACP},
	} {
		if said.value != "" {
			keys[said.name] = []string{said.value}
		}
	}
	return keys
}

// withACL adds the need for storing an object with an ACL. New: the object does not exist yet.
func withACL(needs []authz.Need, at arn.ARN, h *shape.ACLHeaders) []authz.Need {
	if *h == (shape.ACLHeaders{}) {
		return needs
	}
	return append(needs, authz.Need{Action: "s3:PutObjectAcl", Resource: at, Keys: aclKeys(h, ""), New: true})
}

func mayPutBucketACL(in *shape.PutBucketAclInput) authz.Need {
	return authz.Need{
		Action: "s3:PutBucketAcl", Resource: arn.Bucket(in.Bucket), Keys: aclKeys(&in.ACLHeaders, in.GrantWrite),
	}
}

func mayPutObjectACL(in *shape.PutObjectAclInput) ([]authz.Need, error) {
	n := versionNeed("s3:PutObjectAcl", "s3:PutObjectVersionAcl", in.Bucket, in.Key, in.VersionId)
	keys := aclKeys(&in.ACLHeaders, in.GrantWrite)
	for name, value := range n.Keys {
		keys[name] = value
	}
	n.Keys = keys
	return []authz.Need{n, mayList(in.Bucket)}, nil
}

// aclHeaders decodes the ACL in a request's headers.
func (a *API) aclHeaders(ctx context.Context, h *shape.ACLHeaders, write string, ofObject bool) (acl.Request, error) {
	if err := acl.CheckCanned(h.ACL, ofObject); err != nil {
		return acl.Request{}, err
	}
	grants, err := acl.Headers([]acl.Header{
		{Name: "x-amz-grant-full-control", Value: h.GrantFullControl, Permission: acl.FullControl},
		{Name: "x-amz-grant-read", Value: h.GrantRead, Permission: acl.Read},
		{Name: "x-amz-grant-write", Value: write, Permission: acl.Write},
		{Name: "x-amz-grant-read-acp", Value: h.GrantReadACP, Permission: acl.ReadACP},
		{Name: "x-amz-grant-write-acp", Value: h.GrantWriteACP, Permission: acl.WriteACP},
	}, a.accounts(ctx))
	if h.ACL != "" && (err != nil || grants != nil) {
		return acl.Request{}, acl.BothGiven()
	}
	return acl.Request{Canned: h.ACL, Grants: grants}, err
}

func (a *API) accounts(ctx context.Context) acl.Accounts {
	return func(canonical string) (string, bool, error) { return a.Identities.AccountOf(ctx, canonical) }
}

// aclRequest decodes the ACL of PutBucketAcl or PutObjectAcl, from the headers or the document.
func (a *API) aclRequest(
	ctx context.Context, h *shape.ACLHeaders, write string, doc *shape.AccessControlPolicyInput, ofObject bool,
) (acl.Request, error) {
	inHeaders := *h != shape.ACLHeaders{} || write != ""
	switch {
	case doc != nil && inHeaders:
		return acl.Request{}, acl.HeaderAndDocument()
	case inHeaders:
		return a.aclHeaders(ctx, h, write, ofObject)
	case doc == nil:
		return acl.Request{}, acl.NothingGiven()
	}
	owner := ""
	if doc.Owner != nil {
		owner = doc.Owner.ID
	}
	if doc.AccessControlList == nil {
		owner = "" // acl.Document refuses it like a document without an owner
	}
	var grants []acl.Written
	if owner != "" {
		for _, g := range doc.AccessControlList.Grants {
			grants = append(grants, acl.Written{
				Type: g.Grantee.Type, ID: g.Grantee.ID, URI: g.Grantee.URI, Email: g.Grantee.EmailAddress,
				Permission: g.Permission,
			})
		}
	}
	return acl.Document(owner, grants, a.accounts(ctx))
}

// putBucketACL checks whether ACLs are enabled before it reports what is wrong with the
// ACL, as AWS does.
func (a *API) putBucketACL(ctx context.Context, g authz.Grant, in *shape.PutBucketAclInput) (*shape.Empty, error) {
	enabled, err := a.Buckets.ACLsEnabled(ctx, in.Bucket)
	if err != nil {
		return nil, err
	}
	request, err := a.aclRequest(ctx, &in.ACLHeaders, in.GrantWrite, in.Policy, false)
	if err != nil && !enabled {
		err = acl.NotSupported()
	}
	if err != nil {
		return nil, err
	}
	return nil, a.Buckets.PutACL(ctx, g, in.Bucket, &request)
}

func (a *API) getBucketACL(
	ctx context.Context, g authz.Grant, in *shape.BucketInput,
) (*shape.AccessControlPolicy, error) {
	owner, l, err := a.Buckets.GetACL(ctx, g, in.Bucket)
	if err != nil {
		return nil, err
	}
	return a.accessControlPolicy(ctx, owner, l)
}

func (a *API) putObjectACL(
	ctx context.Context, g authz.Grant, in *shape.PutObjectAclInput,
) (*shape.PutObjectAclOutput, error) {
	enabled, err := a.Buckets.ACLsEnabled(ctx, in.Bucket)
	if err != nil {
		return nil, err
	}
	request, err := a.aclRequest(ctx, &in.ACLHeaders, in.GrantWrite, in.Policy, true)
	if err != nil && !enabled {
		err = acl.NotSupported()
	}
	if err != nil {
		return nil, err
	}
	v, err := a.Objects.PutACL(ctx, g, object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId},
		&request)
	if err != nil {
		return nil, err
	}
	return &shape.PutObjectAclOutput{VersionId: versionOf(&v)}, nil
}

func (a *API) getObjectACL(
	ctx context.Context, g authz.Grant, in *shape.ObjectInput,
) (*shape.AccessControlPolicy, error) {
	v, l, err := a.Objects.GetACL(ctx, g, object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId})
	if err != nil {
		return nil, err
	}
	return a.accessControlPolicy(ctx, v.Owner, l)
}

// accessControlPolicy returns the document of an ACL, with accounts by their canonical ids.
func (a *API) accessControlPolicy(ctx context.Context, owner string, l acl.List) (*shape.AccessControlPolicy, error) {
	owners := owners{api: a}
	o, err := owners.find(ctx, owner)
	if err != nil {
		return nil, err
	}
	out := &shape.AccessControlPolicy{Owner: *o}
	for _, g := range l {
		if g.Group != "" {
			out.Grants = append(out.Grants, shape.Grant{
				Grantee: shape.Grantee{Type: acl.TypeGroup, URI: g.Group.URI()}, Permission: string(g.Permission),
			})
			continue
		}
		who, err := owners.find(ctx, g.Account)
		if err != nil {
			return nil, err
		}
		out.Grants = append(out.Grants, shape.Grant{
			Grantee: shape.Grantee{Type: acl.TypeUser, ID: who.ID}, Permission: string(g.Permission),
		})
	}
	return out, nil
}
