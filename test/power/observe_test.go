package power

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
)

// absent reports whether an answer says that something does not exist.
func absent(err error) bool {
	var e smithy.APIError
	return errors.As(err, &e) &&
		(strings.HasPrefix(e.ErrorCode(), "NoSuch") || strings.Contains(e.ErrorCode(), "NotFound"))
}

// observe returns what a machine has of a client's part. known is what the client knows of
// its key of KMS, which has no name.
func (c *client) observe(ctx context.Context, known state) (facts, error) {
	o := &observer{c: c, ctx: ctx, found: facts{}}
	for _, kind := range []string{plain, kept} {
		if o.bucket(kind) {
			o.add(kind, entry{what: "made"})
		}
	}
	o.user()
	if k := known.now[kmsKey]; len(k) > 0 {
		out, err := c.m.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &k[0].id})
		if o.there(err) {
			o.add(kmsKey, entry{id: *out.KeyMetadata.KeyId, what: *out.KeyMetadata.Description})
		}
	}
	return o.found, o.err
}

type observer struct {
	c     *client
	ctx   context.Context
	found facts
	err   error // the first
}

func (o *observer) add(name string, e entry) { o.found[name] = append(o.found[name], e) }

// there reports whether an answer says that something exists.
func (o *observer) there(err error) bool {
	if err != nil && !absent(err) && o.err == nil {
		o.err = err
	}
	return err == nil
}

// bucket observes a bucket and everything in it.
func (o *observer) bucket(kind string) bool {
	b := o.c.bucket(kind)
	if _, err := o.c.m.s3.HeadBucket(o.ctx, &s3.HeadBucketInput{Bucket: b}); !o.there(err) {
		return false
	}
	if kind == kept {
		v, err := o.c.m.s3.GetBucketVersioning(o.ctx, &s3.GetBucketVersioningInput{Bucket: b})
		if o.there(err) && v.Status != "" {
			o.add(versioning, entry{what: string(v.Status)})
		}
	} else {
		p, err := o.c.m.s3.GetBucketPolicy(o.ctx, &s3.GetBucketPolicyInput{Bucket: b})
		if o.there(err) {
			o.add(policy, entry{what: *p.Policy})
		}
	}
	o.versions(kind)
	all, err := o.c.m.s3.ListMultipartUploads(o.ctx, &s3.ListMultipartUploadsInput{Bucket: b})
	if !o.there(err) {
		return true
	}
	for _, u := range all.Uploads {
		e := entry{id: *u.UploadId, what: kind + "/" + *u.Key}
		parts, err := o.c.m.s3.ListParts(o.ctx, &s3.ListPartsInput{Bucket: b, Key: u.Key, UploadId: u.UploadId})
		if o.there(err) {
			for _, p := range parts.Parts {
				e.sum += strings.Trim(*p.ETag, `"`)
			}
		}
		o.add(uploads, e)
	}
	return true
}

func (o *observer) versions(kind string) {
	b := o.c.bucket(kind)
	var answer string
	ctx := context.WithValue(o.ctx, answerBody{}, &answer)
	list, err := o.c.m.s3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: b})
	if !o.there(err) {
		return
	}
	if aws.ToBool(list.IsTruncated) {
		o.err = errors.New("the list of versions has a second page")
	}
	id := func(v *string) string {
		if kind == plain {
			return ""
		}
		return *v
	}
	// The SDK makes two lists of the one that was sent.
	at := func(id *string) int { return strings.Index(answer, "<VersionId>"+*id+"<") }
	vs, ms := list.Versions, list.DeleteMarkers
	for len(vs) > 0 || len(ms) > 0 {
		if len(ms) == 0 || len(vs) > 0 && (kind == plain || at(vs[0].VersionId) < at(ms[0].VersionId)) {
			o.object(kind, *vs[0].Key, vs[0].VersionId, id(vs[0].VersionId))
			vs = vs[1:]
		} else {
			o.add(kind+"/"+*ms[0].Key, entry{id: id(ms[0].VersionId), what: "marker"})
			ms = ms[1:]
		}
	}
}

func (o *observer) object(kind, key string, version *string, id string) {
	got, err := o.c.m.s3.GetObject(o.ctx, &s3.GetObjectInput{Bucket: o.c.bucket(kind), Key: &key, VersionId: version})
	if !o.there(err) {
		o.err = errors.Join(o.err, fmt.Errorf("%s/%s is listed: %w", kind, key, err))
		return
	}
	body, err := io.ReadAll(got.Body)
	o.there(errors.Join(err, got.Body.Close()))
	e := entry{
		id: id, what: "object", sum: digestOf(body), meta: got.Metadata["word"], seal: string(got.ServerSideEncryption),
	}
	if aws.ToInt32(got.TagCount) > 0 {
		tags, err := o.c.m.s3.GetObjectTagging(o.ctx, &s3.GetObjectTaggingInput{
			Bucket: o.c.bucket(kind), Key: &key, VersionId: version,
		})
		if o.there(err) {
			for _, t := range tags.TagSet {
				e.tags += *t.Value
			}
		}
	}
	o.add(kind+"/"+key, e)
}

func (o *observer) user() {
	if _, err := o.c.m.iam.GetUser(o.ctx, &iam.GetUserInput{UserName: &o.c.name}); !o.there(err) {
		return
	}
	e := entry{what: "user"}
	p, err := o.c.m.iam.GetUserPolicy(o.ctx, &iam.GetUserPolicyInput{
		UserName: &o.c.name, PolicyName: aws.String("inline"),
	})
	if o.there(err) {
		e.sum, err = url.QueryUnescape(*p.PolicyDocument)
		o.there(err)
	}
	o.add(user, e)
	keys, err := o.c.m.iam.ListAccessKeys(o.ctx, &iam.ListAccessKeysInput{UserName: &o.c.name})
	if !o.there(err) {
		return
	}
	for _, k := range keys.AccessKeyMetadata {
		o.add(accessKey, entry{id: *k.AccessKeyId, what: string(k.Status)})
	}
}
