package iam

import (
	"context"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/api/iam/shape"
	"watertight/internal/core/identity"
	"watertight/internal/core/mfa"
	"watertight/internal/gateway/dispatch"
)

func (a *API) mfaRows() []dispatch.Row {
	return []dispatch.Row{
		define("CreateVirtualMFADevice", mayCreateDevice, a.createVirtualMFADevice),
		define("EnableMFADevice", onHolder[shape.MFACodesInput](a, "iam:EnableMFADevice"), a.enableMFADevice),
		define("ResyncMFADevice", onHolder[shape.MFACodesInput](a, "iam:ResyncMFADevice"), a.resyncMFADevice),
		define("DeactivateMFADevice", onHolder[shape.MFADeviceInput](a, "iam:DeactivateMFADevice"),
			a.deactivateMFADevice),
		define("DeleteVirtualMFADevice", onDevice[shape.SerialInput](a, "iam:DeleteVirtualMFADevice"),
			a.deleteVirtualMFADevice),
		define("ListMFADevices", onHolder[shape.UserPageInput](a, "iam:ListMFADevices"), a.listMFADevices),
		define("GetMFADevice", onHolder[shape.MFADeviceInput](a, "iam:GetMFADevice"), a.getMFADevice),
		define("ListVirtualMFADevices",
			on("iam:ListVirtualMFADevices", func(account string, _ *shape.ListVirtualMFADevicesInput) arn.ARN {
				return mfa.ListARN(account)
			}), a.listVirtualMFADevices),
		define("TagMFADevice", onDevice[shape.TagInput](a, "iam:TagMFADevice"), a.tagMFADevice),
		define("UntagMFADevice", onDevice[shape.UntagInput](a, "iam:UntagMFADevice"), a.untagMFADevice),
		define("ListMFADeviceTags", onDevice[shape.TagsInput](a, "iam:ListMFADeviceTags"), a.listMFADeviceTags),
	}
}

func mayCreateDevice(_ context.Context, c authz.Caller, in *shape.CreateVirtualMFADeviceInput) ([]authz.Need, error) {
	at := mfa.ARN(c.Principal().Account, orRoot(in.Path), in.VirtualMFADeviceName)
	return []authz.Need{{
		Action: "iam:CreateVirtualMFADevice", Resource: at, Keys: conditionKeys(identity.Subject{}, in.Conditions()),
		New: true,
	}}, nil
}

// holderFor returns the owner of the device that an operation is about: the user that the
// request names, or else the caller. For a root user, the name "root" is the caller.
func holderFor(c authz.Caller, named string) (mfa.Holder, error) {
	if h := mfa.HolderFor(c.Principal(), named); h.Root {
		return h, nil
	}
	user, err := subjectOf(c, named)
	return mfa.Holder{User: user}, err
}

func onHolder[In any, P callerInput[In]](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		h, err := holderFor(c, P(in).NamedUser())
		if err != nil {
			return nil, err
		}
		n, err := a.onUser(ctx, c, action, h.User)
		return []authz.Need{n}, err
	}
}

func onDevice[In any, P interface {
	*In
	shape.DeviceTarget
	shape.Conditioned
}](a *API, action policy.Action) needs[In] {
	return func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		m := P(in).Device()
		if err := required(m); err != nil {
			return nil, err
		}
		s, err := a.Devices.Subject(ctx, c.Principal().Account, m.Value)
		if err != nil {
			return nil, err
		}
		return []authz.Need{{Action: action, Resource: s.ARN, Keys: conditionKeys(s, P(in).Conditions())}}, nil
	}
}

func (a *API) createVirtualMFADevice(
	ctx context.Context, g authz.Grant, in *shape.CreateVirtualMFADeviceInput,
) (*shape.CreateVirtualMFADeviceOutput, error) {
	d, b, err := a.Devices.Create(ctx, g, in.Path, in.VirtualMFADeviceName, tagsOf(in.Tags))
	if err != nil {
		return nil, err
	}
	return &shape.CreateVirtualMFADeviceOutput{VirtualMFADevice: shape.VirtualMFADevice{
		SerialNumber: d.Serial(), Base32StringSeed: []byte(b.Seed), QRCodePNG: b.QR, Tags: tagShapes(d.Tags),
	}}, nil
}

func (a *API) enableMFADevice(ctx context.Context, g authz.Grant, in *shape.MFACodesInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Devices.Enable(ctx, g, h, in.SerialNumber, in.AuthenticationCode1, in.AuthenticationCode2)
}

func (a *API) resyncMFADevice(ctx context.Context, g authz.Grant, in *shape.MFACodesInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Devices.Resync(ctx, g, h, in.SerialNumber, in.AuthenticationCode1, in.AuthenticationCode2)
}

func (a *API) deactivateMFADevice(ctx context.Context, g authz.Grant, in *shape.MFADeviceInput) (*shape.Empty, error) {
	h, err := holderFor(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	return nil, a.Devices.Deactivate(ctx, g, h, in.SerialNumber)
}

func (a *API) deleteVirtualMFADevice(ctx context.Context, g authz.Grant, in *shape.SerialInput) (*shape.Empty, error) {
	return nil, a.Devices.Delete(ctx, g, in.SerialNumber)
}

func holderName(h mfa.Holder) string {
	if h.Root {
		return "root"
	}
	return h.User
}

func (a *API) listMFADevices(
	ctx context.Context, g authz.Grant, in *shape.UserPageInput,
) (*shape.ListMFADevicesOutput, error) {
	h, err := holderFor(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	all, next, err := a.Devices.List(ctx, g, h, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListMFADevicesOutput{MFADevices: each(all, func(d *mfa.Device) shape.MFADevice {
		return shape.MFADevice{UserName: holderName(h), SerialNumber: d.Serial(), EnableDate: d.Enabled}
	}), IsTruncated: next != "", Marker: next}, nil
}

func (a *API) getMFADevice(
	ctx context.Context, g authz.Grant, in *shape.MFADeviceInput,
) (*shape.GetMFADeviceOutput, error) {
	h, err := holderFor(g.Caller(), in.NamedUser())
	if err != nil {
		return nil, err
	}
	d, err := a.Devices.Get(ctx, g, h, in.SerialNumber)
	if err != nil {
		return nil, err
	}
	return &shape.GetMFADeviceOutput{UserName: holderName(h), SerialNumber: in.SerialNumber, EnableDate: d.Enabled}, nil
}

func (a *API) listVirtualMFADevices(
	ctx context.Context, g authz.Grant, in *shape.ListVirtualMFADevicesInput,
) (*shape.ListVirtualMFADevicesOutput, error) {
	var assigned *bool
	if in.AssignmentStatus == "Assigned" || in.AssignmentStatus == "Unassigned" {
		yes := in.AssignmentStatus == "Assigned"
		assigned = &yes
	}
	all, next, err := a.Devices.ListAll(ctx, g, assigned, pageOf(in.Marker, in.MaxItems))
	if err != nil {
		return nil, err
	}
	return &shape.ListVirtualMFADevicesOutput{
		VirtualMFADevices: each(all, virtualDevice), IsTruncated: next != "", Marker: next,
	}, nil
}

func virtualDevice(d mfa.Owned) shape.VirtualMFADevice {
	out := shape.VirtualMFADevice{SerialNumber: d.Serial(), EnableDate: d.Enabled}
	switch {
	case d.User != nil:
		u := plainUser(d.User)
		out.User = &u
	case d.OfRoot():
		out.User = &shape.User{UserId: d.Account, Arn: arn.Root(d.Account).String(), CreateDate: d.Created}
	}
	return out
}

func (a *API) tagMFADevice(ctx context.Context, g authz.Grant, in *shape.TagInput) (*shape.Empty, error) {
	return nil, a.Devices.Tag(ctx, g, in.SerialNumber, tagsOf(in.Tags))
}

func (a *API) untagMFADevice(ctx context.Context, g authz.Grant, in *shape.UntagInput) (*shape.Empty, error) {
	return nil, a.Devices.Untag(ctx, g, in.SerialNumber, in.TagKeys)
}

func (a *API) listMFADeviceTags(ctx context.Context, g authz.Grant, in *shape.TagsInput) (*shape.TagsOutput, error) {
	return tagsOutput(a.Devices.Tags(ctx, g, in.SerialNumber, pageOf(in.Marker, in.MaxItems)))
}
