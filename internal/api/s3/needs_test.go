package s3

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"watertight/internal/access/action"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/object"
)

func ptr[T any](v T) *T { return &v }

// spell formats needs for a reviewer.
func spell(needs []authz.Need, err error) string {
	if err != nil {
		return err.Error()
	}
	var all []string
	for _, n := range needs {
		line := strings.TrimPrefix(string(n.Action), "s3:") + " " + n.Resource.Section()
		switch {
		case n.Denial:
			line += " (denial)"
		case n.Soft:
			line += " (soft)"
		case n.Given:
			line += " (given)"
		}
		var keys []string
		for name, values := range n.Keys {
			if !hasKey(n.Action, name) {
				name += " (which the catalogue does not give to the action)"
			}
			keys = append(keys, fmt.Sprintf("%s=%s", name, strings.Join(values, "|")))
		}
		if n.Version != nil {
			keys = append(keys, "s3:versionid="+*n.Version)
		}
		slices.Sort(keys)
		all = append(all, strings.TrimSpace(line+" "+strings.Join(keys, " ")))
	}
	return strings.Join(all, ", ")
}

// hasKey reports whether the catalogue says that an action has a condition key.
func hasKey(name policy.Action, key string) bool {
	return action.GlobalKey(key) || slices.ContainsFunc(action.Parse("s3").Actions, func(a action.Action) bool {
		return a.Name == string(name) && a.Has(strings.ToLower(key))
	})
}

func one(n authz.Need) string { return spell([]authz.Need{n}, nil) }

// TestNeeds: the needs of each request, with their condition keys (S3 service authorization reference).
func TestNeeds(t *testing.T) {
	me := policy.Principal{Kind: policy.User, ID: "AIDAME"}
	who := coretest.Root(coretest.Account, nil)
	for _, c := range []struct{ got, want string }{
		{
			spell(mayListObjects(t.Context(), who, &shape.ListObjectsInput{Bucket: "b", AsOf: "1700000000.5"})),
			"ListBucketVersions b",
		},
		{
			spell(mayListObjectsV2(t.Context(), who, &shape.ListObjectsV2Input{
				Bucket: "b", Prefix: ptr("p"), AsOf: "2023-11-14T22:13:20Z",
			})),
			"ListBucketVersions b s3:prefix=p",
		},
		{spell(mayListObjects(t.Context(), who, &shape.ListObjectsInput{Bucket: "b"})), "ListBucket b"},
		{spell(mayListObjectsV2(t.Context(), who, &shape.ListObjectsV2Input{
			Bucket: "b", Prefix: ptr(""), Delimiter: ptr("/"), MaxKeys: ptr(7),
		})),
			"ListBucket b s3:delimiter=/ s3:max-keys=7 s3:prefix="},
		{
			one(mayListObjectVersions(&shape.ListObjectVersionsInput{Bucket: "b", Prefix: ptr("p/")})),
			"ListBucketVersions b s3:prefix=p/",
		},
		{spell(new(API).mayGetObject(t.Context(), who, &shape.GetObjectInput{Bucket: "b", Key: "k"}, nil)),
			"GetObject b/k, ListBucket b (soft), GetObjectTagging b/k (soft)"},
		{
			spell(new(API).mayGetObject(t.Context(), who, &shape.GetObjectInput{
				Bucket: "b", Key: "k", VersionId: ptr("null"),
			}, nil)),
			"GetObjectVersion b/k s3:versionid=null, ListBucket b (soft), GetObjectVersionTagging b/k (soft) " +
				"s3:versionid=null",
		},
		{
			spell(mayPutObject(&shape.PutObjectInput{Bucket: "b", Key: "k"})),
			"PutObject b/k s3:objectcreationoperation=true, ListBucket b (soft)",
		},
		{spell(mayPutObject(&shape.PutObjectInput{Bucket: "b", Key: "k", Tagging: "B=2&a=1"})),
			"PutObject b/k s3:objectcreationoperation=true s3:requestobjecttag/B=2 s3:requestobjecttag/a=1 " +
				"s3:requestobjecttagkeys=B|a, ListBucket b (soft), " +
				"PutObjectTagging b/k s3:requestobjecttag/B=2 s3:requestobjecttag/a=1 s3:requestobjecttagkeys=B|a"},
		{spell(mayPutObject(&shape.PutObjectInput{Bucket: "b", Key: "k", StorageClass: "STANDARD_IA",
			WebsiteRedirect: "/x",
			Conditions:      shape.Conditions{IfMatch: ptr("e")}, ACLHeaders: shape.ACLHeaders{ACL: "private"},
			EncryptionHeaders: shape.EncryptionHeaders{ServerSideEncryption: "AES256"}})),
			"PutObject b/k s3:if-match=e s3:objectcreationoperation=true s3:x-amz-acl=private " +
				"s3:x-amz-server-side-encryption=AES256 " +
				"s3:x-amz-storage-class=STANDARD_IA s3:x-amz-website-redirect-location=/x, ListBucket b (soft), " +
				"PutObjectAcl b/k s3:x-amz-acl=private, GetObject b/k"},
		{spell(mayPutObject(&shape.PutObjectInput{Bucket: "b", Key: "k", LockHeaders: shape.LockHeaders{
			ObjectLockMode: "COMPLIANCE", ObjectLockRetainUntilDate: "20300101T000000Z",
			ObjectLockLegalHoldStatus: "ON",
		}})),
			"PutObject b/k s3:object-lock-legal-hold=ON s3:object-lock-mode=COMPLIANCE " +
				"s3:object-lock-retain-until-date=2030-01-01T00:00:00Z s3:objectcreationoperation=true, " +
				"ListBucket b (soft), PutObjectRetention b/k s3:object-lock-mode=COMPLIANCE " +
				"s3:object-lock-retain-until-date=2030-01-01T00:00:00Z, " +
				"PutObjectLegalHold b/k s3:object-lock-legal-hold=ON"},
		{spell(mayCreateUpload(&shape.CreateMultipartUploadInput{Bucket: "b", Key: "k", LockHeaders: shape.LockHeaders{
			ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: "2030-01-01T05:00:00.5+05:00",
		}})),
			"PutObject b/k s3:object-lock-mode=GOVERNANCE s3:object-lock-retain-until-date=2030-01-01T00:00:00.5Z " +
				"s3:objectcreationoperation=false, PutObjectRetention b/k s3:object-lock-mode=GOVERNANCE " +
				"s3:object-lock-retain-until-date=2030-01-01T00:00:00.5Z"},
		{spell(mayPutObject(&shape.PutObjectInput{Bucket: "b", Key: "k", LockHeaders: shape.LockHeaders{
			ObjectLockMode: "GOVERNANCE", ObjectLockRetainUntilDate: "2030",
		}})),
			"InvalidArgument: The retain until date must be provided in ISO 8601 format"},
		{spell(mayPutObject(&shape.PutObjectInput{
			Bucket: "b", Key: "k", Conditions: shape.Conditions{IfNoneMatch: ptr("*")},
		})),
			"PutObject b/k s3:if-none-match=* s3:objectcreationoperation=true, ListBucket b (soft)"},
		{
			spell(mayDeleteObject(t.Context(), who, &shape.DeleteObjectInput{
				Bucket: "b", Key: "k", IfMatch: ptr("e"),
			}, nil)),
			"DeleteObject b/k s3:if-match=e, ListBucket b (soft), DeleteObjectVersion b/k (denial)",
		},
		{spell(mayDeleteObject(t.Context(), who, &shape.DeleteObjectInput{
			Bucket: "b", Key: "k", VersionId: ptr("v"), IfMatch: ptr("e"),
		}, nil)),
			"DeleteObjectVersion b/k s3:versionid=v, ListBucket b (soft)"},
		{spell(mayDeleteObjects(&shape.DeleteObjectsInput{Bucket: "b",
			Delete: shape.Delete{Objects: []shape.ObjectIdentifier{
				{Key: "k", ETag: ptr("e")}, {Key: "l", VersionId: ptr("v")}}}})),
			"DeleteObject b/k (soft) s3:if-match=e, DeleteObjectVersion b/k (denial), DeleteObjectVersion b/l (soft) " +
				"s3:versionid=v, ListBucket b (soft)"},
		{spell(mayPutObjectTagging(&shape.PutObjectTaggingInput{Bucket: "b", Key: "k", VersionId: ptr("v"),
			Tagging: &shape.Tagging{Tags: &shape.TagSet{Tags: []shape.Tag{{Key: ptr("T"), Value: ptr("x")}}}}})),
			"PutObjectVersionTagging b/k s3:requestobjecttag/T=x s3:requestobjecttagkeys=T s3:versionid=v, " +
				"ListBucket b (soft)"},
		{spell(mayCreateUpload(&shape.CreateMultipartUploadInput{
			Bucket: "b", Key: "k", StorageClass: "STANDARD_IA", Tagging: "a=1",
		})),
			"PutObject b/k s3:objectcreationoperation=false s3:requestobjecttag/a=1 s3:requestobjecttagkeys=a " +
				"s3:x-amz-storage-class=STANDARD_IA, " +
				"PutObjectTagging b/k s3:requestobjecttag/a=1 s3:requestobjecttagkeys=a"},
		{
			spell(mayUploadPart(&shape.UploadPartInput{Bucket: "b", Key: "k"}, me, object.Begun{})),
			"PutObject b/k s3:objectcreationoperation=false",
		},
		{
			spell(mayUploadPart(&shape.UploadPartInput{Bucket: "b", Key: "k"}, me, object.Begun{Encryption: "AES256"})),
			"PutObject b/k s3:objectcreationoperation=false s3:x-amz-server-side-encryption=AES256",
		},
		{spell(mayUploadPartCopy(
			&shape.UploadPartCopyInput{Bucket: "b", Key: "k", CopySource: "/src/a%2Fb?versionId=null"}, me,
			object.Begun{},
		)),
			"GetObjectVersion src/a/b s3:versionid=null, ListBucket src (soft), PutObject b/k " +
				"s3:objectcreationoperation=false s3:x-amz-copy-source=src/a/b, ListBucket b (soft)"},
		{spell(mayCompleteUpload(
			&shape.CompleteMultipartUploadInput{Bucket: "b", Key: "k", Conditions: shape.Conditions{IfMatch: ptr("e")}},
			me, object.Begun{Encryption: "AES256"},
		)),
			"PutObject b/k s3:if-match=e s3:objectcreationoperation=true s3:x-amz-server-side-encryption=AES256, " +
				"ListBucket b (soft), GetObject b/k"},
		{
			spell(mayAbortUpload(&shape.AbortMultipartUploadInput{Bucket: "b", Key: "k"}, me, object.Begun{
				InitiatorID: "AIDAOTHER",
			})),
			"AbortMultipartUpload b/k",
		},
		{
			spell(mayAbortUpload(&shape.AbortMultipartUploadInput{Bucket: "b", Key: "k"}, me, object.Begun{
				InitiatorID: me.ID,
			})),
			"AbortMultipartUpload b/k (given)",
		},
		{
			spell(mayAbortUpload(&shape.AbortMultipartUploadInput{Bucket: "b", Key: "k"}, policy.Principal{},
				object.Begun{})),
			"AbortMultipartUpload b/k",
		},
		{
			spell(mayListParts(&shape.ListPartsInput{Bucket: "b", Key: "k"}, me, object.Begun{InitiatorID: me.ID})),
			"ListMultipartUploadParts b/k (given)",
		},
		{
			one(mayListUploads(&shape.ListMultipartUploadsInput{Bucket: "b", Prefix: "p"})),
			"ListBucketMultipartUploads b",
		},
		{spell(mayGetAttributes(&shape.GetObjectAttributesInput{Bucket: "b", Key: "k", VersionId: ptr("v")})),
			"GetObjectVersion b/k s3:versionid=v, GetObjectVersionAttributes b/k s3:versionid=v, ListBucket b (soft)"},
		{spell(mayCreateBucket(&shape.CreateBucketInput{Bucket: "b", GrantWrite: "id=x"})),
			"CreateBucket b s3:x-amz-grant-write=id=x, PutBucketAcl b s3:x-amz-grant-write=id=x"},
		{
			one(mayPutBucketACL(&shape.PutBucketAclInput{Bucket: "b", GrantWrite: "id=x"})),
			"PutBucketAcl b s3:x-amz-grant-write=id=x",
		},
		{spell(mayPutObjectACL(&shape.PutObjectAclInput{
			Bucket: "b", Key: "k", VersionId: ptr("v"), ACLHeaders: shape.ACLHeaders{GrantRead: "id=x"},
		})),
			"PutObjectVersionAcl b/k s3:versionid=v s3:x-amz-grant-read=id=x, ListBucket b (soft)"},
		{spell(mayCreateBucket(&shape.CreateBucketInput{Bucket: "b", ACLHeaders: shape.ACLHeaders{ACL: "private"},
			ObjectOwnership: ptr("ObjectWriter"), Configuration: &shape.CreateBucketConfiguration{
				LocationConstraint: "eu-west-1", Tags: []shape.Tag{{Key: ptr("Team"), Value: ptr("Blue")}}}})),
			"CreateBucket b aws:requesttag/team=Blue aws:tagkeys=Team s3:locationconstraint=eu-west-1 " +
				"s3:x-amz-acl=private s3:x-amz-object-ownership=ObjectWriter, PutBucketOwnershipControls b, " +
				"TagResource b aws:requesttag/team=Blue aws:tagkeys=Team"},
	} {
		t.Run(c.got+" "+c.want, func(t *testing.T) {
			if c.got != c.want {
				t.Errorf("\n got %s\nwant %s", c.got, c.want)
			}
		})
	}
}
