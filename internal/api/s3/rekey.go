package s3

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/fault"
)

// mayUpdateEncryption needs only the action itself. The keys need more, which core decides:
// it knows the key that the object is under.
func mayUpdateEncryption(in *shape.UpdateObjectEncryptionInput) ([]authz.Need, error) {
	n := authz.Need{
		Action: "s3:UpdateObjectEncryption", Resource: arn.Object(in.Bucket, in.Key), Version: in.VersionId,
		Keys: map[string][]string{},
	}
	if e := in.ObjectEncryption; e != nil && e.SSEKMS != nil {
		n.Keys["s3:x-amz-server-side-encryption"] = []string{"aws:kms"}
		n.Keys[keyIDKey] = []string{e.SSEKMS.KMSKeyArn}
	}
	return []authz.Need{n, mayList(in.Bucket)}, nil
}

func (a *API) updateObjectEncryption(
	ctx context.Context, g authz.Grant, in *shape.UpdateObjectEncryptionInput,
) (*shape.Empty, error) {
	switch e := in.ObjectEncryption; {
	case e == nil:
		return nil, missingBody()
	case e.SSEKMS == nil:
		return nil, fault.New(fault.InvalidRequest, "Requests that modify an object encryption configuration require "+
			"a valid new encryption type. Valid values are SSEKMS. Modify the request to specify SSE-KMS for the "+
			"updated encryption type, and then try again.")
	case e.SSEKMS.KMSKeyArn == "":
		return nil, fault.New(fault.InvalidRequest, "Requests that modify an object's encryption type to SSE-KMS "+
			"require an AWS KMS key Amazon Resource Name (ARN). Modify the request to specify a KMS key ARN, and then "+
			"try again.")
	}
	_, err := a.Objects.UpdateEncryption(ctx, g, object.UpdateEncryptionInput{
		VersionInput: object.VersionInput{Bucket: in.Bucket, Key: in.Key, VersionID: in.VersionId},
		KeyARN:       in.ObjectEncryption.SSEKMS.KMSKeyArn, BucketKey: in.ObjectEncryption.SSEKMS.BucketKeyEnabled,
	})
	return nil, err
}
