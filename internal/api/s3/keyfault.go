package s3

import (
	"errors"

	"watertight/internal/fault"
)

// keyFault translates an error of KMS about a key into S3's error; other errors stay as
// they are. S3 puts "KMS." before KMS's code (recorded from AWS for a disabled, a deleted
// and an unknown key; AWS does not document the others).
func keyFault(err error) error {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return err
	}
	switch f.Code {
	case fault.DisabledException:
		return recoded(f, fault.KMSDisabledException)
	case fault.KMSInvalidStateException:
		return recoded(f, fault.KMSKMSInvalidStateException)
	case fault.NotFoundException, fault.InvalidArnException:
		return recoded(f, fault.KMSNotFoundException)
	case fault.InvalidKeyUsageException:
		return recoded(f, fault.KMSInvalidKeyUsageException)
	case fault.AccessDeniedException:
		return recoded(f, fault.AccessDenied)
	case fault.KeyUnavailableException:
		return fault.New(fault.ServiceUnavailable, "The key of KMS is not available. Please try again.").Because(f)
	}
	return err
}

// recoded returns f with another code. It keeps the cause, and what f discloses.
func recoded(f *fault.Error, code fault.Code) *fault.Error {
	c := fault.New(code, f.Message).Because(f.Err)
	c.Members, c.Tells = f.Members, f.Tells
	return c
}
