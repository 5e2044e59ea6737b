package kms

import (
	"context"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change"
	"watertight/internal/core/change/coretest"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const stranger = "444455556666"

// truth is authz.Facts with the keys of a store, and IAM policies as data.
type truth struct {
	keys *Store
	iam  map[string][]*policy.Document // by unique id
}

func (f *truth) Principal(_ context.Context, p *policy.Principal) (*authz.PrincipalLaws, error) {
	return &authz.PrincipalLaws{Identity: f.iam[p.ID]}, nil
}

func (f *truth) Resource(ctx context.Context, r arn.ARN, at time.Time) (*authz.ResourceLaws, error) {
	if IsKey(r) {
		return f.keys.Laws(ctx, r, at)
	}
	owner := r.Account
	if _, isBucket := r.BucketOf(); isBucket { // its policy lets everyone put objects
		d, err := policy.Parse(policy.Resource, []byte(`{"Statement":{"Effect":"Allow","Principal":"*",`+
			`"Action":"s3:PutObject","Resource":"arn:aws:s3:::b/*"}}`))
		return &authz.ResourceLaws{Owner: coretest.Account, Documents: []*policy.Document{d}}, err
	}
	return &authz.ResourceLaws{Owner: owner}, nil
}

func (f *truth) ObjectTags(context.Context, arn.ARN, *string) (map[string]string, error) {
	return nil, nil
}

func (f *truth) Object(context.Context, arn.ARN, *string) (authz.ObjectLaws, error) {
	return authz.ObjectLaws{}, nil
}

func (f *truth) Grants(ctx context.Context, key arn.ARN, to *policy.Principal) ([]*policy.Document, error) {
	return f.keys.GrantsTo(ctx, key, to)
}

// allow gives a principal an identity policy of one statement.
func (f *truth) allow(t *testing.T, id, actions string) {
	t.Helper()
	d, err := policy.Parse(policy.Identity, []byte(`{"Version":"2012-10-17","Statement":`+
		`{"Effect":"Allow","Action":[`+actions+`],"Resource":"*"}}`))
	if err != nil {
		t.Fatal(err)
	}
	f.iam[id] = []*policy.Document{d}
}

// person returns a user of an account, or its root user for the name "root". The id follows from
// the name.
func (e *env) person(account, name string) authz.Caller {
	s := authz.Situation{
		At: e.at, SecureChannel: true, Now: func() time.Time { return e.at },
	}
	if name == "root" {
		return authz.NewCaller(&policy.Principal{
			Kind: policy.AccountRoot, Account: account, ARN: arn.Root(account), ID: account,
		}, &s)
	}
	return authz.NewCaller(&policy.Principal{
		Kind: policy.User, Account: account, ID: userID(name), Name: name,
		ARN: arn.ARN{Partition: "aws", Service: "iam", Account: account, Resource: "user/" + name},
	}, &s)
}

func userID(name string) string {
	return "AIDA" + strings.ToUpper(name) + strings.Repeat("X", 20-len(name))
}

// s3Grant returns the grant of a user who puts or gets an object.
func (e *env) s3Grant(a *authz.Authority, c authz.Caller) (authz.Grant, error) {
	return a.Authorize(e.Context(), c, authz.Need{Action: "s3:PutObject", Resource: arn.Object("b", "k")})
}

func object() Context { return Context{Name: "aws:s3:arn", Value: "arn:aws:s3:::b/k"} }

// TestExtendTo: permissions in S3 are not enough to read without a permission on the key, and only
// with that does the caller learn the key's state.
func TestExtendTo(t *testing.T) {
	e := newEnv(t)
	world := &truth{keys: e.Store, iam: map[string][]*policy.Document{}}
	authority := authz.New(world)
	world.allow(t, userID("storage"), `"s3:*"`)
	world.allow(t, userID("both"), `"s3:*","kms:*"`)
	world.allow(t, userID("mallory"), `"s3:*","kms:*"`)
	world.allow(t, userID("writer"), `"s3:*","kms:GenerateDataKey"`)
	world.allow(t, coretest.Account, `"*"`)
	plain := e.create(CreateInput{})
	const version = `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Resource":"*","Action":"kms:*",`
	viaS3 := e.create(CreateInput{BypassLockOut: true, Policy: version + `"Principal":{"AWS":"` +
		coretest.Account + `"},"Condition":{"StringEquals":{"kms:ViaService":"s3.us-east-1.amazonaws.com",` +
		`"kms:EncryptionContext:aws:s3:arn":"arn:aws:s3:::b/k"}}}}`})
	silent := e.create(CreateInput{
		BypassLockOut: true, Policy: version + `"Principal":{"AWS":"` + arn.Root(stranger).String() + `"}}}`,
	})
	external := e.create(CreateInput{Origin: OriginExternal})
	missing := "00000000-0000-4000-8000-000000000000"
	foreign := "arn:aws:kms:us-east-1:" + stranger + ":key/" + missing
	for name, c := range map[string]struct {
		who  authz.Caller
		key  string
		code fault.Code // of both uses; "" means allowed
		does fault.Code // of Decrypt, where it differs
	}{
		"IAM allows": {who: e.person(coretest.Account, "both"), key: plain.ID},
		"by its ARN": {who: e.person(coretest.Account, "both"), key: plain.ARN.String()},
		"S3 alone": {
			who: e.person(coretest.Account, "storage"), key: plain.ID, code: "AccessDenied",
		},
		"one of both": {
			who: e.person(coretest.Account, "writer"), key: plain.ID, does: "AccessDenied",
		},
		"the policy asks for S3": {who: e.person(coretest.Account, "both"), key: viaS3.ID},
		"the policy is silent about IAM": {
			who: e.person(coretest.Account, "both"), key: silent.ID, code: "AccessDenied",
		},
		"and about the root user": {
			who: e.person(coretest.Account, "root"), key: silent.ID, code: "AccessDenied",
		},
		"another account that is named": {who: e.person(stranger, "mallory"), key: silent.ARN.String()},
		"another account that is not": {
			who: e.person(stranger, "mallory"), key: plain.ARN.String(), code: "AccessDenied",
		},
		"another account's missing key": {
			who: e.person(coretest.Account, "both"), key: foreign, code: "AccessDenied",
		},
		"a missing key": {
			who: e.person(coretest.Account, "both"), key: missing, code: "NotFoundException",
		},
		"another region": {
			who: e.person(coretest.Account, "both"),
			key: strings.Replace(plain.ARN.String(), "us-east-1", "eu-west-1", 1), code: "NotFoundException",
		},
		"no material": {
			who: e.person(coretest.Account, "both"), key: external.ID, code: "KMSInvalidStateException",
		},
		"no material, and no permission": {
			who: e.person(coretest.Account, "storage"), key: external.ID, code: "AccessDenied",
		},
		"the managed key, at first": {who: e.person(coretest.Account, "storage"), key: "alias/aws/s3"},
		"the managed key of another": {
			who: e.person(stranger, "mallory"), key: "arn:aws:kms:us-east-1:" + coretest.Account + ":alias/aws/s3",
			code: "AccessDenied",
		},
		"an anonymous caller": {
			who: authz.NewCaller(&policy.Principal{Kind: policy.Anonymous}, &authz.Situation{At: e.at}),
			key: plain.ARN.String(), code: "AccessDenied",
		},
		"what is no name of a key at all": {
			who: e.person(coretest.Account, "both"), key: "arn:aws:s3:::b", code: "InvalidArnException",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, err := e.s3Grant(authority, c.who)
			if err != nil {
				t.Fatal(err)
			}
			use := Use{Key: c.key, Context: object(), Via: "s3"}
			for which, do := range map[string]func(context.Context, authz.Grant, Use) (authz.Grant, Key, error){
				"generate": e.ExtendToGenerate, "decrypt": e.ExtendToDecrypt, "both": e.ExtendToBoth,
			} {
				wider, key, err := do(t.Context(), g, use)
				want := c.code
				if which != "generate" && c.does != "" {
					want = c.does
				}
				if want != "" {
					if !fault.Is(err, want) || wider.Holds() {
						t.Errorf("%s: %v, want %s", which, err, want)
					}
					continue
				}
				if err != nil {
					t.Errorf("%s: %v", which, err)
					continue
				}
				if wider.Allows("kms:GenerateDataKey", key.ARN) != (which != "decrypt") ||
					wider.Allows("kms:Decrypt", key.ARN) != (which != "generate") ||
					!wider.Allows("s3:PutObject", arn.Object("b", "k")) {
					t.Errorf("%s: the grant does not cover the use", which)
				}
			}
		})
	}
}

// TestUseIsDecidedAgain: if the key changes while a body arrives, the commit is refused.
func TestUseIsDecidedAgain(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(e *env, w *truth, key string)
		code      fault.Code
	}{
		"nothing": {func(*env, *truth, string) {}, ""},
		"the key is disabled": {func(e *env, _ *truth, key string) {
			e.change(key, func(k *keyRecord) { k.state = Disabled })
		}, "DisabledException"},
		"the policy is replaced": {func(e *env, _ *truth, key string) {
			e.change(key, func(k *keyRecord) { k.setPolicy(defaultPolicy(stranger), nil) })
		}, "AccessDenied"},
		"the permission is taken away": {func(e *env, w *truth, _ string) {
			w.allow(e.T, userID("both"), `"s3:*"`)
		}, "AccessDenied"},
		"the window ends": {func(e *env, _ *truth, key string) {
			e.change(key, func(k *keyRecord) { k.state, k.ends = PendingDeletion, e.at.Add(-1) })
		}, "NotFoundException"},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEnv(t)
			world := &truth{keys: e.Store, iam: map[string][]*policy.Document{}}
			world.allow(t, userID("both"), `"s3:*","kms:*"`)
			key := e.create(CreateInput{}).ID
			g, err := e.s3Grant(authz.New(world), e.person(coretest.Account, "both"))
			if err != nil {
				t.Fatal(err)
			}
			g, _, err = e.ExtendToGenerate(t.Context(), g, Use{Key: key, Context: object(), Via: "s3"})
			if err != nil {
				t.Fatal(err)
			}
			c.meanwhile(e, world, key)
			err = change.Commit(t.Context(), e.store, g, func(tx kv.Tx) error {
				tx.Set([]byte("x"), []byte("y"))
				return nil
			})
			if c.code == "" && err != nil || c.code != "" && !fault.Is(err, c.code) {
				t.Errorf("%v, want %q", err, c.code)
			}
		})
	}
}

// change changes a key's record.
func (e *env) change(id string, do func(*keyRecord)) {
	e.Helper()
	err := change.Background(e.Context(), e.store, "a test", func(tx kv.Tx) error {
		k, err := readKey(tx, id)
		if err != nil {
			return err
		}
		do(k)
		k.write(tx)
		return nil
	})
	if err != nil {
		e.Fatal(err)
	}
}
