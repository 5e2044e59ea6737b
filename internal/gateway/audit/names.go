package audit

import "strings"

// eventName is CloudTrail's name of an operation ("Amazon S3 CloudTrail
// events", S3 User Guide). Block Public Access is one operation for buckets
// and another for accounts.
func eventName(service, operation string, bucket bool) string {
	if service != "s3" {
		return operation
	}
	switch operation {
	case "PutPublicAccessBlock", "GetPublicAccessBlock", "DeletePublicAccessBlock":
		verb, _, _ := strings.Cut(operation, "Public")
		if bucket {
			return verb + "BucketPublicAccessBlock"
		}
		return verb + "AccountPublicAccessBlock"
	case "PutBucketLifecycleConfiguration":
		return "PutBucketLifecycle"
	case "GetBucketLifecycleConfiguration":
		return "GetBucketLifecycle"
	case "PutBucketNotificationConfiguration":
		return "PutBucketNotification"
	case "GetBucketNotificationConfiguration":
		return "GetBucketNotification"
	case "PutObjectLockConfiguration":
		return "PutBucketObjectLockConfiguration"
	case "GetObjectLockConfiguration":
		return "GetBucketObjectLockConfiguration"
	case "ListObjectsV2":
		return "ListObjects"
	}
	return operation
}

// dataEvent reports whether an operation is on objects, not on settings.
func dataEvent(service, operation string) bool {
	if service != "s3" {
		return false
	}
	switch operation {
	case "AbortMultipartUpload", "CompleteMultipartUpload", "CopyObject", "CreateMultipartUpload",
		"DeleteObject", "DeleteObjects", "DeleteObjectTagging",
		"GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging",
		"HeadBucket", "HeadObject",
		"ListMultipartUploads", "ListObjects", "ListObjectsV2", "ListObjectVersions", "ListParts",
		"PostObject", "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging",
		"RestoreObject", "SelectObjectContent", "UploadPart", "UploadPartCopy":
		return true
	}
	return false
}

// readOnly reports whether an operation leaves everything as it was. KMS and
// STS calls that only use a key or a role are reads to CloudTrail.
func readOnly(service, operation string) bool {
	for _, verb := range [...]string{"Get", "List", "Head", "Describe", "Select", "Simulate", "Preflight"} {
		if strings.HasPrefix(operation, verb) {
			return true
		}
	}
	switch service {
	case "iam":
		return operation == "GenerateServiceLastAccessedDetails" // a report that is not kept
	case "kms":
		switch operation {
		case "Encrypt", "Decrypt", "ReEncrypt", "Sign", "Verify", "GenerateMac", "VerifyMac", "GenerateRandom",
			"GenerateDataKey", "GenerateDataKeyWithoutPlaintext", "GenerateDataKeyPair", "GenerateDataKeyPairWithoutPlaintext":
			return true
		}
	case "sts":
		return true
	}
	return false
}

// readsNothing reports that an answer holds nothing that is kept here but rules
// about who may ask, or who the caller is: nobody needs a permission for it.
func readsNothing(operation string) bool {
	return strings.HasPrefix(operation, "Preflight") || operation == "GetCallerIdentity"
}

// Relevant reports whether an S3 query parameter or header belongs into
// requestParameters: sub-resources, what a listing was asked for, and the
// headers that decide about access, encryption and retention. Nothing that
// signs or decrypts is among them.
func Relevant(name string) bool {
	switch strings.ToLower(name) {
	case "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption", "inventory",
		"legal-hold", "lifecycle", "location", "logging", "metrics", "notification", "object-lock",
		"ownershipcontrols", "policy", "policystatus", "publicaccessblock", "replication", "requestpayment",
		"restore", "retention", "select", "tagging", "uploads", "versioning", "versions", "website",
		"versionid", "uploadid", "partnumber", "prefix", "delimiter", "encoding-type", "list-type", "max-keys",
		"max-parts", "max-uploads", "marker", "key-marker", "version-id-marker", "upload-id-marker",
		"part-number-marker", "start-after", "fetch-owner",
		"x-amz-date", "x-amz-expires", "x-amz-algorithm",
		"x-amz-acl", "x-amz-grant-full-control", "x-amz-grant-read", "x-amz-grant-read-acp", "x-amz-grant-write", "x-amz-grant-write-acp",
		"x-amz-copy-source", "x-amz-metadata-directive", "x-amz-tagging-directive", "x-amz-storage-class",
		"x-amz-object-ownership", "x-amz-bucket-object-lock-enabled", "x-amz-bypass-governance-retention",
		"x-amz-object-lock-mode", "x-amz-object-lock-retain-until-date", "x-amz-object-lock-legal-hold",
		"x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id",
		"x-amz-server-side-encryption-bucket-key-enabled", "x-amz-server-side-encryption-customer-algorithm",
		"x-amz-account-id", "x-amz-copy-source-range", "x-amz-copy-source-version-id", "x-amz-tagging", "bucket-region",
		"x-amz-confirm-remove-self-bucket-access", "x-amz-object-attributes",
		"x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner", "x-amz-website-redirect-location":
		return true
	}
	return false
}

// secretNameSize is the longest name of a parameter that is looked at; longer
// ones are left out.
const secretNameSize = 128

// Secret reports whether a parameter of this name may hold a secret: none of
// them is written, whoever chose to record it. Numbers and truths are no secrets.
func Secret(name string) bool {
	if len(name) > secretNameSize {
		return true
	}
	var plain [secretNameSize]byte
	n := 0
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			plain[n] = c
			n++
		}
	}
	s := string(plain[:n])
	for _, word := range [...]string{"signature", "authorization", "securitytoken", "sessiontoken", "secret",
		"password", "tokencode", "authenticationcode", "identitytoken", "assertion", "plaintext",
		"privatekey", "seed", "cookie", "xamzmfa"} {
		if strings.Contains(s, word) {
			return true
		}
	}
	return strings.Contains(s, "customerkey")
}
