package shape

// The target of each operation, and the condition keys of its request. Each input has its
// own methods here, so that an operation that needs them does not compile with an input
// that lacks them.

// Member is the member of an input that names the target of the operation.
type Member struct {
	Name, Value string
	Parameter   bool // if it is missing, the error says that a parameter is missing
}

// EntityTarget is an input that names a user, group or role. kind is "User", "Group" or
// "Role"; the Member has no value if the input has no member for that kind.
type EntityTarget interface{ Entity(kind string) Member }

// CallerTarget is an input that may name a user. Without a name, it is about the caller.
type CallerTarget interface{ NamedUser() string }

// PolicyTarget is an input that names a managed policy.
type PolicyTarget interface{ Policy() Member }

// DeviceTarget is an input that names an MFA device.
type DeviceTarget interface{ Device() Member }

// ProviderTarget is an input that names an identity provider.
type ProviderTarget interface{ Provider() Member }

// SourceTarget is an input that names the entity whose policies the operation reads.
type SourceTarget interface{ Source() Member }

func entity(kind, user, group, role string) Member {
	return Member{Name: kind + "Name", Value: map[string]string{"User": user, "Group": group, "Role": role}[kind]}
}

// Entity implements EntityTarget.
func (in *CreateUserInput) Entity(kind string) Member {
	return entity(kind, in.UserName, "", "")
}

// Entity implements EntityTarget.
func (in *CreateGroupInput) Entity(kind string) Member {
	return entity(kind, "", in.GroupName, "")
}

// Entity implements EntityTarget.
func (in *CreateRoleInput) Entity(kind string) Member {
	return entity(kind, "", "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *UpdateUserInput) Entity(kind string) Member {
	return entity(kind, in.UserName, "", "")
}

// Entity implements EntityTarget.
func (in *UpdateGroupInput) Entity(kind string) Member {
	return entity(kind, "", in.GroupName, "")
}

// Entity implements EntityTarget.
func (in *UpdateRoleInput) Entity(kind string) Member {
	return entity(kind, "", "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *UpdateRoleDescriptionInput) Entity(kind string) Member {
	return entity(kind, "", "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *UpdateAssumeRolePolicyInput) Entity(kind string) Member {
	return entity(kind, "", "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *EntityInput) Entity(kind string) Member {
	m := entity(kind, in.UserName, in.GroupName, in.RoleName)
	m.Parameter = true
	return m
}

// Entity implements EntityTarget.
func (in *EntityPageInput) Entity(kind string) Member {
	return entity(kind, in.UserName, in.GroupName, in.RoleName)
}

// Entity implements EntityTarget.
func (in *MembershipInput) Entity(kind string) Member {
	return entity(kind, "", in.GroupName, "")
}

// Entity implements EntityTarget.
func (in *InlinePolicyInput) Entity(kind string) Member {
	return entity(kind, in.UserName, in.GroupName, in.RoleName)
}

// Entity implements EntityTarget.
func (in *PutInlinePolicyInput) Entity(kind string) Member {
	return entity(kind, in.UserName, in.GroupName, in.RoleName)
}

// Entity implements EntityTarget.
func (in *AttachInput) Entity(kind string) Member {
	return entity(kind, in.UserName, in.GroupName, in.RoleName)
}

// Entity implements EntityTarget.
func (in *BoundaryInput) Entity(kind string) Member {
	return entity(kind, in.UserName, in.GroupName, in.RoleName)
}

// Entity implements EntityTarget.
func (in *TagInput) Entity(kind string) Member {
	return entity(kind, in.UserName, "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *UntagInput) Entity(kind string) Member {
	return entity(kind, in.UserName, "", in.RoleName)
}

// Entity implements EntityTarget.
func (in *TagsInput) Entity(kind string) Member {
	return entity(kind, in.UserName, "", in.RoleName)
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// NamedUser implements CallerTarget.
func (in *GetUserInput) NamedUser() string { return in.UserName }

// NamedUser implements CallerTarget.
func (in *MFACodesInput) NamedUser() string { return in.UserName }

// NamedUser implements CallerTarget.
func (in *UserInput) NamedUser() string { return text(in.UserName) }

// NamedUser implements CallerTarget.
func (in *UserPageInput) NamedUser() string { return text(in.UserName) }

// NamedUser implements CallerTarget.
func (in *AccessKeyInput) NamedUser() string { return text(in.UserName) }

// NamedUser implements CallerTarget.
func (in *UpdateAccessKeyInput) NamedUser() string { return text(in.UserName) }

// NamedUser implements CallerTarget.
func (in *MFADeviceInput) NamedUser() string { return text(in.UserName) }

// Policy implements PolicyTarget.
func (in *PolicyInput) Policy() Member { return Member{Name: "PolicyArn", Value: in.PolicyArn} }

// Policy implements PolicyTarget.
func (in *PolicyVersionInput) Policy() Member { return Member{Name: "PolicyArn", Value: in.PolicyArn} }

// Policy implements PolicyTarget.
func (in *CreatePolicyVersionInput) Policy() Member {
	return Member{Name: "PolicyArn", Value: in.PolicyArn}
}

// Policy implements PolicyTarget.
func (in *ListPolicyVersionsInput) Policy() Member {
	return Member{Name: "PolicyArn", Value: in.PolicyArn}
}

// Policy implements PolicyTarget.
func (in *ListEntitiesForPolicyInput) Policy() Member {
	return Member{Name: "PolicyArn", Value: in.PolicyArn}
}

// Policy implements PolicyTarget.
func (in *TagInput) Policy() Member { return Member{Name: "PolicyArn", Value: in.PolicyArn} }

// Policy implements PolicyTarget.
func (in *UntagInput) Policy() Member { return Member{Name: "PolicyArn", Value: in.PolicyArn} }

// Policy implements PolicyTarget.
func (in *TagsInput) Policy() Member { return Member{Name: "PolicyArn", Value: in.PolicyArn} }

// Device implements DeviceTarget.
func (in *SerialInput) Device() Member { return Member{Name: "SerialNumber", Value: in.SerialNumber} }

// Device implements DeviceTarget.
func (in *TagInput) Device() Member { return Member{Name: "SerialNumber", Value: in.SerialNumber} }

// Device implements DeviceTarget.
func (in *UntagInput) Device() Member { return Member{Name: "SerialNumber", Value: in.SerialNumber} }

// Device implements DeviceTarget.
func (in *TagsInput) Device() Member { return Member{Name: "SerialNumber", Value: in.SerialNumber} }

func provider(name string) Member { return Member{Name: "OpenIDConnectProviderArn", Value: name} }

// Provider implements ProviderTarget.
func (in *ProviderInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Provider implements ProviderTarget.
func (in *ClientIDInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Provider implements ProviderTarget.
func (in *ThumbprintInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Provider implements ProviderTarget.
func (in *TagInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Provider implements ProviderTarget.
func (in *UntagInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Provider implements ProviderTarget.
func (in *TagsInput) Provider() Member { return provider(in.OpenIDConnectProviderArn) }

// Source implements SourceTarget.
func (in *SimulatePolicyInput) Source() Member {
	return Member{Name: "PolicySourceArn", Value: in.PolicySourceArn}
}

// Source implements SourceTarget.
func (in *ContextKeysInput) Source() Member {
	return Member{Name: "PolicySourceArn", Value: in.PolicySourceArn}
}
