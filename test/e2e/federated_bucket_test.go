package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// TestBucketPolicyNamesTheIssuer: a bucket policy that names a user applies to the federated sessions
// that the user asked for, too. It can deny what the session's policy allows, and it can't allow more
// than that policy.
func TestBucketPolicyNamesTheIssuer(t *testing.T) {
	c := newCast(t)
	admin := c.S3
	for effect, test := range map[string]struct {
		identity         string // what the user's own policy allows of S3
		before, get, put string // the codes of a GET without the bucket policy, then of a GET and a PUT with it
	}{
		"Deny":  {"s3:*", "", "AccessDenied", ""},
		"Allow": {"s3:ListAllMyBuckets", "AccessDenied", "", "AccessDenied"},
	} {
		t.Run(effect, func(t *testing.T) {
			name := strings.ToLower(effect)
			bucket := aws.String("named-" + name)
			_, err := admin.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket})
			c.ok(err)
			put := func(client *s3.Client) error {
				_, err := client.PutObject(t.Context(), &s3.PutObjectInput{
					Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("x"),
				})
				return err
			}
			c.ok(put(admin))
			user := c.user(name, may("sts:GetFederationToken", "*"))
			_, err = c.root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
				UserName: &name, PolicyName: aws.String("s3"), PolicyDocument: aws.String(may(test.identity, "*")),
			})
			c.ok(err)
			token, err := user.sts.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{
				Name: aws.String("fed"), Policy: aws.String(may("s3:*", "*")),
			})
			c.ok(err)
			session := c.session(token.Credentials)
			get := func() error {
				_, err := session.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")})
				return err
			}
			if got := code(get()); got != test.before {
				t.Errorf("before: %q", got)
			}
			_, err = admin.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{Bucket: bucket, Policy: aws.String(
				fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":%q,"Principal":{"AWS":%q},`+
					`"Action":"s3:GetObject","Resource":"arn:aws:s3:::%s/*"}}`, effect, user.arn, *bucket))})
			c.ok(err)
			if got := code(get()); got != test.get {
				t.Errorf("GET: %q", got)
			}
			if got := code(put(session.s3)); got != test.put {
				t.Errorf("PUT: %q", got)
			}
		})
	}
}
