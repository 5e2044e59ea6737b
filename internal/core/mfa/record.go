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

// Device is an MFA device: a virtual one, such as an authenticator app, or a hardware
// token, which the operator imports.
type Device struct {
	Account, Path, Name string // of a hardware token, Name is its serial number, and there is no path
	Hardware            bool
	Created, Enabled    time.Time // Enabled is zero if the device has no owner
	Tags                []tag.Tag
	Owner               string // a user's id, or rootOwner; empty if it has no owner

	codes    generator
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
	tokens, err := record.Count(r, tokensOf(account))
	if err != nil {
		return 0, 0, err
	}
	if all, err = record.Count(r, devicesOf(account)); err != nil {
		return 0, 0, err
	}
	all += tokens
	owned, err = record.Count(r, record.Key(deviceOwnerPrefix, account, "/"))
	return all, owned, err
}

// Step returns how long a code of the device is shown.
func (d *Device) Step() time.Duration { return time.Duration(d.codes.step) * time.Second }

// Algorithm returns what the device makes its codes with.
func (d *Device) Algorithm() Algorithm { return d.codes.algorithm }

// Serial returns the device's serial number: the ARN of a virtual device, and what is
// printed on a hardware token.
func (d *Device) Serial() string {
	if d.Hardware {
		return d.Name
	}
	return ARN(d.Account, d.Path, d.Name).String()
}

// isARN tells the serial numbers of virtual devices from those of tokens, which
// have no colon.
func isARN(serial string) bool { return strings.HasPrefix(serial, "arn:") }

// Lengths of a token's serial number, as EnableMFADevice takes them and names can be.
const (
	shortestSerial = 9
	longestSerial  = identity.MaxName
)

// isTokenSerial reports whether a hardware token may have a serial number.
func isTokenSerial(serial string) bool {
	return len(serial) >= shortestSerial && len(serial) <= longestSerial && identity.CheckName(serial) == nil
}

// ARN returns the serial number of a virtual device.
func ARN(account, path, name string) arn.ARN { return arn.IAM(account, "mfa"+path+name) }

// Keys of devices:
//
//	i/d/ACCOUNT/PATHNAME        a virtual device, in lower case
//	i/y/ACCOUNT/SERIAL          a hardware token, in lower case
//	i/w/ACCOUNT/OWNER/SERIAL    the owner of a device
const (
	devicePrefix      = "i/d/"
	tokenPrefix       = "i/y/"
	deviceOwnerPrefix = "i/w/"
)

func devicesOf(account string) []byte { return record.Key(devicePrefix, account, "/") }

func tokensOf(account string) []byte { return record.Key(tokenPrefix, account, "/") }

func deviceKey(account, path, name string) []byte {
	return record.Key(devicePrefix, account, strings.ToLower(path+name))
}

func tokenKey(account, serial string) []byte {
	return record.Key(tokenPrefix, account, "/", strings.ToLower(serial))
}

// key is where the device's record lies.
func (d *Device) key() []byte {
	if d.Hardware {
		return tokenKey(d.Account, d.Name)
	}
	return deviceKey(d.Account, d.Path, d.Name)
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
	fieldDeviceLongStep  // 1: codes last 60 seconds, not 30
	fieldDeviceAlgorithm // an Algorithm
	fieldDeviceHardware
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
	r = record.Bytes(r, fieldDeviceSeed, d.codes.seed)
	r = record.Uint(r, fieldDeviceAhead, uint64(max(0, d.drift)))
	r = record.Uint(r, fieldDeviceBehind, uint64(max(0, -d.drift)))
	r = record.Uint(r, fieldDeviceLastStep, uint64(max(0, d.lastStep)))
	r = record.Uint(r, fieldDeviceFailures, uint64(max(0, d.failures)))
	r = record.Time(r, fieldDeviceFailedAt, d.failedAt)
	r = record.Bool(r, fieldDeviceLongStep, d.codes.step == longStep)
	r = record.Uint(r, fieldDeviceAlgorithm, uint64(d.codes.algorithm))
	return record.Bool(r, fieldDeviceHardware, d.Hardware)
}

func decodeDevice(account string, value []byte) (*Device, error) {
	d := &Device{Account: account, codes: generator{step: shortStep}}
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
			d.codes.seed = append([]byte(nil), f.Bytes...)
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
		case fieldDeviceLongStep:
			d.codes.step = longStep
			bad = bad || f.Uint != 1
		case fieldDeviceAlgorithm:
			d.codes.algorithm = Algorithm(f.Uint)
			bad = bad || f.Uint > uint64(SHA256)
		case fieldDeviceHardware:
			d.Hardware = true
			bad = bad || f.Uint != 1
		default:
			bad = true
		}
	}
	if f.Err() != nil || bad || d.Name == "" || d.Hardware != (d.Path == "") || !d.codes.valid() {
		return nil, record.Malformed("MFA device of " + account)
	}
	return d, nil
}

// findDevice returns the device with a serial number, or nil if there is none.
func findDevice(r kv.Reader, account, serial string) (*Device, error) {
	if !isARN(serial) {
		return findToken(r, account, serial)
	}
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
	if err != nil || d.Serial() != serial {
		return nil, err
	}
	return d, nil
}

func findToken(r kv.Reader, account, serial string) (*Device, error) {
	if !isTokenSerial(serial) {
		return nil, nil
	}
	v, err := r.Get(tokenKey(account, serial))
	if err != nil || v == nil {
		return nil, err
	}
	d, err := decodeDevice(account, v)
	if err == nil && !d.Hardware {
		err = record.Malformed("MFA device " + serial)
	}
	if err != nil || d.Name != serial {
		return nil, err
	}
	return d, nil
}

func (d *Device) write(tx kv.Tx) { tx.Set(d.key(), d.encode()) }

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
