package policy

import (
	"fmt"
	"testing"
)

// TestAllowsSome: a service counts as allowed if any of its actions is, under any conditions, unless a
// Deny applies to all of its actions on all resources.
func TestAllowsSome(t *testing.T) {
	for statements, want := range map[string]bool{
		`{"Effect":"Allow","Action":"*",` +
			`"Resource":"*"}`: true,
		`{"Effect":"Allow","Action":"S3:Get*",` +
			`"Resource":"arn:aws:s3:::b/*"}`: true,
		`{"Effect":"Allow","Action":["iam:*","s3-object-lambda:*"],` +
			`"Resource":"*"}`: false,
		`{"Effect":"Allow","NotAction":"iam:*",` +
			`"Resource":"*"}`: true,
		`{"Effect":"Allow","NotAction":"s3:Get*",` +
			`"Resource":"*"}`: true,
		`{"Effect":"Allow","NotAction":["s3:*","iam:*"],` +
			`"Resource":"*"}`: false,
		`{"Effect":"Deny","Action":"iam:*",` +
			`"Resource":"*"}`: false,
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*",` +
			`"Resource":"*"}`: false,
		`{"Effect":"Deny","NotAction":"iam:*","Resource":"*"},{"Effect":"Allow","Action":"*",` +
			`"Resource":"*"}`: false,
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:G*",` +
			`"Resource":"*"}`: true,
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*",` +
			`"Resource":"arn:aws:s3:::b"}`: true,
		`{"Effect":"Allow","Action":"*","Resource":"*"},{"Effect":"Deny","Action":"s3:*","Resource":"*",` +
			`"Condition":{"Bool":{"aws:SecureTransport":"false"}}}`: true,
	} {
		t.Run(fmt.Sprintf("%.60s", statements), func(t *testing.T) {
			d := mustParse(t, Identity, `{"Version":"2012-10-17","Statement":[`+statements+`]}`)
			if AllowsSome([]*Document{d}, "s3") != want {
				t.Errorf("%s: %v", statements, !want)
			}
		})
	}
}
