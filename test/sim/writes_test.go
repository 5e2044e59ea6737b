package sim

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/core/bucket"
	"watertight/test/s3model"
)

// header returns tags in the form of x-amz-tagging.
func header(tags string) *string {
	if tags == "" {
		return nil
	}
	return aws.String(strings.ReplaceAll(tags, " ", "%20"))
}

func (w *writer) put(ctx context.Context) error {
	key, c, tags := w.key(), w.lib.draw(w.rng, w.size()), w.tags()
	ifMatch, ifNoneMatch := w.condition(key)
	versioning, how, lock := w.state.State, w.encryption(), w.protection()
	return w.run(ctx, request{
		what: fmt.Sprintf("put %q %d bytes %s %s if %s, if none %s", key, c.size, how, lock, show(ifMatch),
			show(ifNoneMatch)),
		code: cmp.Or(w.state.Refusal(key, ifMatch, ifNoneMatch), w.keys.refusal(how.String()), w.needsCode(key)),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := &s3.PutObjectInput{
				Bucket: &w.bucket, Key: &key, Body: strings.NewReader(c.text()), Tagging: header(tags),
				IfMatch: ifMatch, IfNoneMatch: ifNoneMatch,
				ServerSideEncryption: how.algorithm, SSEKMSKeyId: how.keyID(), BucketKeyEnabled: how.byBucketKey(),
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(how.customer)
			if in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = lock.headers(); w.locks {
				in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32 // the SDK may use it, and S3 wants one
			}
			out, err := client.PutObject(ctx, in)
			if err != nil {
				return answer{}, err
			}
			is := described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
			return made(versioning, out.VersionId, trim(out.ETag), c.md5, how, is)
		},
		then: func(s *state, a answer) {
			v := c.version(key, tags, how, a)
			v.Mode, v.Hold = lock.mode, lock.hold
			s.Put(key, v)
		},
	})
}

// made checks the answer to a request that makes an object.
func made(state bucket.Versioning, id *string, etag, want string, how encryption, is string) (answer, error) {
	named := id != nil && *id != s3model.Null && *id != ""
	if named != (state == bucket.Enabled) || how.hides() == (etag == want) || is != how.String() {
		return answer{}, wrong("version id %s in state %d, ETag %s of %s, want %s of %s",
			show(id), state, etag, is, want, how)
	}
	a := one(id)
	a.etag = etag
	return a, nil
}

func (w *writer) copy(ctx context.Context) error {
	from, to, versioning := w.existing(), w.key(), w.state.State
	id := w.version(from)
	ifMatch, ifNoneMatch := w.condition(to)
	code := w.missing(from, id)
	if code == "MethodNotAllowed" {
		code = "InvalidRequest"
	}
	how, source := w.encryption(), s3model.Version{}
	if v := w.state.Version(from, id); v != nil {
		source = *v
	}
	if from == to && id == nil && how == (encryption{}) && source.Encryption != customer {
		code = "InvalidRequest"
	}
	if code == "" {
		code = cmp.Or(w.keys.refusal(source.Encryption), w.state.Refusal(to, ifMatch, ifNoneMatch),
			w.keys.refusal(how.String()), w.needsCode(to))
	}
	c := w.lib.of(&source)
	return w.run(ctx, request{
		what: fmt.Sprintf("copy %q version %s %s to %q %s", from, show(id), source.Encryption, to, how),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			in := &s3.CopyObjectInput{
				Bucket: &w.bucket, Key: &to, CopySource: w.source(from, id), IfMatch: ifMatch, IfNoneMatch: ifNoneMatch,
				ServerSideEncryption: how.algorithm, SSEKMSKeyId: how.keyID(), BucketKeyEnabled: how.byBucketKey(),
			}
			in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = headers(how.customer)
			in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 =
				headers(source.Encryption == customer)
			out, err := client.CopyObject(ctx, in)
			if err != nil {
				return answer{}, err
			}
			is := described(out.ServerSideEncryption, out.SSECustomerAlgorithm, out.SSEKMSKeyId, out.BucketKeyEnabled)
			return made(versioning, out.VersionId, trim(out.CopyObjectResult.ETag), c.md5, how, is)
		},
		then: func(s *state, a answer) { s.Put(to, c.version(to, source.Tags, how, a)) },
	})
}

func (w *writer) source(key string, id *string) *string {
	s := w.bucket + "/" + url.QueryEscape(key)
	if id != nil {
		s += "?versionId=" + *id
	}
	return &s
}

func (w *writer) delete(ctx context.Context) error {
	key, versioning := w.existing(), w.state.State
	ifMatch, _ := w.condition(key)
	return w.run(ctx, request{
		what: fmt.Sprintf("delete %q if %s", key, show(ifMatch)),
		code: cmp.Or(w.state.Refusal(key, ifMatch, nil), w.needsCode(key)),
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &w.bucket, Key: &key, IfMatch: ifMatch})
			if err != nil {
				return answer{}, err
			}
			if aws.ToBool(out.DeleteMarker) != (versioning != bucket.Off) ||
				(out.VersionId == nil) != (versioning == bucket.Off) {
				return answer{}, wrong("delete marker %v %s in state %d",
					aws.ToBool(out.DeleteMarker), show(out.VersionId), versioning)
			}
			return one(out.VersionId), nil
		},
		then: func(s *state, a answer) { s.Delete(key, a.id(key)) },
	})
}

func (w *writer) deleteVersion(ctx context.Context) error {
	key := w.existing()
	id := w.version(key)
	if id == nil {
		id = aws.String(s3model.Null)
	}
	marker, code, bypass, mfa := false, "", w.bypass(), w.code()
	if v := w.state.Version(key, id); v != nil {
		marker = v.Marker
		if !v.Removable(bypass != nil) {
			code = accessDenied
		}
	}
	if w.state.MFADelete && mfa == nil {
		code = accessDenied
	}
	if code == "" {
		w.forget(*id)
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("delete %q version %s, bypass %v, code %v", key, *id, bypass != nil, mfa != nil),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{
				Bucket: &w.bucket, Key: &key, VersionId: id, BypassGovernanceRetention: bypass, MFA: mfa,
			})
			if err == nil && aws.ToBool(out.DeleteMarker) != marker {
				err = wrong("delete marker: %v, want %v", aws.ToBool(out.DeleteMarker), marker)
			}
			return answer{}, err
		},
		then: func(s *state, _ answer) { s.DeleteVersion(key, *id) },
	})
}

// deleteMany deletes several keys at once, some of them that aren't there.
func (w *writer) deleteMany(ctx context.Context) error {
	keys := []string{w.existing(), w.existing(), w.existing()}
	slices.Sort(keys)
	var all []types.ObjectIdentifier
	for _, key := range slices.Compact(keys) {
		all = append(all, types.ObjectIdentifier{Key: aws.String(key)})
	}
	return w.batch(ctx, all)
}

// purge deletes all versions of a key, or of a few.
func (w *writer) purge(ctx context.Context) error {
	var all []types.ObjectIdentifier
	for _, key := range []string{w.existing(), w.existing()} {
		if len(all) > 0 && *all[0].Key == key {
			break
		}
		for _, v := range w.state.Keys[key] {
			all = append(all, types.ObjectIdentifier{Key: aws.String(key), VersionId: aws.String(v.ID)})
		}
	}
	if len(all) == 0 {
		return nil
	}
	return w.batch(ctx, all[:min(len(all), 1000)])
}

func (w *writer) batch(ctx context.Context, all []types.ObjectIdentifier) error {
	bypass, mfa := w.bypass(), w.code()
	code, free := "", all[:0:0] // those that are deleted
	for _, o := range all {
		v := w.state.Version(*o.Key, o.VersionId)
		if o.VersionId == nil || v == nil || v.Removable(bypass != nil) {
			free = append(free, o)
		}
		if mfa == nil && w.state.MFADelete && (o.VersionId != nil || w.state.Destroys(*o.Key)) {
			code = accessDenied // of all
		}
	}
	for _, o := range free {
		if o.VersionId != nil && code == "" {
			w.forget(*o.VersionId)
		}
	}
	return w.run(ctx, request{
		what: fmt.Sprintf("delete %d of %d at once, bypass %v, code %v",
			len(free), len(all), bypass != nil, mfa != nil),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			out, err := client.DeleteObjects(ctx, &s3.DeleteObjectsInput{
				Bucket: &w.bucket, Delete: &types.Delete{Objects: all}, BypassGovernanceRetention: bypass, MFA: mfa,
			})
			if err != nil {
				return answer{}, err
			}
			if len(out.Deleted) != len(free) || len(out.Errors) != len(all)-len(free) {
				return answer{}, wrong("%d of %d deleted, want %d, %v",
					len(out.Deleted), len(all), len(free), out.Errors)
			}
			markers := map[string]string{}
			for _, d := range out.Deleted {
				markers[*d.Key] = aws.ToString(d.DeleteMarkerVersionId)
			}
			return answer{id: func(key string) string { return markers[key] }}, nil
		},
		then: func(s *state, a answer) {
			for _, o := range free {
				if o.VersionId != nil {
					s.DeleteVersion(*o.Key, *o.VersionId)
				} else {
					s.Delete(*o.Key, a.id(*o.Key))
				}
			}
		},
	})
}

func (w *writer) tag(ctx context.Context) error {
	key := w.existing()
	id := w.version(key)
	code := w.missing(key, id)
	if v := w.state.Keys[key]; id == nil && len(v) > 0 && v[0].Marker {
		code = "MethodNotAllowed"
	}
	tags := w.tags()
	return w.run(ctx, request{
		what: fmt.Sprintf("tag %q version %s %q", key, show(id), tags),
		code: code,
		do: func(ctx context.Context, client *s3.Client) (answer, error) {
			if tags == "" {
				_, err := client.DeleteObjectTagging(ctx, &s3.DeleteObjectTaggingInput{
					Bucket: &w.bucket, Key: &key, VersionId: id,
				})
				return answer{}, err
			}
			set := &types.Tagging{}
			for pair := range strings.SplitSeq(tags, "&") {
				k, v, _ := strings.Cut(pair, "=")
				set.TagSet = append(set.TagSet, types.Tag{Key: &k, Value: &v})
			}
			_, err := client.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
				Bucket: &w.bucket, Key: &key, VersionId: id, Tagging: set,
			})
			return answer{}, err
		},
		then: func(s *state, _ answer) { s.Version(key, id).Tags = tags },
	})
}
