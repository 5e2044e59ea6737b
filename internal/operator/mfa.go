package operator

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"watertight/internal/core/mfa"
	"watertight/internal/fault"
)

// Seed is the secret of a device. Printing a Seed does not show it.
type Seed = mfa.Seed

// MFADevice is an MFA device of a user or of a root user.
type MFADevice struct {
	AccountID    string `json:"AccountId"`
	SerialNumber string
	Kind         string     // virtual or hardware
	Owner        string     `json:",omitempty"` // a user's name, "root", or "" for nobody
	Step         int        // seconds for which the device shows a code
	Algorithm    string     // SHA1 or SHA256
	Enabled      *time.Time `json:",omitempty"`
	LockedUntil  *time.Time `json:",omitempty"` // after too many wrong codes
}

// NewMFADevice is the command to add a device.
type NewMFADevice struct {
	AccountID    string   `json:"AccountId"`
	SerialNumber string   // of a hardware token; "" for the root user's virtual device
	Owner        string   // a user's name, "root", or "" for nobody
	Seed         mfa.Seed // hexadecimal or base32
	Step         int      // seconds, 30 or 60
	Algorithm    string   // SHA1 or SHA256
	Codes        []string // two consecutive codes, or none to store the seed without proof
}

// DeviceCommand names one device, or all devices of an account or of all accounts.
type DeviceCommand struct {
	AccountID    string `json:"AccountId"`
	SerialNumber string
}

// RootEnrolment holds what an authenticator app needs to become the root user's device.
type RootEnrolment struct {
	SerialNumber string
	URL          string // otpauth URL, which contains the seed
	Seed         string // base32
}

// NewRootEnrolment makes a seed for an account's root user. Nobody else knows it until
// AddMFADevice sends it to the server.
func NewRootEnrolment(account string) (RootEnrolment, error) {
	e, err := mfa.NewEnrolment(account)
	return RootEnrolment{mfa.ARN(account, "/", mfa.RootDevice).String(), e.URL, e.Seed}, err
}

// MFADevices lists the devices of an account, or of all accounts if it is "".
func (c *Client) MFADevices(ctx context.Context, account string) (out []MFADevice, err error) {
	return out, c.do(ctx, http.MethodPost, "/mfa/list", DeviceCommand{AccountID: account}, &out)
}

// AddMFADevice adds a device.
func (c *Client) AddMFADevice(ctx context.Context, in NewMFADevice) (out MFADevice, err error) {
	return out, c.do(ctx, http.MethodPost, "/mfa/add", in, &out)
}

// IsWrongCode reports whether the server refused a device's code.
func IsWrongCode(err error) bool {
	var r *refusal
	return errors.As(err, &r) && fault.Code(r.Code) == fault.InvalidAuthenticationCode
}

// RemoveMFADevice removes a device, from its owner too.
func (c *Client) RemoveMFADevice(ctx context.Context, in DeviceCommand) error {
	return c.do(ctx, http.MethodPost, "/mfa/remove", in, &struct{}{})
}

func (c commands) mfaDevices(m *http.ServeMux) {
	m.HandleFunc("POST /mfa/list", handle(c, "ListMFADevices", c.listMFADevices))
	m.HandleFunc("POST /mfa/add", handle(c, "AddMFADevice", c.addMFADevice))
	m.HandleFunc("POST /mfa/remove", handle(c, "RemoveMFADevice", c.removeMFADevice))
}

func (c commands) listMFADevices(ctx context.Context, cl *call, in DeviceCommand) ([]MFADevice, error) {
	out := []MFADevice{}
	accounts := []string{in.AccountID}
	if in.AccountID == "" {
		all, err := c.Identities.Accounts(ctx)
		if err != nil {
			return nil, err
		}
		accounts = accounts[:0]
		for _, a := range all {
			accounts = append(accounts, a.ID)
		}
	} else if err := c.checkAccount(ctx, in.AccountID); err != nil {
		return nil, err
	}
	for _, account := range accounts {
		all, err := c.Devices.Devices(ctx, account)
		if err != nil {
			return nil, err
		}
		for _, d := range all {
			out = append(out, deviceShape(d, cl.at))
		}
	}
	return out, nil
}

func deviceShape(d mfa.Owned, now time.Time) MFADevice {
	out := MFADevice{
		AccountID: d.Account, SerialNumber: d.Serial(), Kind: "virtual", Step: int(d.Step() / time.Second),
		Algorithm: d.Algorithm().String(),
	}
	if d.Hardware {
		out.Kind = "hardware"
	}
	switch {
	case d.User != nil:
		out.Owner = d.User.Name
	case d.OfRoot():
		out.Owner = "root"
	}
	if d.Owner != "" {
		out.Enabled = &d.Enabled
	}
	if until := d.LockedUntil(); now.Before(until) {
		out.LockedUntil = &until
	}
	return out
}

func (c commands) addMFADevice(ctx context.Context, cl *call, in NewMFADevice) (MFADevice, error) {
	cl.record.Event.Owner = in.AccountID
	add := mfa.AddInput{
		Account: in.AccountID, Serial: in.SerialNumber, Seed: in.Seed, Step: time.Duration(in.Step) * time.Second,
		At: cl.at,
	}
	for _, p := range []struct{ name, value string }{
		{"accountId", in.AccountID}, {"serialNumber", in.SerialNumber}, {"owner", in.Owner},
		{"step", strconv.Itoa(in.Step)}, {"algorithm", in.Algorithm},
		{"confirmed", strconv.FormatBool(len(in.Codes) > 0)},
	} {
		cl.param(p.name, p.value)
	}
	switch strings.ToUpper(in.Algorithm) {
	case mfa.SHA1.String():
	case mfa.SHA256.String():
		add.Algorithm = mfa.SHA256
	default:
		return MFADevice{}, fault.New(fault.InvalidInput, "The algorithm must be SHA1 or SHA256.")
	}
	switch len(in.Codes) {
	case 0:
	case 2:
		add.Codes = &[2]string{in.Codes[0], in.Codes[1]}
	default:
		return MFADevice{}, fault.New(fault.InvalidInput, "Two codes confirm a device.")
	}
	if in.Owner != "" {
		add.Holder = &mfa.Holder{User: in.Owner, Root: in.Owner == "root"}
	}
	d, err := c.Devices.Add(ctx, cl.record, add)
	if err != nil {
		return MFADevice{}, err
	}
	out := deviceShape(mfa.Owned{Device: d}, cl.at)
	out.Owner = in.Owner
	return out, nil
}

func (c commands) removeMFADevice(ctx context.Context, cl *call, in DeviceCommand) (struct{}, error) {
	cl.record.Event.Owner = in.AccountID
	cl.param("accountId", in.AccountID)
	cl.param("serialNumber", in.SerialNumber)
	return struct{}{}, c.Devices.Remove(ctx, cl.record, in.AccountID, in.SerialNumber)
}
