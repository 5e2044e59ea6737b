// Package mfa keeps MFA devices, virtual ones and hardware tokens, and verifies their
// codes. Packages that ask for a code declare their own interface with the method
// Store.Verify. It must never know what a code is asked for.
package mfa

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"rsc.io/qr"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Store manages the MFA devices of a server.
type Store struct{ store kv.Store }

// New returns a Store of the devices in store.
func New(store kv.Store) *Store { return &Store{store: store} }

// Enrolment contains what an authenticator app needs; it is shown once.
type Enrolment struct {
	Seed string // base32
	URL  string // otpauth URL, which contains the seed
	QR   []byte // PNG of the URL
}

// maxDevices bounds the devices of an account.
const maxDevices = 5000

// Create makes a virtual MFA device without an owner. It needs
// iam:CreateVirtualMFADevice. The name RootDevice is for root users alone.
// Errors: EntityAlreadyExists, identity.LimitExceeded, ValidationError, InvalidInput,
// AccessDenied.
func (s *Store) Create(
	ctx context.Context, g authz.Grant, path, name string, tags []tag.Tag,
) (*Device, Enrolment, error) {
	account, err := identity.CallerAccount(g)
	if err != nil {
		return nil, Enrolment{}, err
	}
	if path == "" {
		path = "/"
	}
	if err := g.Demand("iam:CreateVirtualMFADevice", ARN(account, path, name)); err != nil {
		return nil, Enrolment{}, err
	}
	d := &Device{
		Account: account, Path: path, Name: name, Created: identity.Instant(g), Tags: tags,
		codes: virtualCodes(),
	}
	for _, check := range []func() error{
		func() error { return identity.CheckName(name) },
		func() error { _, err := identity.CheckPath(path); return err },
		func() error { return tag.CheckIAM(tags) },
		func() error { return d.checkName(g) },
	} {
		if err := check(); err != nil {
			return nil, Enrolment{}, err
		}
	}
	b, err := d.enrolment()
	if err != nil {
		return nil, Enrolment{}, fault.Internal(err)
	}
	return d, b, identity.Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		taken, err := tx.Get(deviceKey(account, path, name))
		if err != nil {
			return err
		}
		if taken != nil {
			return fault.New(fault.EntityAlreadyExists, "MFADevice entity at the same path and name already exists.")
		}
		if err := d.checkRoom(tx); err != nil {
			return err
		}
		d.write(tx)
		return nil
	})
}

// virtualCodes returns the parameters of a new virtual device.
func virtualCodes() generator {
	g := generator{seed: make([]byte, virtualSeed), step: shortStep}
	rand.Read(g.seed)
	return g
}

// enrolment returns the seed as text and as a QR code (API reference, VirtualMFADevice).
func (d *Device) enrolment() (Enrolment, error) {
	seed := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(d.codes.seed)
	label := url.PathEscape(d.Name + "@" + d.Account)
	url := "otpauth://totp/" + label + "?secret=" + seed
	code, err := qr.Encode(url, qr.M)
	if err != nil {
		return Enrolment{}, err
	}
	return Enrolment{Seed: seed, URL: url, QR: code.PNG()}, nil
}

// Holder names the owner of devices: a user or, if Root is set, the root user of the
// account, who must be the caller.
type Holder struct {
	User string
	Root bool
}

// HolderFor returns the holder that a request by p means with a user name: for a root user,
// "" and "root" mean the root user.
func HolderFor(p policy.Principal, user string) Holder {
	if p.Kind == policy.AccountRoot && (user == "" || user == "root") {
		return Holder{Root: true}
	}
	return Holder{User: user}
}

// demandHolder demands action on a holder, and returns the holder's id as the records of
// devices have it.
func demandHolder(
	r kv.Reader, g authz.Grant, account string, action policy.Action, h Holder,
) (owner string, err error) {
	if h.Root {
		_, err := identity.DemandRoot(r, g, account, action)
		return rootOwner, err
	}
	u, err := identity.DemandEntity(r, g, account, action, identity.User, h.User)
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

func noSuch(format string, args ...any) error {
	return fault.New(fault.NoSuchEntity, fmt.Sprintf(format, args...))
}

func noSuchDevice(serial string) error {
	return noSuch("VirtualMFADevice with serial number %s doesn't exist.", serial)
}

func invalidCode() error {
	return fault.Of(fault.InvalidAuthenticationCode)
}

// How many time steps a code may be away from the server's clock: few when a virtual
// device is enabled; ten minutes, or twenty for long steps, when a device whose clock is
// wrong is resynchronized, and for a token, whose clock nobody can set.
const (
	enableWindow = 2
	resyncWindow = 20
)

// prove accepts two consecutive codes, which prove that somebody has the device, and
// derives the offset of a token's clock from them. A code that was used stays invalid,
// even if the device had another owner then. Error: InvalidAuthenticationCode.
func (d *Device) prove(at time.Time, code1, code2 string) error {
	now := d.codes.stepAt(at)
	from, to := now-enableWindow, now
	if d.Hardware {
		from, to = now-resyncWindow, now+resyncWindow
	}
	step, ok := d.codes.find(max(from, d.lastStep+1), to, code1, code2)
	if !ok {
		return invalidCode()
	}
	d.drift, d.lastStep, d.failures = 0, step+1, 0
	if d.Hardware {
		d.drift = step + 1 - now
	}
	return nil
}

// Enable assigns a device to a user or to the root user. Two consecutive codes prove that
// the user has its seed. It needs iam:EnableMFADevice, and what checkSecondFactor says.
// Errors: NoSuchEntity, EntityAlreadyExists, InvalidAuthenticationCode, LimitExceeded,
// AccessDenied.
func (s *Store) Enable(ctx context.Context, g authz.Grant, h Holder, serial, code1, code2 string) error {
	return s.withDevice(ctx, g, "iam:EnableMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != "" {
			return fault.New(fault.EntityAlreadyExists, "MFADevice is already in use.")
		}
		if err := d.checkQuota(tx, id); err != nil {
			return err
		}
		if err := d.prove(identity.Instant(g), code1, code2); err != nil {
			return err
		}
		d.assign(tx, id, identity.Instant(g))
		return nil
	})
}

// checkQuota refuses an owner who already has as many devices as allowed.
func (d *Device) checkQuota(r kv.Reader, owner string) error {
	n, err := record.Count(r, devicesKey(d.Account, owner))
	if err == nil && n >= identity.MaxDevicesPerUser {
		err = identity.LimitExceeded("MFADevicesPerUser", identity.MaxDevicesPerUser)
	}
	return err
}

// assign writes the device with an owner.
func (d *Device) assign(tx kv.Tx, owner string, at time.Time) {
	d.Owner, d.Enabled = owner, at
	d.write(tx)
	tx.Set(record.Key(string(devicesKey(d.Account, owner)), d.Serial()), []byte{1})
}

// Resync stores the offset of a device's clock, which it derives from two consecutive
// codes. It needs iam:ResyncMFADevice, and what checkSecondFactor says. Errors:
// NoSuchEntity, InvalidAuthenticationCode, AccessDenied.
func (s *Store) Resync(ctx context.Context, g authz.Grant, h Holder, serial, code1, code2 string) error {
	return s.withDevice(ctx, g, "iam:ResyncMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != id {
			return noSuchDevice(serial)
		}
		now := d.codes.stepAt(identity.Instant(g))
		step, ok := d.codes.find(now-resyncWindow, now+resyncWindow, code1, code2)
		if !ok || step <= d.lastStep {
			return invalidCode()
		}
		d.drift, d.lastStep, d.failures = step+1-now, step+1, 0
		d.write(tx)
		return nil
	})
}

// Deactivate takes a device from its owner. It needs iam:DeactivateMFADevice, and what
// checkSecondFactor says. Errors: NoSuchEntity, AccessDenied.
func (s *Store) Deactivate(ctx context.Context, g authz.Grant, h Holder, serial string) error {
	return s.withDevice(ctx, g, "iam:DeactivateMFADevice", h, serial, func(tx kv.Tx, id string, d *Device) error {
		if d.Owner != id {
			return noSuchDevice(serial)
		}
		tx.Delete(record.Key(string(devicesKey(d.Account, id)), d.Serial()))
		// lastStep and failures stay, so that a used code stays invalid and a locked device
		// stays locked.
		d.Owner, d.Enabled, d.drift = "", time.Time{}, 0
		d.write(tx)
		return nil
	})
}

func (s *Store) withDevice(
	ctx context.Context, g authz.Grant, action policy.Action, h Holder, serial string,
	fn func(tx kv.Tx, owner string, d *Device) error,
) error {
	return identity.Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		id, err := demandHolder(tx, g, account, action, h)
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
		if err := checkSecondFactor(tx, g, account, id); err != nil {
			return err
		}
		return fn(tx, id, d)
	})
}

// deviceTarget returns the ARN on which an operation on a device is demanded.
func deviceTarget(serial string) (arn.ARN, error) {
	a, err := arn.Parse(serial)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "mfa/") {
		return arn.ARN{}, noSuchDevice(serial)
	}
	return a, nil
}

// Subject returns a device as the subject of an authorization, by its serial number.
func (s *Store) Subject(ctx context.Context, account, serial string) (out identity.Subject, err error) {
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

// demandDevice demands action on a device and returns the device.
func demandDevice(r kv.Reader, g authz.Grant, account string, action policy.Action, serial string) (*Device, error) {
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

// Delete removes a device without an owner. It needs
// iam:DeleteVirtualMFADevice. Errors: NoSuchEntity, DeleteConflict.
func (s *Store) Delete(ctx context.Context, g authz.Grant, serial string) error {
	return identity.Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		d, err := demandDevice(tx, g, account, "iam:DeleteVirtualMFADevice", serial)
		if err != nil {
			return err
		}
		if d.Owner != "" {
			return fault.New(fault.DeleteConflict,
				"Cannot delete MFADevice with serial number "+serial+", it must be deactivated first.")
		}
		tx.Delete(deviceKey(account, d.Path, d.Name))
		return nil
	})
}

// Tag adds tags to a device. It needs iam:TagMFADevice.
// Errors: NoSuchEntity, LimitExceeded, InvalidInput.
func (s *Store) Tag(ctx context.Context, g authz.Grant, serial string, tags []tag.Tag) error {
	return s.modify(ctx, g, "iam:TagMFADevice", serial, func(d *Device) (err error) {
		d.Tags, err = tag.IAM{}.Add(d.Tags, tags)
		return err
	})
}

// Untag removes tags from a device. It needs iam:UntagMFADevice.
// Errors: NoSuchEntity.
func (s *Store) Untag(ctx context.Context, g authz.Grant, serial string, keys []string) error {
	return s.modify(ctx, g, "iam:UntagMFADevice", serial, func(d *Device) error {
		d.Tags = tag.IAM{}.Remove(d.Tags, keys)
		return nil
	})
}

func (s *Store) modify(
	ctx context.Context, g authz.Grant, action policy.Action, serial string, fn func(*Device) error,
) error {
	return identity.Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		d, err := demandDevice(tx, g, account, action, serial)
		if err != nil {
			return err
		}
		if err := fn(d); err != nil {
			return err
		}
		d.write(tx)
		return nil
	})
}

// Tags returns a page of a device's tags. It needs iam:ListMFADeviceTags.
// Errors: NoSuchEntity.
func (s *Store) Tags(
	ctx context.Context, g authz.Grant, serial string, p page.Request,
) (tags []tag.Tag, next string, err error) {
	err = identity.View(ctx, s.store, g, func(r kv.Reader, account string) error {
		d, err := demandDevice(r, g, account, "iam:ListMFADeviceTags", serial)
		if err != nil {
			return err
		}
		tags, next, err = tag.Page(d.Tags, p, serial)
		return err
	})
	return tags, next, err
}

// List returns a page of the devices of a user or of the root user. It needs
// iam:ListMFADevices. Errors: NoSuchEntity.
func (s *Store) List(ctx context.Context, g authz.Grant, h Holder, p page.Request) ([]*Device, string, error) {
	return s.list(ctx, g, "iam:ListMFADevices", h, p)
}

// Get returns a device of a user or of the root user. It needs iam:GetMFADevice.
// Errors: NoSuchEntity.
func (s *Store) Get(ctx context.Context, g authz.Grant, h Holder, serial string) (*Device, error) {
	all, _, err := s.list(ctx, g, "iam:GetMFADevice", h, page.Request{})
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Serial() == serial {
			return d, nil
		}
	}
	return nil, noSuch("MFA Device with serial number %s doesn't exist.", serial)
}

func (s *Store) list(
	ctx context.Context, g authz.Grant, action policy.Action, h Holder, p page.Request,
) (all []*Device, next string, err error) {
	err = identity.View(ctx, s.store, g, func(r kv.Reader, account string) error {
		id, err := demandHolder(r, g, account, action, h)
		if err != nil {
			return err
		}
		devices, err := devicesOwned(r, account, id)
		if err != nil {
			return err
		}
		all, next, err = page.Cut(devices, func(d **Device) string { return (*d).Serial() }, p,
			"devices\x00"+account+id)
		return err
	})
	return all, next, err
}

// Owned is a device and the user who owns it. User is nil if the root user or nobody owns it.
type Owned struct {
	*Device
	User *identity.Entity
}

// ListAll returns a page of the account's devices. If assigned is nil, it lists all
// devices. It needs iam:ListVirtualMFADevices on ListARN.
func (s *Store) ListAll(
	ctx context.Context, g authz.Grant, assigned *bool, p page.Request,
) (all []Owned, next string, err error) {
	account, err := identity.CallerAccount(g)
	if err != nil {
		return nil, "", err
	}
	if err := g.Demand("iam:ListVirtualMFADevices", ListARN(account)); err != nil {
		return nil, "", err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		every, err := readDevices(r, account, devicesOf(account))
		if err != nil {
			return err
		}
		found := slices.DeleteFunc(every, func(d Owned) bool { return assigned != nil && *assigned == (d.Owner == "") })
		key := func(d *Owned) string { return strings.ToLower(d.Path + d.Name) }
		slices.SortFunc(found, func(a, b Owned) int { return strings.Compare(key(&a), key(&b)) })
		if all, next, err = page.Cut(found, key, p, "virtual\x00"+account); err != nil {
			return err
		}
		return withUsers(r, all)
	})
	return all, next, err
}

// readDevices reads the devices under a prefix.
func readDevices(r kv.Reader, account string, prefix []byte) (all []Owned, err error) {
	for pair, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		d, err := decodeDevice(account, pair.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, Owned{Device: d})
	}
	return all, nil
}

// withUsers reads the users who own devices.
func withUsers(r kv.Reader, all []Owned) (err error) {
	for i := range all {
		if id := all[i].Owner; id != "" && id != rootOwner {
			if all[i].User, err = identity.ReadEntity(r, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// ListARN returns the resource of iam:ListVirtualMFADevices.
func ListARN(account string) arn.ARN { return arn.IAM(account, "mfa/") }
