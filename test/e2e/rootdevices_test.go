package e2e

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/core/mfa"
	"watertight/internal/operator"
)

const needsCode = "While the root user has an MFA device, its devices can be changed only in a session that " +
	"GetSessionToken made with a code of it, or by the server's operator: watertight mfa."

// newDevice makes a virtual device without an owner.
func (c *mfaCast) newDevice(by *iam.Client, name string) (d token) {
	c.t.Helper()
	made, err := by.CreateVirtualMFADevice(c.t.Context(), &iam.CreateVirtualMFADeviceInput{VirtualMFADeviceName: &name})
	c.ok(err)
	return token{*made.VirtualMFADevice.SerialNumber, string(made.VirtualMFADevice.Base32StringSeed)}
}

// enable gives a device to the root user, with valid codes.
func (c *mfaCast) enable(by *iam.Client, d token) error {
	_, err := by.EnableMFADevice(c.t.Context(), &iam.EnableMFADeviceInput{
		UserName: aws.String("root"), SerialNumber: &d.serial, AuthenticationCode1: aws.String(c.code(d, -1)),
		AuthenticationCode2: aws.String(c.code(d, 0)),
	})
	return err
}

func (c *mfaCast) resync(by *iam.Client, d token) error {
	_, err := by.ResyncMFADevice(c.t.Context(), &iam.ResyncMFADeviceInput{
		UserName: aws.String("root"), SerialNumber: &d.serial, AuthenticationCode1: aws.String(c.code(d, 2)),
		AuthenticationCode2: aws.String(c.code(d, 3)),
	})
	return err
}

func (c *mfaCast) deactivate(by *iam.Client, d token) error {
	_, err := by.DeactivateMFADevice(c.t.Context(), &iam.DeactivateMFADeviceInput{
		UserName: aws.String("root"), SerialNumber: &d.serial,
	})
	return err
}

func (c *mfaCast) destroyDevice(by *iam.Client, d token) error {
	_, err := by.DeleteVirtualMFADevice(c.t.Context(), &iam.DeleteVirtualMFADeviceInput{SerialNumber: &d.serial})
	return err
}

// rootsDevices returns the serial numbers of the root user's devices.
func (c *mfaCast) rootsDevices() (serials []string) {
	c.t.Helper()
	all, err := c.root.ListMFADevices(c.t.Context(), &iam.ListMFADevicesInput{})
	c.ok(err)
	for _, d := range all.MFADevices {
		serials = append(serials, *d.SerialNumber)
	}
	return serials
}

// TestRootsKeyAloneIsOneFactor: a thief of the root user's access key can neither add a device, with
// which to destroy versions, nor remove one.
func TestRootsKeyAloneIsOneFactor(t *testing.T) {
	c := newMFACast(t)
	ctx := t.Context()
	version := c.newGuarded("stolen")
	own := c.newDevice(c.root, "thiefs")
	key, err := c.root.CreateAccessKey(ctx, &iam.CreateAccessKeyInput{})
	c.ok(err)
	another := iamClient(c.Server, *key.AccessKey.AccessKeyId, *key.AccessKey.SecretAccessKey, "")
	plain, err := c.someone(rootOf(c.Server), "").sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	_, err = c.someone(rootOf(c.Server), "").sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{
		SerialNumber: &own.serial, TokenCode: aws.String(c.code(own, 0)),
	})
	expect(t, err, "AccessDenied") // a session with a device without an owner
	for name, thief := range map[string]struct {
		iam       *iam.Client
		code, why string
	}{
		"the key":       {c.root, "AccessDenied", needsCode},
		"another key":   {another, "AccessDenied", needsCode},
		"a session":     {c.session(plain.Credentials).iam, "InvalidClientTokenId", ""},
		"a user's key":  {c.admin.iam, "NoSuchEntity", ""}, // for users, root is a user's name
		"a user's code": {c.adminWithCode().iam, "NoSuchEntity", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for what, err := range map[string]error{
				"enable": c.enable(thief.iam, own), "resync": c.resync(thief.iam, c.first),
				"deactivate": c.deactivate(thief.iam, c.first),
			} {
				expect(t, err, thief.code)
				if thief.why != "" && !strings.Contains(err.Error(), thief.why) {
					t.Errorf("%s: %v", what, err)
				}
			}
			if err := c.destroyDevice(thief.iam, c.first); code(err) != "DeleteConflict" &&
				code(err) != "InvalidClientTokenId" {
				t.Error(err)
			}
		})
	}
	c.later()
	remove := raw{method: "DELETE", target: "/stolen/k?versionId=" + version}
	if a := c.send(remove, c.header(own)); a.status != 403 {
		t.Errorf("the thief's code: %d %s", a.status, a.body)
	}
	if a := c.send(remove, c.header(c.first)); a.status != 204 {
		t.Errorf("root's code: %d %s", a.status, a.body)
	}
	if all := c.rootsDevices(); len(all) != 2 {
		t.Error(all)
	}
}

// adminWithCode returns a session of the administrator that was made with a code.
func (c *mfaCast) adminWithCode() someone {
	c.t.Helper()
	out, err := c.admin.sts.GetSessionToken(c.t.Context(), &sts.GetSessionTokenInput{
		SerialNumber: &c.users.serial, TokenCode: aws.String(c.code(c.users, 0)),
	})
	c.ok(err)
	return c.session(out.Credentials)
}

// TestRootChangesDevicesWithACode: the root user can change its devices with a code, and the operator
// without one.
func TestRootChangesDevicesWithACode(t *testing.T) {
	c := newMFACast(t)
	root := c.withCode(c.code(c.first, 0)).iam
	third := c.newDevice(root, "third")
	c.ok(c.enable(root, third))
	c.ok(c.resync(root, third))
	for _, d := range []token{c.first, c.second} {
		c.ok(c.deactivate(root, d))
		c.ok(c.destroyDevice(root, d))
	}
	refusal(t, c.deactivate(c.root, third), "AccessDenied", needsCode)
	if all := c.rootsDevices(); len(all) != 1 || all[0] != third.serial {
		t.Error(all)
	}
	o := operator.Dial(c.Data)
	_, err := o.AddMFADevice(t.Context(), operator.NewMFADevice{
		AccountID: c.account, SerialNumber: "GAHT12345678", Owner: "root", Step: 30, Algorithm: "SHA1",
		Seed: mfa.Seed(fmt.Sprintf("%x", bytes.Repeat([]byte{7}, 20))),
	})
	c.ok(err)
	if all := c.rootsDevices(); len(all) != 2 {
		t.Error(all)
	}
	for _, serial := range []string{third.serial, "GAHT12345678"} {
		c.ok(o.RemoveMFADevice(t.Context(), operator.DeviceCommand{AccountID: c.account, SerialNumber: serial}))
	}
	c.later()
	c.ok(c.enable(c.root, c.newDevice(c.root, "first"))) // the first device needs no code
}

// TestFirstDeviceOnce: of concurrent first enrolments, only one succeeds without a code.
func TestFirstDeviceOnce(t *testing.T) {
	c := &mfaCast{t: t, clock: &clock{}, cast: newCast(t)}
	const n = 6
	var devices [n]token
	var errs [n]error
	for i := range n {
		devices[i] = c.newDevice(c.root, fmt.Sprint("phone", i))
	}
	var wg sync.WaitGroup
	for i, d := range devices {
		wg.Go(func() { errs[i] = c.enable(c.root, d) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else {
			refusal(t, err, "AccessDenied", needsCode)
		}
	}
	if all := c.rootsDevices(); won != 1 || len(all) != 1 {
		t.Errorf("%d succeeded, and root has %v", won, all)
	}
}
