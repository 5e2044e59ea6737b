package tamper

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// The keys of the users that come and go.
type users struct{ gone, shut [2]string }

// sizes are those of a value in the metadata, of a segment, and of a file.
func sizes() map[string]int {
	return map[string]int{"small": 100, "middle": 50_000, "large": 1200 << 10}
}

func body(key, moment string) string {
	n := sizes()[strings.SplitN(key, "-", 2)[0]]
	line := fmt.Sprintf("%s at %s\n", key, moment)
	return strings.Repeat(line, n/len(line)+1)[:n]
}

// chronicle is what happened to a store: its files at several moments, oldest first, and what
// is true at the last one.
type chronicle struct {
	key     string // content of the root key's file
	moments []image
	anchor  string // at the last moment
	users   users
	facts   map[string]string
}

// write makes a chronicle. Each moment ends with a clean stop.
func chronicleOf(t testing.TB, dir string) *chronicle {
	t.Helper()
	c := &chronicle{}
	data, anchor := dir+"/data", dir+"/anchor"
	for _, step := range []func(context.Context, *machine) error{
		c.open, c.more, c.shut, c.end,
	} {
		m, err := boot(t.Context(), data, anchor)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(step(t.Context(), m), m.end()); err != nil {
			t.Fatal(err)
		}
		c.moments = append(c.moments, read(t, data))
	}
	m, err := boot(t.Context(), data, anchor)
	if err != nil {
		t.Fatal(err)
	}
	c.facts = c.observe(t.Context(), m)
	if err := m.end(); err != nil {
		t.Fatal(err)
	}
	for name, f := range c.facts {
		if strings.HasPrefix(f, refusal) {
			t.Fatalf("%s: %s", name, f)
		}
	}
	c.moments = append(c.moments, read(t, data))
	c.key, c.anchor = fileText(t, dir+"/root.key"), fileText(t, anchor)
	return c
}

func put(ctx context.Context, m *machine, moment string, keys ...string) error {
	for _, key := range keys {
		if _, err := m.s3(keyID, secret).PutObject(ctx, &s3.PutObjectInput{
			Bucket: aws.String("bkt"), Key: &key, Body: strings.NewReader(body(key, moment)),
		}); err != nil {
			return err
		}
	}
	return nil
}

const everything = `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}`

func user(ctx context.Context, m *machine, name string) (key [2]string, err error) {
	c := m.iam()
	if _, err = c.CreateUser(ctx, &iam.CreateUserInput{UserName: &name}); err != nil {
		return key, err
	}
	if _, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: &name, PolicyName: aws.String("p"), PolicyDocument: aws.String(everything),
	}); err != nil {
		return key, err
	}
	k, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: &name})
	if err != nil {
		return key, err
	}
	return [2]string{*k.AccessKey.AccessKeyId, *k.AccessKey.SecretAccessKey}, nil
}

// open makes a public bucket, objects and users.
func (c *chronicle) open(ctx context.Context, m *machine) (err error) {
	client, bkt := m.s3(keyID, secret), aws.String("bkt")
	if _, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bkt}); err != nil {
		return err
	}
	if _, err = client.DeletePublicAccessBlock(ctx, &s3.DeletePublicAccessBlockInput{Bucket: bkt}); err != nil {
		return err
	}
	for i, to := range []*[2]string{&c.users.gone, &c.users.shut} {
		if *to, err = user(ctx, m, fmt.Sprint("user", i)); err != nil {
			return err
		}
	}
	return put(ctx, m, "first", "small-kept", "small-gone", "small-new", "middle-kept", "middle-gone", "middle-new",
		"large-kept", "large-gone", "large-new")
}

// more adds what the engine writes into further tables.
func (c *chronicle) more(ctx context.Context, m *machine) error {
	for i := range 30 {
		if err := put(ctx, m, "second", fmt.Sprint("small-", i), fmt.Sprint("middle-", i)); err != nil {
			return err
		}
	}
	return nil
}

// shut takes away and replaces.
func (c *chronicle) shut(ctx context.Context, m *machine) error {
	client, bkt := m.s3(keyID, secret), aws.String("bkt")
	for _, key := range []string{"small-gone", "middle-gone", "large-gone"} {
		if _, err := client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: bkt, Key: &key}); err != nil {
			return err
		}
	}
	name := aws.String("user0")
	_, err := m.iam().DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{UserName: name, AccessKeyId: &c.users.gone[0]})
	if err != nil {
		return err
	}
	if _, err := m.iam().DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{
		UserName: aws.String("user1"), PolicyName: aws.String("p"),
	}); err != nil {
		return err
	}
	if _, err := client.PutPublicAccessBlock(ctx, &s3.PutPublicAccessBlockInput{
		Bucket: bkt, PublicAccessBlockConfiguration: &types.PublicAccessBlockConfiguration{
			BlockPublicAcls: aws.Bool(true), IgnorePublicAcls: aws.Bool(true), BlockPublicPolicy: aws.Bool(true),
			RestrictPublicBuckets: aws.Bool(true),
		},
	}); err != nil {
		return err
	}
	return put(ctx, m, "last", "small-new", "middle-new", "large-new")
}

// end is one more stop.
func (c *chronicle) end(ctx context.Context, m *machine) error {
	return put(ctx, m, "last", "small-last", "middle-last")
}

// refusal begins an answer that says that something can't be read.
const refusal = "refused: "

// answer is what a request was answered.
func answer(right string, err error) string {
	var e smithy.APIError
	var status interface{ HTTPStatusCode() int }
	switch {
	case err == nil:
		return right
	case errors.Is(err, harness.ErrCut):
		return refusal + err.Error()
	case errors.As(err, &status) && status.HTTPStatusCode() >= http.StatusInternalServerError:
		return refusal + err.Error()
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

// observe asks for everything that happened.
func (c *chronicle) observe(ctx context.Context, m *machine) map[string]string {
	out := map[string]string{}
	client, bkt := m.s3(keyID, secret), aws.String("bkt")
	get := func(who *s3.Client, key string) string {
		r, err := who.GetObject(ctx, &s3.GetObjectInput{Bucket: bkt, Key: &key})
		if err != nil {
			return answer("", err)
		}
		b, err := io.ReadAll(r.Body)
		return answer(fmt.Sprintf("%d bytes %x", len(b), sha256.Sum256(b)), err)
	}
	for size := range sizes() {
		for _, which := range []string{"kept", "gone", "new", "last", "7", "23"} {
			key := size + "-" + which
			out["get "+key] = get(client, key)
		}
	}
	out["get as the user whose key was deleted"] = get(m.s3(c.users.gone[0], c.users.gone[1]), "small-kept")
	out["get as the user whose policy was deleted"] = get(m.s3(c.users.shut[0], c.users.shut[1]), "small-kept")
	list, err := client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: bkt})
	var keys strings.Builder
	if err == nil {
		for _, o := range list.Contents {
			fmt.Fprintf(&keys, "%s %d %s\n", *o.Key, *o.Size, *o.ETag)
		}
	}
	out["list"] = answer(keys.String(), err)
	block, err := client.GetPublicAccessBlock(ctx, &s3.GetPublicAccessBlockInput{Bucket: bkt})
	text := ""
	if err == nil {
		text = fmt.Sprint(*block.PublicAccessBlockConfiguration.RestrictPublicBuckets)
	}
	out["block public access"] = answer(text, err)
	names, err := m.iam().ListUsers(ctx, &iam.ListUsersInput{})
	text = ""
	if err == nil {
		for _, u := range names.Users {
			text += *u.UserName + " "
		}
	}
	out["users"] = answer(text, err)
	return out
}
