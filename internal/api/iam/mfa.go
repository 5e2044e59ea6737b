package iam

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/core/page"
	"watertight/internal/fault"
	"watertight/internal/gateway/dispatch"
)

func (a *API) mfaRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateVirtualMFADevice", mayCreateDevice, a.createVirtualMFADevice),
		define("EnableMFADevice", onHolder[shape.MFACodesInput](a, "iam:EnableMFADevice"), a.enableMFADevice),
		define("ResyncMFADevice", onHolder[shape.MFACodesInput](a, "iam:ResyncMFADevice"), a.resyncMFADevice),
		define("DeactivateMFADevice", onHolder[shape.MFADeviceInput](a, "iam:DeactivateMFADevice"), a.deactivateMFADevice),
		define("DeleteVirtualMFADevice", onDevice[shape.SerialInput](a, "iam:DeleteVirtualMFADevice"), a.deleteVirtualMFADevice),
		define("ListMFADevices", onHolder[shape.UserPageInput](a, "iam:ListMFADevices"), a.listMFADevices),
		define("GetMFADevice", onHolder[shape.MFADeviceInput](a, "iam:GetMFADevice"), a.getMFADevice),
		define("ListVirtualMFADevices", on("iam:ListVirtualMFADevices", func(account string, _ *shape.ListVirtualMFADevicesInput) arn.ARN {
			return identity.DevicesARN(account)
		}), a.listVirtualMFADevices),
		define("TagMFADevice", onDevice[shape.TagInput](a, "iam:TagMFADevice"), a.tagMFADevice),
		define("UntagMFADevice", onDevice[shape.UntagInput](a, "iam:UntagMFADevice"), a.untagMFADevice),
		define("ListMFADeviceTags", onDevice[shape.TagsInput](a, "iam:ListMFADeviceTags"), a.listMFADeviceTags),
	}
}

func mayCreateDevice(_ context.Context, c authz.Caller, in *shape.CreateVirtualMFADeviceInput) ([]authz.Need, error) {
	at := identity.DeviceARN(c.Principal().Account, orRoot(in.Path), in.VirtualMFADeviceName)
	return []authz.Need{{Action: "iam:CreateVirtualMFADevice", Resource: at, Keys: conditionKeys(identity.Subject{}, in), New: true}}, nil
}

// holderFor is whose device an operation is about: the user it names, or else
// the caller. With root credentials, "root" is the root user.
func holderFor(c authz.Caller, named string) (identity.Holder, error) {
	if h := identity.HolderFor(c.Principal(), named); h.Root {
		return h, nil
	}
	user, err := subjectOf(c, named)
	return identity.Holder{User: user}, err
}

func onHolder[In any](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		h, err := holderFor(c, stringIn(in, "UserName"))
		if err != nil {
			return nil, err
		}
		n, err := a.onUser(ctx, c, action, h.User)
		return []authz.Need{n}, err
	}
}

func onDevice[In any](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		if err := required(in, "SerialNumber"); err != nil {
			return nil, err
		}
		s, err := a.Identities.DeviceSubject(ctx, c.Principal().Account, stringIn(in, "SerialNumber"))
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, in)}}, nil
	}
}

func (a *API) createVirtualMFADevice(ctx context.Context, g authz.Grant, in *shape.CreateVirtualMFADeviceInput) (*shape.CreateVirtualMFADeviceOutput, error) {
	d, b, err := a.Identities.CreateDevice(ctx, g, in.Path, in.VirtualMFADeviceName, tagsOf(in.Tags))
	if err != nil {
		return nil, err
	}
	return &shape.CreateVirtualMFADeviceOutput{VirtualMFADevice: shape.VirtualMFADevice{
		SerialNumber: d.Serial().String(), Base32StringSeed: []byte(b.Seed), QRCodePNG: b.QR, Tags: tagShapes(d.Tags),
	}}, nil
}

func (a *API) enableMFADevice(ctx context.Context, g authz.Grant, in *shape.MFACodesInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), stringIn(in, "UserName"))
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.EnableDevice(ctx, g, h, in.SerialNumber, in.AuthenticationCode1, in.AuthenticationCode2)
}

func (a *API) resyncMFADevice(ctx context.Context, g authz.Grant, in *shape.MFACodesInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), stringIn(in, "UserName"))
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.ResyncDevice(ctx, g, h, in.SerialNumber, in.AuthenticationCode1, in.AuthenticationCode2)
}

func (a *API) deactivateMFADevice(ctx context.Context, g authz.Grant, in *shape.MFADeviceInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), stringIn(in, "UserName"))
	if err != nil {
		return nil, err
	}
	return nil, a.Identities.DeactivateDevice(ctx, g, h, in.SerialNumber)
}

func (a *API) deleteVirtualMFADevice(ctx context.Context, g authz.Grant, in *shape.SerialInput) (*shape.Empty, error) {
	return nil, a.Identities.DeleteDevice(ctx, g, in.SerialNumber)
}

func holderName(h identity.Holder) string {
	if h.Root {
		return identity.RootOwner
	}
	return h.User
}

func (a *API) listMFADevices(ctx context.Context, g authz.Grant, in *shape.UserPageInput) (*shape.ListMFADevicesOutput, error) {
	h, err := holderFor(g.Caller(), stringIn(in, "UserName"))
	if err != nil {
		return nil, err
	}
	all, next, err := a.Identities.Devices(ctx, g, "iam:ListMFADevices", h, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListMFADevicesOutput{MFADevices: each(all, func(d *identity.Device) shape.MFADevice {
		return shape.MFADevice{UserName: holderName(h), SerialNumber: d.Serial().String(), EnableDate: d.Enabled}
	}), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) getMFADevice(ctx context.Context, g authz.Grant, in *shape.MFADeviceInput) (*shape.GetMFADeviceOutput, error) {
	h, err := holderFor(g.Caller(), stringIn(in, "UserName"))
	if err != nil {
		return nil, err
	}
	all, _, err := a.Identities.Devices(ctx, g, "iam:GetMFADevice", h, page.Request{})
	if err != nil {
		return nil, err
	}
	for _, d := range all {
		if d.Serial().String() == in.SerialNumber {
			return &shape.GetMFADeviceOutput{UserName: holderName(h), SerialNumber: in.SerialNumber, EnableDate: d.Enabled}, nil
		}
	}
	return nil, fault.New(fault.NoSuchEntity, "MFA Device with serial number "+in.SerialNumber+" doesn't exist.")
}

func (a *API) listVirtualMFADevices(ctx context.Context, g authz.Grant, in *shape.ListVirtualMFADevicesInput) (*shape.ListVirtualMFADevicesOutput, error) {
	var assigned *bool
	if in.AssignmentStatus == "Assigned" || in.AssignmentStatus == "Unassigned" {
		yes := in.AssignmentStatus == "Assigned"
		assigned = &yes
	}
	all, next, err := a.Identities.VirtualDevices(ctx, g, assigned, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListVirtualMFADevicesOutput{VirtualMFADevices: each(all, virtualDevice), IsTruncated: next != "", Marker: next}, nil
}

func virtualDevice(d identity.VirtualDevice) shape.VirtualMFADevice {
	out := shape.VirtualMFADevice{SerialNumber: d.Serial().String(), EnableDate: d.Enabled}
	switch {
	case d.User != nil:
		u := plainUser(d.User)
		out.User = &u
	case d.Owner == identity.RootOwner:
		out.User = &shape.User{UserId: d.Account, Arn: arn.Root(d.Account).String(), CreateDate: d.Created}
	}
	return out
}

func (a *API) tagMFADevice(ctx context.Context, g authz.Grant, in *shape.TagInput) (*shape.Empty, error) {
	return nil, a.Identities.TagDevice(ctx, g, "iam:TagMFADevice", in.SerialNumber, tagsOf(in.Tags), nil)
}

func (a *API) untagMFADevice(ctx context.Context, g authz.Grant, in *shape.UntagInput) (*shape.Empty, error) {
	return nil, a.Identities.TagDevice(ctx, g, "iam:UntagMFADevice", in.SerialNumber, nil, in.TagKeys)
}

func (a *API) listMFADeviceTags(ctx context.Context, g authz.Grant, in *shape.TagsInput) (*shape.TagsOutput, error) {
	return tagsOutput(a.Identities.DeviceTags(ctx, g, in.SerialNumber, pageOf(in.Marker, in.MaxItems)))
}
