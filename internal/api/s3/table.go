package s3

import (
	"net/http"
	"slices"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
)

// Table returns the operations of S3. All other operations of S3 are NotImplemented.
func (a *API) Table() dispatch.Table {
	return dispatch.Table{
		Service: protocol.Service{Name: "s3", SigningName: "s3"}, Dialect: rest.S3,
		Rows: slices.Concat(a.main(), a.settings(), a.lifecycle(), a.locks(), a.writes(), a.access(), a.unsetLists(),
			a.unset()),
	}
}

// ControlTable returns the operations of S3 Control, which concern accounts.
func (a *API) ControlTable() dispatch.Table {
	const block = " /v20180820/configuration/publicAccessBlock"
	const mayPut = "s3:PutAccountPublicAccessBlock"
	return dispatch.Table{
		Service: protocol.Service{Name: "s3control", SigningName: "s3"}, Dialect: rest.Control,
		Rows: []dispatch.Row{
			dispatch.Define("PutPublicAccessBlock", rest.At("PUT"+block),
				onAccount[shape.PutAccountPublicAccessBlockInput](mayPut), a.putAccountPublicAccessBlock),
			dispatch.Define("GetPublicAccessBlock", rest.At("GET"+block),
				onAccount[shape.AccountInput]("s3:GetAccountPublicAccessBlock"), a.getAccountPublicAccessBlock),
			dispatch.Define("DeletePublicAccessBlock", noContent(rest.At("DELETE"+block)),
				onAccount[shape.AccountInput](mayPut), a.deleteAccountPublicAccessBlock),
			emptyListing[shape.AccessPoints](
				"ListAccessPoints", "GET /v20180820/accesspoint", a.Buckets.ListAccessPoints),
			emptyListing[shape.MultiRegionAccessPoints](
				"ListMultiRegionAccessPoints", "GET /v20180820/mrap/instances", a.Buckets.ListMultiRegionAccessPoints),
		},
	}
}

// main returns the operations on buckets and objects.
func (a *API) main() []dispatch.Row {
	return []dispatch.Row{
		dispatch.Define("ListBuckets", rest.At("GET /"), authz.Ask1(mayListBuckets), a.listBuckets),
		dispatch.Define("CreateBucket", rest.At("PUT /{Bucket}"), authz.Ask(mayCreateBucket), a.createBucket),
		define(a, "HeadBucket", "HEAD /{Bucket}", onBucket("s3:ListBucket"), a.headBucket),
		define(a, "DeleteBucket", "DELETE /{Bucket}", onBucket("s3:DeleteBucket"), a.deleteBucket, noContent),
		define(a, "GetBucketLocation", "GET /{Bucket}?location", onBucket("s3:GetBucketLocation"), a.getBucketLocation),
		define(a, "ListObjects", "GET /{Bucket}", authz.AskFor(mayListObjects), a.listObjects, takesAsOf, tellRegion),
		define(a, "ListObjectsV2", "GET /{Bucket}?list-type=2", authz.AskFor(mayListObjectsV2), a.listObjectsV2,
			takesAsOf, tellRegion),
		define(a, "PutObject", "PUT /{Bucket}/{Key+}", withDerivedKeys(a, mayPutObject), a.putObject),
		define(a, "GetObject", "GET /{Bucket}/{Key+}", authz.AskInto(a.mayGetObject), a.getObject, orPart, takesAsOf),
		define(a, "HeadObject", "HEAD /{Bucket}/{Key+}", authz.AskInto(a.mayGetObject), a.headObject, orPart,
			takesAsOf),
		define(a, "DeleteObject", "DELETE /{Bucket}/{Key+}", authz.AskInto(mayDeleteObject), a.deleteObject, noContent),
		define(a, "DeleteObjects", "POST /{Bucket}?delete", authz.Ask(mayDeleteObjects), a.deleteObjects, checksum),
		define(a, "RollbackBucket", "POST /{Bucket}", authz.Ask1(mayRollback), a.rollbackBucket, ofRollback),
	}
}

// settings returns the operations on CORS, versioning, tags and encryption.
func (a *API) settings() []dispatch.Row {
	return []dispatch.Row{
		define(a, "GetBucketCors", "GET /{Bucket}?cors", onBucket("s3:GetBucketCORS"), a.getBucketCors),
		define(a, "PutBucketCors", "PUT /{Bucket}?cors", authz.Ask1(mayPutBucketCors), a.putBucketCors, checksum),
		define(a, "DeleteBucketCors", "DELETE /{Bucket}?cors",
			onBucket("s3:PutBucketCORS"), a.deleteBucketCors, noContent),
		dispatch.Define("PreflightBucket", rest.At("OPTIONS /{Bucket}").Preflight(), mayPreflight(), a.preflight),
		dispatch.Define("PreflightObject", rest.At("OPTIONS /{Bucket}/{Key+}").Preflight(),
			mayPreflight(), a.preflight),
		define(a, "PutBucketVersioning", "PUT /{Bucket}?versioning",
			authz.Ask1(mayPutBucketVersioning), a.putBucketVersioning),
		define(a, "GetBucketVersioning", "GET /{Bucket}?versioning",
			onBucket("s3:GetBucketVersioning"), a.getBucketVersioning),
		define(a, "ListObjectVersions", "GET /{Bucket}?versions",
			authz.Ask1(mayListObjectVersions), a.listObjectVersions),
		define(a, "PutBucketTagging", "PUT /{Bucket}?tagging",
			authz.Ask1(mayPutBucketTagging), a.putBucketTagging, checksum, noContent),
		define(a, "GetBucketTagging", "GET /{Bucket}?tagging", onBucket("s3:GetBucketTagging"), a.getBucketTagging),
		define(a, "DeleteBucketTagging", "DELETE /{Bucket}?tagging",
			onBucket("s3:PutBucketTagging"), a.deleteBucketTagging, noContent),
		define(a, "PutObjectTagging", "PUT /{Bucket}/{Key+}?tagging",
			authz.Ask(mayPutObjectTagging), a.putObjectTagging, checksum),
		define(a, "GetObjectTagging", "GET /{Bucket}/{Key+}?tagging",
			onObject("s3:GetObjectTagging", "s3:GetObjectVersionTagging"), a.getObjectTagging),
		define(a, "DeleteObjectTagging", "DELETE /{Bucket}/{Key+}?tagging",
			onObject("s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging"), a.deleteObjectTagging, noContent),
		define(a, "PutBucketEncryption", "PUT /{Bucket}?encryption",
			authz.Ask1(mayPutBucketEncryption), a.putBucketEncryption, checksum),
		define(a, "GetBucketEncryption", "GET /{Bucket}?encryption",
			onBucket("s3:GetEncryptionConfiguration"), a.getBucketEncryption),
		define(a, "UpdateObjectEncryption", "PUT /{Bucket}/{Key+}?encryption",
			authz.Ask(mayUpdateEncryption), a.updateObjectEncryption, checksum),
		define(a, "DeleteBucketEncryption", "DELETE /{Bucket}?encryption",
			onBucket("s3:PutEncryptionConfiguration"), a.deleteBucketEncryption, noContent),
	}
}

// lifecycle returns the rows of the lifecycle configuration.
func (a *API) lifecycle() []dispatch.Row {
	return []dispatch.Row{
		define(a, "PutBucketLifecycleConfiguration", "PUT /{Bucket}?lifecycle",
			authz.Ask1(mayPutBucketLifecycle), a.putBucketLifecycle, checksum),
		define(a, "GetBucketLifecycleConfiguration", "GET /{Bucket}?lifecycle",
			onBucket("s3:GetLifecycleConfiguration"), a.getBucketLifecycle),
		define(a, "DeleteBucketLifecycle", "DELETE /{Bucket}?lifecycle",
			onBucket("s3:PutLifecycleConfiguration"), a.deleteBucketLifecycle, noContent),
	}
}

// locks returns the rows of Object Lock.
func (a *API) locks() []dispatch.Row {
	return []dispatch.Row{
		define(a, "PutObjectLockConfiguration", "PUT /{Bucket}?object-lock",
			authz.Ask1(mayPutObjectLock), a.putObjectLockConfiguration, checksum),
		define(a, "GetObjectLockConfiguration", "GET /{Bucket}?object-lock",
			onBucket("s3:GetBucketObjectLockConfiguration"), a.getObjectLockConfiguration),
		define(a, "PutObjectRetention", "PUT /{Bucket}/{Key+}?retention",
			authz.AskFor(mayPutRetention), a.putObjectRetention, checksum),
		define(a, "GetObjectRetention", "GET /{Bucket}/{Key+}?retention",
			onObject("s3:GetObjectRetention", "s3:GetObjectRetention"), a.getObjectRetention),
		define(a, "PutObjectLegalHold", "PUT /{Bucket}/{Key+}?legal-hold",
			authz.Ask(mayPutLegalHold), a.putObjectLegalHold, checksum),
		define(a, "GetObjectLegalHold", "GET /{Bucket}/{Key+}?legal-hold",
			onObject("s3:GetObjectLegalHold", "s3:GetObjectLegalHold"), a.getObjectLegalHold),
	}
}

// writes returns the other operations that write objects.
func (a *API) writes() []dispatch.Row {
	return []dispatch.Row{
		define(a, "CreateMultipartUpload", "POST /{Bucket}/{Key+}?uploads",
			withDerivedKeys(a, mayCreateUpload), a.createMultipartUpload),
		define(a, "UploadPart", "PUT /{Bucket}/{Key+}?partNumber&uploadId", onUpload(a, mayUploadPart), a.uploadPart),
		define(a, "UploadPartCopy", "PUT /{Bucket}/{Key+}?partNumber&uploadId",
			onUpload(a, mayUploadPartCopy), a.uploadPartCopy, fromSource),
		define(a, "CompleteMultipartUpload", "POST /{Bucket}/{Key+}?uploadId",
			onUpload(a, mayCompleteUpload), a.completeMultipartUpload, rest.Route.ObjectChecksums),
		define(a, "AbortMultipartUpload", "DELETE /{Bucket}/{Key+}?uploadId",
			onUpload(a, mayAbortUpload), a.abortMultipartUpload, noContent),
		define(a, "ListParts", "GET /{Bucket}/{Key+}?uploadId", onUpload(a, mayListParts), a.listParts),
		define(a, "ListMultipartUploads", "GET /{Bucket}?uploads", authz.Ask1(mayListUploads), a.listMultipartUploads),
		define(a, "GetObjectAttributes", "GET /{Bucket}/{Key+}?attributes",
			authz.Ask(mayGetAttributes), a.getObjectAttributes),
		define(a, "CopyObject", "PUT /{Bucket}/{Key+}", withDerivedKeys(a, mayCopyObject), a.copyObject, fromSource),
		define(a, "PostObject", "POST /{Bucket}",
			withDerivedKeys(a, mayPostObject), a.postObject, rest.Route.Form, noContent),
	}
}

// access returns the operations on who pays, who owns objects and who may access them.
func (a *API) access() []dispatch.Row {
	return []dispatch.Row{
		define(a, "GetBucketRequestPayment", "GET /{Bucket}?requestPayment",
			onBucket("s3:GetBucketRequestPayment"), a.getBucketRequestPayment),
		define(a, "PutBucketRequestPayment", "PUT /{Bucket}?requestPayment",
			authz.Ask1(mayPutBucketRequestPayment), a.putBucketRequestPayment),
		define(a, "GetBucketAcl", "GET /{Bucket}?acl", onBucket("s3:GetBucketAcl"), a.getBucketACL),
		define(a, "PutBucketAcl", "PUT /{Bucket}?acl", authz.Ask1(mayPutBucketACL), a.putBucketACL, malformedACL),
		define(a, "GetObjectAcl", "GET /{Bucket}/{Key+}?acl",
			onObject("s3:GetObjectAcl", "s3:GetObjectVersionAcl"), a.getObjectACL),
		define(a, "PutObjectAcl", "PUT /{Bucket}/{Key+}?acl", authz.Ask(mayPutObjectACL), a.putObjectACL, malformedACL),
		define(a, "GetBucketOwnershipControls", "GET /{Bucket}?ownershipControls",
			onBucket("s3:GetBucketOwnershipControls"), a.getOwnershipControls),
		define(a, "PutBucketOwnershipControls", "PUT /{Bucket}?ownershipControls",
			authz.Ask1(mayPutOwnershipControls), a.putOwnershipControls),
		define(a, "DeleteBucketOwnershipControls", "DELETE /{Bucket}?ownershipControls",
			onBucket("s3:PutBucketOwnershipControls"), a.deleteOwnershipControls, noContent),
		define(a, "PutBucketPolicy", "PUT /{Bucket}?policy",
			authz.Ask1(mayPutBucketPolicy), a.putBucketPolicy, noContent),
		define(a, "GetBucketPolicy", "GET /{Bucket}?policy", onBucket("s3:GetBucketPolicy"), a.getBucketPolicy),
		define(a, "DeleteBucketPolicy", "DELETE /{Bucket}?policy",
			onBucket("s3:DeleteBucketPolicy"), a.deleteBucketPolicy, noContent),
		define(a, "GetBucketPolicyStatus", "GET /{Bucket}?policyStatus",
			onBucket("s3:GetBucketPolicyStatus"), a.getBucketPolicyStatus),
		define(a, "PutPublicAccessBlock", "PUT /{Bucket}?publicAccessBlock",
			authz.Ask1(mayPutPublicAccessBlock), a.putPublicAccessBlock, checksum),
		define(a, "GetPublicAccessBlock", "GET /{Bucket}?publicAccessBlock",
			onBucket("s3:GetBucketPublicAccessBlock"), a.getPublicAccessBlock),
		define(a, "DeletePublicAccessBlock", "DELETE /{Bucket}?publicAccessBlock",
			onBucket("s3:PutBucketPublicAccessBlock"), a.deletePublicAccessBlock, noContent),
	}
}

// unsetLists returns the listings of settings that a bucket may have many of. They are
// always empty.
func (a *API) unsetLists() []dispatch.Row {
	const analytics, inventory = "s3:GetAnalyticsConfiguration", "s3:GetInventoryConfiguration"
	const metrics, tiering = "s3:GetMetricsConfiguration", "s3:GetIntelligentTieringConfiguration"
	return []dispatch.Row{
		empty[shape.AnalyticsConfigurations](a, "ListBucketAnalyticsConfigurations", "analytics", analytics),
		empty[shape.InventoryConfigurations](a, "ListBucketInventoryConfigurations", "inventory", inventory),
		empty[shape.MetricsConfigurations](a, "ListBucketMetricsConfigurations", "metrics", metrics),
		empty[shape.TieringConfigurations](a, "ListBucketIntelligentTieringConfigurations",
			"intelligent-tiering", tiering),
		none(a, "GetBucketAnalyticsConfiguration", "analytics&id", analytics, fault.NoSuchConfiguration),
		none(a, "GetBucketInventoryConfiguration", "inventory&id", inventory, fault.NoSuchConfiguration),
		none(a, "GetBucketMetricsConfiguration", "metrics&id", metrics, fault.NoSuchConfiguration),
		none(a, "GetBucketIntelligentTieringConfiguration", "intelligent-tiering&id",
			tiering, fault.NoSuchConfiguration),
	}
}

// unset returns the reads of settings that cannot be made yet.
func (a *API) unset() []dispatch.Row {
	return []dispatch.Row{
		none(a, "GetBucketReplication", "replication",
			"s3:GetReplicationConfiguration", fault.ReplicationConfigurationNotFoundError),
		none(a, "GetBucketWebsite", "website", "s3:GetBucketWebsite", fault.NoSuchWebsiteConfiguration),
		empty[shape.AccelerateConfiguration](a, "GetBucketAccelerateConfiguration",
			"accelerate", "s3:GetAccelerateConfiguration"),
		empty[shape.BucketLoggingStatus](a, "GetBucketLogging", "logging", "s3:GetBucketLogging"),
		empty[shape.NotificationConfiguration](a, "GetBucketNotificationConfiguration",
			"notification", "s3:GetBucketNotification"),
	}
}

func tellRegion(r rest.Route) rest.Route { return r.TellRegion() }

func noContent(r rest.Route) rest.Route { return r.Status(http.StatusNoContent) }

func orPart(r rest.Route) rest.Route { return r.May("partNumber") }

func checksum(r rest.Route) rest.Route { return r.NeedChecksum() }

func fromSource(r rest.Route) rest.Route { return r.WithHeader("x-amz-copy-source") }

func malformedACL(r rest.Route) rest.Route { return r.Malformed(fault.MalformedACLError) }
