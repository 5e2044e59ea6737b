package s3

import (
	"context"
	"net/url"
	"strings"

	"watertight/internal/access/authz"
	"watertight/internal/api/s3/shape"
	"watertight/internal/core/object"
)

// pageSize returns the max-keys to show: 1,000 by default and at most.
func pageSize(max *int) int {
	if max == nil || *max > object.MaxPage {
		return object.MaxPage
	}
	return *max
}

// text returns a parameter, or "" if it was not sent.
func text(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

func (a *API) listObjects(
	ctx context.Context, g authz.Grant, in *shape.ListObjectsInput,
) (*shape.ListObjectsOutput, error) {
	l, err := a.list(ctx, g, in.AsOf, object.ListInput{
		Bucket: in.Bucket, Prefix: text(in.Prefix), Delimiter: text(in.Delimiter), After: in.Marker, Max: in.MaxKeys,
	})
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListObjectsOutput{
		Name: in.Bucket, Prefix: show(text(in.Prefix)), Marker: show(in.Marker), Delimiter: show(text(in.Delimiter)),
		MaxKeys: pageSize(in.MaxKeys), EncodingType: in.EncodingType, IsTruncated: l.Truncated,
		CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	// Without a delimiter, clients continue after the last key. A page of the past may end
	// behind it.
	if l.Truncated && (text(in.Delimiter) != "" || in.AsOf != "") {
		out.NextMarker = show(l.Next)
	}
	out.Contents, err = a.contents(ctx, l.Entries, show, true)
	return out, err
}

// list lists the current objects or, if a request asks for an instant, those of then.
func (a *API) list(
	ctx context.Context, g authz.Grant, asOf string, in object.ListInput,
) (object.Listing, error) {
	at, err := pastOf(g.Caller(), asOf)
	switch {
	case err != nil:
		return object.Listing{}, err
	case at.IsZero():
		return a.Objects.List(ctx, g, in)
	}
	return a.Objects.ListAsOf(ctx, g, in, at)
}

func (a *API) listObjectsV2(
	ctx context.Context, g authz.Grant, in *shape.ListObjectsV2Input,
) (*shape.ListObjectsV2Output, error) {
	list := object.ListInput{
		Bucket: in.Bucket, Prefix: text(in.Prefix), Delimiter: text(in.Delimiter), After: in.StartAfter,
		Token: in.ContinuationToken, Max: in.MaxKeys,
	}
	l, err := a.list(ctx, g, in.AsOf, list)
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListObjectsV2Output{
		Name: in.Bucket, Prefix: show(text(in.Prefix)), Delimiter: show(text(in.Delimiter)),
		StartAfter:        show(in.StartAfter),
		ContinuationToken: in.ContinuationToken, NextContinuationToken: l.Token, MaxKeys: pageSize(in.MaxKeys),
		EncodingType: in.EncodingType,
		KeyCount:     len(l.Entries) + len(l.CommonPrefixes), IsTruncated: l.Truncated,
		CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	out.Contents, err = a.contents(ctx, l.Entries, show, in.FetchOwner)
	return out, err
}

// encoding returns the function that encodes keys for the response: unchanged, or as
// encoding-type=url asks.
func encoding(kind string) func(string) string {
	if kind != "url" {
		return func(s string) string { return s }
	}
	return func(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "%2F", "/") }
}

func prefixes(all []string, show func(string) string) []shape.CommonPrefix {
	out := make([]shape.CommonPrefix, len(all))
	for i, p := range all {
		out[i].Prefix = show(p)
	}
	return out
}

func (a *API) contents(
	ctx context.Context, entries []object.Entry, show func(string) string, withOwner bool,
) ([]shape.Object, error) {
	out := make([]shape.Object, len(entries))
	owners := owners{api: a}
	tags := quoter(len(entries))
	for i := range entries {
		e := &entries[i]
		out[i] = shape.Object{
			Key: show(e.Key), LastModified: e.Modified, ETag: tags(e.ETag), Size: e.Size, StorageClass: e.StorageClass,
			ChecksumAlgorithm: string(e.Algorithm), ChecksumType: string(e.ChecksumType),
		}
		if !withOwner {
			continue
		}
		var err error
		if out[i].Owner, err = owners.find(ctx, e.Owner); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// quoter returns quote for the tags of a page, which share one buffer.
func quoter(tags int) func(object.ETag) string {
	const usual = len(`"d41d8cd98f00b204e9800998ecf8427e"`)
	var all strings.Builder
	all.Grow(tags * usual)
	return func(e object.ETag) string {
		at := all.Len()
		var room [48]byte
		all.Write(append(e.Append(append(room[:0], '"')), '"'))
		return all.String()[at:]
	}
}

// owners caches the accounts of one page as S3 shows them.
type owners struct {
	api   *API
	known map[string]*shape.Owner
}

func (o *owners) find(ctx context.Context, account string) (*shape.Owner, error) {
	if found, ok := o.known[account]; ok {
		return found, nil
	}
	id, err := o.api.canonicalID(ctx, account)
	if err != nil {
		return nil, err
	}
	if o.known == nil {
		o.known = map[string]*shape.Owner{}
	}
	o.known[account] = &shape.Owner{ID: id}
	return o.known[account], nil
}
