package harness

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/iam"
)

// step is how long a code of a virtual device is valid.
const step = 30 * time.Second

// Device is an enrolled authenticator app.
type Device struct{ Serial, Seed string }

// Code returns the code that the device shows at a time (RFC 6238).
func (d Device) Code(t testing.TB, at time.Time) string {
	t.Helper()
	key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(d.Seed)
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(sha1.New, key)
	m.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix()/int64(step.Seconds()))))
	sum := m.Sum(nil)
	n := binary.BigEndian.Uint32(sum[sum[19]&15:]) & 0x7fffffff
	return fmt.Sprintf("%06d", n%1_000_000)
}

// EnrolRoot enrols a device for the root user, with the codes of the time step at a time
// and of the step before.
func EnrolRoot(t testing.TB, root *iam.Client, name string, at time.Time) Device {
	t.Helper()
	made, err := root.CreateVirtualMFADevice(t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name})
	if err != nil {
		t.Fatal(err)
	}
	d := Device{*made.VirtualMFADevice.SerialNumber, string(made.VirtualMFADevice.Base32StringSeed)}
	who, first, second := "root", d.Code(t, at.Add(-step)), d.Code(t, at)
	_, err = root.EnableMFADevice(t.Context(), &iam.EnableMFADeviceInput{
		UserName: &who, SerialNumber: &d.Serial, AuthenticationCode1: &first, AuthenticationCode2: &second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
