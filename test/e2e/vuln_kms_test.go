package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// The tests of this file are about bugs of other S3 servers that could occur with KMS keys. Each first
// checks that allowed access works, and then that other access does not.

// TestUnsignedKeyHeaders (RustFS GHSA-g8w9, GHSA-xm99): an unsigned header can choose neither the key
// of a write nor its encryption context.
func TestUnsignedKeyHeaders(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("unsigned-keys", sse{}), c.newKey()
	on := true
	h := sse{algorithm: "aws:kms", key: key, context: `{"a":"b"}`, bucketKey: &on}.headers()
	for _, presign := range []bool{false, true} {
		signed := raw{method: "PUT", target: "/" + bucket + "/signed", body: "x", header: h.Clone(), presign: presign}
		if a := send(t, c.Server, signed); a.status != 200 {
			t.Errorf("signed: %d %s", a.status, a.body)
		}
		for name, value := range h {
			t.Run(fmt.Sprint(name, " ", presign), func(t *testing.T) {
				for method, target := range map[string]string{"PUT": "/smuggled", "POST": "/smuggled?uploads"} {
					req := signedRequest(t, c.Server, raw{
						method: method, target: "/" + bucket + target, presign: presign, header: http.Header{},
					})
					req.Header[name] = value
					if a := roundTrip(t, c.Server, req); a.status != 403 {
						t.Errorf("smuggled into %s %s: %d %s", method, target, a.status, a.code)
					}
				}
			})
		}
	}
	if keys := keysOf(t, c.Server, bucket); len(keys) != 1 || keys[0] != "signed" {
		t.Errorf("stored: %q", keys)
	}
}

// TestCopyIsNoWayAroundAKey (SeaweedFS #9546; RustFS GHSA-mx42, GHSA-wfxj): a caller who may read an
// object but not use its key can't copy it to a place where it needs no key. S3 uses the caller's
// permission on the key, never its own.
func TestCopyIsNoWayAroundAKey(t *testing.T) {
	c := newSSECast(t)
	bucket, own := c.bucketOf("locked", sse{}), c.bucketOf("open", sse{})
	key, theirs := c.newKey(), c.newKey()
	c.mustPut(bucket, "k", "x", underKMS(key))
	u := c.user("copier", "")
	s3All := permission{"s3:*", "*"}.statement("Allow")
	on := func(action, key string) string { return permission{action, key}.statement("Allow") }
	ways := map[string]func() error{
		"CopyObject": func() error {
			_, err := u.s3.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: &own, Key: aws.String("k"), CopySource: aws.String(bucket + "/k"),
			})
			return err
		},
		"CopyObject to a key": func() error {
			_, err := u.s3.CopyObject(t.Context(), &s3.CopyObjectInput{
				Bucket: &own, Key: aws.String("k"), CopySource: aws.String(bucket + "/k"),
				ServerSideEncryption: "aws:kms", SSEKMSKeyId: &theirs,
			})
			return err
		},
		"UploadPartCopy": func() error {
			up, _, err := c.begin(u.s3, own, "k", sse{})
			c.ok(err)
			_, err = up.copied(bucket + "/k")
			return err
		},
		"UpdateObjectEncryption": func() error { return c.updated(u.s3, bucket, "k", theirs, false) },
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			for _, its := range []string{
				on("kms:*", theirs), on("kms:GenerateDataKey", "*"), on("kms:Encrypt", "*"), on("kms:ReEncrypt*", "*"),
			} {
				c.grants("copier", document(s3All, its))
				wantCode(t, way(), 403, "AccessDenied")
			}
		})
	}
	c.grants("copier", document(s3All, on("kms:*", theirs), on("kms:Decrypt", key)))
	for name, way := range ways {
		t.Run(name+", allowed", func(t *testing.T) { expect(t, way(), "") })
		if name == "UpdateObjectEncryption" {
			c.mustPut(bucket, "k", "x", underKMS(key))
		}
	}
}

func document(statements ...string) string {
	return `{"Version":"2012-10-17","Statement":[` + strings.Join(statements, ",") + `]}`
}

// TestHeadersAreNoKeyConditions (RustFS GHSA-6r96): a client can't choose the values of condition keys
// about the service, the caller and the purpose of a key's use.
func TestHeadersAreNoKeyConditions(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("conditions", sse{}), c.newKey()
	u := c.user("direct", "")
	sealed, err := c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	body, err := json.Marshal(map[string]any{"KeyId": key, "CiphertextBlob": sealed.CiphertextBlob})
	c.ok(err)
	c.mustPut(bucket, "k", "x", underKMS(key))
	at := "arn:aws:s3:::" + bucket + "/k"
	for name, value := range map[string]string{
		"kms:ViaService": "s3." + c.Region + ".amazonaws.com", "kms:EncryptionContext:aws:s3:arn": at,
		"aws:ViaAWSService": "true", "aws:CalledVia": "s3.amazonaws.com", "aws:SourceArn": at,
		"kms:GrantIsForAWSResource": "true",
	} {
		t.Run(name, func(t *testing.T) {
			c.grants("direct", document(permission{"s3:*", "*"}.statement("Allow"),
				`{"Effect":"Allow","Action":"kms:Decrypt","Resource":"*","Condition":{"ForAnyValue:StringEquals":{"`+
					name+`":"`+value+`"}}}`))
			_, short, _ := strings.Cut(name, ":")
			for _, header := range []string{
				name, strings.ReplaceAll(name, ":", "-"), "X-Amz-" + short, "X-Amz-Via-Service",
				"X-Amz-Source-Arn", "X-Amz-Kms-Encryption-Context",
			} {
				status, code, _ := c.kmsAsk("Decrypt", string(body), func(r *raw) {
					by(u.key)(r)
					r.header = r.header.Clone()
					r.header[http.CanonicalHeaderKey(strings.ReplaceAll(header, ":", "_"))] = []string{value}
				})
				if status != 400 || code != "AccessDeniedException" {
					t.Errorf("%s: %d %s", header, status, code)
				}
			}
			if !strings.Contains("kms:ViaService kms:EncryptionContext:aws:s3:arn aws:ViaAWSService", name) {
				return // S3 does not set this condition key either
			}
			if _, _, err := c.get(u.s3, bucket, "k"); err != nil {
				t.Error("through S3:", err)
			}
		})
	}
}

// TestSessionTakesNoKeyAlong (MinIO CVE-2022-24842, CVE-2024-24747, CVE-2025-62506; RustFS GHSA-5354):
// a session with a session policy can't use a key that this policy does not allow, whatever its role,
// the key's policy and its grants allow.
func TestSessionTakesNoKeyAlong(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("session", sse{}), c.newKey()
	c.mustPut(bucket, "k", "x", underKMS(key))
	u := c.user("u", may("sts:AssumeRole", "*"))
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), everywhere("s3:*", "kms:*"))
	_, err := c.kms.CreateGrant(t.Context(), &kms.CreateGrantInput{
		KeyId: &key, GranteePrincipal: r.Arn, Operations: []types.GrantOperation{"Decrypt", "CreateGrant"},
	})
	c.ok(err)
	another := permission{"kms:*", c.newKey()}.statement("Allow")
	for policy, reads := range map[string]bool{
		"": true, everywhere("s3:*", "kms:Decrypt"): true, everywhere("s3:*"): false,
		document(permission{"s3:*", "*"}.statement("Allow"), another): false,
	} {
		who := c.assumed(u, assume(*r.Arn, "narrow", func(in *sts.AssumeRoleInput) { in.Policy = pointer(policy) }))
		_, _, err := c.get(who.s3, bucket, "k")
		if reads {
			expect(t, err, "")
			continue
		}
		wantCode(t, err, 403, "AccessDenied")
		_, err = c.as(who).CreateGrant(t.Context(), &kms.CreateGrantInput{
			KeyId: &key, GranteePrincipal: &u.arn, Operations: []types.GrantOperation{"Decrypt"},
		})
		expect(t, err, "AccessDeniedException")
	}
}

// TestEveryKeyOperationIsAuthorized (MinIO CVE-2020-11012, CVE-2026-40344; RustFS
// GHSA-f5cv, GHSA-796f, GHSA-pfcq): every operation of KMS needs a valid signature and a permission of
// KMS.
func TestEveryKeyOperationIsAuthorized(t *testing.T) {
	c := newKMSCast(t)
	key := c.newKey()
	sealed, err := c.kms.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	u := c.user("u", everywhere("s3:*", "iam:*", "sts:*"))
	for _, row := range c.Operations("kms") {
		t.Run(row.Name(), func(t *testing.T) {
			body := c.kmsDocument(row.Name(), key, "alias/absent", sealed.CiphertextBlob)
			status, code, _ := c.kmsAsk(row.Name(), body, by(u.key))
			if status != 400 || code != "AccessDeniedException" && code != "UnsupportedOperationException" {
				t.Errorf("a user of S3: %d %s", status, code)
			}
			status, code, _ = c.kmsAsk(row.Name(), body, func(r *raw) { r.breakSignature = true })
			if status != 400 && status != 403 || !strings.Contains(code, "Signature") {
				t.Errorf("a wrong signature: %d %s", status, code)
			}
			status, code, _ = c.kmsAsk(row.Name(), body, func(r *raw) { r.unsigned = true })
			if status != 400 && status != 403 || !strings.Contains(code, "MissingAuthenticationToken") {
				t.Errorf("without a signature: %d %s", status, code)
			}
		})
	}
	out, err := c.kms.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
	if err != nil || out.KeyMetadata.KeyState != types.KeyStateEnabled {
		t.Errorf("the key: %+v, %v", out, err)
	}
}

// TestNoMaterialIsTold (Ceph CVE-2018-16889; RustFS GHSA-r54g, GHSA-8cm2, GHSA-333v; MinIO
// CVE-2024-55949): no answer, log, event or file contains imported material.
func TestNoMaterialIsTold(t *testing.T) {
	c := newSSECast(t)
	ctx := t.Context()
	key := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })
	material := make([]byte, 32)
	rand.Read(material)
	p, err := c.kms.GetParametersForImport(ctx, &kms.GetParametersForImportInput{
		KeyId: &key, WrappingAlgorithm: "RSAES_OAEP_SHA_256", WrappingKeySpec: "RSA_2048",
	})
	c.ok(err)
	_, err = c.kms.ImportKeyMaterial(ctx, &kms.ImportKeyMaterialInput{
		KeyId: &key, ImportToken: p.ImportToken, ExpirationModel: "KEY_MATERIAL_DOES_NOT_EXPIRE",
		EncryptedKeyMaterial: wrap(t, "RSAES_OAEP_SHA_256", p.PublicKey, material),
	})
	c.ok(err)
	search := func(where string, b []byte) {
		for how, text := range map[string]string{
			"raw": string(material), "hex": hex.EncodeToString(material),
			"base64": strings.TrimRight(base64.StdEncoding.EncodeToString(material), "="),
		} {
			if bytes.Contains(b, []byte(text)) {
				t.Errorf("%s contains the material (%s)", where, how)
			}
		}
	}
	bucket := c.bucketOf("material", sse{})
	out := c.mustPut(bucket, "k", "x", underKMS(key))
	search("the answer of S3", fmt.Append(nil, out))
	sealed, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &key, Plaintext: []byte("x")})
	c.ok(err)
	search("a ciphertext", sealed.CiphertextBlob)
	told := 0
	for _, row := range c.Operations("kms") {
		if !strings.HasPrefix(row.Name(), "Delete") && !strings.HasPrefix(row.Name(), "Schedule") &&
			!strings.HasPrefix(row.Name(), "Disable") {
			a := send(t, c.Server, raw{
				method: "POST", target: "/", service: "kms",
				body: c.kmsDocument(row.Name(), key, "alias/a", sealed.CiphertextBlob), header: http.Header{
					"Content-Type": {"application/x-amz-json-1.1"}, "X-Amz-Target": {"TrentService." + row.Name()},
				},
			})
			search(row.Name(), []byte(a.body))
			if a.status == 200 {
				told++
			}
		}
	}
	if told < 15 {
		t.Errorf("only %d operations answered", told)
	}
	search("the log", []byte(c.Logs.String()))
	_, text := c.events()
	search("the audit log", []byte(text))
	c.ok(filepath.WalkDir(c.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		search(path, b)
		return err
	}))
}

// TestInternalHeadersUnderKMS (MinIO GHSA-3rh2): only headers of the S3 API decide how an
// object under a key of KMS is stored, and it stays readable.
func TestInternalHeadersUnderKMS(t *testing.T) {
	c := newSSECast(t)
	bucket, key := c.bucketOf("inner-keys", sse{}), c.newKey()
	text := strings.Repeat(marker+" ", 2000)
	want := described{"aws:kms", key, false}
	for _, name := range append(internalHeaders(), "X-Minio-Internal-Server-Side-Encryption-S3-Kms-Key-Id",
		"X-Minio-Internal-Server-Side-Encryption-S3-Kms-Sealed-Key", "X-Amz-Meta-X-Amz-Wrap-Alg",
		"X-Amz-Meta-X-Amz-Matdesc", "X-Seaweedfs-Sse-Kms-Key", "X-Amz-Server-Side-Encryption-Kms-Key-Id") {
		h := underKMS(key).headers()
		h.Set(name, "injected")
		at := "/" + bucket + "/" + name
		if a := send(t, c.Server, raw{method: "PUT", target: at, body: text, header: h}); a.status != 200 ||
			describedBy(a.header) != want {
			t.Errorf("%s: %d %+v", name, a.status, describedBy(a.header))
		}
		a := send(t, c.Server, raw{method: "GET", target: at, header: has(name, "injected")})
		if a.status != 200 || a.body != text || describedBy(a.header) != want {
			t.Errorf("%s: %d, %d bytes, %+v", name, a.status, len(a.body), describedBy(a.header))
		}
		for header, v := range a.header {
			if slices.Contains(v, "injected") && !strings.HasPrefix(header, "X-Amz-Meta-") {
				t.Errorf("%s: the answer has %s: %s", name, header, v)
			}
		}
	}
	if files := filesWith(t, c.Data, marker); len(files) > 0 {
		t.Errorf("plaintext in %q", files)
	}
}

// TestSaysUnderAKeyAndIs (RustFS GHSA-xrrf): if an answer names a key, the bytes on the
// disk need it, for every framing of a body and every size: without the key nothing is
// read.
func TestSaysUnderAKeyAndIs(t *testing.T) {
	c := newSSECast(t)
	bucket := c.bucketOf("says-key", sse{})
	for _, algorithm := range []string{"aws:kms", "aws:kms:dsse"} {
		key := c.newKey()
		how := sse{algorithm: s3types.ServerSideEncryption(algorithm), key: key}
		c.defaults(bucket, how) // for aws-chunked bodies
		for name, size := range map[string]int{"one": 1, "inline": 100, "blob": 10_000} {
			t.Run(algorithm+" "+name, func(t *testing.T) {
				text := strings.Repeat(marker+" ", size)
				for _, mode := range []string{signedChunks, unsignedChunks, "UNSIGNED-PAYLOAD", ""} {
					at := "/" + bucket + "/" + strings.ReplaceAll(algorithm, ":", "-") + name + mode
					var a answer
					if strings.HasPrefix(mode, "STREAMING") {
						a = sendFramed(t, c.Server, at, framed{mode: mode, data: []string{text}})
					} else {
						a = send(t, c.Server, raw{
							method: "PUT", target: at, body: text, hash: mode, header: how.headers(),
						})
					}
					got := describedBy(a.header)
					if a.status != 200 || string(got.algorithm) != algorithm || got.key != key {
						t.Errorf("%s: %d %+v %s", at, a.status, got, a.body)
					}
					if a := send(t, c.Server, raw{method: "GET", target: at}); a.body != text {
						t.Errorf("%s: read back %d bytes", at, len(a.body))
					}
				}
			})
		}
		_, err := c.kms.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key})
		c.ok(err)
	}
	for _, key := range keysOf(t, c.Server, bucket) {
		if a := send(t, c.Server, raw{method: "GET", target: "/" + bucket + "/" + key}); a.status != 400 ||
			a.code != "KMS.DisabledException" {
			t.Errorf("%s under a disabled key: %d %s", key, a.status, a.code)
		}
	}
	if files := filesWith(t, c.Data, marker); len(files) > 0 {
		t.Errorf("plaintext in %q", files)
	}
}

// TestNoFallbackWithoutAKey (RustFS #3520, #3551): a write whose key can't be used is
// refused and stores nothing, whether the request or the bucket's default names the key. No other key
// and no weaker encryption is used instead. No two ciphertexts are the same.
func TestNoFallbackWithoutAKey(t *testing.T) {
	c := newSSECast(t)
	ctx := t.Context()
	good, disabled, pending := c.newKey(), c.newKey(), c.newKey()
	external := c.newKey(func(in *kms.CreateKeyInput) { in.Origin = types.OriginTypeExternal })
	_, err := c.kms.DisableKey(ctx, &kms.DisableKeyInput{KeyId: &disabled})
	c.ok(err)
	_, err = c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{KeyId: &pending})
	c.ok(err)
	bucket := c.bucketOf("fallback", sse{})
	for name, key := range map[string]string{
		"disabled": disabled, "pending deletion": pending, "without material": external,
		"absent": strings.Replace(good, idOf(good), "00000000-0000-4000-8000-000000000000", 1),
		"zero":   "00000000-0000-0000-0000-000000000000", "an alias": "alias/absent",
		"the managed one of another service": "alias/aws/ebs",
	} {
		t.Run(name, func(t *testing.T) {
			for _, algorithm := range []string{"aws:kms", "aws:kms:dsse"} {
				e := underKMS(key)
				h := e.headers()
				h.Set("X-Amz-Server-Side-Encryption", algorithm)
				a := send(t, c.Server, raw{method: "PUT", target: "/fallback/k", body: "x", header: h})
				if a.status != 400 && a.status != 403 {
					t.Errorf("named: %d %s", a.status, a.body)
				}
			}
			c := c.in(t)
			c.defaults(bucket, underKMS(key))
			if _, err := c.put(c.S3, bucket, "k", "x", sse{}); statusOf(err) != 400 && statusOf(err) != 403 {
				t.Errorf("by default: %v", err)
			}
			if _, _, err := c.begin(c.S3, bucket, "k", sse{}); statusOf(err) != 400 && statusOf(err) != 403 {
				t.Errorf("an upload by default: %v", err)
			}
		})
	}
	if keys := keysOf(t, c.Server, bucket); len(keys) > 0 {
		t.Errorf("stored: %q", keys)
	}
	c.defaults(bucket, underKMS(good))
	_, err = c.put(c.S3, bucket, "k", "x", sse{})
	c.ok(err)
	seen := map[string]bool{}
	for range 100 {
		out, err := c.kms.Encrypt(ctx, &kms.EncryptInput{KeyId: &good, Plaintext: make([]byte, 64)})
		c.ok(err)
		seen[string(out.CiphertextBlob[len(out.CiphertextBlob)-80:])] = true
	}
	if len(seen) != 100 {
		t.Errorf("%d ciphertexts of 100", len(seen))
	}
}

// TestKeyNamesClimbNowhere (SeaweedFS CVE-2026-54917, CVE-2026-55874; Ceph CVE-2021-3524;
// SeaweedFS CVE-2024-40120): no text as a key's name selects another key, corrupts a header or a record,
// or causes a server error. A bare id never names a key of another account.
func TestKeyNamesClimbNowhere(t *testing.T) {
	c := newSSECast(t)
	foreign := c.CreateAccount(t, "foreign")
	account := accountOf(t, c.Server, foreign)
	own, theirs := c.newKey(), ""
	out, err := c.kmsOf(foreign, "").CreateKey(t.Context(), &kms.CreateKeyInput{})
	c.ok(err)
	theirs = *out.KeyMetadata.Arn
	bucket := c.bucketOf("climbs", sse{})
	c.mustPut(bucket, "own", "x", underKMS(idOf(own)))
	at := strings.TrimSuffix(own, idOf(own))
	names := []string{
		idOf(theirs), theirs, "../" + idOf(own), "key/../" + idOf(own), "alias/../key/" + idOf(own),
		at + "../key/" + idOf(own), at + "*", "*", "alias/*", idOf(own)[:35], idOf(own) + "0",
		strings.ReplaceAll(own, c.account, account),
		strings.ReplaceAll(theirs, account, c.account), own + "/", own + ":" + idOf(own), "alias//aws/s3",
		"%61lias/aws/s3", at + "%2e%2e", idOf(own) + "\x00", idOf(own) + "\r\nX-Evil: 1", "' OR 1=1 --",
		"alias/aws/s3\x00", "{}", "/",
		"arn:aws:kms:::key/" + idOf(own), "arn:aws:s3:::" + bucket, strings.Repeat("a", 2048),
		strings.ReplaceAll(idOf(own), "-", ""),
	}
	for i, name := range names {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			body, err := json.Marshal(map[string]any{"KeyId": name, "Plaintext": "eA=="})
			c.ok(err)
			for _, operation := range []string{"Encrypt", "DescribeKey", "DisableKey", "ScheduleKeyDeletion"} {
				if status, code, _ := c.kmsAsk(operation, string(body), func(*raw) {}); status != 400 {
					t.Errorf("%s of %q: %d %s", operation, name, status, code)
				}
			}
			c := c.in(t)
			if !strings.ContainsAny(name, "\x00\r") {
				a := send(t, c.Server, raw{
					method: "PUT", target: "/climbs/named", body: "x", header: underKMS(name).headers(),
				})
				if a.status != 400 && a.status != 403 {
					t.Errorf("%q in a header: %d %s", name, a.status, a.code)
				}
			}
			if err := putEncryption(t, c.Server, &bucket, s3types.ServerSideEncryptionRule{
				ApplyServerSideEncryptionByDefault: byDefault("aws:kms", &name),
			}); err != nil {
				if status := statusOf(err); status != 400 && status != 403 {
					t.Errorf("%q in a setting: %v", name, err)
				}
				return
			}
			a := send(t, c.Server, raw{method: "PUT", target: "/climbs/default", body: "x"})
			if a.status != 400 && a.status != 403 || a.header.Get("X-Evil") != "" {
				t.Errorf("%q as the default: %d %v", name, a.status, slices.Sorted(maps.Keys(a.header)))
			}
		})
	}
	for _, key := range []string{own, theirs} {
		who := c.kms
		if key == theirs {
			who = c.kmsOf(foreign, "")
		}
		out, err := who.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: &key})
		if err != nil || out.KeyMetadata.KeyState != types.KeyStateEnabled {
			t.Errorf("%s: %+v, %v", key, out, err)
		}
	}
	if keys := keysOf(t, c.Server, bucket); len(keys) != 1 {
		t.Errorf("stored: %q", keys)
	}
}
