package e2e

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// readPaths returns all ways to read bytes of an object, or a digest of them, as a user with its own
// bucket. Each returns what it has read.
func (c sseCast) readPaths(u someone, bucket, own, upload string) map[string]func() (string, error) {
	ctx, at := c.Context(), aws.String(bucket+"/k")
	get := func(change func(*s3.GetObjectInput)) func() (string, error) {
		return func() (string, error) { text, _, err := c.get(u.s3, bucket, "k", change); return text, err }
	}
	raws := func(r raw) func() (string, error) {
		return func() (string, error) {
			r.key, r.secret = u.key.AccessKeyID, u.key.SecretAccessKey
			a := send(c.t, c.Server, r)
			if a.status == 403 {
				return a.body, refusedError{}
			}
			return a.body, nil
		}
	}
	return map[string]func() (string, error){
		"GetObject":            get(func(*s3.GetObjectInput) {}),
		"GetObject, range":     get(func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=0-3") }),
		"GetObject, version":   get(func(in *s3.GetObjectInput) { in.VersionId = aws.String("null") }),
		"GetObject, part":      get(func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(1) }),
		"GetObject, checksum":  get(func(in *s3.GetObjectInput) { in.ChecksumMode = types.ChecksumModeEnabled }),
		"GetObject, no match":  get(func(in *s3.GetObjectInput) { in.IfNoneMatch = aws.String(`"00"`) }),
		"GetObject, presigned": raws(raw{method: "GET", target: "/" + bucket + "/k", presign: true}),
		"HeadObject, checksum": func() (string, error) {
			out, err := u.s3.HeadObject(ctx, &s3.HeadObjectInput{
				Bucket: &bucket, Key: aws.String("k"), ChecksumMode: types.ChecksumModeEnabled,
			})
			if err != nil {
				return "", err
			}
			return aws.ToString(out.ChecksumCRC32) + aws.ToString(out.ChecksumCRC64NVME), nil
		},
		"GetObjectAttributes": raws(raw{
			method: "GET", target: "/" + bucket + "/k?attributes", header: has("X-Amz-Object-Attributes", "Checksum"),
		}),
		"GetObjectAttributes, parts": raws(raw{
			method: "GET", target: "/" + bucket + "/k?attributes", header: has("X-Amz-Object-Attributes",
				"ObjectParts"),
		}),
		"CopyObject": func() (string, error) {
			_, err := u.s3.CopyObject(ctx, &s3.CopyObjectInput{
				Bucket: &own, Key: aws.String("copy"), CopySource: at, ServerSideEncryption: "AES256",
			})
			return "", err
		},
		"UploadPartCopy": func() (string, error) {
			up, _, err := c.begin(u.s3, own, "copied", sse{})
			c.ok(err)
			_, err = up.copied(*at)
			return "", err
		},
		"UploadPartCopy, range": func() (string, error) {
			up, _, err := c.begin(u.s3, own, "copied", sse{})
			c.ok(err)
			_, err = u.s3.UploadPartCopy(ctx, &s3.UploadPartCopyInput{
				Bucket: &own, Key: aws.String("copied"), UploadId: up.id, PartNumber: aws.Int32(1), CopySource: at,
				CopySourceRange: aws.String("bytes=0-3"),
			})
			return "", err
		},
		"ListParts": raws(raw{method: "GET", target: "/" + bucket + "/upload?uploadId=" + upload}),
	}
}

// TestFullS3PermissionReadsNothing: a user with all permissions in S3, and none on the key, can't read
// a byte or a digest in any way, with any encryption under a KMS key. With kms:Decrypt the user can.
func TestFullS3PermissionReadsNothing(t *testing.T) {
	c := newSSECast(t)
	own := c.bucketOf("their-own", sse{})
	for name, e := range map[string]sse{
		"kms": underKMS(c.newKey()), "bucket-key": {algorithm: "aws:kms", key: c.newKey(), bucketKey: aws.Bool(true)},
		"dsse": {algorithm: "aws:kms:dsse", key: c.newKey()},
	} {
		for _, kind := range []string{"one-put", "parts"} {
			t.Run(name+", "+kind, func(t *testing.T) {
				c := c.in(t)
				bucket := c.bucketOf("reads-"+name+"-"+kind, sse{})
				body := bigEnough("a marked text ")
				c.fill(bucket, kind, body, e)
				pending, _, err := c.begin(c.S3, bucket, "upload", e)
				c.ok(err)
				_, err = pending.part("a marked text in a part")
				c.ok(err)
				u := c.user(bucket, everywhere("s3:*"))
				for _, allowed := range []bool{false, true} {
					if allowed {
						c.grants(bucket, everywhere("s3:*", "kms:Decrypt"))
					}
					for path, read := range c.readPaths(u, bucket, own, *pending.id) {
						text, err := read()
						switch {
						case !allowed && !isRefused(err):
							t.Errorf("%s is allowed: %v %.200q", path, err, text)
						case !allowed && strings.Contains(text, "marked"):
							t.Errorf("%s discloses: %.200q", path, text)
						case allowed && err != nil:
							t.Errorf("%s, with the key: %v", path, err)
						}
					}
				}
			})
		}
	}
}

// refusedError stands for a 403 of a request without an SDK.
type refusedError struct{}

func (refusedError) Error() string { return "403" }

func isRefused(err error) bool { return err == refusedError{} || statusOf(err) == 403 }

// fill stores an object in one put or in parts.
func (c sseCast) fill(bucket, kind, body string, e sse) {
	c.Helper()
	if kind == "one-put" {
		c.mustPut(bucket, "k", body, e)
		return
	}
	u, _, err := c.begin(c.S3, bucket, "k", e)
	c.ok(err)
	_, err = u.part(body)
	c.ok(err)
	_, err = u.part("the end")
	c.ok(err)
	_, err = u.complete()
	c.ok(err)
}

// TestKeysAcrossAccounts: an uploader and a reader of another account need a permission on the bucket
// and one on the key. The key's policy must allow their account, and their own policies must allow them.
func TestKeysAcrossAccounts(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("across", sse{}), c.newKey()
	foreign := c.CreateAccount(t, "foreign")
	other, guest := accountOf(t, c.Server, foreign), c.Client(foreign)
	c.ok(putPolicy(t, c.S3, &bucket, `{"Effect":"Allow","Principal":{"AWS":"%s"},`+
		`"Action":["s3:PutObject","s3:GetObject"],"Resource":"arn:aws:s3:::across/*"}`, other))
	c.mustPut(bucket, "ours", "x", underKMS(key))
	_, err := c.put(guest, bucket, "theirs", "y", underKMS(key))
	wantCode(t, err, 403, "AccessDenied")
	_, _, err = c.get(guest, bucket, "ours")
	wantCode(t, err, 403, "AccessDenied")
	c.keyPolicy(key, c.delegating(`{"Effect":"Allow","Principal":{"AWS":"`+other+
		`"},"Action":["kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"}`))
	_, err = c.put(guest, bucket, "theirs", "y", underKMS(key))
	c.ok(err)
	ours, _, err := c.get(guest, bucket, "ours")
	c.ok(err)
	theirs, _, err := c.get(guest, bucket, "theirs")
	c.ok(err)
	if ours != "x" || theirs != "y" {
		t.Errorf("%q and %q", ours, theirs)
	}
	c.keyPolicy(key, c.delegating())
	_, _, err = c.get(guest, bucket, "theirs") // the uploader has no permission to read
	wantCode(t, err, 403, "AccessDenied")
}

// TestForeignKeysAreNoOracle: a caller who may not use a key of another account gets the same answer
// whether or not the key exists or is enabled.
func TestForeignKeysAreNoOracle(t *testing.T) {
	c := newSSECast(t)
	foreign := c.CreateAccount(t, "foreign")
	guest, mine := c.Client(foreign), "guests"
	_, err := guest.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &mine})
	c.ok(err)
	key, disabled := c.newKey(), c.newKey()
	_, err = c.kms.CreateAlias(t.Context(), &kms.CreateAliasInput{AliasName: aws.String("alias/there"),
		TargetKeyId: &key})
	c.ok(err)
	_, err = c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &disabled})
	c.ok(err)
	at := "arn:aws:kms:" + c.Region + ":" + c.account + ":"
	var first string
	for _, name := range []string{
		at + "key/12345678-1234-4234-8234-123456789012", key, disabled, at + "alias/there", at + "alias/not-there",
	} {
		h := underKMS(name).headers()
		a := send(t, c.Server, raw{
			method: "PUT", target: "/guests/k", body: "x", header: h, key: foreign.AccessKeyID,
			secret: foreign.SecretAccessKey,
		})
		said := fmt.Sprint(a.status, " ", a.code, " ", strings.ReplaceAll(message(a.body), name, "KEY"))
		if first == "" {
			first = said
		}
		if a.status != 403 || said != first {
			t.Errorf("%s: %s, not %s", name, said, first)
		}
	}
}

// message returns the message of an error document.
func message(body string) string {
	_, after, _ := strings.Cut(body, "<Message>")
	text, _, _ := strings.Cut(after, "</Message>")
	return text
}

// TestAKeyChangeBindsTheNextRequest: if a permission on a key is removed, or the key is, the next
// request is refused, and so is one whose body is still arriving.
func TestAKeyChangeBindsTheNextRequest(t *testing.T) {
	c := newSSECast(t)
	bucket := c.bucketOf("binds", sse{})
	for name, change := range map[string]func(key, user string){
		"disabled": func(key, _ string) {
			_, err := c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key})
			c.ok(err)
		},
		"going to be deleted": func(key, _ string) {
			_, err := c.kms.ScheduleKeyDeletion(t.Context(), &kms.ScheduleKeyDeletionInput{KeyId: &key})
			c.ok(err)
		},
		"denied by its policy": func(key, _ string) {
			c.keyPolicy(key, c.delegating(`{"Effect":"Deny","Principal":"*","Action":"kms:*","Resource":"*",`+
				`"Condition":{"StringLike":{"aws:PrincipalArn":"*:user/*"}}}`))
		},
		"denied by the user's policy": func(_, user string) { c.grants(user, everywhere("s3:*")) },
		"grant revoked": func(key, user string) {
			c.grants(user, everywhere("s3:*"))
			out, err := c.kms.ListGrants(t.Context(), &kms.ListGrantsInput{KeyId: &key})
			c.ok(err)
			for _, g := range out.Grants {
				_, err := c.kms.RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: g.GrantId})
				c.ok(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := c.in(t)
			who := strings.ReplaceAll(strings.ReplaceAll(name, " ", "-"), "'", "")
			key, u := c.newKey(), c.user(who, everywhere("s3:*", "kms:GenerateDataKey", "kms:Decrypt"))
			if name == "grant revoked" {
				c.grants(who, everywhere("s3:*"))
				_, err := c.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{
					KeyId: &key, GranteePrincipal: &u.arn, Operations: []kmstypes.GrantOperation{"GenerateDataKey",
						"Decrypt"},
				})
				c.ok(err)
			}
			c.mustPut(bucket, who, "x", underKMS(key))
			up, _, err := c.begin(u.s3, bucket, who+"/parts", underKMS(key))
			c.ok(err)
			_, err = up.part("x")
			c.ok(err)
			r := raw{
				method: "PUT", target: "/binds/" + who + "/during", body: "some bytes", header: underKMS(key).headers(),
				key: u.key.AccessKeyID, secret: u.key.SecretAccessKey,
			}
			a := slow(t, c.Server, r, func() { change(key, who) })
			if a.status != 400 && a.status != 403 {
				t.Errorf("during the body: %d %s", a.status, a.body)
			}
			_, _, err = c.get(c.S3, bucket, who+"/during")
			wantCode(t, err, 404, "NoSuchKey")
			_, _, err = c.get(u.s3, bucket, who)
			shut(t, "GET", err)
			_, err = c.put(u.s3, bucket, who+"/next", "x", underKMS(key))
			shut(t, "PUT", err)
			_, err = up.part("x")
			shut(t, "UploadPart", err)
			_, err = up.complete()
			shut(t, "CompleteMultipartUpload", err)
		})
	}
}

func shut(t *testing.T, what string, err error) {
	t.Helper()
	if status := statusOf(err); status != 400 && status != 403 {
		t.Errorf("%s: %v", what, err)
	}
}

// TestReadsInFlight: if the key is disabled while a GET sends its bytes, the GET completes, because it
// was decided before. The next one is refused.
func TestReadsInFlight(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("in-flight", sse{}), c.newKey()
	body := bigEnough("in flight ")
	c.mustPut(bucket, "k", body, underKMS(key))
	out, err := c.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("k")})
	c.ok(err)
	_, err = c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key})
	c.ok(err)
	got, err := io.ReadAll(out.Body)
	out.Body.Close()
	if err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	_, _, err = c.get(c.S3, bucket, "k")
	wantCode(t, err, http.StatusBadRequest, "KMS.DisabledException")
}
