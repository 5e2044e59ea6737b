// Package remote connects an edge on another machine with its store. It fetches the snapshots
// that the edge serves and sends the edge's requests to buckets, all signed with the edge's
// own credential. It exists so that such an edge can do only what its credential allows. It
// must never know what is cached, or how a viewer is answered.
package remote

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"watertight/internal/core/distribution"
	"watertight/internal/edge/origin"
	"watertight/internal/outbound"
)

// SnapshotPath is where the store answers what an edge serves; see docs/EXTENSIONS.md.
const SnapshotPath = "/2020-05-31/edge/snapshot"

// CacheKeyPath is where the store answers with the key of an edge's cache; see docs/EXTENSIONS.md.
const CacheKeyPath = "/2020-05-31/edge/cache-key"

// LogToken begins the session token of a request that delivers an access log; the
// distribution's id follows.
const LogToken = "logs/"

// Credential is the credential file that watertight edge enroll writes.
type Credential struct {
	AccessKeyID     string `json:"AccessKeyId"`
	SecretAccessKey Secret
	Region          string
}

// Secret is a secret access key. It does not print.
type Secret string

// String implements fmt.Stringer.
func (Secret) String() string { return "(secret)" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "(secret)" }

// maxCredential bounds a credential file, in bytes.
const maxCredential = 4 << 10

// ReadCredential reads a credential file, which only its owner may read.
func ReadCredential(file string) (c Credential, err error) {
	f, err := os.Open(file)
	if err != nil {
		return c, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return c, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return c, fmt.Errorf("%s can be read by others; its mode must be 0600", file)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCredential))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil || c.AccessKeyID == "" || c.SecretAccessKey == "" || c.Region == "" {
		return c, fmt.Errorf("%s is not a credential file of watertight edge enroll", file)
	}
	return c, nil
}

// Options are what a Store needs.
type Options struct {
	Address    string // https://HOST[:PORT] of the store
	Credential Credential
	Roots      *x509.CertPool // authorities of its certificate; nil means the system's
	Now        func() time.Time
	Logger     *slog.Logger
}

// Store is the connection to the store. It implements origin.Buckets.
type Store struct {
	options Options
	base    *url.URL
	server  *outbound.Named
	signer  *v4.Signer
}

// Open returns the connection. Nothing is sent yet. Plain HTTP is for loopback only.
func Open(o Options) (*Store, error) {
	u, err := url.Parse(o.Address)
	if err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.Trim(u.Path, "/") != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("the store's address is not https://HOST or https://HOST:PORT")
	}
	if host := u.Hostname(); u.Scheme == "http" && host != "localhost" && host != "127.0.0.1" && host != "::1" {
		return nil, errors.New("plain HTTP would show objects to anyone on the network; use https")
	}
	if u.Port() == "" {
		u.Host += map[string]string{"https": ":443", "http": ":80"}[u.Scheme]
	}
	named, err := outbound.NewNamed(outbound.NamedOptions{Allow: []string{u.Host}, Roots: o.Roots})
	if err != nil {
		return nil, err
	}
	signer := v4.NewSigner(func(s *v4.SignerOptions) { s.DisableURIPathEscaping = true })
	return &Store{options: o, base: u, server: named, signer: signer}, nil
}

// Close closes the connections that are not used.
func (s *Store) Close() { s.server.CloseIdle() }

// call is how the store is called.
func call() outbound.Call {
	return outbound.Call{Connect: 10 * time.Second, Attempts: 3, Response: 30 * time.Second}
}

// RoundTrip implements origin.Buckets. A request that the edge signs names its distribution in
// the session token. One that a viewer signed is passed on as it is.
func (s *Store) RoundTrip(
	ctx context.Context, bucket string, r *http.Request, from origin.Sender,
) (*http.Response, error) {
	out := r.Clone(ctx)
	path := "/" + bucket + r.URL.Path
	out.URL = &url.URL{
		Scheme: s.base.Scheme, Host: s.base.Host, Path: path, RawPath: httpbinding.EscapePath(path, false),
		RawQuery: r.URL.RawQuery,
	}
	out.RequestURI = ""
	out.Host = s.base.Host
	presigned := !from.Signs && r.URL.Query().Has("X-Amz-Signature")
	if presigned || len(r.Header["Authorization"]) > 0 { // the viewer signed for the origin's name
		out.Host = r.Host
		out.URL.Path, out.URL.RawPath = r.URL.Path, r.URL.RawPath
	}
	if from.Signs {
		_, id, _ := strings.Cut(from.SourceARN, "distribution/")
		if err := s.sign(ctx, out, "s3", id); err != nil {
			return nil, err
		}
	}
	return s.send(ctx, out)
}

// PutLog puts a file of a distribution's access log into the distribution's logging bucket.
// It never replaces an object. The session token says what it is.
func (s *Store) PutLog(
	ctx context.Context, bucket, key string, data []byte, distribution string,
) (*http.Response, error) {
	path := "/" + bucket + "/" + key
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.base.String(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	r.URL.Path, r.URL.RawPath = path, httpbinding.EscapePath(path, false)
	hash := sha256.Sum256(data)
	r.Header.Set("X-Amz-Content-Sha256", hex.EncodeToString(hash[:]))
	r.Header.Set("Content-Type", "application/x-gzip")
	r.Header.Set("If-None-Match", "*")
	if err := s.sign(ctx, r, "s3", LogToken+distribution); err != nil {
		return nil, err
	}
	return s.send(ctx, r)
}

// send sends a request about a bucket.
func (s *Store) send(ctx context.Context, r *http.Request) (*http.Response, error) {
	res, err := s.server.RoundTrip(r, call())
	switch {
	case err == nil:
		return res, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, outbound.ErrSlow):
		return nil, &origin.Failure{
			Status: http.StatusGatewayTimeout, Reason: "the store did not answer in time", Err: err,
		}
	}
	return nil, &origin.Failure{Status: http.StatusBadGateway, Reason: "the store can't be reached", Err: err}
}

func (s *Store) sign(ctx context.Context, r *http.Request, service, token string) error {
	const unsigned = "UNSIGNED-PAYLOAD"
	hash := unsigned
	if service != "s3" {
		hash = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" // no document
	} else {
		if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" {
			hash = given
		}
		r.Header.Set("X-Amz-Content-Sha256", hash)
	}
	c := s.options.Credential
	return s.signer.SignHTTP(ctx, aws.Credentials{
		AccessKeyID: c.AccessKeyID, SecretAccessKey: string(c.SecretAccessKey), SessionToken: token,
	}, r, hash, service, c.Region, s.options.Now())
}

// maxSnapshot bounds a snapshot, in bytes.
const maxSnapshot = 64 << 20

// errRefused means that the store does not know the credential any more.
var errRefused = errors.New("remote: the store refuses the credential of this edge")

// Snapshot asks for what the edge serves, and confirms that the edge has the generation after.
// The store answers when it has a newer one, or after a while.
func (s *Store) Snapshot(ctx context.Context, after uint64) (*distribution.Snapshot, error) {
	res, err := s.ask(ctx, SnapshotPath, url.Values{"after": {strconv.FormatUint(after, 10)}})
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusForbidden, http.StatusUnauthorized:
		return nil, errRefused
	default:
		return nil, fmt.Errorf("remote: the store answers %d", res.StatusCode)
	}
	out, err := DecodeSnapshot(io.LimitReader(res.Body, maxSnapshot))
	if err != nil {
		return nil, fmt.Errorf("remote: the store's answer can't be read: %w", err)
	}
	return out, nil
}

// DecodeSnapshot reads a snapshot.
func DecodeSnapshot(r io.Reader) (*distribution.Snapshot, error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields() // an unknown field could restrict who gets what
	out := &distribution.Snapshot{}
	if err := d.Decode(out); err != nil {
		return nil, err
	}
	return out, nil
}

// ask asks the store for something that is not in a bucket.
func (s *Store) ask(ctx context.Context, path string, query url.Values) (*http.Response, error) {
	u := *s.base
	u.Path, u.RawQuery = path, query.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	if err := s.sign(ctx, r, "cloudfront", ""); err != nil {
		return nil, err
	}
	return s.server.RoundTrip(r, call())
}
