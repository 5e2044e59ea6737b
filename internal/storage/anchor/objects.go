package anchor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/internal/outbound"
)

// objects keeps each anchor as an object of a bucket of another store. Names sort the newest
// state first. Every version of every object counts, because a delete marker or another
// version must not hide an anchor that Object Lock protects.
type objects struct {
	name           string
	bucket, prefix string
	mode           types.ObjectLockMode
	retain         time.Duration
	every          time.Duration
	now            func() time.Time
	client         *s3.Client
}

const (
	defaultEvery = time.Minute
	callTimeout  = 20 * time.Second
	// maxForeign is how many objects that are no anchors of this store are passed over at most.
	maxForeign = 1000
)

// openObjects parses s3://BUCKET/PREFIX?endpoint=URL&region=NAME&mode=MODE&retain=DURATION.
func openObjects(name string, o Options) (Place, error) {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("the anchor %s: %s; it is s3://BUCKET/PREFIX?endpoint=https://HOST&region=NAME"+
			"&mode=COMPLIANCE&retain=720h, where all but the bucket may be left out", name,
			fmt.Sprintf(format, args...))
	}
	u, err := url.Parse(name)
	if err != nil || u.Host == "" || u.User != nil || u.Fragment != "" {
		return nil, wrong("there is no bucket")
	}
	p := &objects{
		name: name, bucket: u.Host, prefix: strings.TrimPrefix(u.Path, "/"), every: o.Every, now: o.Now,
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, wrong("its parameters can't be read")
	}
	for key, values := range query {
		if len(values) != 1 || values[0] == "" {
			return nil, wrong("%s has no value, or more than one", key)
		}
	}
	region := "us-east-1"
	var endpoint string
	for key := range query {
		switch value := query.Get(key); key {
		case "endpoint":
			endpoint = strings.TrimSuffix(value, "/")
		case "region":
			region = value
		case "mode":
			p.mode = types.ObjectLockMode(strings.ToUpper(value))
		case "retain":
			if p.retain, err = time.ParseDuration(value); err != nil || p.retain <= 0 {
				return nil, wrong("retain is no duration such as 720h")
			}
		default:
			return nil, wrong("there is no parameter %s", key)
		}
	}
	if p.mode != "" && p.mode != types.ObjectLockModeCompliance && p.mode != types.ObjectLockModeGovernance {
		return nil, wrong("mode is COMPLIANCE or GOVERNANCE")
	}
	if (p.mode == "") != (p.retain == 0) {
		return nil, wrong("mode and retain go together")
	}
	if p.every == 0 {
		p.every = defaultEvery
	}
	if p.mode != "" && p.retain < 2*p.every {
		return nil, wrong("what is kept for %v would end before the next anchor", p.retain)
	}
	if endpoint == "" {
		endpoint = "https://s3." + region + ".amazonaws.com"
	}
	peer, err := outbound.NewPeer(endpoint)
	if err != nil {
		return nil, wrong("endpoint: %v", err)
	}
	p.client = s3.New(s3.Options{
		Region: region, BaseEndpoint: &endpoint, UsePathStyle: true, HTTPClient: peer, RetryMaxAttempts: 2,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return credentials(o.Getenv)
		}),
	})
	return p, nil
}

// credentials returns credentials from the environment only. They have names of their own,
// because those of a key in AWS KMS may be others.
func credentials(getenv func(string) string) (aws.Credentials, error) {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	line := func(name string) string { return strings.TrimRight(getenv("WATERTIGHT_ANCHOR_"+name), "\r\n") }
	c := aws.Credentials{
		AccessKeyID: line("ACCESS_KEY_ID"), SecretAccessKey: line("SECRET_ACCESS_KEY"),
		SessionToken: line("SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		return aws.Credentials{}, errors.New("set WATERTIGHT_ANCHOR_ACCESS_KEY_ID and " +
			"WATERTIGHT_ANCHOR_SECRET_ACCESS_KEY")
	}
	return c, nil
}

// key returns the name of the object with a state. Numbers are inverted, so that a listing
// begins with the newest.
func (p *objects) key(s State) string {
	return fmt.Sprintf("%s%016x-%016x", p.prefix, ^s.Round, ^s.Commit)
}

// Newest implements Place.
func (p *objects) Newest(ctx context.Context, open func([]byte) (State, error)) (State, bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pages := s3.NewListObjectVersionsPaginator(p.client, &s3.ListObjectVersionsInput{
		Bucket: &p.bucket, Prefix: &p.prefix, MaxKeys: aws.Int32(100),
	})
	foreign := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return State{}, false, p.failed("s3:ListBucketVersions", err)
		}
		for _, v := range page.Versions {
			s, err := p.read(ctx, v, open)
			if err == nil {
				return s, true, nil
			}
			if !errors.Is(err, ErrForged) {
				return State{}, false, err
			}
			if foreign++; foreign > maxForeign {
				return State{}, false, fmt.Errorf("%w: more than %d objects of %s are no anchors of this store",
					ErrUnreachable, maxForeign, p.name)
			}
		}
	}
	if foreign > 0 {
		return State{}, false, fmt.Errorf("what lies at %s %w", p.name, ErrForged)
	}
	return State{}, false, nil
}

// read reads one version. Error: ErrForged if it is no anchor with its own name.
func (p *objects) read(
	ctx context.Context, v types.ObjectVersion, open func([]byte) (State, error),
) (State, error) {
	if aws.ToInt64(v.Size) != int64(Size) {
		return State{}, ErrForged
	}
	out, err := p.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &p.bucket, Key: v.Key, VersionId: v.VersionId})
	if err != nil {
		return State{}, p.unread(v, err)
	}
	b, err := io.ReadAll(io.LimitReader(out.Body, int64(Size)+1))
	if err = errors.Join(err, out.Body.Close()); err != nil {
		return State{}, p.unread(v, err)
	}
	s, err := open(b)
	if err == nil && p.key(s) != aws.ToString(v.Key) {
		err = ErrForged
	}
	return s, err
}

// Put implements Place.
func (p *objects) Put(ctx context.Context, s State, text []byte) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	in := &s3.PutObjectInput{
		Bucket: &p.bucket, Key: aws.String(p.key(s)), Body: bytes.NewReader(text), ObjectLockMode: p.mode,
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	if p.retain > 0 {
		in.ObjectLockRetainUntilDate = aws.Time(p.now().Add(p.retain))
	}
	if _, err := p.client.PutObject(ctx, in); err != nil {
		return p.failed("s3:PutObject", err)
	}
	return nil
}

// failed says which call failed, and what it needs.
func (p *objects) failed(action string, err error) error {
	return fmt.Errorf("%w: %s does not answer, or refuses %s: %w", ErrUnreachable, p.name, action, err)
}

// unread says which version could not be read. It may be the newest anchor, so it is not passed over.
func (p *objects) unread(v types.ObjectVersion, err error) error {
	if !errors.As(err, new(smithy.APIError)) { // no answer
		return p.failed("s3:GetObjectVersion", err)
	}
	return fmt.Errorf("%w: the version %s of the object %s in the bucket %s can't be read, and may be the newest "+
		"anchor. If it is yours, let this server's user read it there (s3:GetObjectVersion); if a stranger put it "+
		"there, delete that version, or name another prefix with --anchor and run watertight anchor accept: %w",
		ErrUnreachable, aws.ToString(v.VersionId), aws.ToString(v.Key), p.bucket, err)
}

// Every implements Place.
func (p *objects) Every() time.Duration { return p.every }

// String implements Place.
func (p *objects) String() string { return p.name }
