package demand

import (
	"context"
	"encoding/base64"
	"reflect"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/bucket"
	"watertight/internal/core/cdn"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/identity"
	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/mfa"
	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/core/session"
	"watertight/internal/core/simulate"
	"watertight/internal/storage/kv"
	"watertight/internal/storage/seal"
	"watertight/test/identitytest"
)

// fixture is a server's core with one item of each kind.
type fixture struct {
	identitytest.Account
	caller                          authz.Caller
	stores                          map[string]any // by room and type
	everything                      []arn.ARN      // resources that exist or are about to
	policy, provider, serial, token string
	user, role                      *identity.Entity
	key, version, upload, job       string
	kmsGrant                        string       // of kmsKey, by its id
	sealed                          string       // an upload under kmsKey
	kmsKey, ending, external        kms.Metadata // ending: its deletion is pending; external: its material is imported
	wrapped, ciphertext             []byte
	cdn                             cdnFixture
}

const document = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

// newFixture returns a fixture for the methods of a room.
func newFixture(t *testing.T, room string) *fixture {
	t.Helper()
	f := &fixture{Account: identitytest.New(t, identity.Rooms{Devices: mfa.Counter{}, Sessions: session.Ender{}})}
	devices := mfa.New(f.Store)
	buckets := bucket.New(f.Store, "us-east-1", identity.Directory{})
	customers := kms.New(f.Store, kms.Options{
		Region: "us-east-1", Root: seal.RingOf(seal.NewKey()), Principals: identity.Directory{}, Now: time.Now,
	})
	payloads, err := payload.Open(payload.Options{Keys: keys.New(seal.RingOf(seal.NewKey()), customers)})
	f.OK(err)
	objects := object.New(f.Store, payloads, buckets, customers)
	f.stores = map[string]any{
		"core/bucket.Store": buckets, "core/object.Store": objects, "core/identity.Store": f.Identities,
		"core/mfa.Store":          devices,
		"core/session.Store":      session.New(f.Store, f.Identities, devices, session.Options{}),
		"core/simulate.Simulator": simulate.New(f.Store, f.Identities),
		"core/kms.Store":          customers,
		"core/cdn.Store":          cdn.New(f.Store, cdn.Options{}),
	}
	f.fillIdentities(devices)
	f.fillKeys(customers)
	f.fillObjects(buckets, objects)
	if room == "core/cdn" {
		f.fillCDN()
	}
	f.caller = authz.NewCaller(new(identity.RootPrincipal(coretest.Account)), &authz.Situation{
		At: time.Now(), SecureChannel: true, AccessKeyID: f.RootKey.AccessKeyID,
	})
	f.everything = []arn.ARN{
		arn.Any(), arn.AllBuckets(), arn.Bucket("bkt"), arn.Bucket("new-bucket"), arn.Object("bkt", "key"),
		arn.Object("bkt", "sealed"), arn.Root(coretest.Account),
		arn.IAM(coretest.Account, "user/u"), arn.IAM(coretest.Account, "group/g"), arn.IAM(coretest.Account, "role/r"),
		arn.IAM(coretest.Account, "user/new"), arn.IAM(coretest.Account, "group/new"),
		arn.IAM(coretest.Account, "role/new"),
		arn.IAM(coretest.Account, "user/"), arn.IAM(coretest.Account, "group/"), arn.IAM(coretest.Account, "role/"),
		arn.IAM(coretest.Account, "policy/p"), arn.IAM(coretest.Account, "policy/new"),
		arn.IAM(coretest.Account, "mfa/phone"),
		arn.IAM(coretest.Account, "mfa/new"), arn.IAM(coretest.Account, "mfa/"),
		arn.IAM(coretest.Account, "oidc-provider/issuer.example"),
		arn.IAM(coretest.Account, "oidc-provider/new.example"), arn.IAM(coretest.Account, "oidc-provider/*"),
		arn.STS(coretest.Account, "federated-user/fed"),
		f.kmsKey.ARN, f.ending.ARN, f.external.ARN, customers.AliasARN(coretest.Account, "alias/named"),
		customers.AliasARN(coretest.Account, "alias/new"),
	}
	for _, k := range []identity.AbsentKind{
		identity.InstanceProfile, identity.ServerCertificate, identity.SAMLProvider,
	} {
		name := "x"
		if k == identity.SAMLProvider {
			name = saml
		}
		at, err := identity.AbsentARN(coretest.Account, k, name)
		f.OK(err)
		f.everything = append(f.everything, at, identity.AbsentListARN(coretest.Account, k, "/"))
	}
	f.everything = append(f.everything, f.cdn.all...)
	return f
}

const saml = "arn:aws:iam::" + coretest.Account + ":saml-provider/x"

func (f *fixture) fillIdentities(devices *mfa.Store) {
	f.T.Helper()
	ctx, s := f.T.Context(), f.Identities
	f.user = f.Create(identity.User, "u")
	f.Create(identity.Group, "g")
	f.key = f.CreateKey(f.user).AccessKeyID
	at := arn.IAM(coretest.Account, "policy/p")
	_, err := s.CreatePolicy(ctx, f.Grant("iam:CreatePolicy", at), identity.CreateInput{Name: "p"}, document)
	f.OK(err)
	f.policy = at.String()
	at = arn.IAM(coretest.Account, "oidc-provider/issuer.example")
	_, err = s.CreateProvider(ctx, f.Grant("iam:CreateOpenIDConnectProvider", at), "https://issuer.example",
		[]string{"app"}, nil, nil)
	f.OK(err)
	f.provider = at.String()
	trust := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"` + coretest.Account +
		`"},"Action":"sts:AssumeRole"},` +
		`{"Effect":"Allow","Principal":{"Federated":"` + f.provider + `"},"Action":"sts:AssumeRoleWithWebIdentity"}]}`
	at = arn.IAM(coretest.Account, "role/r")
	f.role, err = s.Create(ctx, f.Grant("iam:CreateRole", at), identity.Role, identity.CreateInput{
		Name: "r", Trust: trust,
	})
	f.OK(err)
	at = mfa.ARN(coretest.Account, "/", "phone")
	_, _, err = devices.Create(ctx, f.Grant("iam:CreateVirtualMFADevice", at), "/", "phone", nil)
	f.OK(err)
	f.serial = at.String()
	f.job, err = s.GenerateLastAccessed(ctx, f.Grant("iam:GenerateServiceLastAccessedDetails", f.user.ARN()),
		f.user.ARN().String())
	f.OK(err)
	f.token = bearerToken(`{"alg":"RS256","kid":"k"}`,
		`{"iss":"https://issuer.example","sub":"s","aud":"app","exp":99999999999,"iat":1,`+
			`"https://aws.amazon.com/source_identity":"somebody",`+
			`"https://aws.amazon.com/tags":{"principal_tags":{"k":["v"]}}}`, "signature")
}

func (f *fixture) fillKeys(customers *kms.Store) {
	f.T.Helper()
	ctx := f.T.Context()
	create := f.Grant("kms:CreateKey", arn.Any())
	var err error
	f.kmsKey, err = customers.CreateKey(ctx, create, kms.CreateInput{})
	f.OK(err)
	f.external, err = customers.CreateKey(ctx, create, kms.CreateInput{Origin: kms.OriginExternal})
	f.OK(err)
	f.ending, err = customers.CreateKey(ctx, create, kms.CreateInput{})
	f.OK(err)
	_, err = customers.ScheduleKeyDeletion(ctx, f.Grant("kms:ScheduleKeyDeletion", f.ending.ARN), f.ending.ID, 7)
	f.OK(err)
	g := coretest.GrantAll(f.T, coretest.Root(coretest.Account, nil),
		authz.Need{Action: "kms:CreateAlias", Resource: customers.AliasARN(coretest.Account, "alias/named")},
		authz.Need{Action: "kms:CreateAlias", Resource: f.kmsKey.ARN})
	f.OK(customers.CreateAlias(ctx, g, "alias/named", f.kmsKey.ID))
	f.kmsGrant, _, err = customers.CreateGrant(ctx, f.Grant("kms:CreateGrant", f.kmsKey.ARN), kms.GrantInput{
		Key: f.kmsKey.ID, Grantee: arn.Root(coretest.Account).String(), Operations: []string{"Decrypt"},
	})
	f.OK(err)
	f.wrapped, err = customers.Wrap(ctx, f.Grant("kms:GenerateDataKey", f.kmsKey.ARN), f.kmsKey.ARN, seal.NewKey(), nil)
	f.OK(err)
	sealed, err := customers.Encrypt(ctx, f.Grant("kms:Encrypt", f.kmsKey.ARN), kms.EncryptInput{
		Key: f.kmsKey.ID, Plaintext: kms.Secret("x"),
	})
	f.OK(err)
	f.ciphertext = sealed.Ciphertext
}

func bearerToken(parts ...string) string {
	for i, p := range parts {
		parts[i] = base64.RawURLEncoding.EncodeToString([]byte(p))
	}
	return strings.Join(parts, ".")
}

func (f *fixture) fillObjects(buckets *bucket.Store, objects *object.Store) {
	f.T.Helper()
	ctx := f.T.Context()
	_, err := buckets.Create(ctx, f.Grant("s3:CreateBucket", arn.Bucket("bkt")), bucket.CreateInput{Name: "bkt"})
	f.OK(err)
	f.OK(buckets.SetVersioning(ctx, f.Grant("s3:PutBucketVersioning", arn.Bucket("bkt")), "bkt",
		bucket.VersioningInput{State: bucket.Enabled}))
	put := f.Grant("s3:PutObject", arn.Object("bkt", "key"))
	v, err := objects.Put(ctx, put, object.PutInput{Bucket: "bkt", Key: "key", Body: strings.NewReader("x"), Size: 1})
	f.OK(err)
	u, err := objects.CreateUpload(ctx, put, object.UploadInput{Bucket: "bkt", Key: "key"})
	f.OK(err)
	f.version, f.upload = v.ID, u.ID
	g := coretest.GrantAll(f.T, coretest.Root(coretest.Account, nil),
		authz.Need{Action: "s3:PutObject", Resource: arn.Object("bkt", "sealed")})
	_, err = objects.Put(ctx, g, object.PutInput{
		Bucket: "bkt", Key: "sealed", Body: strings.NewReader("x"), Size: 1, Encryption: f.underKMS(),
	})
	f.OK(err)
	u, err = objects.CreateUpload(ctx, g, object.UploadInput{
		Bucket: "bkt", Key: "sealed", Encryption: f.underKMS(),
	})
	f.OK(err)
	f.sealed = u.ID
}

// underKMS is an encryption under kmsKey.
func (f *fixture) underKMS() object.Encryption {
	return object.Encryption{Algorithm: "aws:kms", KeyID: f.kmsKey.ID}
}

// dump returns everything that is stored.
func (f *fixture) dump() map[string]string {
	f.T.Helper()
	all := map[string]string{}
	f.OK(f.Store.View(context.Background(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			all[string(p.Key)] = string(p.Value)
		}
		return nil
	}))
	return all
}

// elsewhere are resources that no case uses.
func (f *fixture) elsewhere() (all []arn.ARN) {
	all = []arn.ARN{arn.Bucket("elsewhere"), arn.Object("elsewhere", "key"), arn.Object("bkt", "elsewhere")}
	for _, kind := range []string{
		"user", "group", "role", "policy", "mfa", "oidc-provider", "saml-provider", "instance-profile",
		"server-certificate",
	} {
		all = append(all, arn.IAM(coretest.Account, kind+"/elsewhere"))
	}
	for _, kind := range cdnKinds() {
		all = append(all, arn.CloudFront(coretest.Account, kind+"/elsewhere"))
	}
	another := f.kmsKey.ARN
	another.Resource = "key/elsewhere"
	all = append(all, another)
	return all
}

// grant returns a grant for these actions on resources, without one action.
func (f *fixture) grant(on []arn.ARN, actions []policy.Action, without policy.Action) authz.Grant {
	f.T.Helper()
	var needs []authz.Need
	for _, r := range on {
		for _, a := range actions {
			service, _, _ := strings.Cut(string(a), ":")
			ofS3 := service == "s3" || service == "watertight"
			if ofS3 != (r.Service == "s3") && r != arn.Any() {
				continue // no method asks for it
			}
			needs = append(needs, authz.Need{Action: a, Resource: r, Soft: true})
		}
	}
	return coretest.GrantWithout(f.T, f.caller, without, needs...)
}

// fill sets the members of an input that have a name in values, and returns it.
func fill(v reflect.Value, values arguments) reflect.Value {
	for i := range v.NumField() {
		to, field := v.Field(i), v.Type().Field(i)
		if x, ok := values[field.Name]; ok && field.IsExported() && reflect.TypeOf(x).AssignableTo(field.Type) {
			to.Set(reflect.ValueOf(x))
		} else if to.Kind() == reflect.Struct && field.IsExported() && field.Type.PkgPath() != "time" {
			fill(to, values)
		}
	}
	return v
}
