package mfa

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// RootDevice is the name that AWS's console gives to the root user's virtual device.
const RootDevice = "root-account-mfa-device"

// checkName keeps the name of the root user's device from others. Stricter than AWS: a
// device of that name would stand in the way of the operator who enrols the root user's.
func (d *Device) checkName(g authz.Grant) error {
	if bytes.Equal(d.key(), deviceKey(d.Account, "/", RootDevice)) &&
		g.Caller().Principal().Kind != policy.AccountRoot {
		return fault.New(fault.AccessDenied, "Only the root user may create a virtual MFA device with the name "+
			RootDevice+".")
	}
	return nil
}

// Operator has the operator's methods. They take no grant, and the handlers of requests
// can't reach the type.
type Operator struct{ *Store }

// NewOperator returns the operator's methods.
func NewOperator(s *Store) *Operator { return &Operator{s} }

// NewEnrolment returns a new seed for the virtual device of an account's root user.
// Nothing is stored before Add.
func NewEnrolment(account string) (Enrolment, error) {
	d := &Device{Account: account, Name: RootDevice, codes: virtualCodes()}
	return d.enrolment()
}

// AddInput is a device that the operator adds.
type AddInput struct {
	Account   string
	Serial    string // printed on a hardware token; "" for the root user's virtual device
	Seed      Seed
	Step      time.Duration // 30 or 60 seconds
	Algorithm Algorithm
	Holder    *Holder    // nil if EnableMFADevice is to assign the device later
	Codes     *[2]string // two consecutive codes; with nil the seed is stored without proof
	At        time.Time
}

// device checks the input and returns the device, without its owner.
func (in *AddInput) device() (*Device, error) {
	seed, err := in.Seed.bytes()
	if err != nil {
		return nil, err
	}
	d := &Device{
		Account: in.Account, Path: "/", Name: RootDevice, Created: in.At.UTC().Truncate(time.Microsecond),
		codes: generator{seed: seed, step: int64(in.Step / time.Second), algorithm: in.Algorithm},
	}
	if in.Serial != "" {
		d.Path, d.Name, d.Hardware = "", in.Serial, true
	}
	switch {
	case d.Hardware && !isTokenSerial(d.Name):
		return nil, fault.New(fault.InvalidInput, fmt.Sprintf("The serial number of a token has %d to %d letters, "+
			"digits and +=,.@_- characters.", shortestSerial, longestSerial))
	case !d.codes.valid() || in.Step%time.Second != 0:
		return nil, fault.New(fault.InvalidInput, "Codes must last 30 or 60 seconds and be of SHA1 or SHA256.")
	}
	return d, nil
}

// Add adds a device, and assigns it to its holder if there is one. event is its audit
// event. The root user's virtual device replaces one of its name that has no owner. Nothing
// is stored if the codes are wrong. Errors: NoSuchEntity, EntityAlreadyExists,
// InvalidAuthenticationCode, InvalidInput, LimitExceeded.
func (o *Operator) Add(ctx context.Context, event authz.Record, in AddInput) (*Device, error) {
	d, err := in.device()
	if err != nil {
		return nil, err
	}
	first := *d
	return d, identity.Operate(ctx, o.store, event, in.Account, func(tx kv.Tx) error {
		*d = first // the transaction may run again
		if err := d.checkPlace(tx); err != nil {
			return err
		}
		if in.Codes != nil {
			if err := d.prove(in.At, in.Codes[0], in.Codes[1]); err != nil {
				return err
			}
		}
		if in.Holder == nil {
			d.write(tx)
			return nil
		}
		owner, err := ownerOf(tx, in.Account, *in.Holder)
		if err != nil {
			return err
		}
		if err := d.checkQuota(tx, owner); err != nil {
			return err
		}
		d.assign(tx, owner, d.Created)
		return nil
	})
}

// checkPlace refuses a serial number that is taken, and a full account. A device of the root
// user's name without an owner is replaced: whoever made it must not be in the way.
func (d *Device) checkPlace(r kv.Reader) error {
	old, err := findDevice(r, d.Account, d.Serial())
	switch {
	case err != nil:
		return err
	case old == nil:
		return d.checkRoom(r)
	case d.Hardware || old.Owner != "":
		return fault.New(fault.EntityAlreadyExists, "There is an MFA device "+d.Serial()+" already.")
	}
	return nil
}

// checkRoom refuses the device if the account already has the most of its kind.
func (d *Device) checkRoom(r kv.Reader) error {
	of, quota := devicesOf(d.Account), "VirtualMFADevicesPerAccount"
	if d.Hardware {
		of, quota = tokensOf(d.Account), "MFADevicesPerAccount"
	}
	n, err := record.Count(r, of)
	if err == nil && n >= maxDevices {
		err = identity.LimitExceeded(quota, maxDevices)
	}
	return err
}

// ownerOf returns the value that Device.Owner has for a holder.
func ownerOf(r kv.Reader, account string, h Holder) (string, error) {
	if h.Root {
		return rootOwner, nil
	}
	u, err := identity.FindEntity(r, account, identity.User, h.User)
	if err == nil && u == nil {
		err = noSuch("The user with name %s cannot be found.", h.User)
	}
	if err != nil {
		return "", err
	}
	return u.ID, nil
}

// Devices returns all devices of an account, in order of their serial numbers.
func (o *Operator) Devices(ctx context.Context, account string) (all []Owned, err error) {
	err = o.store.View(ctx, func(r kv.Reader) error {
		all = nil
		for _, prefix := range [][]byte{devicesOf(account), tokensOf(account)} {
			found, err := readDevices(r, account, prefix)
			if err != nil {
				return err
			}
			all = append(all, found...)
		}
		return withUsers(r, all)
	})
	slices.SortFunc(all, func(a, b Owned) int { return strings.Compare(a.Serial(), b.Serial()) })
	return all, err
}

// Remove removes a device, from its owner too. event is its audit event. Error:
// NoSuchEntity.
func (o *Operator) Remove(ctx context.Context, event authz.Record, account, serial string) error {
	return identity.Operate(ctx, o.store, event, account, func(tx kv.Tx) error {
		d, err := findDevice(tx, account, serial)
		if err != nil {
			return err
		}
		if d == nil {
			return noSuchDevice(serial)
		}
		if d.Owner != "" {
			tx.Delete(record.Key(string(devicesKey(account, d.Owner)), d.Serial()))
		}
		tx.Delete(d.key())
		return nil
	})
}
