package s3

import (
	"cmp"
	"context"
	"net/url"
	"reflect"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/tag"
	"watertight/internal/gateway/dialect/xmldoc"
)

// formPut returns the PUT of the same object, and its tags. A form has its own fields for
// the ACL and the tags.
func formPut(in *shape.PostObjectInput) (put shape.PutObjectInput, tags tag.Set, err error) {
	put = in.PutObjectInput
	put.ACL = cmp.Or(in.FormACL, in.ACL)
	if in.FormTagging == "" {
		tags, err = tag.Header(in.Tagging)
		return put, tags, err
	}
	var doc shape.Tagging
	schema, err := xmldoc.SchemaOf("Tagging", reflect.TypeOf(doc))
	if err != nil {
		return put, nil, err
	}
	if err := schema.Decode([]byte(in.FormTagging), &doc); err != nil {
		return put, nil, err
	}
	list, err := tagsOf(&doc)
	if err != nil {
		return put, nil, err
	}
	tags, err = tag.Object(list)
	return put, tags, err
}

// mayPostObject returns the needs of a PUT of the same object.
func mayPostObject(in *shape.PostObjectInput) ([]authz.Need, error) {
	put, tags, err := formPut(in)
	if err != nil {
		return nil, err
	}
	return putNeeds(&put, tags)
}

// postObject is a PUT with a response that a browser can follow (S3 API reference, POST Object).
func (a *API) postObject(
	ctx context.Context, g authz.Grant, in *shape.PostObjectInput,
) (*shape.PostObjectOutput, error) {
	asPut, tags, err := formPut(in)
	if err != nil {
		return nil, err
	}
	put, err := a.storeObject(ctx, g, &asPut, tags)
	if err != nil {
		return nil, err
	}
	at := in.BucketURL + "/" + strings.ReplaceAll(url.PathEscape(in.Key), "%2F", "/")
	out := &shape.PostObjectOutput{
		Status: postStatus(in.ActionStatus), Location: at, PostLocation: at, Bucket: in.Bucket, Key: in.Key,
		PostETag: put.ETag, PutObjectOutput: *put,
	}
	if to := redirect(cmp.Or(in.Redirect, in.LegacyRedirect), in, put.ETag); to != "" {
		out.Status, out.Location = 303, to
	}
	return out, nil
}

// postStatus returns the status that the form asks for: 204 unless it names 200 or 201.
func postStatus(s string) int {
	switch s {
	case "200":
		return 200
	case "201":
		return 201
	}
	return 204
}

// redirect returns the address that the browser goes to next, or "" if the form names no valid one.
func redirect(to string, in *shape.PostObjectInput, etag string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return ""
	}
	q := "bucket=" + url.QueryEscape(in.Bucket) + "&key=" + url.QueryEscape(in.Key) + "&etag=" + url.QueryEscape(etag)
	if u.RawQuery != "" {
		q = u.RawQuery + "&" + q
	}
	u.RawQuery = q
	return u.String()
}
