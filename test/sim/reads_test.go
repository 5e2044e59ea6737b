package sim

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/test/s3model"
)

// get reads a version, a range of it, or on a condition.
func (w *writer) get(ctx context.Context) error {
	key := w.existing()
	id := w.version(key)
	in := s3.GetObjectInput{Bucket: &w.bucket, Key: &key, VersionId: id}
	var whole *s3model.Version // what a head is to say
	code, want, tags := w.missing(key, id), (*content)(nil), ""
	if code == "MethodNotAllowed" && id == nil {
		code = "NoSuchKey"
	}
	if v := w.state.Version(key, id); code == "" {
		want, tags, whole = w.lib.of(v), v.Tags, new(*v)
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(v.Encryption == customer)
		switch other := "11111111111111111111111111111111"; w.rng.IntN(6) {
		case 0:
			in.IfMatch = aws.String(draw(w.rng, v.ETag, other))
			if *in.IfMatch == other {
				code = "PreconditionFailed"
			}
		case 1:
			in.IfNoneMatch = aws.String(draw(w.rng, v.ETag, other))
			if *in.IfNoneMatch != other {
				code = "NotModified"
			}
		case 2:
			if want.size > 0 {
				first := w.rng.Int64N(want.size)
				end := first + 1 + w.rng.Int64N(want.size-first)
				in.Range, want = aws.String(fmt.Sprintf("bytes=%d-%d", first, end-1)), w.lib.cut(want, first, end)
			}
		}
	}
	if whole != nil {
		code = cmp.Or(w.keys.refusal(whole.Encryption), code)
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("get %q version %s", key, show(id)),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			v, err := read(ctx, client, &in)
			if err == nil && (v.Text != want.sum || v.Size != want.size || v.Tags != tags) {
				err = wrong("%d bytes, tags %q; want %d, %q", v.Size, v.Tags, want.size, tags)
			}
			if err == nil && (v.Encryption != whole.Encryption || v.ETag != whole.ETag) {
				err = wrong("%s with ETag %s, want %+v", v.Encryption, v.ETag, *whole)
			}
			if err == nil && in.Range == nil {
				err = head(ctx, client, w.bucket, key, *whole)
			}
			return answer{}, err
		},
	})
}

// read is what an answer says about a version, and a second one about its tags.
func read(ctx context.Context, client *s3.Client, in *s3.GetObjectInput) (v s3model.Version, err error) {
	out, err := client.GetObject(ctx, in)
	if err != nil {
		return v, err
	}
	h := sha256.New()
	v.Size, err = io.Copy(h, out.Body)
	if closed := out.Body.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return v, err
	}
	v.Text, v.ETag = hex.EncodeToString(h.Sum(nil)), trim(out.ETag)
	v.Encryption = described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
	v.Mode, v.Hold = string(out.ObjectLockMode), out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn
	if aws.ToInt32(out.TagCount) == 0 {
		return v, nil
	}
	tagged, err := client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{
		Bucket: in.Bucket, Key: in.Key, VersionId: in.VersionId,
	})
	if err != nil {
		return v, err
	}
	var pairs []string
	for _, t := range tagged.TagSet {
		pairs = append(pairs, *t.Key+"="+*t.Value)
	}
	v.Tags = sorted(pairs)
	return v, nil
}

// listing draws a listing of the writer's own keys.
func (w *writer) listing() (l s3model.List, page int) {
	l = s3model.List{
		Prefix: w.name + draw(w.rng, "", "", "a", "/", "é"), Delimiter: draw(w.rng, "", "/", "a", "é", "/a"),
	}
	if w.in(2) {
		l.After = w.existing()
		if w.in(4) {
			l.After += "/"
		}
	}
	return l, draw(w.rng, 1, 2, 3, 7, 1000)
}

func (w *writer) listObjects(ctx context.Context) error {
	l, page := w.listing()
	want := pagesOf(w.state.Objects(l), page)
	return w.run(ctx, request{
		what: fmt.Sprintf("list %+v by %d", l, page),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := s3.ListObjectsV2Input{
				Bucket: &w.bucket, Prefix: &l.Prefix, Delimiter: optional(l.Delimiter), StartAfter: optional(l.After),
				MaxKeys: aws.Int32(int32(page)),
			}
			for i := range want {
				out, err := client.ListObjectsV2(ctx, &in)
				if err != nil {
					return answer{}, err
				}
				var got, due []string
				for _, o := range out.Contents {
					got = append(got, fmt.Sprint(*o.Key, " ", trim(o.ETag), " ", *o.Size))
				}
				for _, p := range out.CommonPrefixes {
					got = append(got, *p.Prefix)
				}
				for _, r := range want[i] {
					line := r.Key
					if r.Version != nil {
						line = fmt.Sprint(r.Key, " ", r.Version.ETag, " ", r.Version.Size)
					}
					due = append(due, line)
				}
				if err := samePage(got, due, aws.ToBool(out.IsTruncated), i < len(want)-1); err != nil {
					return answer{}, err
				}
				in.ContinuationToken = out.NextContinuationToken
			}
			return answer{}, nil
		},
	})
}

func (w *writer) listVersions(ctx context.Context) error {
	l, page := w.listing()
	if v := w.state.Keys[l.After]; len(v) > 0 && w.in(2) {
		l.VersionID = aws.String(draw(w.rng, v...).ID)
	}
	want := pagesOf(w.state.Versions(l), page)
	return w.run(ctx, request{
		what: fmt.Sprintf("list versions %+v after version %s by %d", l, show(l.VersionID), page),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := s3.ListObjectVersionsInput{
				Bucket: &w.bucket, Prefix: &l.Prefix, Delimiter: optional(l.Delimiter), KeyMarker: optional(l.After),
				VersionIdMarker: l.VersionID, MaxKeys: aws.Int32(int32(page)),
			}
			for i := range want {
				out, err := client.ListObjectVersions(ctx, &in)
				if err != nil {
					return answer{}, err
				}
				var got, due []string
				for _, o := range out.Versions {
					got = append(got,
						fmt.Sprint(*o.Key, " ", *o.VersionId, " ", trim(o.ETag), " ", *o.Size, " ", *o.IsLatest))
				}
				for _, o := range out.DeleteMarkers {
					got = append(got, fmt.Sprint(*o.Key, " ", *o.VersionId, " marker ", *o.IsLatest))
				}
				for _, p := range out.CommonPrefixes {
					got = append(got, *p.Prefix)
				}
				for _, r := range want[i] {
					switch v := r.Version; {
					case v == nil:
						due = append(due, r.Key)
					case v.Marker:
						due = append(due, fmt.Sprint(r.Key, " ", v.ID, " marker ", r.Latest))
					default:
						due = append(due, fmt.Sprint(r.Key, " ", v.ID, " ", v.ETag, " ", v.Size, " ", r.Latest))
					}
				}
				if err := samePage(got, due, aws.ToBool(out.IsTruncated), i < len(want)-1); err != nil {
					return answer{}, err
				}
				in.KeyMarker, in.VersionIdMarker = out.NextKeyMarker, out.NextVersionIdMarker
			}
			return answer{}, nil
		},
	})
}

// pagesOf cuts rows into pages; there is at least one.
func pagesOf(rows []s3model.Row, page int) [][]s3model.Row {
	all := slices.Collect(slices.Chunk(rows, page))
	if len(all) == 0 {
		all = append(all, nil)
	}
	return all
}

// samePage compares the lines of a page. The SDK sorts a page's one sequence
// into lists of kinds, so the order inside a page is left to the tests of core.
func samePage(got, want []string, truncated, more bool) error {
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || truncated != more {
		return wrong("page %q (more: %v), want %q (%v)", got, truncated, want, more)
	}
	return nil
}

func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
