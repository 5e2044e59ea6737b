package shape

import "time"

// CreateVirtualMFADeviceInput is the input of CreateVirtualMFADevice.
type CreateVirtualMFADeviceInput struct {
	Path                 string   `valid:"1..512 path"`
	VirtualMFADeviceName string   `valid:"required 1..128 name"`
	Tags                 []NewTag `valid:"0..50"`
}

// VirtualMFADevice is a virtual MFA device. Its seed is shown only when the device is created.
type VirtualMFADevice struct {
	SerialNumber     string
	Base32StringSeed []byte
	QRCodePNG        []byte
	User             *User
	EnableDate       time.Time
	Tags             []Tag
}

// CreateVirtualMFADeviceOutput is the output of CreateVirtualMFADevice.
type CreateVirtualMFADeviceOutput struct{ VirtualMFADevice VirtualMFADevice }

// MFACodesInput is the input of EnableMFADevice and ResyncMFADevice.
type MFACodesInput struct {
	UserName            string `valid:"required 1..128 name"`
	SerialNumber        string `valid:"required 9..256 serial"`
	AuthenticationCode1 string `valid:"required 6..6 code"`
	AuthenticationCode2 string `valid:"required 6..6 code"`
}

// MFADeviceInput names a device and its user. Without a name, it is about the caller.
type MFADeviceInput struct {
	UserName     *string `valid:"1..128 name"`
	SerialNumber string  `valid:"required 9..256 serial"`
}

// SerialInput names a device.
type SerialInput struct {
	SerialNumber string `valid:"required 9..256 serial"`
}

// MFADevice is a device of a user.
type MFADevice struct {
	UserName, SerialNumber string
	EnableDate             time.Time
}

// ListMFADevicesOutput is the output of ListMFADevices.
type ListMFADevicesOutput struct {
	MFADevices  []MFADevice
	IsTruncated bool
	Marker      string
}

// GetMFADeviceOutput is the output of GetMFADevice.
type GetMFADeviceOutput struct {
	UserName, SerialNumber string
	EnableDate             time.Time
}

// ListVirtualMFADevicesInput is the input of ListVirtualMFADevices.
type ListVirtualMFADevicesInput struct {
	AssignmentStatus string `valid:"Assigned|Unassigned|Any"`
	Marker           string `valid:"1..320 marker"`
	MaxItems         *int   `valid:"1..1000"`
}

// ListVirtualMFADevicesOutput is the output of ListVirtualMFADevices.
type ListVirtualMFADevicesOutput struct {
	VirtualMFADevices []VirtualMFADevice
	IsTruncated       bool
	Marker            string
}
