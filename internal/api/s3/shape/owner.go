package shape

// BucketOwner returns the owner that the client expects. The operation table of S3 accepts
// only inputs with this method for operations on a bucket, so that none can forget to check
// the owner.

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketAclInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectAclInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutOwnershipControlsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketEncryptionInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *UpdateObjectEncryptionInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *CopyObjectInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketLifecycleInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketCorsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ListObjectsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ListObjectsV2Input) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *CreateMultipartUploadInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *UploadPartInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *UploadPartCopyInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *CompleteMultipartUploadInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *AbortMultipartUploadInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ListPartsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ListMultipartUploadsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *GetObjectAttributesInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketRequestPaymentInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketPolicyInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutPublicAccessBlockInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *BucketInput) BucketOwner() (bucket, want string) { return in.Bucket, in.ExpectedBucketOwner }

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ObjectInput) BucketOwner() (bucket, want string) { return in.Bucket, in.ExpectedBucketOwner }

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *GetObjectInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *DeleteObjectInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *DeleteObjectsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketTaggingInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectTaggingInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutBucketVersioningInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *ListObjectVersionsInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// The inputs of the later requests of a multipart upload have UploadPath.

// UploadPath returns the object and the id of its upload.
func (in *UploadPartInput) UploadPath() (bucket, key, id string) {
	return in.Bucket, in.Key, in.UploadId
}

// UploadPath returns the object and the id of its upload.
func (in *UploadPartCopyInput) UploadPath() (bucket, key, id string) {
	return in.Bucket, in.Key, in.UploadId
}

// UploadPath returns the object and the id of its upload.
func (in *CompleteMultipartUploadInput) UploadPath() (bucket, key, id string) {
	return in.Bucket, in.Key, in.UploadId
}

// UploadPath returns the object and the id of its upload.
func (in *AbortMultipartUploadInput) UploadPath() (bucket, key, id string) {
	return in.Bucket, in.Key, in.UploadId
}

// UploadPath returns the object and the id of its upload.
func (in *ListPartsInput) UploadPath() (bucket, key, id string) {
	return in.Bucket, in.Key, in.UploadId
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectLockConfigurationInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectRetentionInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}

// BucketOwner returns the bucket and the account that must own it, "" for any.
func (in *PutObjectLegalHoldInput) BucketOwner() (bucket, want string) {
	return in.Bucket, in.ExpectedBucketOwner
}
