package object

import (
	"bytes"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/arn"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/fault"
	"watertight/internal/storage/digest"
	"watertight/internal/storage/kv"
)

func ownKey(seed byte) CustomerKey {
	raw := bytes.Repeat([]byte{seed}, 32)
	sum := md5.Sum(raw)
	return CustomerKey{
		Algorithm: "AES256", Key: base64.StdEncoding.EncodeToString(raw),
		MD5: base64.StdEncoding.EncodeToString(sum[:]),
	}
}

// TestCustomerKeyIsNotKept: records contain neither the key nor anything derived from the
// plaintext, even before they are sealed.
func TestCustomerKeyIsNotKept(t *testing.T) {
	e := newEnv(t)
	mine := ownKey(7)
	for i, text := range []string{"short", long()} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			v, err := e.put(PutInput{
				Key: "k", Body: strings.NewReader(text), Size: int64(len(text)), Algorithm: digest.SHA256,
				Encryption: Encryption{Customer: mine},
			})
			if err != nil {
				t.Fatal(err)
			}
			if !v.CustomerKey || v.Encryption != "" || v.ETag.Sum == md5.Sum([]byte(text)) || v.Checksum.Sum == nil {
				t.Errorf("%+v", v)
			}
			again, err := e.put(PutInput{
				Key: "again", Body: strings.NewReader(text), Size: int64(len(text)),
				Encryption: Encryption{Customer: mine},
			})
			if err != nil || again.ETag == v.ETag {
				t.Errorf("the same text has the same ETag, or %v", err)
			}
			raw, err := base64.StdEncoding.DecodeString(mine.Key)
			if err != nil {
				t.Fatal(err)
			}
			plainMD5, keyMD5 := md5.Sum([]byte(text)), md5.Sum(raw)
			kept := 0
			err = e.store.View(t.Context(), func(r kv.Reader) error {
				for p, err := range r.Scan([]byte("a"), []byte("z")) {
					if err != nil {
						return err
					}
					kept++
					for what, secret := range map[string][]byte{
						"key": raw, "key's MD5": keyMD5[:], "text": []byte(text), "MD5": plainMD5[:],
						"checksum": v.Checksum.Sum,
					} {
						if bytes.Contains(p.Value, secret) {
							t.Errorf("%q holds the %s", p.Key, what)
						}
					}
				}
				return nil
			})
			if err != nil || kept == 0 {
				t.Error(kept, err)
			}
			if r, got, err := e.get(GetInput{Key: "k", Customer: mine}); err != nil || got != text ||
				!bytes.Equal(r.Checksum.Sum, v.Checksum.Sum) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			_, _, err = e.get(GetInput{Key: "k", Customer: ownKey(8)})
			wants(t, err, fault.KindDenied, "AccessDenied")
			_, _, err = e.get(GetInput{Key: "k"})
			wants(t, err, fault.KindInvalid, "InvalidRequest")
		})
	}
}

// TestCustomerKeyInPlain: a key that came over plain HTTP is refused for writes and for reads.
func TestCustomerKeyInPlain(t *testing.T) {
	e := newEnv(t)
	mine := ownKey(7)
	at := arn.Object("bkt", "k")
	g := coretest.Grant(t, coretest.RootInPlain(coretest.Account), at, "s3:PutObject", "s3:GetObject",
		"s3:GetObjectAttributes", "s3:ListMultipartUploadParts")
	ctx := t.Context()
	if _, err := e.objects.Put(ctx, g, PutInput{
		Bucket: "bkt", Key: "k", Body: strings.NewReader("x"), Size: 1,
	}); err != nil {
		t.Fatal(err)
	}
	for what, do := range map[string]func() error{
		"Put": func() error {
			_, err := e.objects.Put(ctx, g, PutInput{Bucket: "bkt", Key: "k", Encryption: Encryption{Customer: mine}})
			return err
		},
		"Get": func() error {
			_, err := e.objects.Get(ctx, g, GetInput{Bucket: "bkt", Key: "k", Customer: mine})
			return err
		},
		"Head": func() error {
			_, err := e.objects.Head(ctx, g, GetInput{Bucket: "bkt", Key: "k", Customer: mine})
			return err
		},
		"Attributes": func() error {
			_, err := e.objects.Attributes(ctx, g, GetInput{Bucket: "bkt", Key: "k", Customer: mine}, 0, nil)
			return err
		},
		"CreateUpload": func() error {
			_, err := e.objects.CreateUpload(ctx, g, UploadInput{
				Bucket: "bkt", Key: "k", Encryption: Encryption{Customer: mine},
			})
			return err
		},
		"PutPart": func() error {
			_, err := e.objects.PutPart(ctx, g, PartInput{Bucket: "bkt", Key: "k", Number: 1, Customer: mine})
			return err
		},
		"ListParts": func() error {
			_, err := e.objects.ListParts(ctx, g, ListPartsInput{Bucket: "bkt", Key: "k", Customer: mine})
			return err
		},
		"CompleteUpload": func() error {
			_, err := e.objects.CompleteUpload(ctx, g, CompleteInput{
				Bucket: "bkt", Key: "k", Parts: []CompletePart{{Number: 1}}, Customer: mine,
			})
			return err
		},
		"Copy": func() error {
			_, _, err := e.objects.Copy(ctx, g, CopyInput{
				Source: CopySource{Bucket: "bkt", Key: "k"}, Bucket: "bkt", Key: "k",
				Encryption: Encryption{Customer: mine},
			})
			return err
		},
		"Copy from": func() error {
			_, _, err := e.objects.Copy(ctx, g, CopyInput{
				Source: CopySource{Bucket: "bkt", Key: "k", Customer: mine}, Bucket: "bkt", Key: "k",
			})
			return err
		},
	} {
		t.Run(what, func(t *testing.T) {
			if f := fault.From(do()); f == nil || f.Code != "InvalidRequest" ||
				!strings.Contains(f.Message, "secure connection") {
				t.Errorf("%s: %v", what, f)
			}
		})
	}
}

// TestCustomerKeysAreNotPrinted: neither directly nor as a member of an input.
func TestCustomerKeysAreNotPrinted(t *testing.T) {
	k := ownKey(7)
	in := PutInput{Bucket: "bkt", Encryption: Encryption{Customer: k}}
	text, err := json.Marshal(map[string]any{"key": k, "input": GetInput{Customer: k}})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprint(k), fmt.Sprintf("%v %+v %#v %s", k, k, k, k), fmt.Sprintf("%v %+v %#v", in, in, in), string(text),
	} {
		if strings.Contains(s, k.Key) || strings.Contains(s, k.MD5) {
			t.Errorf("a key is printed: %s", s)
		}
	}
}

// TestCustomerRecord: a version with a customer's key keeps its checksum only sealed,
// and records that are older than such keys can still be read.
func TestCustomerRecord(t *testing.T) {
	v := sample()
	v.encryption, v.sealedSum = customerKey, []byte("sealed")
	got, err := decodeVersion(v.encode())
	if err != nil || got.encryption != customerKey || string(got.sealedSum) != "sealed" || got.checksum.Sum != nil {
		t.Errorf("%+v, %v", got, err)
	}
	p := &part{
		number: 1, unique: v.unique, checksum: Checksum{Algorithm: digest.CRC32, Sum: []byte("abcd")},
		sealedSum: []byte("sealed"),
	}
	if got, err := decodePart(p.encode(nil)); err != nil || string(got.sealedSum) != "sealed" ||
		got.checksum.Sum != nil {
		t.Errorf("%+v, %v", got, err)
	}
	old := record.Start(nil) // only fields 1, 2, 12 and 16
	old = record.Uint(old, fieldSeq, 5)
	old = record.Bytes(old, fieldUnique, v.unique[:])
	old = record.Uint(old, fieldEncryption, 1)
	old = record.Bytes(old, fieldSum, []byte("sum"))
	if got, err := decodeVersion(old); err != nil || got.encryption != bucket.AES256 ||
		string(got.checksum.Sum) != "sum" || got.sealedSum != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := decodeVersion(record.Uint(old, fieldEncryption, 99)); err == nil {
		t.Error("a version with an unknown encryption is accepted")
	}
}
