package e2e

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// TestWhatIsNotHere: requests about AWS features that the server does not have get empty answers.
func TestWhatIsNotHere(t *testing.T) {
	c := newCast(t)
	ctx := t.Context()
	u := c.user("u", "")
	r := c.role(c.root, "r", trust(awsPrincipal(c.account), ""), readAll)
	profiles := iam.NewListInstanceProfilesPaginator(c.root, &iam.ListInstanceProfilesInput{
		PathPrefix: aws.String("/p/"),
	})
	certificates := iam.NewListServerCertificatesPaginator(c.root, &iam.ListServerCertificatesInput{})
	for name, count := range map[string]func() (int, error){
		"instance profiles": func() (int, error) {
			out, err := profiles.NextPage(ctx)
			if profiles.HasMorePages() {
				t.Error("an empty list is truncated")
			}
			return len(out.InstanceProfiles), err
		},
		"instance profiles of a role": func() (int, error) {
			out, err := c.root.ListInstanceProfilesForRole(ctx, &iam.ListInstanceProfilesForRoleInput{
				RoleName: r.RoleName,
			})
			return len(out.InstanceProfiles), err
		},
		"server certificates": func() (int, error) {
			out, err := certificates.NextPage(ctx)
			if certificates.HasMorePages() {
				t.Error("an empty list is truncated")
			}
			return len(out.ServerCertificateMetadataList), err
		},
		"SAML providers": func() (int, error) {
			out, err := c.root.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{})
			return len(out.SAMLProviderList), err
		},
		"features of an organization": func() (int, error) {
			out, err := c.root.ListOrganizationsFeatures(ctx, &iam.ListOrganizationsFeaturesInput{})
			return len(out.EnabledFeatures), err
		},
		"signing certificates": func() (int, error) {
			out, err := c.root.ListSigningCertificates(ctx, &iam.ListSigningCertificatesInput{
				UserName: aws.String("u"),
			})
			return len(out.Certificates), err
		},
		"SSH keys": func() (int, error) {
			out, err := c.root.ListSSHPublicKeys(ctx, &iam.ListSSHPublicKeysInput{UserName: aws.String("u")})
			return len(out.SSHPublicKeys), err
		},
		"service-specific credentials": func() (int, error) {
			out, err := c.root.ListServiceSpecificCredentials(ctx, &iam.ListServiceSpecificCredentialsInput{
				UserName: aws.String("u"),
			})
			return len(out.ServiceSpecificCredentials), err
		},
		"entities of AWS's policies that are not here": func() (int, error) {
			out, err := c.root.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{
				PolicyArn: aws.String("arn:aws:iam::aws:policy/AWSSupportAccess"),
			})
			return len(out.PolicyUsers) + len(out.PolicyRoles) + len(out.PolicyGroups), err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if n, err := count(); err != nil || n != 0 {
				t.Errorf("%s: %d, %v", name, n, err)
			}
		})
	}
	for name, ask := range map[string]func() error{
		"an instance profile": func() error {
			_, err := c.root.GetInstanceProfile(ctx, &iam.GetInstanceProfileInput{InstanceProfileName: aws.String("i")})
			return err
		},
		"a server certificate": func() error {
			_, err := c.root.GetServerCertificate(ctx, &iam.GetServerCertificateInput{
				ServerCertificateName: aws.String("c"),
			})
			return err
		},
		"a SAML provider": func() error {
			_, err := c.root.GetSAMLProvider(ctx, &iam.GetSAMLProviderInput{
				SAMLProviderArn: aws.String("arn:aws:iam::" + c.account + ":saml-provider/s"),
			})
			return err
		},
		"a policy of this account": func() error {
			_, err := c.root.ListEntitiesForPolicy(ctx, &iam.ListEntitiesForPolicyInput{
				PolicyArn: aws.String("arn:aws:iam::" + c.account + ":policy/none"),
			})
			return err
		},
		"a policy of AWS, its text": func() error {
			_, err := c.root.GetPolicy(ctx, &iam.GetPolicyInput{
				PolicyArn: aws.String("arn:aws:iam::aws:policy/AWSSupportAccess"),
			})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := ask(); code(err) != "NoSuchEntity" {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	_, err := c.root.GetSAMLProvider(ctx, &iam.GetSAMLProviderInput{
		SAMLProviderArn: aws.String("arn:aws:iam::999988887777:saml-provider/s"),
	})
	expect(t, err, "InvalidInput")
	_, err = u.iam.ListSAMLProviders(ctx, &iam.ListSAMLProvidersInput{})
	expect(t, err, "AccessDenied")
	_, err = c.root.AttachUserPolicy(ctx, &iam.AttachUserPolicyInput{
		UserName: aws.String("u"), PolicyArn: aws.String("arn:aws:iam::aws:policy/AWSSupportAccess"),
	})
	expect(t, err, "NoSuchEntity")
}
