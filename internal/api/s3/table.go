package s3

import (
	"net/http"

	"watertight/internal/access/authz"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/gateway/protocol"
)

// Table is the operations of S3. Whatever else S3 has is NotImplemented.
func (a *API) Table() dispatch.Table {
	rows := []dispatch.Row{
		define(a, "ListBuckets", "GET /", authz.Ask1(mayListBuckets), a.listBuckets),
		define(a, "CreateBucket", "PUT /{Bucket}", authz.Ask(mayCreateBucket), a.createBucket),
		define(a, "HeadBucket", "HEAD /{Bucket}", onBucket("s3:ListBucket"), a.headBucket),
		define(a, "DeleteBucket", "DELETE /{Bucket}", onBucket("s3:DeleteBucket"), a.deleteBucket, noContent),
		define(a, "GetBucketLocation", "GET /{Bucket}?location", onBucket("s3:GetBucketLocation"), a.getBucketLocation),
		define(a, "ListObjects", "GET /{Bucket}", authz.Ask1(mayListObjects), a.listObjects),
		define(a, "ListObjectsV2", "GET /{Bucket}?list-type=2", authz.Ask1(mayListObjectsV2), a.listObjectsV2),
		define(a, "PutObject", "PUT /{Bucket}/{Key+}", authz.Ask(mayPutObject), a.putObject),
		define(a, "GetObject", "GET /{Bucket}/{Key+}", authz.Ask(mayGetObject), a.getObject, orPart),
		define(a, "HeadObject", "HEAD /{Bucket}/{Key+}", authz.Ask(mayGetObject), a.headObject, orPart),
		define(a, "DeleteObject", "DELETE /{Bucket}/{Key+}", authz.Ask(mayDeleteObject), a.deleteObject, noContent),
		define(a, "DeleteObjects", "POST /{Bucket}?delete", authz.Ask(mayDeleteObjects), a.deleteObjects, rest.Route.NeedChecksum),
	}
	rows = append(rows, a.corsRows()...)
	rows = append(rows, a.versioningRows()...)
	rows = append(rows, a.taggingRows()...)
	rows = append(rows, a.encryptionRows()...)
	rows = append(rows, a.multipartRows()...)
	rows = append(rows, a.copyRows()...)
	rows = append(rows, a.postRows()...)
	rows = append(rows, a.paymentRows()...)
	rows = append(rows, a.aclRows()...)
	rows = append(rows, a.ownershipRows()...)
	rows = append(rows, a.publicRows()...)
	return dispatch.Table{
		Service: protocol.Service{Name: "s3", SigningName: "s3"}, Dialect: rest.S3, Rows: append(rows, a.unset()...),
	}
}

func noContent(r rest.Route) rest.Route { return r.Status(http.StatusNoContent) }

func orPart(r rest.Route) rest.Route { return r.May("partNumber") }
