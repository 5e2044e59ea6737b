package format

import (
	"bytes"
	"encoding/base64"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/operator"
)

// encryptedBox is the bucket of objects under every encryption that hides digests.
const encryptedBox = "encrypted"

// encryption is a way to encrypt. Names are those of objects, too.
type encryption struct {
	name      string
	algorithm types.ServerSideEncryption // none is SSE-C
	bucketKey *bool
	context   string // JSON
	managed   bool   // alias/aws/s3
}

func encryptions() []encryption {
	return []encryption{
		{name: "customer"},
		{name: "kms", algorithm: types.ServerSideEncryptionAwsKms},
		{name: "managed", algorithm: types.ServerSideEncryptionAwsKms, managed: true},
		{name: "context", algorithm: types.ServerSideEncryptionAwsKms, context: `{"z":"1","a":"é"}`},
		{name: "bucketkey", algorithm: types.ServerSideEncryptionAwsKms, bucketKey: aws.Bool(true),
			context: `{"a":"b"}`},
		{name: "dsse", algorithm: types.ServerSideEncryptionAwsKmsDsse, context: `{"a":"b"}`},
	}
}

// manyParts are the parts of an upload. In a directory for testdata it has one: every other but the last has
// at least 5 MiB.
func manyParts() [][]byte {
	if *update {
		return [][]byte{large()}
	}
	return [][]byte{bytes.Repeat([]byte("a part!!"), 5<<20/8), large()}
}

// encryptedObjects puts objects and uploads parts under every encryption.
func (p *populator) encryptedObjects() {
	t, ctx := p.t, p.t.Context()
	key := must[*kms.CreateKeyOutput](t)(keysOf(p.s).CreateKey(ctx, &kms.CreateKeyInput{})).KeyMetadata.KeyId
	must[*s3.CreateBucketOutput](t)(p.s3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(encryptedBox)}))
	for i, e := range encryptions() {
		if i == 3 { // earlier objects stay under older material
			must[*kms.RotateKeyOnDemandOutput](t)(keysOf(p.s).RotateKeyOnDemand(ctx, &kms.RotateKeyOnDemandInput{
				KeyId: key,
			}))
		}
		for name, body := range map[string][]byte{"small": inline(), "large": large()} {
			in := &s3.PutObjectInput{
				Bucket: aws.String(encryptedBox), Key: aws.String(e.name + " " + name), Body: bytes.NewReader(body),
				ChecksumAlgorithm:    types.ChecksumAlgorithmSha256,
				ServerSideEncryption: e.algorithm, BucketKeyEnabled: e.bucketKey,
			}
			if e.algorithm == "" {
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = customersHeaders()
			} else if !e.managed {
				in.SSEKMSKeyId = key
			}
			in.SSEKMSEncryptionContext = e.contextHeader()
			must[*s3.PutObjectOutput](t)(p.s3.PutObject(ctx, in))
		}
		p.encryptedParts(e, key, "parts", manyParts()...)
		p.encryptedParts(e, key, "pending", large())
	}
}

// rolledBack deletes the objects under every encryption, restores them with a rollback, and destroys their
// original versions.
func (p *populator) rolledBack() {
	t, ctx, box := p.t, p.t.Context(), aws.String(encryptedBox)
	must[*s3.PutBucketVersioningOutput](t)(p.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket:                  box,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	}))
	to := time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(time.Millisecond)
	var old []types.ObjectIdentifier
	for _, e := range encryptions() {
		for _, name := range []string{"small", "large", "parts"} {
			key := aws.String(e.name + " " + name)
			out := must[*s3.DeleteObjectOutput](t)(p.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: box, Key: key}))
			old = append(old, types.ObjectIdentifier{Key: key, VersionId: out.VersionId},
				types.ObjectIdentifier{Key: key, VersionId: aws.String("null")})
		}
	}
	done := must[operator.Rollback](t)(operator.Dial(p.s.Data).Rollback(ctx, operator.RollbackCommand{
		Bucket: encryptedBox, To: to,
	}, func(operator.RollbackProgress) error { return nil }))
	if done.Restored != len(old)/2 {
		t.Errorf("rolled back: %+v", done)
	}
	must[*s3.DeleteObjectsOutput](t)(p.s3.DeleteObjects(ctx, &s3.DeleteObjectsInput{
		Bucket: box, Delete: &types.Delete{Objects: old},
	}))
}

// checkShared checks the record that counts the versions of each payload: one is left.
func checkShared(d *directory) {
	d.t.Helper()
	for _, e := range encryptions() {
		for _, name := range []string{"small", "large", "parts"} {
			v, ok := d.version(encryptedBox, e.name+" "+name)
			if !ok {
				continue
			}
			at := "e/" + string(v.payload())
			h, _ := fields(d.records[at])
			if get(v.all, 3).uint&8 == 0 || bytes.Equal(v.payload(), v.unique()) || get(h, 1).uint != 1 ||
				string(get(h, 2).bytes) != v.bucketID || string(get(h, 3).bytes) != v.key {
				d.t.Errorf("%s shares no payload: %v, %v", v.key, v.all, h)
			}
			if blob := get(v.all, 19).bytes; len(blob) > 0 && string(d.records["r/"+string(blob)]) != at {
				d.t.Errorf("the blob of %s refers to %q", v.key, d.records["r/"+string(blob)])
			}
		}
	}
}

func customersHeaders() (algorithm, key, sum *string) {
	k, s := customersKey()
	return aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString([]byte(k))), &s
}

func (e encryption) contextHeader() *string {
	if e.context == "" {
		return nil
	}
	return aws.String(base64.StdEncoding.EncodeToString([]byte(e.context)))
}

// encryptedParts uploads parts, and completes the upload unless it is to be pending.
func (p *populator) encryptedParts(e encryption, kmsKey *string, name string, parts ...[]byte) {
	t, ctx, box, key := p.t, p.t.Context(), aws.String(encryptedBox), aws.String(e.name+" "+name)
	begin := &s3.CreateMultipartUploadInput{
		Bucket: box, Key: key, ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		ServerSideEncryption: e.algorithm, BucketKeyEnabled: e.bucketKey, SSEKMSEncryptionContext: e.contextHeader(),
	}
	var algorithm, customer, sum *string
	if e.algorithm == "" {
		algorithm, customer, sum = customersHeaders()
	} else if !e.managed {
		begin.SSEKMSKeyId = kmsKey
	}
	begin.SSECustomerAlgorithm, begin.SSECustomerKey, begin.SSECustomerKeyMD5 = algorithm, customer, sum
	u := must[*s3.CreateMultipartUploadOutput](t)(p.s3.CreateMultipartUpload(ctx, begin))
	var done []types.CompletedPart
	for i, body := range parts {
		out := must[*s3.UploadPartOutput](t)(p.s3.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: box, Key: key, UploadId: u.UploadId, PartNumber: aws.Int32(int32(i + 1)),
			Body: bytes.NewReader(body), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
			SSECustomerAlgorithm: algorithm, SSECustomerKey: customer, SSECustomerKeyMD5: sum,
		}))
		done = append(done, types.CompletedPart{
			PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256,
		})
	}
	if name == "pending" {
		return
	}
	must[*s3.CompleteMultipartUploadOutput](t)(p.s3.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: box, Key: key, UploadId: u.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
		SSECustomerAlgorithm: algorithm, SSECustomerKey: customer, SSECustomerKeyMD5: sum,
	}))
}

// encryptedServed reads from the server what encryptedObjects wrote.
func (p *populator) encryptedServed() {
	p.t.Helper()
	for _, e := range encryptions() {
		for name, want := range map[string][]byte{
			"small": inline(), "large": large(), "parts": bytes.Join(manyParts(), nil),
		} {
			in := &s3.GetObjectInput{Bucket: aws.String(encryptedBox), Key: aws.String(e.name + " " + name)}
			if e.algorithm == "" {
				in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = customersHeaders()
			}
			out := must[*s3.GetObjectOutput](p.t)(p.s3.GetObject(p.t.Context(), in))
			got, err := io.ReadAll(out.Body)
			out.Body.Close()
			if err != nil || !bytes.Equal(got, want) || out.ServerSideEncryption != e.algorithm {
				p.t.Errorf("%s %s: %d bytes, %s, %v", e.name, name, len(got), out.ServerSideEncryption, err)
			}
		}
	}
}
