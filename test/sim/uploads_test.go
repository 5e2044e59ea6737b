package sim

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// maxUploads bounds the uploads in progress of one writer.
const maxUploads = 5

func (w *writer) begin(ctx context.Context) error {
	if len(w.state.uploads) >= maxUploads {
		return w.abort(ctx)
	}
	key := w.key()
	return w.run(ctx, request{
		what: fmt.Sprintf("begin an upload of %q", key),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &w.bucket, Key: &key})
			if err != nil {
				return nil, err
			}
			return one(out.UploadId), nil
		},
		then: func(s *state, id answer) { s.uploads[id(key)] = &upload{key, map[int]*content{}} },
	})
}

// inProgress draws an upload, or returns "" if there is none.
func (w *writer) inProgress() (string, *upload) {
	if len(w.state.uploads) == 0 {
		return "", nil
	}
	id := draw(w.rng, slices.Sorted(maps.Keys(w.state.uploads))...)
	return id, w.state.uploads[id]
}

func (w *writer) number() int { return draw(w.rng, 1, 1, 2, 3, 10_000) }

func (w *writer) part(ctx context.Context) error {
	id, u := w.inProgress()
	if u == nil {
		return w.begin(ctx)
	}
	n, size := w.number(), w.size()
	if w.in(6) {
		size = minPart
	}
	c := w.lib.draw(w.rng, size)
	return w.run(ctx, request{
		what: fmt.Sprintf("part %d of %q, %d bytes", n, u.key, size),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.UploadPart(ctx, &s3.UploadPartInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id, PartNumber: aws.Int32(int32(n)),
				Body: strings.NewReader(c.text()),
			})
			if err == nil && trim(out.ETag) != c.md5 {
				err = wrong("ETag %s, want %s", trim(out.ETag), c.md5)
			}
			return nil, err
		},
		then: func(s *state, _ answer) { s.uploads[id].parts[n] = c },
	})
}

func (w *writer) copyPart(ctx context.Context) error {
	id, u := w.inProgress()
	if u == nil {
		return w.begin(ctx)
	}
	n, from := w.number(), w.existing()
	version := w.version(from)
	code := w.missing(from, version)
	if code == "MethodNotAllowed" {
		code = "InvalidRequest"
	}
	var c *content
	var rng *string
	if v := w.state.Version(from, version); v != nil && !v.Marker {
		if c = w.lib.of(v); c.size > 0 && w.in(2) {
			first := w.rng.Int64N(c.size)
			end := first + 1 + w.rng.Int64N(c.size-first)
			rng = aws.String(fmt.Sprintf("bytes=%d-%d", first, end-1))
			c = w.lib.cut(c, first, end)
		}
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("part %d of %q from %q version %s %s", n, u.key, from, show(version), show(rng)),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id, PartNumber: aws.Int32(int32(n)),
				CopySource: w.source(from, version), CopySourceRange: rng,
			})
			if err == nil && trim(out.CopyPartResult.ETag) != c.md5 {
				err = wrong("ETag %s, want %s", trim(out.CopyPartResult.ETag), c.md5)
			}
			return nil, err
		},
		then: func(s *state, _ answer) { s.uploads[id].parts[n] = c },
	})
}

func (w *writer) complete(ctx context.Context) error {
	id, u := w.inProgress()
	if u == nil || len(u.parts) == 0 {
		return w.part(ctx)
	}
	numbers := u.numbers()
	if w.in(3) { // the others are dropped
		numbers = numbers[w.rng.IntN(len(numbers)):]
	}
	code := ""
	var listed []types.CompletedPart
	for i, n := range numbers {
		if i < len(numbers)-1 && u.parts[n].size < minPart {
			code = "EntityTooSmall"
		}
		listed = append(listed, types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: aws.String(u.parts[n].md5)})
	}
	v, versioning := u.object(w.lib, numbers), w.state.State
	return w.run(ctx, request{
		what: fmt.Sprintf("complete %q with parts %v", u.key, numbers),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: listed},
			})
			if err != nil {
				return nil, err
			}
			return made(versioning, out.VersionId, trim(out.ETag), v.ETag)
		},
		then: func(s *state, version answer) {
			v := v
			v.ID = version(u.key)
			s.Put(u.key, v)
			delete(s.uploads, id)
		},
	})
}

func (w *writer) abort(ctx context.Context) error {
	id, u := w.inProgress()
	if u == nil {
		return nil
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("abort an upload of %q", u.key),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			_, err := client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id,
			})
			return nil, err
		},
		then: func(s *state, _ answer) { delete(s.uploads, id) },
	})
}

func (w *writer) listParts(ctx context.Context) error {
	id, u := w.inProgress()
	if u == nil {
		return nil
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("list the parts of %q", u.key),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			return nil, u.holds(ctx, client, w.bucket, id)
		},
	})
}

// holds compares the parts of an upload with what is listed of it.
func (u *upload) holds(ctx context.Context, client *s3.Client, bucket, id string) error {
	var got, want []string
	pages := s3.NewListPartsPaginator(client, &s3.ListPartsInput{
		Bucket: &bucket, Key: &u.key, UploadId: &id, MaxParts: aws.Int32(2),
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.Parts {
			got = append(got, fmt.Sprint(*p.PartNumber, " ", *p.Size, " ", trim(p.ETag)))
		}
	}
	for _, n := range u.numbers() {
		want = append(want, fmt.Sprint(n, " ", u.parts[n].size, " ", u.parts[n].md5))
	}
	if !slices.Equal(got, want) {
		return wrong("parts of %q: %q, want %q", u.key, got, want)
	}
	return nil
}
