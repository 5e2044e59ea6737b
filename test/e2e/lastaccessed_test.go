package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// lastAccessed returns the report on an ARN, by service, and its id.
func (c cast) lastAccessed(who *iam.Client, name string) (map[string]types.ServiceLastAccessed, string) {
	c.Helper()
	job, err := who.GenerateServiceLastAccessedDetails(c.Context(),
		&iam.GenerateServiceLastAccessedDetailsInput{
			Arn: &name, Granularity: types.AccessAdvisorUsageGranularityTypeActionLevel,
		})
	c.ok(err)
	out, err := who.GetServiceLastAccessedDetails(c.Context(), &iam.GetServiceLastAccessedDetailsInput{
		JobId: job.JobId,
	})
	c.ok(err)
	if out.JobStatus != types.JobStatusTypeCompleted || out.JobCreationDate == nil || out.JobCompletionDate == nil ||
		out.IsTruncated || out.JobType != types.AccessAdvisorUsageGranularityTypeServiceLevel {
		c.Errorf("%+v", out)
	}
	all := map[string]types.ServiceLastAccessed{}
	for _, s := range out.ServicesLastAccessed {
		all[*s.ServiceNamespace] = s
	}
	return all, *job.JobId
}

// TestLastAccessed: auditors learn which services a principal uses, and other
// callers do not.
func TestLastAccessed(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:*","iam:Get*",` +
		`"sts:AssumeRole"],` +
		`"Resource":"*"}]}`
	u, r := c.user("u", document), c.role(c.root, "r", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	says := func(name, service, by string, used bool) string {
		t.Helper()
		all, job := c.lastAccessed(c.root, name)
		s, there := all[service]
		switch {
		case !there, *s.TotalAuthenticatedEntities != 0 != used, (s.LastAuthenticated != nil) != used,
			aws.ToString(s.LastAuthenticatedEntity) != by:
			t.Errorf("%s, %s: %v %+v", name, service, there, s)
		}
		return job
	}
	says(u.arn, "s3", "", false)
	_, err := u.s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	c.ok(err)
	_, err = c.assumed(u, assume(*r.Arn, "session")).s3.ListBuckets(ctx, &s3.ListBucketsInput{})
	c.ok(err)
	says(u.arn, "s3", u.arn, true)
	says(u.arn, "sts", u.arn, true)
	job := says(u.arn, "iam", "", false)
	says(*r.Arn, "s3", *r.Arn, true)
	if all, _ := c.lastAccessed(c.root, *r.Arn); len(all) != 1 {
		t.Errorf("services that the role may not use: %v", all)
	}
	get := func(who *iam.Client, job string) error {
		_, err := who.GetServiceLastAccessedDetails(ctx, &iam.GetServiceLastAccessedDetailsInput{JobId: &job})
		return err
	}
	generate := func(who *iam.Client, name string) error {
		_, err := who.GenerateServiceLastAccessedDetails(ctx, &iam.GenerateServiceLastAccessedDetailsInput{Arn: &name})
		return err
	}
	key := c.CreateAccount(t, "other")
	stranger := iamClient(c.Server, key.AccessKeyID, key.SecretAccessKey, "")
	expect(t, get(stranger, job), "NoSuchEntity")
	if err := generate(stranger, u.arn); code(err) != "AccessDenied" && code(err) != "NoSuchEntity" {
		t.Error(err)
	}
	powerless := c.user("powerless", nothingMuch).iam
	expect(t, get(powerless, job), "AccessDenied")
	expect(t, generate(powerless, u.arn), "AccessDenied")
	reader := c.user("reader", may("iam:GetServiceLastAccessedDetails", "*")).iam
	expect(t, get(reader, job), "AccessDenied") // the user may not generate the report either
	expect(t, get(c.root, job[:35]+"x"), "NoSuchEntity")
	expect(t, generate(c.root, u.arn+"x"), "NoSuchEntity")
	expect(t, generate(c.root, "arn:aws:s3:::some-bucket-or-other"), "InvalidInput")

	for _, err := range []error{
		func() error {
			_, err := c.root.DeleteAccessKey(ctx, &iam.DeleteAccessKeyInput{
				UserName: aws.String("u"), AccessKeyId: &u.key.AccessKeyID,
			})
			return err
		}(),
		func() error {
			_, err := c.root.DeleteUserPolicy(ctx, &iam.DeleteUserPolicyInput{
				UserName: aws.String("u"), PolicyName: aws.String("p"),
			})
			return err
		}(),
		func() error {
			_, err := c.root.DeleteUser(ctx, &iam.DeleteUserInput{UserName: aws.String("u")})
			return err
		}(),
	} {
		c.ok(err)
	}
	expect(t, get(c.root, job), "NoSuchEntity")
	again := c.user("u", document)
	says(again.arn, "s3", "", false)
	_, err = again.sts.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	c.ok(err)
	says(again.arn, "sts", again.arn, true)
}
