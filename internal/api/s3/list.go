package s3

import (
	"context"

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
	lines := a.newLines(in.EncodingType, true)
	l, err := a.list(ctx, g, in.AsOf, object.ListInput{
		Bucket: in.Bucket, Prefix: text(in.Prefix), Delimiter: text(in.Delimiter), After: in.Marker, Max: in.MaxKeys,
	}, lines)
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListObjectsOutput{
		Name: in.Bucket, Prefix: show(text(in.Prefix)), Marker: show(in.Marker), Delimiter: show(text(in.Delimiter)),
		MaxKeys: pageSize(in.MaxKeys), EncodingType: in.EncodingType, IsTruncated: l.Truncated,
		Contents: lines.to, CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	// Without a delimiter, clients continue after the last key. A page of the past may end
	// behind it.
	if l.Truncated && (text(in.Delimiter) != "" || in.AsOf != "") {
		out.NextMarker = show(l.Next)
	}
	return out, nil
}

// list encodes the current objects or, if a request asks for an instant, those of then.
func (a *API) list(
	ctx context.Context, g authz.Grant, asOf string, in object.ListInput, to *lines,
) (l object.Listing, err error) {
	at, err := pastOf(g.Caller(), asOf)
	if err != nil {
		return l, err
	}
	show := func(key []byte, e *object.Entry) error { return to.object(ctx, key, e) }
	if at.IsZero() {
		l, err = a.Objects.List(ctx, g, in, show)
	} else {
		l, err = a.Objects.ListAsOf(ctx, g, in, at, show)
	}
	if err != nil {
		to.to.Release()
	}
	return l, err
}

func (a *API) listObjectsV2(
	ctx context.Context, g authz.Grant, in *shape.ListObjectsV2Input,
) (*shape.ListObjectsV2Output, error) {
	list := object.ListInput{
		Bucket: in.Bucket, Prefix: text(in.Prefix), Delimiter: text(in.Delimiter), After: in.StartAfter,
		Token: in.ContinuationToken, Max: in.MaxKeys,
	}
	lines := a.newLines(in.EncodingType, in.FetchOwner)
	l, err := a.list(ctx, g, in.AsOf, list, lines)
	if err != nil {
		return nil, err
	}
	show := encoding(in.EncodingType)
	out := &shape.ListObjectsV2Output{
		Name: in.Bucket, Prefix: show(text(in.Prefix)), Delimiter: show(text(in.Delimiter)),
		StartAfter:        show(in.StartAfter),
		ContinuationToken: in.ContinuationToken, NextContinuationToken: l.Token, MaxKeys: pageSize(in.MaxKeys),
		EncodingType: in.EncodingType,
		KeyCount:     l.Count + len(l.CommonPrefixes), IsTruncated: l.Truncated,
		Contents: lines.to, CommonPrefixes: prefixes(l.CommonPrefixes, show),
	}
	return out, nil
}

// encoding returns the function that encodes keys for the response: unchanged, or as
// encoding-type=url asks.
func encoding(kind string) func(string) string {
	if kind != "url" {
		return func(s string) string { return s }
	}
	return func(s string) string { return string(appendURL(nil, s)) }
}

func prefixes(all []string, show func(string) string) []shape.CommonPrefix {
	out := make([]shape.CommonPrefix, len(all))
	for i, p := range all {
		out[i].Prefix = show(p)
	}
	return out
}

// owners caches the accounts of one answer as S3 shows them.
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
	return o.remember(account, id), nil
}

func (o *owners) remember(account, id string) *shape.Owner {
	if o.known == nil {
		o.known = map[string]*shape.Owner{}
	}
	o.known[account] = &shape.Owner{ID: id}
	return o.known[account]
}
