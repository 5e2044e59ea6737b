package kms

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/seal"
)

func (e *env) encrypt(m Metadata, plain string, context map[string]string) Sealed {
	e.Helper()
	out, err := e.Encrypt(e.Context(), e.may(m.ARN, "kms:Encrypt"), EncryptInput{
		Key: m.ID, Plaintext: Secret(plain), Context: context,
	})
	if err != nil {
		e.Fatal(err)
	}
	return out
}

func (e *env) decrypt(m Metadata, b []byte, context map[string]string, name string) (Opened, error) {
	e.Helper()
	return e.Decrypt(e.Context(), e.may(m.ARN, "kms:Decrypt"), DecryptInput{Ciphertext: b, Context: context, Key: name})
}

// TestVector computes a ciphertext from RFC 5869 and SP 800-38D, independent of the package, and
// fixes the result: stored ciphertext must open for ever.
func TestVector(t *testing.T) {
	hash := func(key []byte, m ...[]byte) []byte {
		h := hmac.New(sha256.New, key)
		for _, part := range m {
			h.Write(part)
		}
		return h.Sum(nil)
	}
	material, key := testKey(0x10), keyID{0xaa, 1, 2, 3, 4, 5, 0x46, 7, 0x88, 9, 10, 11, 12, 13, 14, 15}
	id := MaterialID(hash(material[:], []byte("watertight kms material id"), key[:]))
	if id != idOf(material, key) {
		t.Error("the id of a material has changed")
	}
	var salt [saltSize]byte
	for i := range salt {
		salt[i] = 0xa0 + byte(i)
	}
	header := func(purpose byte) []byte {
		return append(append(append([]byte{1, purpose}, key[:]...), id[:]...), salt[:]...)
	}
	context := map[string]string{"b": "2", "": "", "aws:s3:arn": "arn:aws:s3:::b/k"}
	canonical := "\x00\x00\x00\x03" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" +
		"\x00\x00\x00\x0aaws:s3:arn" + "\x00\x00\x00\x10arn:aws:s3:::b/k" + "\x00\x00\x00\x01b" + "\x00\x00\x00\x012"
	if string(Canonical(context)) != canonical {
		t.Errorf("the context is %q", Canonical(context))
	}
	for _, c := range []struct {
		purpose purpose
		text    string
		bound   string
		pinned  string
	}{
		{forCallers, "watertight kms ciphertext", canonical,
			"2fcdf870db379853e3ad4895fab64244dee3617c571cf4"},
		{forServices, "watertight kms data key", "binding",
			"90f19c38541a2123c16d71f0bf3eab10ef13e27630e878"},
	} {
		t.Run(c.text, func(t *testing.T) {
			h := header(byte(c.purpose))
			block, err := aes.NewCipher(hash(material[:], []byte(c.text), salt[:], []byte{1}))
			if err != nil {
				t.Fatal(err)
			}
			gcm, err := cipher.NewGCM(block)
			if err != nil {
				t.Fatal(err)
			}
			want := gcm.Seal(bytes.Clone(h), make([]byte, 12), []byte("message"), append(bytes.Clone(h), c.bound...))
			got := sealSalted(nil, c.purpose, key, id, material, salt, []byte("message"), []byte(c.bound))
			if !bytes.Equal(got, want) {
				t.Errorf("\n got %x\nwant %x", got, want)
			}
			if pinned := hex.EncodeToString(got[headerSize:]); pinned != c.pinned {
				t.Errorf("the stored form changed: %s", pinned)
			}
		})
	}
}

// TestContext: a ciphertext opens with the same pairs in any order, and with no others.
func TestContext(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	rapid.Check(t, func(rt *rapid.T) {
		pairs := rapid.MapOfN(rapid.StringN(0, 3, -1), rapid.StringN(0, 3, -1), 0, 4)
		context, other := pairs.Draw(rt, "context"), pairs.Draw(rt, "other")
		b := e.encrypt(m, "text", context).Ciphertext
		got, err := e.decrypt(m, b, maps.Clone(context), "")
		if err != nil || string(got.Plaintext) != "text" {
			rt.Fatal(err)
		}
		_, err = e.decrypt(m, b, other, "")
		if same := maps.Equal(context, other); same != (err == nil) ||
			!same && !fault.Is(err, fault.InvalidCiphertextException) {
			rt.Fatalf("with %q it opens under %q: %v", context, other, err)
		}
	})
	b := e.encrypt(m, "text", map[string]string{"Name": "Value"}).Ciphertext
	for _, other := range []map[string]string{
		nil, {}, {"name": "Value"}, {"Name": "value"}, {"Name": "Value", "": ""}, {"NameV": "alue"},
	} {
		if _, err := e.decrypt(m, b, other, ""); !fault.Is(err, fault.InvalidCiphertextException) ||
			fault.From(err).Message != "" {
			t.Errorf("%q: %v", other, err)
		}
	}
}

// TestContextInPieces: a service's context is the same, however the value of its pair is cut.
func TestContextInPieces(t *testing.T) {
	for name, own := range map[string]map[string]string{"alone": nil, "with own pairs": {"a": "1", "z": ""}} {
		t.Run(name, func(t *testing.T) {
			all := maps.Clone(own)
			if all == nil {
				all = map[string]string{}
			}
			all["n"] = "value"
			for cut := range len("value") + 1 {
				c := Context{Name: "n", Before: "value"[:cut], Value: "value"[cut:], Own: own}
				if !maps.Equal(c.All(), all) || !bytes.Equal(c.Canonical(nil), Canonical(all)) {
					t.Errorf("%q and %q: %q, %x", c.Before, c.Value, c.All(), c.Canonical(nil))
				}
			}
		})
	}
}

// TestEveryBitCounts: no truncated, extended or changed ciphertext opens, and the error only says
// that it is invalid.
func TestEveryBitCounts(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	b := e.encrypt(m, "text", nil).Ciphertext
	refused := func(what string, b []byte) {
		t.Helper()
		got, err := e.decrypt(m, b, nil, m.ID)
		if err == nil || got.Plaintext != nil {
			t.Errorf("%s opens", what)
		}
		if !fault.Is(err, fault.InvalidCiphertextException) && !fault.Is(err, fault.IncorrectKeyException) {
			t.Errorf("%s: %v", what, err)
		}
	}
	for n := range b {
		refused(fmt.Sprint("cut at ", n), b[:n])
		for bit := range 8 {
			changed := bytes.Clone(b)
			changed[n] ^= 1 << bit
			refused(fmt.Sprintf("bit %d of byte %d", bit, n), changed)
		}
	}
	refused("longer", append(bytes.Clone(b), 0))
}

// TestPurposes: the API does not open a service's data key, and a service does not open ciphertext
// of the API, even if the caller may use the key.
func TestPurposes(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	wrapped, err := e.Wrap(t.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, testKey(1), Canonical(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.decrypt(m, wrapped, nil, ""); !fault.Is(err, fault.InvalidCiphertextException) {
		t.Error("a data key of a service:", err)
	}
	b := e.encrypt(m, string(make([]byte, 32)), nil).Ciphertext
	if _, err := e.Unwrap(t.Context(), e.may(m.ARN, "kms:Decrypt"), m.ARN, b,
		Canonical(nil)); !fault.Is(err, fault.InvalidCiphertextException) {
		t.Error("ciphertext of the API:", err)
	}
}

// TestMessageKeysNeverRepeat: no two messages have the same key, because their salts, materials or
// purposes differ. Therefore the nonce may always be zero.
func TestMessageKeysNeverRepeat(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	seen := map[seal.Key]bool{}
	note := func(b []byte, material seal.Key) {
		p, ok := parseBlob(b)
		if !ok {
			t.Fatal("no ciphertext")
		}
		k := messageKey(material, p.purpose, p.salt)
		if seen[k] {
			t.Fatal("a key sealed two messages")
		}
		seen[k] = true
	}
	for i := range 500 {
		note(e.encrypt(m, "same", nil).Ciphertext, testKey(1))
		note(sealBlob(forServices, keyID{}, MaterialID{}, testKey(byte(i)), []byte("same"), nil), testKey(byte(i)))
		note(sealBlob(forDataKeys, keyID{}, MaterialID{}, testKey(byte(i)), []byte("same"), nil), testKey(byte(i)))
	}
	salt := make([]byte, saltSize)
	for _, material := range []seal.Key{testKey(1), testKey(2)} {
		for _, p := range []purpose{forCallers, forServices, forDataKeys} {
			k := messageKey(material, p, salt)
			if seen[k] {
				t.Fatal("a purpose or a material makes no difference")
			}
			seen[k] = true
		}
	}
}

func TestWhichKey(t *testing.T) {
	e := newEnv(t)
	m, other := e.create(CreateInput{}), e.create(CreateInput{})
	if err := e.alias("CreateAlias", "alias/a", m); err != nil {
		t.Fatal(err)
	}
	b := e.encrypt(m, "text", nil).Ciphertext
	for _, name := range []string{"", m.ID, m.ARN.String(), "alias/a"} {
		got, err := e.decrypt(m, b, nil, name)
		if err != nil || got.Key != m.ARN || got.Material != m.Material {
			t.Errorf("%q: %v", name, err)
		}
	}
	if _, err := e.decrypt(other, b, nil, other.ID); !fault.Is(err, fault.IncorrectKeyException) {
		t.Error("another key:", err)
	}
	if _, err := e.decrypt(other, b, nil, ""); !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission:", err)
	}
	gone := bytes.Clone(b)
	copy(gone[2:18], bytes.Repeat([]byte{1}, 16))
	const says = "The ciphertext refers to a customer master key that does not exist"
	if _, err := e.decrypt(m, gone, nil, ""); !fault.Is(err, fault.AccessDenied) ||
		!strings.HasPrefix(fault.From(err).Message, says) {
		t.Error("ciphertext of an unknown key:", err)
	}
}

func TestReEncrypt(t *testing.T) {
	e := newEnv(t)
	from, to := e.create(CreateInput{}), e.create(CreateInput{})
	b := e.encrypt(from, "text", map[string]string{"a": "1"}).Ciphertext
	in := ReEncryptInput{
		Ciphertext: b, SourceContext: map[string]string{"a": "1"}, Key: to.ID, Context: map[string]string{"b": "2"},
	}
	both := e.mayBoth(from, to)
	out, err := e.ReEncrypt(t.Context(), both, in)
	if err != nil || out.Source != from.ARN || out.Key != to.ARN || out.SourceMaterial != from.Material ||
		out.Material != to.Material {
		t.Fatalf("%+v, %v", out, err)
	}
	if got, err := e.decrypt(to, out.Ciphertext, map[string]string{"b": "2"}, ""); err != nil ||
		string(got.Plaintext) != "text" {
		t.Error(err)
	}
	if _, err := e.ReEncrypt(t.Context(), e.may(to.ARN, "kms:ReEncryptTo"), in); !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission on the source:", err)
	}
	_, err = e.ReEncrypt(t.Context(), e.may(from.ARN, "kms:ReEncryptFrom"), in)
	if !fault.Is(err, fault.AccessDenied) {
		t.Error("without the permission on the other:", err)
	}
	// AWS's table allows a source key whose deletion is pending; this server does not.
	e.must("ScheduleKeyDeletion", from)
	if _, err := e.ReEncrypt(t.Context(), both, in); !fault.Is(err, fault.KMSInvalidStateException) {
		t.Error("from a key whose deletion is pending:", err)
	}
}

func TestGenerate(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	may := e.may(m.ARN, "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext")
	for _, n := range []int{1, 16, 32, 1024} {
		k, err := e.GenerateDataKey(t.Context(), may, GenerateInput{Key: m.ID, Bytes: n})
		if err != nil || len(k.Plaintext) != n {
			t.Fatal(n, err)
		}
		if got, err := e.decrypt(m, k.Ciphertext, nil, ""); err != nil || !bytes.Equal(got.Plaintext, k.Plaintext) {
			t.Error(n, err)
		}
		k, err = e.GenerateDataKeyWithoutPlaintext(t.Context(), may, GenerateInput{Key: m.ID, Bytes: n})
		if err != nil || k.Plaintext != nil {
			t.Error(n, err)
		}
		if got, err := e.decrypt(m, k.Ciphertext, nil, ""); err != nil || len(got.Plaintext) != n {
			t.Error(n, err)
		}
	}
	for _, n := range []int{-1, 0, 1025} {
		if _, err := e.GenerateDataKey(t.Context(), may, GenerateInput{Key: m.ID, Bytes: n}); !fault.Is(err,
			fault.ValidationException) {
			t.Error(n, err)
		}
		if _, err := e.GenerateRandom(t.Context(), e.may(arn.Any(), "kms:GenerateRandom"), n); !fault.Is(err,
			fault.ValidationException) {
			t.Error(n, err)
		}
	}
	r, err := e.GenerateRandom(t.Context(), e.may(arn.Any(), "kms:GenerateRandom"), 1024)
	if err != nil || len(r) != 1024 || bytes.Equal(r[:512], r[512:]) {
		t.Error(err)
	}
}

// TestDryRun: a request that would succeed gets DryRunOperation, and changes nothing.
func TestDryRun(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	b := e.encrypt(m, "x", nil).Ciphertext
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Encrypt": func() error {
			out, err := e.Encrypt(ctx, e.may(m.ARN, "kms:Encrypt"), EncryptInput{
				Key: m.ID, Plaintext: Secret("x"), DryRun: true,
			})
			if out.Ciphertext != nil {
				t.Error("Encrypt returns a ciphertext")
			}
			return err
		},
		"Decrypt": func() error {
			out, err := e.Decrypt(ctx, e.may(m.ARN, "kms:Decrypt"), DecryptInput{Ciphertext: b, DryRun: true})
			if out.Plaintext != nil {
				t.Error("Decrypt returns the plaintext")
			}
			return err
		},
		"ReEncrypt": func() error {
			_, err := e.ReEncrypt(ctx, e.mayBoth(m, m), ReEncryptInput{Ciphertext: b, Key: m.ID, DryRun: true})
			return err
		},
		"GenerateDataKey": func() error {
			out, err := e.GenerateDataKey(ctx, e.may(m.ARN, "kms:GenerateDataKey"), GenerateInput{
				Key: m.ID, Bytes: 32, DryRun: true,
			})
			if out.Plaintext != nil {
				t.Error("GenerateDataKey returns a key")
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := call(); !fault.Is(err, fault.DryRunOperationException) {
				t.Error(err)
			}
		})
	}
	e.must("DisableKey", m)
	_, err := e.Encrypt(ctx, e.may(m.ARN, "kms:Encrypt"), EncryptInput{Key: m.ID, Plaintext: Secret("x"), DryRun: true})
	if !fault.Is(err, fault.DisabledException) {
		t.Error("a request that would fail:", err)
	}
}

func TestLimitsOfCallers(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	may := e.may(m.ARN, "kms:Encrypt")
	for name, in := range map[string]EncryptInput{
		"no plaintext":   {},
		"4097 bytes":     {Plaintext: make(Secret, 4097)},
		"a long context": {Plaintext: Secret("x"), Context: map[string]string{"k": strings.Repeat("v", 8192)}},
	} {
		t.Run(name, func(t *testing.T) {
			in.Key = m.ID
			if _, err := e.Encrypt(t.Context(), may, in); !fault.Is(err, fault.ValidationException) {
				t.Error(err)
			}
		})
	}
	if out := e.encrypt(m, strings.Repeat("x", 4096), nil); len(out.Ciphertext) > maxBlob {
		t.Errorf("%d bytes of ciphertext", len(out.Ciphertext))
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	k := DataKey{Plaintext: Secret("plain text")}
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{
		fmt.Sprint(k), fmt.Sprintf("%+v %#v %q %s", k, k, k.Plaintext, k.Plaintext), string(text),
	} {
		if strings.Contains(s, "plain text") || strings.Contains(s, hex.EncodeToString([]byte("plain text"))) {
			t.Errorf("printed: %s", s)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	e := New(coretest.Store(f), Options{Region: "us-east-1", Root: seal.RingOf(testKey(1)), Principals: names{}})
	caller := coretest.Root(coretest.Account, nil)
	m, err := e.CreateKey(f.Context(), coretest.Grant(f, caller, arn.Any(), "kms:CreateKey"), CreateInput{})
	if err != nil {
		f.Fatal(err)
	}
	may := coretest.Grant(f, caller, m.ARN, "kms:Decrypt", "kms:Encrypt")
	sealed, err := e.Encrypt(f.Context(), may, EncryptInput{Key: m.ID, Plaintext: Secret("x")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed.Ciphertext, "name", "value")
	f.Add(sealed.Ciphertext[:headerSize+tagSize], "", "")
	f.Add([]byte{blobVersion}, "", "")
	f.Fuzz(func(t *testing.T, b []byte, name, value string) {
		if p, ok := parseBlob(b); ok {
			again := append(bytes.Clone(p.header), p.sealed...)
			if !bytes.Equal(again, b) || len(p.salt) != saltSize {
				t.Fatal("parsing and encoding changes it")
			}
		}
		in := DecryptInput{Ciphertext: b, Context: map[string]string{name: value}}
		if _, err := e.Decrypt(context.Background(), may, in); err == nil {
			t.Fatal("a made-up ciphertext opens")
		}
	})
}

// TestPlaintextInPlain: no plaintext is accepted or returned over plain HTTP, and a caller without
// the permission gets the same answer as over TLS.
func TestPlaintextInPlain(t *testing.T) {
	e := newEnv(t)
	m := e.create(CreateInput{})
	sealed, err := e.Encrypt(t.Context(), e.may(m.ARN, "kms:Encrypt"), EncryptInput{Key: m.ID, Plaintext: Secret("x")})
	if err != nil {
		t.Fatal(err)
	}
	inPlain := authz.NewCaller(new(coretest.RootAt(coretest.Account, e.at).Principal()), &authz.Situation{At: e.at})
	for action, use := range map[policy.Action]func(authz.Grant) error{
		"kms:Encrypt": func(g authz.Grant) error {
			_, err := e.Encrypt(t.Context(), g, EncryptInput{Key: m.ID, Plaintext: Secret("x")})
			return err
		},
		"kms:Decrypt": func(g authz.Grant) error {
			out, err := e.Decrypt(t.Context(), g, DecryptInput{Key: m.ID, Ciphertext: sealed.Ciphertext})
			if out.Plaintext != nil {
				t.Error("plaintext is returned")
			}
			return err
		},
		"kms:GenerateDataKey": func(g authz.Grant) error {
			_, err := e.GenerateDataKey(t.Context(), g, GenerateInput{Key: m.ID, Bytes: 32})
			return err
		},
		"kms:GenerateRandom": func(g authz.Grant) error {
			_, err := e.GenerateRandom(t.Context(), g, 32)
			return err
		},
	} {
		t.Run(string(action), func(t *testing.T) {
			on := m.ARN
			if action == "kms:GenerateRandom" {
				on = arn.Any()
			}
			if err := use(coretest.Grant(t, inPlain, on, action)); !fault.Is(err, fault.AccessDeniedException) {
				t.Error(err)
			}
		})
	}
}
