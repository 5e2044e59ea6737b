package s3

import (
	"errors"
	"fmt"
	"testing"

	"watertight/internal/fault"
)

// TestKeyFault: each error of KMS has its form in S3, with S3's status, wherever it is in a chain of
// errors.
func TestKeyFault(t *testing.T) {
	for _, c := range []struct {
		from, want fault.Code
		status     int
	}{
		{fault.DisabledException, "KMS.DisabledException", 400},
		{fault.KMSInvalidStateException, "KMS.KMSInvalidStateException", 400},
		{fault.NotFoundException, "KMS.NotFoundException", 400},
		{fault.InvalidArnException, "KMS.NotFoundException", 400},
		{fault.InvalidKeyUsageException, "KMS.InvalidKeyUsageException", 400},
		{fault.AccessDeniedException, "AccessDenied", 403},
		{fault.KeyUnavailableException, "ServiceUnavailable", 503},
		{fault.NoSuchKey, "NoSuchKey", 404},
		{fault.AccessDenied, "AccessDenied", 403},
	} {
		t.Run(string(c.from), func(t *testing.T) {
			cause := errors.New("the cause")
			for i, err := range []error{
				fault.New(c.from, "a sentence").Because(cause),
				fmt.Errorf("in between: %w", fault.New(c.from, "a sentence").Because(cause)),
			} {
				f := fault.From(keyFault(err))
				if f.Code != c.want || f.Kind.Status() != c.status || !errors.Is(f, cause) {
					t.Errorf("%d: %v %d", i, f, f.Kind.Status())
				}
				if c.want != "ServiceUnavailable" && f.Message != "a sentence" {
					t.Errorf("%d: says %q", i, f.Message)
				}
			}
		})
	}
	other := errors.New("no fault")
	if got := keyFault(other); got != other || keyFault(nil) != nil {
		t.Errorf("%v", got)
	}
}
