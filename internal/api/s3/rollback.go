package s3

import (
	"context"
	"net/url"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
	"watertight/internal/gateway/dialect/rest"
)

// The headers of RollbackBucket (docs/EXTENSIONS.md).
const (
	rollbackTo     = "x-watertight-rollback-to"
	rollbackPrefix = "x-watertight-rollback-prefix"
	rollbackAfter  = "x-watertight-rollback-after"
)

func ofRollback(r rest.Route) rest.Route {
	return r.WithHeader(rollbackTo).Extension(rollbackPrefix).Extension(rollbackAfter).Extension("x-watertight-dry-run")
}

func mayRollback(in *shape.RollbackBucketInput) authz.Need {
	return authz.Need{Action: "watertight:RollbackBucket", Resource: arn.Bucket(in.Bucket)}
}

func (a *API) rollbackBucket(
	ctx context.Context, g authz.Grant, in *shape.RollbackBucketInput,
) (*shape.RollbackBucketOutput, error) {
	page := object.RollbackInput{Bucket: in.Bucket, DryRun: in.DryRun == "true"}
	var err error
	if page.To, err = time.Parse(time.RFC3339, in.To); err != nil {
		return nil, invalidArgument(rollbackTo, "The moment to go back to must be a time of RFC 3339.")
	}
	if page.Prefix, err = url.QueryUnescape(in.Prefix); err != nil {
		return nil, invalidArgument(rollbackPrefix, "The prefix must be URL-encoded.")
	}
	if page.After, err = url.QueryUnescape(in.After); err != nil {
		return nil, invalidArgument(rollbackAfter, "The key must be URL-encoded.")
	}
	done, err := a.Objects.Rollback(ctx, g, page)
	if err != nil {
		return nil, err
	}
	show := encoding("url")
	out := &shape.RollbackBucketOutput{
		Bucket: in.Bucket, Prefix: show(page.Prefix), To: page.To.UTC(), DryRun: page.DryRun, EncodingType: "url",
		Restored: done.Restored, Changed: done.Changed, Hidden: done.Hidden, Unchanged: done.Unchanged,
		Skipped: done.Skipped, Public: done.Public, Private: done.Private, Bytes: done.Bytes,
		IsTruncated: done.Next != "", NextAfter: show(done.Next),
	}
	for i := range done.Entries {
		e := &done.Entries[i]
		key := shape.RolledBackKey{Name: show(e.Key), Action: string(e.Action), VersionId: e.VersionID,
			Public: e.Public, Private: e.Private}
		if key.LastModified = e.Modified; e.VersionID != "" {
			key.Size = &e.Size
		}
		out.Keys = append(out.Keys, key)
	}
	return out, nil
}
