package identity

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Bootstrap is what an authenticator is set up with; it is told once.
type Bootstrap struct {
	Seed string // base32
	QR   []byte // PNG of the otpauth URL
}

// CreateDevice makes a virtual MFA device that nobody has yet. It needs
// iam:CreateVirtualMFADevice.
// Errors: EntityAlreadyExists, LimitExceeded, ValidationError, InvalidInput.
func (s *Store) CreateDevice(ctx context.Context, g authz.Grant, path, name string, tags []tag.Tag) (*Device, Bootstrap, error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, Bootstrap{}, err
	}
	if path == "" {
		path = "/"
	}
	if err := g.Demand("iam:CreateVirtualMFADevice", DeviceARN(account, path, name)); err != nil {
		return nil, Bootstrap{}, err
	}
	d := &Device{Account: account, Path: path, Name: name, Created: Instant(g), Tags: tags, seed: make([]byte, seedSize)}
	for _, check := range []func() error{
		func() error { return CheckName(name) },
		func() error { _, err := CheckPath(path); return err },
		func() error { return tag.CheckIAM(tags) },
	} {
		if err := check(); err != nil {
			return nil, Bootstrap{}, err
		}
	}
	rand.Read(d.seed)
	b, err := d.bootstrap()
	if err != nil {
		return nil, Bootstrap{}, fault.Internal(err)
	}
	return d, b, Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		taken, err := tx.Get(deviceKey(account, path, name))
		if err != nil {
			return err
		}
		if taken != nil {
			return alreadyExists("MFADevice entity at the same path and name already exists.")
		}
		n, err := record.Count(tx, devicesOf(account))
		if err != nil {
			return err
		}
		if n >= maxUsers {
			return LimitExceeded("VirtualMFADevicesPerAccount", maxUsers)
		}
		d.write(tx)
		return nil
	})
}

// bootstrap is the seed in the forms that people and cameras read (API
// reference, VirtualMFADevice).
func (d *Device) bootstrap() (Bootstrap, error) {
	seed := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(d.seed)
	label := url.PathEscape(d.Name + "@" + d.Account)
	code, err := qr.Encode("otpauth://totp/"+label+"?secret="+seed, qr.M)
	if err != nil {
		return Bootstrap{}, err
	}
	return Bootstrap{Seed: seed, QR: code.PNG()}, nil
}

// Holder names who has a device: a user, or with Root the account's root user,
// who alone may say so.
type Holder struct {
	User string
	Root bool
}

// HolderFor is the holder a request by p means with a user name: with root
// credentials, "root" and nobody are the root user.
func HolderFor(p policy.Principal, user string) Holder {
	if p.Kind == policy.AccountRoot && (user == "" || user == "root") {
		return Holder{Root: true}
	}
	return Holder{User: user}
}

// owned finds a holder for whoever may do action to it, and its owner's id.
func owned(r kv.Reader, g authz.Grant, account string, action policy.Action, h Holder) (id string, u *Entity, err error) {
	if h.Root {
		_, err := holderOf(r, g, account, action, "")
		return RootOwner, nil, err
	}
	u, err = DemandEntity(r, g, account, action, User, h.User)
	if err != nil {
		return "", nil, err
	}
	return u.ID, u, nil
}

func noSuchDevice(serial string) error {
	return noSuch("VirtualMFADevice with serial number %s doesn't exist.", serial)
}

func invalidCode() error {
	return fault.Of(fault.InvalidAuthenticationCode)
}

// Steps that two codes may be away from the server's clock: close by for a
// device that is set up, ten minutes for one whose clock went astray.
const (
	enableWindow = 2
	resyncWindow = 20
)

// EnableDevice gives a device to a user or to the root user, who proves with
// two consecutive codes to have its seed. It needs iam:EnableMFADevice.
// Errors: NoSuchEntity, EntityAlreadyExists, InvalidAuthenticationCode,
// LimitExceeded.
func (s *Store) EnableDevice(ctx context.Context, g authz.Grant, h Holder, serial, code1, code2 string) error {
	return s.withDevice(ctx, g, "iam:EnableMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != "" {
			return alreadyExists("MFADevice is already in use.")
		}
		n, err := record.Count(tx, devicesKey(d.Account, id))
		if err != nil {
			return err
		}
		if n >= maxDevicesPerUser {
			return LimitExceeded("MFADevicesPerUser", maxDevicesPerUser)
		}
		now := stepAt(Instant(g))
		// Codes that were used stay used, whoever had the device then.
		step, ok := findStep(d.seed, max(now-enableWindow, d.lastStep+1), now, code1, code2)
		if !ok {
			return invalidCode()
		}
		d.Owner, d.Enabled, d.drift, d.lastStep, d.failures = id, Instant(g), 0, step+1, 0
		d.write(tx)
		tx.Set(record.Key(string(devicesKey(d.Account, id)), d.Serial().String()), []byte{1})
		return nil
	})
}

// ResyncDevice follows the clock of a device, which two consecutive codes tell.
// It needs iam:ResyncMFADevice.
// Errors: NoSuchEntity, InvalidAuthenticationCode.
func (s *Store) ResyncDevice(ctx context.Context, g authz.Grant, h Holder, serial, code1, code2 string) error {
	return s.withDevice(ctx, g, "iam:ResyncMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != id {
			return noSuchDevice(serial)
		}
		now := stepAt(Instant(g))
		step, ok := findStep(d.seed, now-resyncWindow, now+resyncWindow, code1, code2)
		if !ok || step <= d.lastStep {
			return invalidCode()
		}
		d.drift, d.lastStep, d.failures = step+1-now, step+1, 0
		d.write(tx)
		return nil
	})
}

// DeactivateDevice takes a device from its owner. It needs
// iam:DeactivateMFADevice. Errors: NoSuchEntity.
func (s *Store) DeactivateDevice(ctx context.Context, g authz.Grant, h Holder, serial string) error {
	return s.withDevice(ctx, g, "iam:DeactivateMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != id {
			return noSuchDevice(serial)
		}
		tx.Delete(record.Key(string(devicesKey(d.Account, id)), d.Serial().String()))
		// A code that was used stays used, and a lock stays shut.
		d.Owner, d.Enabled, d.drift = "", time.Time{}, 0
		d.write(tx)
		return nil
	})
}

func (s *Store) withDevice(ctx context.Context, g authz.Grant, action policy.Action, h Holder, serial string, fn func(tx kv.Tx, owner string, d *Device) error) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		id, _, err := owned(tx, g, account, action, h)
		if err != nil {
			return err
		}
		d, err := findDevice(tx, account, serial)
		if err != nil {
			return err
		}
		if d == nil {
			return noSuchDevice(serial)
		}
		return fn(tx, id, d)
	})
}

// deviceTarget is the ARN an operation on a device is demanded on.
func deviceTarget(serial string) (arn.ARN, error) {
	a, err := arn.Parse(serial)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "mfa/") {
		return arn.ARN{}, noSuchDevice(serial)
	}
	return a, nil
}

// DeviceSubject describes a device by its serial number.
func (s *Store) DeviceSubject(ctx context.Context, account, serial string) (out Subject, err error) {
	if out.ARN, err = deviceTarget(serial); err != nil {
		return out, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		d, err := findDevice(r, account, serial)
		if err == nil && d != nil {
			out.Tags = d.Tags
		}
		return err
	})
	return out, err
}

func demandedDevice(r kv.Reader, g authz.Grant, account string, action policy.Action, serial string) (*Device, error) {
	a, err := deviceTarget(serial)
	if err != nil {
		return nil, err
	}
	if err := g.Demand(action, a); err != nil {
		return nil, err
	}
	d, err := findDevice(r, account, serial)
	if err == nil && d == nil {
		err = noSuchDevice(serial)
	}
	return d, err
}

// DeleteDevice removes a device that nobody has. It needs
// iam:DeleteVirtualMFADevice. Errors: NoSuchEntity, DeleteConflict.
func (s *Store) DeleteDevice(ctx context.Context, g authz.Grant, serial string) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		d, err := demandedDevice(tx, g, account, "iam:DeleteVirtualMFADevice", serial)
		if err != nil {
			return err
		}
		if d.Owner != "" {
			return deleteConflict("Cannot delete MFADevice with serial number " + serial + ", it must be deactivated first.")
		}
		tx.Delete(deviceKey(account, d.Path, d.Name))
		return nil
	})
}

// TagDevice changes the tags of a device; action is iam:TagMFADevice or
// iam:UntagMFADevice. Errors: NoSuchEntity, LimitExceeded, InvalidInput.
func (s *Store) TagDevice(ctx context.Context, g authz.Grant, action policy.Action, serial string, add []tag.Tag, drop []string) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		d, err := demandedDevice(tx, g, account, action, serial)
		if err != nil {
			return err
		}
		var rules tag.IAM
		if d.Tags, err = rules.Add(rules.Remove(d.Tags, drop), add); err != nil {
			return err
		}
		d.write(tx)
		return nil
	})
}

// DeviceTags returns a page of a device's tags. It needs iam:ListMFADeviceTags.
// Errors: NoSuchEntity.
func (s *Store) DeviceTags(ctx context.Context, g authz.Grant, serial string, p page.Request) (tags []tag.Tag, next string, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		d, err := demandedDevice(r, g, account, "iam:ListMFADeviceTags", serial)
		if err != nil {
			return err
		}
		tags, next, err = tag.Page(d.Tags, p, serial)
		return err
	})
	return tags, next, err
}

// Devices returns a page of the devices of a user or of the root user. It needs
// action: iam:ListMFADevices or iam:GetMFADevice. Errors: NoSuchEntity.
func (s *Store) Devices(ctx context.Context, g authz.Grant, action policy.Action, h Holder, p page.Request) (all []*Device, next string, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		id, _, err := owned(r, g, account, action, h)
		if err != nil {
			return err
		}
		devices, err := devicesOwned(r, account, id)
		if err != nil {
			return err
		}
		all, next, err = page.Cut(devices, func(d **Device) string { return (*d).Serial().String() }, p, "devices\x00"+account+id)
		return err
	})
	return all, next, err
}

// VirtualDevice is a device and the user who has it, nil for the root user's
// and for those nobody has.
type VirtualDevice struct {
	*Device
	User *Entity
}

// VirtualDevices returns a page of the account's devices; assigned nil asks for
// all. It needs iam:ListVirtualMFADevices on DevicesARN.
func (s *Store) VirtualDevices(ctx context.Context, g authz.Grant, assigned *bool, p page.Request) (all []VirtualDevice, next string, err error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, "", err
	}
	if err := g.Demand("iam:ListVirtualMFADevices", DevicesARN(account)); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		var found []VirtualDevice
		prefix := devicesOf(account)
		for pair, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return err
			}
			d, err := decodeDevice(account, pair.Value)
			if err != nil {
				return err
			}
			if assigned == nil || *assigned == (d.Owner != "") {
				found = append(found, VirtualDevice{Device: d})
			}
		}
		key := func(d *VirtualDevice) string { return strings.ToLower(d.Path + d.Name) }
		slices.SortFunc(found, func(a, b VirtualDevice) int { return strings.Compare(key(&a), key(&b)) })
		if all, next, err = page.Cut(found, key, p, "virtual\x00"+account); err != nil {
			return err
		}
		for i := range all {
			if id := all[i].Owner; id != "" && id != RootOwner {
				if all[i].User, err = ReadEntity(r, id); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return all, next, err
}

// DevicesARN is what a listing of all devices needs to be allowed on.
func DevicesARN(account string) arn.ARN { return arn.IAM(account, "mfa/") }
