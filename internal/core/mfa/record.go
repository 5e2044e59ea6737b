package mfa

import (
	"cmp"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/core/change/record"
	"watertight/internal/core/identity"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Device is a virtual MFA device. Its seed must never be logged.
type Device struct {
	Account, Path, Name string
	Created, Enabled    time.Time // Enabled is zero if the device has no owner
	Tags                []tag.Tag
	Owner               string // a user's id, or rootOwner; empty if it has no owner

	seed     []byte
	drift    int64 // number of steps by which the device's clock is ahead
	lastStep int64 // newest step whose code was used
	failures int64 // consecutive wrong codes
	failedAt time.Time
}

// rootOwner is the owner of the root user's devices.
const rootOwner = "root"

// OfRoot reports whether the device is the root user's.
func (d *Device) OfRoot() bool { return d.Owner == rootOwner }

// Counter counts devices for core/identity, which must not know more about them.
type Counter struct{}

// Owned returns how many devices a user has, by its unique id; "" is the root
// user.
func (Counter) Owned(r kv.Reader, account, userID string) (int, error) {
	return record.Count(r, devicesKey(account, cmp.Or(userID, rootOwner)))
}

// All returns how many devices an account has, and how many of them have an owner.
func (Counter) All(r kv.Reader, account string) (all, owned int, err error) {
	if all, err = record.Count(r, devicesOf(account)); err != nil {
		return 0, 0, err
	}
	owned, err = record.Count(r, record.Key(deviceOwnerPrefix, account, "/"))
	return all, owned, err
}

// Serial returns the device's serial number.
func (d *Device) Serial() arn.ARN { return ARN(d.Account, d.Path, d.Name) }

// ARN returns the serial number of a virtual device.
func ARN(account, path, name string) arn.ARN { return arn.IAM(account, "mfa"+path+name) }

// Keys of devices:
//
//	i/d/ACCOUNT/PATHNAME        a device, in lower case
//	i/w/ACCOUNT/OWNER/SERIAL    the owner of a device
const (
	devicePrefix      = "i/d/"
	deviceOwnerPrefix = "i/w/"
)

func devicesOf(account string) []byte { return record.Key(devicePrefix, account, "/") }

func deviceKey(account, path, name string) []byte {
	return record.Key(devicePrefix, account, strings.ToLower(path+name))
}

func devicesKey(account, owner string) []byte {
	return record.Key(deviceOwnerPrefix, account, "/", owner, "/")
}

// Fields of a device's record.
const (
	fieldDeviceName = iota + 1
	fieldDevicePath
	fieldDeviceCreated
	fieldDeviceEnabled
	fieldDeviceTag // repeated
	fieldDeviceOwner
	fieldDeviceSeed
	fieldDeviceAhead
	fieldDeviceBehind
	fieldDeviceLastStep
	fieldDeviceFailures
	fieldDeviceFailedAt
)

func (d *Device) encode() []byte {
	r := record.Start(make([]byte, 0, 192))
	r = record.String(r, fieldDeviceName, d.Name)
	r = record.String(r, fieldDevicePath, d.Path)
	r = record.Time(r, fieldDeviceCreated, d.Created)
	r = record.Time(r, fieldDeviceEnabled, d.Enabled)
	for _, t := range d.Tags {
		r = record.Pair(r, fieldDeviceTag, t.Key, t.Value)
	}
	r = record.String(r, fieldDeviceOwner, d.Owner)
	r = record.Bytes(r, fieldDeviceSeed, d.seed)
	r = record.Uint(r, fieldDeviceAhead, uint64(max(0, d.drift)))
	r = record.Uint(r, fieldDeviceBehind, uint64(max(0, -d.drift)))
	r = record.Uint(r, fieldDeviceLastStep, uint64(max(0, d.lastStep)))
	r = record.Uint(r, fieldDeviceFailures, uint64(max(0, d.failures)))
	return record.Time(r, fieldDeviceFailedAt, d.failedAt)
}

func decodeDevice(account string, value []byte) (*Device, error) {
	d := &Device{Account: account}
	f := record.Read(value)
	bad := false
	for f.Next() {
		switch f.Number {
		case fieldDeviceName:
			d.Name = string(f.Bytes)
		case fieldDevicePath:
			d.Path = string(f.Bytes)
		case fieldDeviceCreated:
			d.Created = f.Time()
		case fieldDeviceEnabled:
			d.Enabled = f.Time()
		case fieldDeviceTag:
			k, v, ok := f.Pair()
			bad = bad || !ok
			d.Tags = append(d.Tags, tag.Tag{Key: k, Value: v})
		case fieldDeviceOwner:
			d.Owner = string(f.Bytes)
		case fieldDeviceSeed:
			d.seed = append([]byte(nil), f.Bytes...)
		case fieldDeviceAhead:
			d.drift = int64(f.Int())
		case fieldDeviceBehind:
			d.drift = -int64(f.Int())
		case fieldDeviceLastStep:
			d.lastStep = int64(f.Uint)
		case fieldDeviceFailures:
			d.failures = int64(f.Int())
		case fieldDeviceFailedAt:
			d.failedAt = f.Time()
		default:
			bad = true
		}
	}
	if f.Err() != nil || bad || d.Name == "" || d.Path == "" || len(d.seed) == 0 {
		return nil, record.Malformed("MFA device of " + account)
	}
	return d, nil
}

// findDevice returns the device with a serial number, or nil if there is none.
func findDevice(r kv.Reader, account, serial string) (*Device, error) {
	a, err := arn.Parse(serial)
	path, ok := strings.CutPrefix(a.Resource, "mfa/")
	if err != nil || a.Service != "iam" || a.Account != account || !ok ||
		len(path) > identity.MaxPath+identity.MaxName {
		return nil, nil
	}
	v, err := r.Get(record.Key(devicePrefix, account, "/", strings.ToLower(path)))
	if err != nil || v == nil {
		return nil, err
	}
	d, err := decodeDevice(account, v)
	if err != nil || d.Serial() != a {
		return nil, err
	}
	return d, nil
}

func (d *Device) write(tx kv.Tx) { tx.Set(deviceKey(d.Account, d.Path, d.Name), d.encode()) }

// devicesOwned returns an owner's devices in order of their serial numbers.
func devicesOwned(r kv.Reader, account, owner string) ([]*Device, error) {
	serials, err := record.Names(r, devicesKey(account, owner))
	if err != nil {
		return nil, err
	}
	all := make([]*Device, 0, len(serials))
	for _, serial := range serials {
		d, err := findDevice(r, account, serial)
		if err != nil {
			return nil, err
		}
		if d == nil || d.Owner != owner {
			return nil, record.Malformed("MFA device " + serial)
		}
		all = append(all, d)
	}
	return all, nil
}
