package kms

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"watertight/internal/core/change"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
)

// model is the expected state of a key with imported material.
type model struct {
	state   State // Enabled, Disabled or PendingDeletion
	ends    time.Time
	has     bool
	validTo time.Time
	gone    bool
}

func (m *model) at(now time.Time) State {
	if m.state == PendingDeletion {
		return m.state
	}
	if !m.has || !m.validTo.IsZero() && !now.Before(m.validTo) {
		return PendingImport
	}
	return m.state
}

// imports imports material into a key, with the steps of a client.
func (e *env) imports(m Metadata, material []byte, validTo time.Time) (Imported, error) {
	e.Helper()
	p, err := e.GetParametersForImport(e.Context(), e.may(m.ARN, "kms:GetParametersForImport"), ParametersInput{
		Key: m.ID, Algorithm: "RSAES_OAEP_SHA_256", Spec: "RSA_2048",
	})
	if err != nil {
		return Imported{}, err
	}
	return e.give(m, p, sealOAEP(e.T, p.PublicKey, material), validTo)
}

func (e *env) give(m Metadata, p Parameters, encrypted []byte, validTo time.Time) (Imported, error) {
	return e.ImportKeyMaterial(e.Context(), e.may(m.ARN, "kms:ImportKeyMaterial"), ImportInput{
		Key: m.ID, Token: p.Token, Encrypted: encrypted, ValidTo: validTo,
	})
}

func sealOAEP(t testing.TB, public, plain []byte) []byte {
	t.Helper()
	parsed, err := x509.ParsePKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	b, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, parsed.(*rsa.PublicKey), plain, nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestStateMachine: after any operations on a key with imported material, and whether or not the
// background work has run, the key's state is the model's, and its ciphertext opens exactly in
// the state Enabled.
func TestStateMachine(t *testing.T) {
	e := newEnv(t)
	material := testKey(77)
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := e.create(CreateInput{Origin: OriginExternal})
		want := &model{state: Enabled}
		parameters := e.parameters(m, private)
		encrypted := sealOAEP(t, parameters.PublicKey, material[:])
		var sealed []byte
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			step := rapid.SampledFrom([]string{
				"EnableKey", "DisableKey", "ScheduleKeyDeletion", "CancelKeyDeletion", "DeleteImportedKeyMaterial",
				"import", "import for an hour", "an hour", "days", "sweep",
			}).Draw(rt, "step")
			want.check(rt, e, m, step, parameters, encrypted)
			if want.gone {
				if err := e.do("DescribeKey", m); !fault.Is(err, fault.NotFoundException) {
					rt.Fatalf("after %s: %v", step, err)
				}
				return
			}
			got, err := e.describe(m.ID, m.ARN)
			if err != nil || got.State != want.at(e.at) {
				rt.Fatalf("after %s the key is %v, want %v; %v", step, got.State, want.at(e.at), err)
			}
			sealed = want.use(rt, e, m, step, sealed)
		}
	})
}

// parameters returns what GetParametersForImport would return, with a given key.
func (e *env) parameters(m Metadata, private *rsa.PrivateKey) Parameters {
	e.Helper()
	id, _ := parseKeyID(m.ID)
	k := token{key: id, end: e.at.Add(importFor)}
	i, err := e.sealImport(&k, private, RSAESOAEPSHA256)
	if err != nil {
		e.Fatal(err)
	}
	err = change.Background(e.Context(), e.store, "a test", func(tx kv.Tx) error {
		tx.Set(k.stored(), i.encode())
		return nil
	})
	public, perr := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err = errors.Join(err, perr); err != nil {
		e.Fatal(err)
	}
	return Parameters{Key: m.ARN, Token: k.encode(), PublicKey: public, ValidTo: k.end}
}

// check executes one step in the store and in the model.
func (w *model) check(rt *rapid.T, e *env, m Metadata, step string, p Parameters, encrypted []byte) {
	var err error
	now := w.at(e.at)
	allowed := true
	switch step {
	case "an hour":
		e.at = e.at.Add(time.Hour)
	case "days":
		e.at = e.at.Add(5 * 24 * time.Hour)
	case "sweep":
		e.sweep()
	case "import", "import for an hour":
		end := time.Time{}
		if step != "import" {
			end = e.at.Add(time.Hour)
		}
		// A sweep removes a token that has ended.
		allowed = now != PendingDeletion && e.at.Before(p.ValidTo)
		if _, err = e.give(m, p, encrypted, end); err == nil {
			if now == PendingImport {
				w.state = Enabled
			}
			w.has, w.validTo = true, end
		}
	default:
		err = e.do(step, m)
		switch step {
		case "EnableKey", "DisableKey":
			if allowed = now == Enabled || now == Disabled; allowed {
				w.state = map[string]State{"EnableKey": Enabled, "DisableKey": Disabled}[step]
			}
		case "ScheduleKeyDeletion":
			if allowed = now != PendingDeletion; allowed {
				w.state, w.ends = PendingDeletion, e.at.Add(7*24*time.Hour)
			}
		case "CancelKeyDeletion":
			if allowed = now == PendingDeletion; allowed {
				w.state = Disabled
			}
		case "DeleteImportedKeyMaterial":
			w.has, w.validTo = false, time.Time{}
		}
	}
	w.gone = w.state == PendingDeletion && !e.at.Before(w.ends)
	if allowed != (err == nil) {
		rt.Fatalf("%s in state %v: %v", step, now, err)
	}
}

// use seals a data key, and opens an older one.
func (w *model) use(rt *rapid.T, e *env, m Metadata, step string, sealed []byte) []byte {
	usable := w.at(e.at) == Enabled
	if sealed != nil {
		got, err := e.Unwrap(e.Context(), e.may(m.ARN, "kms:Decrypt"), m.ARN, sealed, []byte("b"))
		if usable != (err == nil) || usable && got != testKey(8) || !usable && got != (seal.Key{}) {
			rt.Fatalf("after %s an older data key: %v", step, err)
		}
	}
	fresh, err := e.Wrap(e.Context(), e.may(m.ARN, "kms:GenerateDataKey"), m.ARN, testKey(8), []byte("b"))
	if usable != (err == nil) {
		rt.Fatalf("after %s a new data key: %v", step, err)
	}
	if err != nil {
		return sealed
	}
	return fresh
}
