package clients

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/internal/server"
	"watertight/test/harness"
)

// guarded starts a server whose root user has an MFA device. code returns a value of x-amz-mfa, with another
// code each time.
func guarded(t *testing.T) (s *harness.Server, c client, code func() string) {
	t.Helper()
	var ahead atomic.Int64 // moves the clock, because a code can be used only once
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s = harness.Start(t, func(o *server.Config) { o.Now = now })
	root := iam.New(iam.Options{
		Region: s.Region, BaseEndpoint: &s.Endpoint, HTTPClient: harness.SDK(s.HTTP),
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	device := harness.EnrolRoot(t, root, "phone", now())
	c = client{t, s, t.TempDir(), s.SecretAccessKey, func(string) []string { return nil }}
	return s, c, func() string {
		ahead.Add(int64(90 * time.Second))
		return device.Serial + " " + device.Code(t, now())
	}
}
