package e2e

import (
	"encoding/base32"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"watertight/test/harness"
)

// TestIAMSecretsAreSealed looks for secrets, seeds and documents in every file
// of the data directory, and in the log.
func TestIAMSecretsAreSealed(t *testing.T) {
	const user = "alice-of-the-index" // too long to occur by chance
	s := harness.Start(t)
	ctx, c := t.Context(), rootIAM(s)
	document := strings.Replace(readAll, `"Effect"`, `"Sid":"`+strings.ReplaceAll(marker, "-", "")+`","Effect"`, 1)
	tag := []types.Tag{{Key: aws.String("k"), Value: aws.String(marker)}}
	if _, err := c.CreateUser(ctx, &iam.CreateUserInput{UserName: aws.String(user), Tags: tag}); err != nil {
		t.Fatal(err)
	}
	k, err := c.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{UserName: aws.String(user)})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.PutUserPolicy(ctx, &iam.PutUserPolicyInput{
		UserName: aws.String(user), PolicyName: aws.String("p"), PolicyDocument: &document,
	})
	expect(t, err, "")
	_, err = c.CreatePolicy(ctx, &iam.CreatePolicyInput{
		PolicyName: aws.String("managed"), PolicyDocument: &document, Description: aws.String(marker), Tags: tag,
	})
	expect(t, err, "")
	_, seed := enrol(t, c, "phone", user)
	raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(seed)
	if err != nil {
		t.Fatal(err)
	}
	secrets := []string{
		*k.AccessKey.SecretAccessKey, seed, string(raw), marker, strings.ReplaceAll(marker, "-", ""), user,
	}
	for _, when := range []string{"while the server runs", "after it"} {
		t.Run(when, func(t *testing.T) {
			for i, secret := range secrets {
				if files := filesWith(t, s.Data, secret); len(files) > 0 {
					t.Errorf("secret %d is in plain text in %q %s", i, files, when)
				}
			}
			s.Stop()
		})
	}
	log := s.Logs.String()
	for i, secret := range secrets[:3] {
		if strings.Contains(log, secret) {
			t.Errorf("secret %d is in the log", i)
		}
	}
	if files := filesWith(t, s.Data, "WTFILE1\n"); len(files) == 0 {
		t.Error("the scan does not find the engine's files: it looks in the wrong place")
	}
}
