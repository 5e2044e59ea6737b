package sim

import (
	"cmp"
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
	key, how := w.key(), w.encryption()
	return w.run(ctx, request{
		what: fmt.Sprintf("begin an upload of %q %s", key, how),
		code: w.keys.refusal(how.String()),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := &s3.CreateMultipartUploadInput{
				Bucket: &w.bucket, Key: &key,
				ServerSideEncryption: how.algorithm, SSEKMSKeyId: how.keyID(), BucketKeyEnabled: how.byBucketKey(),
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(how.customer)
			out, err := client.CreateMultipartUpload(ctx, in)
			if err != nil {
				return answer{}, err
			}
			return one(out.UploadId), nil
		},
		then: func(s *state, a answer) { s.uploads[a.id(key)] = &upload{key, how, map[int]part{}} },
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
	refused := w.keys.refusal(u.how.String())
	if w.in(6) && refused == "" { // the server need not read a long body that it refuses
		size = minPart
	}
	c := w.lib.draw(w.rng, size)
	return w.run(ctx, request{
		what: fmt.Sprintf("part %d of %q, %d bytes", n, u.key, size),
		code: refused,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := &s3.UploadPartInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id, PartNumber: aws.Int32(int32(n)),
				Body: strings.NewReader(c.text()),
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(u.how.customer)
			out, err := client.UploadPart(ctx, in)
			if err != nil {
				return answer{}, err
			}
			is := described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
			return u.took(trim(out.ETag), c, is)
		},
		then: func(s *state, a answer) { s.uploads[id].keep(n, c, a) },
	})
}

// took checks the answer to a part.
func (u *upload) took(etag string, c *content, is string) (answer, error) {
	if u.how.hides() == (etag == c.md5) || is != u.how.String() {
		return answer{}, wrong("ETag %s of %s, want %s of %s", etag, is, c.md5, u.how)
	}
	return answer{etag: etag}, nil
}

// keep adds a part to the model.
func (u *upload) keep(n int, c *content, a answer) {
	p := part{c, c.md5}
	if u.how.hides() {
		p.etag = a.etag
	}
	u.parts[n] = p
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
	encrypted := ""
	if v := w.state.Version(from, version); v != nil && !v.Marker {
		encrypted = v.Encryption
		code = cmp.Or(w.keys.refusal(encrypted), w.keys.refusal(u.how.String()))
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
			in := &s3.UploadPartCopyInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id, PartNumber: aws.Int32(int32(n)),
				CopySource: w.source(from, version), CopySourceRange: rng,
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(u.how.customer)
			in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 =
				headers(encrypted == customer)
			out, err := client.UploadPartCopy(ctx, in)
			if err != nil {
				return answer{}, err
			}
			is := described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
			return u.took(trim(out.CopyPartResult.ETag), c, is)
		},
		then: func(s *state, a answer) { s.uploads[id].keep(n, c, a) },
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
		listed = append(listed, types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: aws.String(u.parts[n].etag)})
	}
	code = cmp.Or(w.keys.refusal(u.how.String()), code, w.needsCode(u.key))
	v, versioning := u.object(w.lib, numbers), w.state.State
	return w.run(ctx, request{
		what: fmt.Sprintf("complete %q with parts %v", u.key, numbers),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := &s3.CompleteMultipartUploadInput{
				Bucket: &w.bucket, Key: &u.key, UploadId: &id,
				MultipartUpload: &types.CompletedMultipartUpload{Parts: listed},
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(u.how.customer)
			out, err := client.CompleteMultipartUpload(ctx, in)
			if err != nil {
				return answer{}, err
			}
			is := u.how.String() // an answer does not name SSE-C
			if !u.how.customer {
				is = described(out.ServerSideEncryption, nil, out.SSEKMSKeyId, out.BucketKeyEnabled)
			}
			return made(versioning, out.VersionId, trim(out.ETag), v.ETag, u.how, is)
		},
		then: func(s *state, a answer) {
			v := v
			if v.ID = a.id(u.key); u.how.hides() {
				v.ETag = a.etag
			}
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
			return answer{}, err
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
		code: w.keys.refusal(u.how.String()),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			return answer{}, u.holds(ctx, client, w.bucket, id)
		},
	})
}

// holds compares the parts of an upload with what is listed of it.
func (u *upload) holds(ctx context.Context, client *s3.Client, bucket, id string) error {
	var got, want []string
	in := &s3.ListPartsInput{Bucket: &bucket, Key: &u.key, UploadId: &id, MaxParts: aws.Int32(2)}
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(u.how.customer)
	pages := s3.NewListPartsPaginator(client, in)
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, p := range page.Parts {
			got = append(got, fmt.Sprint(*p.PartNumber, " ", *p.Size, " ", trim(p.ETag)))
			if its := u.parts[int(*p.PartNumber)]; its.etag == unknown {
				its.etag = trim(p.ETag)
				u.parts[int(*p.PartNumber)] = its
			}
		}
	}
	for _, n := range u.numbers() {
		want = append(want, fmt.Sprint(n, " ", u.parts[n].size, " ", u.parts[n].etag))
	}
	if !slices.Equal(got, want) {
		return wrong("parts of %q: %q, want %q", u.key, got, want)
	}
	return nil
}
