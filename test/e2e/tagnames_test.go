package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	iamtypes "github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	ststypes "github.com/aws/aws-sdk-go-v2/service/sts/types"
)

// dotted is "division" with the capital letter I that has a dot. strings.ToLower makes "division" of it;
// strings.EqualFold says that it is another name.
const dotted = "div\u0130sion"

// when is a policy of one statement with a condition.
func when(action, resource, condition string) string {
	return fmt.Sprintf(
		`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":%s,"Resource":%q,"Condition":%s}}`,
		action, resource, condition)
}

// TestTagsOfANewBucketAreAllJudged: the keys of a bucket's tags may differ only by case, and then have one condition
// key: none of their values hides another.
func TestTagsOfANewBucketAreAllJudged(t *testing.T) {
	c := newCast(t)
	u := c.user("maker", when(`["s3:CreateBucket","s3:TagResource"]`, "*",
		`{"StringEquals":{"aws:RequestTag/env":"dev"}}`))
	for i, test := range []struct {
		tags []string
		want string
	}{
		{[]string{"env", "dev"}, ""},
		{[]string{"env", "dev", "ENV", "dev"}, ""},
		{[]string{"env", "prod"}, "AccessDenied"},
		{[]string{"Env", "prod", "env", "dev"}, "AccessDenied"},
		{[]string{"env", "dev", "Env", "prod"}, "AccessDenied"},
		{[]string{"env", "prod", "ENV", "dev"}, "AccessDenied"},
	} {
		t.Run(strings.Join(test.tags, " "), func(t *testing.T) {
			in := &s3.CreateBucketInput{
				Bucket:                    aws.String(fmt.Sprintf("tagged-%d", i)),
				CreateBucketConfiguration: &types.CreateBucketConfiguration{},
			}
			for j := 0; j < len(test.tags); j += 2 {
				in.CreateBucketConfiguration.Tags = append(in.CreateBucketConfiguration.Tags,
					types.Tag{Key: &test.tags[j], Value: &test.tags[j+1]})
			}
			_, err := u.s3.CreateBucket(t.Context(), in)
			expect(t, err, test.want)
		})
	}
}

// sessionTags sets the tags of a session, some of them transitive.
func sessionTags(transitive []string, pairs ...string) func(*sts.AssumeRoleInput) {
	return func(in *sts.AssumeRoleInput) {
		in.TransitiveTagKeys = transitive
		for i := 0; i < len(pairs); i += 2 {
			in.Tags = append(in.Tags, ststypes.Tag{Key: &pairs[i], Value: &pairs[i+1]})
		}
	}
}

// TestNoTagPassesForAnother: a tag has the condition key of another one only if IAM takes them for the same.
func TestNoTagPassesForAnother(t *testing.T) {
	c := newCast(t)
	_, err := c.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("shares")})
	c.ok(err)
	write := func(t *testing.T, who someone, key, want string) {
		t.Helper()
		_, err := who.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("shares"), Key: &key})
		expect(t, err, want)
	}
	own := may("s3:PutObject", "arn:aws:s3:::shares/${aws:PrincipalTag/division}/*")
	first := c.role(c.root, "first", trust(awsPrincipal(c.account), ""), may("sts:*", "*"))
	second := c.role(c.root, "second", trust(awsPrincipal(c.account), ""), own)
	anna := c.user("anna", when(`"sts:*"`, "*", `{"StringEqualsIfExists":{"aws:RequestTag/division":"dev"}}`))
	t.Run("in a request", func(t *testing.T) {
		for _, pairs := range [][]string{
			{"division", "prod"}, {"division", "prod", dotted, "dev"}, {dotted, "dev", "division", "prod"},
		} {
			_, err := anna.sts.AssumeRole(t.Context(), assume(*first.Arn, "session", sessionTags(nil, pairs...)))
			expect(t, err, "AccessDenied")
		}
	})
	t.Run("over a transitive one", func(t *testing.T) {
		s := c.assumed(anna, assume(*first.Arn, "session", sessionTags([]string{"division"}, "division", "dev")))
		for _, name := range []string{"division", "DIVISION"} {
			_, err := s.sts.AssumeRole(t.Context(), assume(*second.Arn, "session", sessionTags(nil, name, "prod")))
			expect(t, err, "InvalidParameterValue")
		}
		s = c.assumed(s, assume(*second.Arn, "session", sessionTags(nil, dotted, "prod")))
		write(t, s, "dev/a", "")
		write(t, s, "prod/a", "AccessDenied")
	})
	t.Run("of a user", func(t *testing.T) {
		bob := c.user("bob", own)
		tagger := c.user("tagger", `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Action":"iam:TagUser","Resource":"*"},
			{"Effect":"Deny","Action":"iam:TagUser","Resource":"*","Condition":
				{"ForAnyValue:StringEqualsIgnoreCase":{"aws:TagKeys":"division"}}}]}`)
		put := func(who *iam.Client, name, value string) error {
			_, err := who.TagUser(t.Context(), &iam.TagUserInput{
				UserName: aws.String("bob"), Tags: []iamtypes.Tag{{Key: &name, Value: &value}},
			})
			return err
		}
		c.ok(put(c.root, "division", "dev"))
		expect(t, put(tagger.iam, "Division", "prod"), "AccessDenied")
		expect(t, put(tagger.iam, dotted, "prod"), "")
		write(t, bob, "dev/a", "")
		write(t, bob, "prod/a", "AccessDenied")
	})
}
