package format

import (
	"bytes"
	"encoding/binary"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
	"watertight/test/metafiles"
)

// rawWrappings returns the wrapped keys that the disk has unsealed: the store's own, and that of a sealed
// file.
func rawWrappings(t *testing.T, data string, root []generation) map[string][]byte {
	t.Helper()
	d := &directory{root: root}
	s, err := metafiles.Open(filepath.Join(data, "meta"), d.generations())
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{"id": s.Wrapped[0], "files": s.Wrapped[1]}
	file, err := os.ReadFile(filepath.Join(data, "tls/self-signed"))
	if err != nil {
		t.Fatal(err)
	}
	all["tls"] = file[8:100]
	return all
}

// rotate rotates and waits for the end.
func rotate(t *testing.T, s *harness.Server, to string) operator.RootKey {
	t.Helper()
	o := operator.Dial(s.Data)
	if _, err := o.RotateRootKey(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	for range 1200 {
		r, err := o.RotationReport(t.Context())
		if err != nil || r.Error != "" {
			t.Fatal(err, r.Error)
		}
		if !r.Ended.IsZero() && r.Phase == "" {
			k, err := o.RootKey(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("the rotation does not end")
	return operator.RootKey{}
}

// TestRotation: a directory of an earlier program is moved to another key file and another generation while
// it is served. Afterwards it agrees with the page, everything in it is served, and the old key opens neither
// the keyring nor any wrapped key in the files.
func TestRotation(t *testing.T) {
	dir, all := t.TempDir(), page(t)
	unpack(t, dir, 2)
	data, newKey := filepath.Join(dir, "data"), filepath.Join(dir, "new.key")
	s := serve(t, dir)
	s.Stop()
	before := rawWrappings(t, data, keyring(t, data, fromFile(t, filepath.Join(dir, "root.key"))))
	s = serve(t, dir)
	keyID, blob := encrypted(t, s)
	clients(t, s).encryptedObjects()
	k := rotate(t, s, "file:"+newKey)
	if k.Source != "file:"+newKey || len(k.Locks) != 1 || k.Generations[0].Number != 2 || !k.Generations[0].Current {
		t.Errorf("afterwards: %+v", k)
	}
	if len(k.Rotation.Remains) != 1 || k.Rotation.Remains[0].Generation != 1 || len(k.Generations) != 2 {
		t.Errorf("only files of the audit log remain: %+v", k.Rotation.Remains)
	}
	for _, p := range k.Rotation.Parts {
		if p.Rewrapped == 0 || p.Failed > 0 || p.Seen < p.Rewrapped {
			t.Errorf("%s: %+v", p.Name, p)
		}
	}
	served(t, s)
	clients(t, s).encryptedServed()
	decrypted(t, s, blob)
	clients(t, s).bucketAfter("after")
	s.Stop()
	root := keyring(t, data, fromFile(t, newKey))
	if len(root) != 2 || root[0].number != 2 {
		t.Fatalf("%d generations", len(root))
	}
	checkAs(t, dir, all, present, root)
	rotated(t, readDirectory(t, data, present, root), 2)
	for path, text := range harness.Contents(t, data) {
		for what, wrapped := range before {
			if strings.Contains(text, string(wrapped)) {
				t.Errorf("%q, wrapped under the old generation, is in %s", what, path)
			}
		}
	}
	refused(t, dir, filepath.Join(dir, "root.key"))
	s = harness.Start(t, func(c *server.Config) {
		c.Data, c.RootKey, c.TLS.SelfSigned = data, "file:"+newKey, true
	})
	served(t, s)
	clients(t, s).encryptedServed()
	decrypted(t, s, blob)
	must[*kms.DescribeKeyOutput](t)(keysOf(s).DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &keyID}))
	if k := rotate(t, s, ""); k.Generations[0].Number != 3 || k.Source != "file:"+newKey {
		t.Errorf("a second rotation: %+v", k)
	}
	served(t, s)
	s.Stop()
	root = keyring(t, data, fromFile(t, newKey))
	checkAs(t, dir, all, present, root)
	rotated(t, readDirectory(t, data, present, root), 3)
}

func keysOf(s *harness.Server) *kms.Client {
	return kms.New(kms.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, RetryMaxAttempts: 1, HTTPClient: harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
}

// encrypted encrypts something under a new key of KMS.
func encrypted(t *testing.T, s *harness.Server) (keyID string, blob []byte) {
	t.Helper()
	c := keysOf(s)
	key := must[*kms.CreateKeyOutput](t)(c.CreateKey(t.Context(), &kms.CreateKeyInput{}))
	out := must[*kms.EncryptOutput](t)(c.Encrypt(t.Context(), &kms.EncryptInput{
		KeyId: key.KeyMetadata.KeyId, Plaintext: inline(),
	}))
	return *key.KeyMetadata.KeyId, out.CiphertextBlob
}

func decrypted(t *testing.T, s *harness.Server, blob []byte) {
	t.Helper()
	out := must[*kms.DecryptOutput](t)(keysOf(s).Decrypt(t.Context(), &kms.DecryptInput{CiphertextBlob: blob}))
	if !bytes.Equal(out.Plaintext, inline()) {
		t.Errorf("KMS decrypts it to %q", out.Plaintext)
	}
}

// bucketAfter makes a bucket, which a change of the root key must not stop.
func (p *populator) bucketAfter(name string) {
	p.t.Helper()
	must[*s3.CreateBucketOutput](p.t)(p.s3.CreateBucket(p.t.Context(), &s3.CreateBucketInput{Bucket: &name}))
}

// rotated checks that every data key of an object, an upload or a part is wrapped under
// a generation, if not under a key of KMS, and that it still opens.
func rotated(t *testing.T, d *directory, generation uint32) {
	t.Helper()
	seen, schemes := 0, map[byte]bool{}
	look := func(key string, wrapped []byte) {
		if len(wrapped) == 0 {
			return
		}
		if schemes[wrapped[0]] = true; wrapped[0] == 3 || wrapped[0] == 4 {
			return
		}
		if seen++; binary.BigEndian.Uint32(wrapped[1:]) != generation {
			t.Errorf("the data key of %q is wrapped under generation %d", key, wrapped[4])
		}
	}
	for key, value := range d.records {
		all, _ := fields(value)
		switch key[:min(2, len(key))] {
		case "v/", "m/":
			look(key, get(all, 18).bytes)
		case "p/":
			look(key, get(all, 9).bytes)
		case "q/":
			for _, f := range all {
				if part, ok := fields(f.bytes); f.number == 28 && ok {
					look(key, get(part, 9).bytes)
				}
			}
		}
	}
	if seen < 8 || len(schemes) != 4 || !schemes[5] { // of SSE-S3, of KMS, and of SSE-C wrapped anew
		t.Errorf("there are %d data keys, of schemes %v", seen, schemes)
	}
	checkEncrypted(d)
}

// refused expects that a server does not start with a key, and changes nothing.
func refused(t *testing.T, dir, key string) {
	t.Helper()
	data := filepath.Join(dir, "data")
	before := harness.Contents(t, data)
	s, err := harness.Try(t, func(c *server.Config) { c.Data, c.RootKey = data, "file:"+key })
	if err == nil {
		s.Stop()
		t.Fatal("the server starts with " + key)
	}
	if !strings.Contains(err.Error(), "new.key") {
		t.Errorf("the error does not name the source in use: %v", err)
	}
	if !maps.Equal(before, harness.Contents(t, data)) {
		t.Error("the refused start changed something")
	}
}
