package dispatch

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/fault"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/dialect/json"
	"watertight/internal/gateway/dialect/rest"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
	"watertight/internal/storage/seal"
)

// A test service in JSON 1.1: KMS's SDK client calls three operations, which return their input, through
// the whole pipeline.

const (
	jsonKey    = "AKIAIOSFODNN7EXAMPLE"
	jsonSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// someone is a user without any permission.
type someone struct{}

func (someone) Lookup(_ context.Context, id string) (*credential.Credential, error) {
	if id != jsonKey {
		return nil, nil
	}
	user := policy.Principal{Kind: policy.User, Account: "111122223333", ID: "AIDAEXAMPLE",
		ARN: arn.ARN{Partition: "aws", Service: "iam", Account: "111122223333", Resource: "user/u"}}
	return &credential.Credential{
		AccessKeyID: jsonKey, Secret: jsonSecret, Active: true, Principal: user,
	}, nil
}

type encryptInput struct {
	KeyId             string
	Plaintext         []byte
	EncryptionContext map[string]string
	DryRun            *bool
}

type encryptOutput struct {
	KeyId          string
	CiphertextBlob []byte
}

type describeOutput struct {
	KeyMetadata struct {
		KeyId                       string
		Arn                         string
		Enabled                     bool
		MultiRegion                 *bool
		CreationDate, DeletionDate  time.Time
		PendingDeletionWindowInDays *int32
		EncryptionAlgorithms        []string
	}
}

// echo returns the plaintext and, after it, the context.
func echo(_ context.Context, _ authz.Grant, in *encryptInput) (*encryptOutput, error) {
	if in.KeyId == "missing" {
		return nil, fault.New("NotFoundException", "Key 'missing' does not exist").WithKind(fault.KindInvalid)
	}
	if in.KeyId == "broken" {
		return nil, errors.New("SECRET CAUSE")
	}
	out := &encryptOutput{KeyId: in.KeyId, CiphertextBlob: in.Plaintext}
	for name, value := range in.EncryptionContext {
		out.CiphertextBlob = append(out.CiphertextBlob, "|"+name+"="+value...)
	}
	return out, nil
}

func echoKey(_ context.Context, _ authz.Grant, in *struct{ KeyId string }) (*describeOutput, error) {
	out, no, week := &describeOutput{}, false, int32(7)
	m := &out.KeyMetadata
	m.KeyId, m.Arn, m.Enabled, m.MultiRegion, m.PendingDeletionWindowInDays = in.KeyId, `a"b\é😀`, true, &no, &week
	m.CreationDate, m.EncryptionAlgorithms = time.UnixMilli(1_700_000_000_123).UTC(), []string{"SYMMETRIC_DEFAULT"}
	return out, nil
}

// jsonServer serves KMS, and S3 for all other requests.
func jsonServer(t *testing.T) *httptest.Server {
	t.Helper()
	log, err := audit.Open(audit.Options{Dir: t.TempDir(), Root: seal.RingOf(seal.NewKey())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close(context.Background()) })
	s, err := newServices([]Table{
		{Service: protocol.Service{Name: "s3", SigningName: "s3"}, Dialect: rest.S3,
			Rows: []Row{Define("ListBuckets", rest.At("GET /"), authz.Open[in]("a test"), say)}},
		{Service: protocol.Service{Name: "kms", SigningName: "kms", Rules: sigv4.APIRules},
			Dialect: json.API("TrentService"), Rows: []Row{
				Define("Encrypt", json.Target("Encrypt"), authz.Open[encryptInput]("a test"), echo),
				Define("DescribeKey", json.Target("DescribeKey"), authz.Open[struct{ KeyId string }]("a test"),
					echoKey),
				Define("DisableKey", json.Target("DisableKey"), authz.Ask1(func(*struct{ KeyId string }) authz.Need {
					return authz.Need{Action: "kms:DisableKey", Resource: arn.Any()}
				}), func(context.Context, authz.Grant, *struct{ KeyId string }) (*struct{}, error) { return nil, nil }),
			}},
	}, catalogue)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(&Dispatcher{
		who: authn.New(someone{}, authn.Options{Region: "us-east-1"}), authority: authz.New(facts{}), log: log,
		options: Options{Logger: slog.New(slog.DiscardHandler)}, services: s,
	})
	t.Cleanup(server.Close)
	return server
}

func kmsClient(url, region, secret string) *kms.Client {
	return kms.New(kms.Options{
		BaseEndpoint: &url, Region: region, Credentials: credentials.NewStaticCredentialsProvider(jsonKey, secret, ""),
		HTTPClient: http.DefaultClient, RetryMaxAttempts: 1,
	})
}

// TestClientOfKMS: the server can read the SDK's requests, and the SDK can read the answers.
func TestClientOfKMS(t *testing.T) {
	client := kmsClient(jsonServer(t).URL, "us-east-1", jsonSecret)
	out, err := client.Encrypt(t.Context(), &kms.EncryptInput{
		KeyId: aws.String("k"), Plaintext: []byte("a\x00\xffb"), EncryptionContext: map[string]string{`q"é`: "v\n"},
		DryRun:      aws.Bool(false),
		GrantTokens: []string{"a member that the shape does not have"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if *out.KeyId != "k" || string(out.CiphertextBlob) != "a\x00\xffb|q\"é=v\n" || out.EncryptionAlgorithm != "" {
		t.Errorf("%+v", out)
	}
	d, err := client.DescribeKey(t.Context(), &kms.DescribeKeyInput{KeyId: aws.String("k")})
	if err != nil {
		t.Fatal(err)
	}
	m := d.KeyMetadata
	if *m.Arn != `a"b\é😀` || !m.Enabled || *m.MultiRegion || *m.PendingDeletionWindowInDays != 7 ||
		m.DeletionDate != nil || m.Description != nil ||
		m.CreationDate.UnixMilli() != 1_700_000_000_123 || len(m.EncryptionAlgorithms) != 1 {
		t.Errorf("%+v", m)
	}
}

// TestErrorsOfKMS: the SDK recognizes each error by its code, and finds the request's id.
func TestErrorsOfKMS(t *testing.T) {
	url := jsonServer(t).URL
	good := kmsClient(url, "us-east-1", jsonSecret)
	encrypt := func(c *kms.Client, key string) func() error {
		return func() error {
			_, err := c.Encrypt(t.Context(), &kms.EncryptInput{KeyId: &key, Plaintext: []byte("p")})
			return err
		}
	}
	for name, c := range map[string]struct {
		call   func() error
		code   string
		status int
	}{
		"an operation's own": {encrypt(good, "missing"), "NotFoundException", 400},
		"inside":             {encrypt(good, "broken"), "InternalFailure", 500},
		"another secret":     {encrypt(kmsClient(url, "us-east-1", "x"), "k"), "InvalidSignatureException", 400},
		"another region":     {encrypt(kmsClient(url, "eu-west-1", jsonSecret), "k"), "InvalidSignatureException", 400},
		"no permission": {func() error {
			_, err := good.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: aws.String("k")})
			return err
		}, "AccessDeniedException", 400},
		"an unknown operation": {func() error {
			_, err := good.ListKeys(t.Context(),
				&kms.ListKeysInput{})
			return err
		}, "UnknownOperationException", 400},
	} {
		t.Run(name, func(t *testing.T) {
			err := c.call()
			var api smithy.APIError
			var answer *smithyhttp.ResponseError
			if !errors.As(err, &api) || api.ErrorCode() != c.code || strings.Contains(err.Error(), "SECRET") {
				t.Fatal(err)
			}
			if !errors.As(err, &answer) || answer.HTTPStatusCode() != c.status ||
				!strings.Contains(err.Error(), answer.HTTPResponse().Header.Get("x-amzn-RequestId")) {
				t.Errorf("%+v", answer)
			}
			if missing := new(types.NotFoundException); c.code == "NotFoundException" &&
				(!errors.As(err, &missing) || missing.ErrorMessage() != "Key 'missing' does not exist") {
				t.Error(err)
			}
		})
	}
}

// TestRawRequestsOfKMS has requests that no SDK sends.
func TestRawRequestsOfKMS(t *testing.T) {
	url := jsonServer(t).URL
	const kind = "application/x-amz-json-1.1"
	for name, c := range map[string]struct {
		method, path string
		target, kind string
		body         string
		status       int
		page         string // the page, or its beginning
	}{
		"an empty document": {"POST", "/", "TrentService.Encrypt", kind, "{}", 200, `{}`},
		"no document":       {"POST", "/", "TrentService.Encrypt", kind, "", 200, `{}`},
		"a charset": {
			"POST", "/", "TrentService.Encrypt", kind + "; charset=utf-8", `{"KeyId":"k"}`, 200, `{"KeyId":"k"}`,
		},
		"not JSON": {
			"POST", "/", "TrentService.Encrypt", kind, `{`, 400, `{"__type":"SerializationException"}`,
		},
		"a member twice": {
			"POST", "/", "TrentService.Encrypt", kind, `{"KeyId":"a","KeyId":"b"}`, 400,
			`{"__type":"SerializationException"}`,
		},
		"another type": {
			"POST", "/", "TrentService.Encrypt", kind, `{"Plaintext":{}}`, 400, `{"__type":"SerializationException"}`,
		},
		"an unknown name": {
			"POST", "/", "TrentService.Frobnicate", kind, `{}`, 400, `{"__type":"UnknownOperationException"}`,
		},
		"no content type": {
			"POST", "/", "TrentService.Encrypt", "", `{}`, 400, `{"__type":"UnknownOperationException"}`,
		},
		"another one": {
			"POST", "/", "TrentService.Encrypt", "application/json", `{}`, 400,
			`{"__type":"UnknownOperationException"}`,
		},
		"another method": {
			"PUT", "/", "TrentService.Encrypt", kind, `{}`, 400, `{"__type":"UnknownOperationException"}`,
		},
		"too large": {
			"POST", "/", "TrentService.Encrypt", kind, strings.Repeat(" ", 64<<10) + "{}", 400,
			`{"__type":"RequestEntityTooLarge"`,
		},
		"anonymous caller": {
			"POST", "/", "TrentService.DisableKey", kind, `{}`, 400,
			`{"__type":"MissingAuthenticationTokenException","message":"Missing Authentication Token"}`,
		},
		"for another path": {"POST", "/key", "TrentService.Encrypt", kind, `{}`, 405, `<?xml`},
		"for S3":           {"GET", "/", "", "", "", 200, ``},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := http.NewRequestWithContext(t.Context(), c.method, url+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			for name, value := range map[string]string{"X-Amz-Target": c.target, "Content-Type": c.kind} {
				if value != "" {
					r.Header.Set(name, value)
				}
			}
			a, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			page, err := io.ReadAll(a.Body)
			if err != nil || a.StatusCode != c.status || !strings.HasPrefix(string(page), c.page) {
				t.Errorf("%d %s, %v", a.StatusCode, page, err)
			}
			if strings.HasPrefix(c.page, "{") &&
				(a.Header.Get("Content-Type") != kind || a.Header.Get("X-Amzn-Requestid") == "") {
				t.Errorf("%v", a.Header)
			}
		})
	}
}
