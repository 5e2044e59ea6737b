package power

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Names of facts. Objects are plain/KEY and kept/KEY.
const (
	plain      = "plain"      // a bucket without versions
	kept       = "kept"       // one with versions
	versioning = "versioning" // of kept
	policy     = "policy"     // of plain
	uploads    = "uploads"    // into both
	user       = "user"
	accessKey  = "access key"
	kmsKey     = "kms key"
)

// client sends one request after another, and remembers what was acknowledged. Nobody else
// changes its part of the store.
type client struct {
	name string
	m    *machine
	r    *rand.Rand

	mu     *sync.Mutex // of all clients: guards everything below
	state  state
	acked  []string          // ids of acknowledged requests that changed something
	bodies map[string][]byte // of parts, by ETag
}

func (c *client) bucket(kind string) *string { return aws.String(kind + "-" + c.name) }

// send sends a request that makes changes. call returns them again if the answer completes
// them.
func (c *client) send(ctx context.Context, q request, call func(context.Context, facts) error) error {
	c.mu.Lock()
	c.state.next = &q
	c.mu.Unlock()
	final := facts{}
	for name, entries := range q.changes {
		final[name] = slices.Clone(entries)
	}
	var id string
	err := call(context.WithValue(ctx, requestID{}, &id), final)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state.next = nil
	if err != nil {
		return fmt.Errorf("%s: %v: %w", c.name, q.changes, err)
	}
	c.state.now = c.state.now.with(final)
	c.acked = append(c.acked, id)
	return nil
}

// step sends a random request.
func (c *client) step(ctx context.Context) error {
	f := c.state.now
	switch {
	case f[plain] == nil:
		return c.makeBucket(ctx, plain)
	case f[kept] == nil:
		return c.makeBucket(ctx, kept)
	case f[versioning] == nil:
		return c.enableVersions(ctx)
	case f[kmsKey] == nil:
		return c.makeKey(ctx)
	}
	steps := []func(context.Context) error{
		c.put, c.put, c.put, c.put, c.put, c.put, c.remove, c.remove, c.removeVersion, c.removeMany, c.copy, c.tag,
		c.beginUpload, c.part, c.part, c.part, c.complete, c.complete, c.abort, c.setPolicy, c.setUser, c.setUser,
		c.setAccessKey, c.describeKey,
	}
	return steps[c.r.IntN(len(steps))](ctx)
}

func (c *client) makeBucket(ctx context.Context, kind string) error {
	return c.send(ctx, request{changes: facts{kind: {{what: "made"}}}}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: c.bucket(kind)})
		return err
	})
}

func (c *client) enableVersions(ctx context.Context) error {
	change := facts{versioning: {{what: "Enabled"}}}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket:                  c.bucket(kept),
			VersioningConfiguration: &s3types.VersioningConfiguration{Status: s3types.BucketVersioningStatusEnabled},
		})
		return err
	})
}

func (c *client) makeKey(ctx context.Context) error {
	change := facts{kmsKey: {{id: unknown, what: "new"}}}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.kms.CreateKey(ctx, &kms.CreateKeyInput{Description: aws.String("new")})
		if err == nil {
			final[kmsKey][0].id = *out.KeyMetadata.KeyId
		}
		return err
	})
}

func (c *client) describeKey(ctx context.Context) error {
	id, what := c.state.now[kmsKey][0].id, c.word()
	change := facts{kmsKey: {{id: id, what: what}}}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
		_, err := c.m.kms.UpdateKeyDescription(ctx, &kms.UpdateKeyDescriptionInput{KeyId: &id, Description: &what})
		return err
	})
}

// body returns random bytes of a random size.
func (c *client) body() []byte {
	size := 0
	switch n := c.r.IntN(100); {
	case n < 5:
	case n < 50:
		size = 1 + c.r.IntN(1<<10)
	case n < 70:
		size = 1 + c.r.IntN(16<<10)
	case n < 90:
		size = 16<<10 + c.r.IntN(48<<10)
	case n < 98:
		size = 64<<10 + c.r.IntN(200<<10)
	default:
		size = 1<<20 + c.r.IntN(1<<20)
	}
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(c.r.Uint32())
	}
	return b
}

func (c *client) word() string { return fmt.Sprintf("w%d", c.r.IntN(1_000_000)) }

func (c *client) object() (kind, key, name string) {
	kind, key = []string{plain, kept}[c.r.IntN(2)], fmt.Sprintf("key-%d", c.r.IntN(5))
	return kind, key, kind + "/" + key
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return fmt.Sprintf("%d %x", len(b), sum[:6])
}

// newest returns the entries of an object after e was written.
func (c *client) newest(kind, name string, e entry) []entry {
	if kind == plain {
		return []entry{e}
	}
	e.id = unknown
	return append([]entry{e}, c.state.now[name]...)
}

func named(entries []entry, id *string) {
	if id != nil && len(entries) > 0 {
		entries[0].id = *id
	}
}

func (c *client) put(ctx context.Context) error {
	kind, key, name := c.object()
	body, word, tag := c.body(), c.word(), c.word()
	e := entry{what: "object", sum: digestOf(body), meta: word, tags: tag, seal: "AES256"}
	in := &s3.PutObjectInput{
		Bucket: c.bucket(kind), Key: &key, Body: bytes.NewReader(body), Metadata: map[string]string{"word": word},
		Tagging: aws.String("tag=" + tag),
	}
	if c.r.IntN(5) == 0 {
		in.ServerSideEncryption, in.SSEKMSKeyId = s3types.ServerSideEncryptionAwsKms, &c.state.now[kmsKey][0].id
		e.seal = "aws:kms"
	}
	change := facts{name: c.newest(kind, name, e)}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.s3.PutObject(ctx, in)
		if err == nil {
			named(final[name], out.VersionId)
		}
		return err
	})
}

func (c *client) remove(ctx context.Context) error {
	kind, key, name := c.object()
	change := facts{name: nil}
	if kind == kept {
		change[name] = c.newest(kind, name, entry{what: "marker"})
	} else if c.state.now[name] == nil {
		return nil
	}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: c.bucket(kind), Key: &key})
		if err == nil {
			named(final[name], out.VersionId)
		}
		return err
	})
}

func (c *client) removeVersion(ctx context.Context) error {
	_, key, _ := c.object()
	name := kept + "/" + key
	all := c.state.now[name]
	if len(all) == 0 {
		return nil
	}
	i := c.r.IntN(len(all))
	change := facts{name: slices.Delete(slices.Clone(all), i, i+1)}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: c.bucket(kept), Key: &key, VersionId: &all[i].id,
		})
		return err
	})
}

// removeMany removes several versions and objects in one request, which is not one change.
func (c *client) removeMany(ctx context.Context) error {
	change := facts{}
	var which []s3types.ObjectIdentifier
	for i := range 5 {
		key := fmt.Sprintf("key-%d", i)
		if name := plain + "/" + key; c.r.IntN(2) == 0 && c.state.now[name] != nil {
			change[name] = nil
			which = append(which, s3types.ObjectIdentifier{Key: &key})
		}
	}
	if len(which) == 0 {
		return nil
	}
	return c.send(ctx, request{changes: change, parts: true}, func(ctx context.Context, _ facts) error {
		out, err := c.m.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
			Bucket: c.bucket(plain), Delete: &s3types.Delete{Objects: which},
		})
		if err == nil && len(out.Errors) > 0 {
			err = fmt.Errorf("not removed: %s", *out.Errors[0].Message)
		}
		return err
	})
}

func (c *client) copy(ctx context.Context) error {
	from, fromKey, source := c.object()
	kind, key, name := c.object()
	all := c.state.now[source]
	if len(all) == 0 || all[0].what != "object" || source == name {
		return nil
	}
	e := all[0]
	e.id, e.seal = "", "AES256"
	change := facts{name: c.newest(kind, name, e)}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.s3.CopyObject(ctx, &s3.CopyObjectInput{
			Bucket: c.bucket(kind), Key: &key, CopySource: aws.String(*c.bucket(from) + "/" + fromKey),
		})
		if err == nil {
			named(final[name], out.VersionId)
		}
		return err
	})
}

func (c *client) tag(ctx context.Context) error {
	kind, key, name := c.object()
	all := slices.Clone(c.state.now[name])
	if len(all) == 0 || all[0].what != "object" {
		return nil
	}
	all[0].tags = c.word()
	return c.send(ctx, request{changes: facts{name: all}}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.PutObjectTagging(ctx, &s3.PutObjectTaggingInput{
			Bucket: c.bucket(kind), Key: &key,
			Tagging: &s3types.Tagging{TagSet: []s3types.Tag{{Key: aws.String("tag"), Value: &all[0].tags}}},
		})
		return err
	})
}

// An upload's entry has the object's name as what, and its parts as sum.

func (c *client) beginUpload(ctx context.Context) error {
	if len(c.state.now[uploads]) >= 3 {
		return nil
	}
	kind, key, name := c.object()
	change := facts{uploads: append(slices.Clone(c.state.now[uploads]), entry{id: unknown, what: name})}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.s3.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
			Bucket: c.bucket(kind), Key: &key, Metadata: map[string]string{"word": "upload"},
		})
		if err == nil {
			final[uploads][len(final[uploads])-1].id = *out.UploadId
		}
		return err
	})
}

// upload draws an upload.
func (c *client) upload() (i int, kind, key string, ok bool) {
	all := c.state.now[uploads]
	if len(all) == 0 {
		return 0, "", "", false
	}
	i = c.r.IntN(len(all))
	kind, key, _ = strings.Cut(all[i].what, "/")
	return i, kind, key, true
}

func (c *client) part(ctx context.Context) error {
	i, kind, key, ok := c.upload()
	if !ok {
		return nil
	}
	all := slices.Clone(c.state.now[uploads])
	body := c.body()
	sum := md5.Sum(body)
	etag := hex.EncodeToString(sum[:])
	if all[i].sum != "" { // the last part of two, or the only one again
		if c.r.IntN(2) == 0 && len(c.bodies[all[i].sum]) >= 5<<20 {
			return nil
		}
	}
	all[i].sum = etag
	c.bodies[etag] = body
	return c.send(ctx, request{changes: facts{uploads: all}}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: c.bucket(kind), Key: &key, UploadId: &all[i].id, PartNumber: aws.Int32(1),
			Body: bytes.NewReader(body),
		})
		return err
	})
}

func (c *client) complete(ctx context.Context) error {
	i, kind, key, ok := c.upload()
	if !ok || c.state.now[uploads][i].sum == "" {
		return nil
	}
	u := c.state.now[uploads][i]
	e := entry{what: "object", sum: digestOf(c.bodies[u.sum]), meta: "upload", seal: "AES256"}
	change := facts{
		uploads: slices.Delete(slices.Clone(c.state.now[uploads]), i, i+1), u.what: c.newest(kind, u.what, e),
	}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
		out, err := c.m.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
			Bucket: c.bucket(kind), Key: &key, UploadId: &u.id,
			MultipartUpload: &s3types.CompletedMultipartUpload{Parts: []s3types.CompletedPart{
				{PartNumber: aws.Int32(1), ETag: &u.sum},
			}},
		})
		if err == nil {
			named(final[u.what], out.VersionId)
		}
		return err
	})
}

func (c *client) abort(ctx context.Context) error {
	i, kind, key, ok := c.upload()
	if !ok {
		return nil
	}
	u := c.state.now[uploads][i]
	change := facts{uploads: slices.Delete(slices.Clone(c.state.now[uploads]), i, i+1)}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: c.bucket(kind), Key: &key, UploadId: &u.id,
		})
		return err
	})
}

func (c *client) setPolicy(ctx context.Context) error {
	if c.state.now[policy] != nil && c.r.IntN(3) == 0 {
		return c.send(ctx, request{changes: facts{policy: nil}}, func(ctx context.Context, _ facts) error {
			_, err := c.m.s3.DeleteBucketPolicy(ctx, &s3.DeleteBucketPolicyInput{Bucket: c.bucket(plain)})
			return err
		})
	}
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"%s","Effect":"Deny","Principal":"*",`+
		`"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/secret/*"}]}`, c.word(), *c.bucket(plain))
	return c.send(ctx, request{changes: facts{policy: {{what: text}}}}, func(ctx context.Context, _ facts) error {
		_, err := c.m.s3.PutBucketPolicy(ctx, &s3.PutBucketPolicyInput{Bucket: c.bucket(plain), Policy: &text})
		return err
	})
}

// A user's entry has the inline policy as sum.

func (c *client) setUser(ctx context.Context) error {
	u := c.state.now[user]
	switch {
	case u == nil:
		return c.send(ctx, request{changes: facts{user: {{what: "user"}}}}, func(ctx context.Context, _ facts) error {
			_, err := c.m.iam.CreateUser(ctx, &iam.CreateUserInput{UserName: &c.name})
			return err
		})
	case u[0].sum != "" && c.r.IntN(2) == 0:
		return c.send(ctx, request{changes: facts{user: {{what: "user"}}}}, func(ctx context.Context, _ facts) error {
			_, err := c.m.iam.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{
				UserName: &c.name, PolicyName: aws.String("inline"),
			})
			return err
		})
	case u[0].sum == "" && c.state.now[accessKey] == nil && c.r.IntN(2) == 0:
		return c.send(ctx, request{changes: facts{user: nil}}, func(ctx context.Context, _ facts) error {
			_, err := c.m.iam.DeleteUser(ctx, &iam.DeleteUserInput{UserName: &c.name})
			return err
		})
	}
	text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Sid":"%s","Effect":"Allow",`+
		`"Action":"s3:GetObject","Resource":"*"}]}`, c.word())
	change := facts{user: {{what: "user", sum: text}}}
	return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
		_, err := c.m.iam.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
			UserName: &c.name, PolicyName: aws.String("inline"), PolicyDocument: &text,
		})
		return err
	})
}

func (c *client) setAccessKey(ctx context.Context) error {
	k := c.state.now[accessKey]
	switch {
	case c.state.now[user] == nil:
		return nil
	case k == nil:
		change := facts{accessKey: {{id: unknown, what: "Active"}}}
		return c.send(ctx, request{changes: change}, func(ctx context.Context, final facts) error {
			out, err := c.m.iam.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &c.name})
			if err == nil {
				final[accessKey][0].id = *out.AccessKey.AccessKeyId
			}
			return err
		})
	case k[0].what == "Active":
		change := facts{accessKey: {{id: k[0].id, what: "Inactive"}}}
		return c.send(ctx, request{changes: change}, func(ctx context.Context, _ facts) error {
			_, err := c.m.iam.UpdateAccessKey(ctx, &iam.UpdateAccessKeyInput{
				UserName: &c.name, AccessKeyId: &k[0].id, Status: "Inactive",
			})
			return err
		})
	}
	return c.send(ctx, request{changes: facts{accessKey: nil}}, func(ctx context.Context, _ facts) error {
		_, err := c.m.iam.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: &c.name, AccessKeyId: &k[0].id})
		return err
	})
}

// known returns the client's state, for a power failure at this moment.
func (c *client) known() state {
	s := state{now: maps.Clone(c.state.now)}
	if c.state.next != nil {
		q := *c.state.next
		s.next = &q
	}
	return s
}
