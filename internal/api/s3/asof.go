package s3

import (
	"context"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/gateway/dialect/rest"
)

// asOf is the header that asks for the state at an instant (docs/EXTENSIONS.md).
const asOf = "x-watertight-as-of"

func takesAsOf(r rest.Route) rest.Route { return r.Extension(asOf) }

// latestSecond is the end of the year 9999, in Unix seconds.
const latestSecond = 253402300799

// instantOf reads the value of a header: a time of RFC 3339 since 1970, or Unix seconds with
// or without a fraction. It is never the zero time.
func instantOf(header, value string) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, value); err == nil && at.Unix() >= 0 {
		return at.UTC(), nil
	}
	whole, fraction, point := strings.Cut(value, ".")
	seconds, err := strconv.ParseUint(whole, 10, 64)
	digits := !point || fraction != "" && strings.Trim(fraction, "0123456789") == ""
	if err == nil && digits && seconds <= latestSecond {
		nanos, _ := strconv.ParseInt((fraction + "000000000")[:9], 10, 64) // nine digits
		return time.Unix(int64(seconds), nanos).UTC(), nil
	}
	return time.Time{}, invalidArgument(header, "The time must be one of RFC 3339, or Unix seconds.")
}

// pastOf returns the instant that a request asks for, zero if it asks for none.
func pastOf(c authz.Caller, value string) (at time.Time, err error) {
	if value == "" {
		return at, nil
	}
	if at, err = instantOf(asOf, value); err == nil && at.After(c.At()) {
		err = invalidArgument(asOf, "The time is in the future.")
	}
	return at, err
}

// mayGetObject finds the version at the instant that a request asks for. The request then
// needs the same permission as a read of that version: its id, tags and ACL count.
func (a *API) mayGetObject(
	ctx context.Context, c authz.Caller, in *shape.GetObjectInput, into []authz.Need,
) ([]authz.Need, error) {
	at, err := pastOf(c, in.AsOf)
	if err != nil || at.IsZero() {
		return readNeeds(in, in.VersionId, into), err
	}
	if in.VersionId != nil {
		return nil, invalidArgument("versionId", "A version id and "+asOf+" exclude each other.")
	}
	id, err := a.Objects.VersionAsOf(ctx, in.Bucket, in.Key, at)
	return readNeeds(in, &id, into), err
}

// judgedVersion returns the id of the version to read, nil for the current one: where the request
// names an instant, it is the one that was judged.
func judgedVersion(g authz.Grant, in *shape.GetObjectInput) *string {
	if in.AsOf == "" {
		return in.VersionId
	}
	return g.Version("s3:GetObjectVersion", arn.Object(in.Bucket, in.Key))
}

func mayListAsOf(c authz.Caller, value string, n authz.Need) ([]authz.Need, error) {
	at, err := pastOf(c, value)
	if !at.IsZero() {
		n.Action = "s3:ListBucketVersions"
	}
	return []authz.Need{n}, err
}

func mayListObjects(_ context.Context, c authz.Caller, in *shape.ListObjectsInput) ([]authz.Need, error) {
	return mayListAsOf(c, in.AsOf, listNeed("s3:ListBucket", in.Bucket, in.Prefix, in.Delimiter, in.MaxKeys))
}

func mayListObjectsV2(_ context.Context, c authz.Caller, in *shape.ListObjectsV2Input) ([]authz.Need, error) {
	return mayListAsOf(c, in.AsOf, listNeed("s3:ListBucket", in.Bucket, in.Prefix, in.Delimiter, in.MaxKeys))
}
