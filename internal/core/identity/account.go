package identity

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// PasswordPolicy is an account's rules for passwords. There are no passwords here; the
// policy is stored for tools that audit it.
type PasswordPolicy struct {
	MinimumLength                      int
	Symbols, Numbers, Uppercase, Lower bool
	UsersMayChange                     bool
	MaxAge, ReusePrevention            int // 0 means none
	HardExpiry                         bool
}

// settings are the settings of an account, apart from its entities:
//
//	i/h/ACCOUNT    the settings
//	i/l/ALIAS      the account that has an alias
type settings struct {
	alias    string
	password *PasswordPolicy
}

func settingsKey(account string) []byte { return record.Key("i/h/", account) }
func aliasKey(alias string) []byte      { return record.Key("i/l/", alias) }

// Fields of an account's settings, and the bits of its password policy.
const (
	fieldAlias = iota + 1
	fieldPasswordBits
	fieldPasswordLength
	fieldPasswordAge
	fieldPasswordReuse

	passwordSet       = 1
	passwordSymbols   = 2
	passwordNumbers   = 4
	passwordUppercase = 8
	passwordLower     = 16
	passwordChange    = 32
	passwordExpiry    = 64
)

func (c *settings) encode() []byte {
	r := record.String(record.Start(nil), fieldAlias, c.alias)
	p := c.password
	if p == nil {
		return r
	}
	bits := uint64(passwordSet)
	for bit, on := range map[uint64]bool{
		passwordSymbols: p.Symbols, passwordNumbers: p.Numbers, passwordUppercase: p.Uppercase,
		passwordLower: p.Lower, passwordChange: p.UsersMayChange, passwordExpiry: p.HardExpiry,
	} {
		if on {
			bits |= bit
		}
	}
	r = record.Uint(r, fieldPasswordBits, bits)
	r = record.Uint(r, fieldPasswordLength, uint64(p.MinimumLength))
	r = record.Uint(r, fieldPasswordAge, uint64(p.MaxAge))
	return record.Uint(r, fieldPasswordReuse, uint64(p.ReusePrevention))
}

func readSettings(r kv.Reader, account string) (c settings, err error) {
	v, err := r.Get(settingsKey(account))
	if err != nil || v == nil {
		return c, err
	}
	var p PasswordPolicy
	f := record.Read(v)
	for f.Next() {
		switch f.Number {
		case fieldAlias:
			c.alias = string(f.Bytes)
		case fieldPasswordBits:
			on := func(bit uint64) bool { return f.Uint&bit != 0 }
			p.Symbols, p.Numbers, p.Uppercase = on(passwordSymbols), on(passwordNumbers), on(passwordUppercase)
			p.Lower, p.UsersMayChange, p.HardExpiry = on(passwordLower), on(passwordChange), on(passwordExpiry)
			c.password = &p
		case fieldPasswordLength:
			p.MinimumLength = f.Int()
		case fieldPasswordAge:
			p.MaxAge = f.Int()
		case fieldPasswordReuse:
			p.ReusePrevention = f.Int()
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil {
		return settings{}, record.Malformed("settings of account " + account)
	}
	return c, nil
}

// configure changes the account's settings. It demands action on "*".
func (s *Store) configure(
	ctx context.Context, g authz.Grant, action policy.Action, fn func(tx kv.Tx, account string, c *settings) error,
) error {
	if err := g.Demand(action, arn.Any()); err != nil {
		return err
	}
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		c, err := readSettings(tx, account)
		if err != nil {
			return err
		}
		if err := fn(tx, account, &c); err != nil {
			return err
		}
		tx.Set(settingsKey(account), c.encode())
		return nil
	})
}

// CreateAlias sets the account's alias, and replaces an earlier one. It needs
// iam:CreateAccountAlias. Errors: EntityAlreadyExists.
func (s *Store) CreateAlias(ctx context.Context, g authz.Grant, alias string) error {
	return s.configure(ctx, g, "iam:CreateAccountAlias", func(tx kv.Tx, account string, c *settings) error {
		if CheckName(alias) != nil || strings.ToLower(alias) != alias {
			return validation("The specified value for accountAlias is invalid.")
		}
		if err := tx.Lock(aliasKey(alias), kv.Exclusive); err != nil {
			return err
		}
		taken, err := tx.Get(aliasKey(alias))
		if err != nil {
			return err
		}
		if taken != nil && string(taken) != account {
			return alreadyExists("The account alias %s already exists.", alias)
		}
		if c.alias != "" {
			tx.Delete(aliasKey(c.alias))
		}
		c.alias = alias
		tx.Set(aliasKey(alias), []byte(account))
		return nil
	})
}

// DeleteAlias removes the account's alias. It needs iam:DeleteAccountAlias.
// Errors: NoSuchEntity.
func (s *Store) DeleteAlias(ctx context.Context, g authz.Grant, alias string) error {
	return s.configure(ctx, g, "iam:DeleteAccountAlias", func(tx kv.Tx, _ string, c *settings) error {
		if c.alias == "" || c.alias != alias {
			return noSuch("The account alias %s does not exist.", alias)
		}
		c.alias = ""
		tx.Delete(aliasKey(alias))
		return nil
	})
}

// Alias returns the account's alias, or "". It needs iam:ListAccountAliases.
func (s *Store) Alias(ctx context.Context, g authz.Grant) (alias string, err error) {
	if err := g.Demand("iam:ListAccountAliases", arn.Any()); err != nil {
		return "", err
	}
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		c, err := readSettings(r, account)
		alias = c.alias
		return err
	})
	return alias, err
}

// UpdatePasswordPolicy replaces the account's password policy. It needs
// iam:UpdateAccountPasswordPolicy.
func (s *Store) UpdatePasswordPolicy(ctx context.Context, g authz.Grant, p PasswordPolicy) error {
	return s.configure(ctx, g, "iam:UpdateAccountPasswordPolicy", func(_ kv.Tx, _ string, c *settings) error {
		c.password = &p
		return nil
	})
}

// DeletePasswordPolicy removes the account's password policy. It needs
// iam:DeleteAccountPasswordPolicy. Errors: NoSuchEntity.
func (s *Store) DeletePasswordPolicy(ctx context.Context, g authz.Grant) error {
	return s.configure(ctx, g, "iam:DeleteAccountPasswordPolicy", func(_ kv.Tx, account string, c *settings) error {
		if c.password == nil {
			return noPasswordPolicy(account)
		}
		c.password = nil
		return nil
	})
}

func noPasswordPolicy(account string) error {
	return noSuch("The Password Policy with domain name %s cannot be found.", account)
}

// GetPasswordPolicy returns the account's password policy. It needs
// iam:GetAccountPasswordPolicy. Errors: NoSuchEntity.
func (s *Store) GetPasswordPolicy(ctx context.Context, g authz.Grant) (p *PasswordPolicy, err error) {
	if err := g.Demand("iam:GetAccountPasswordPolicy", arn.Any()); err != nil {
		return nil, err
	}
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		c, err := readSettings(r, account)
		if err == nil && c.password == nil {
			err = noPasswordPolicy(account)
		}
		p = c.password
		return err
	})
	return p, err
}

// Summary returns the counts and quotas of the account's resources, under the names of
// GetAccountSummary. It needs iam:GetAccountSummary.
func (s *Store) Summary(ctx context.Context, g authz.Grant) (map[string]int, error) {
	if err := g.Demand("iam:GetAccountSummary", arn.Any()); err != nil {
		return nil, err
	}
	m := quotas()
	err := View(ctx, s.store, g, func(r kv.Reader, account string) error {
		for name, prefix := range map[string][]byte{
			"Users": namesKey(account, User.letter()), "Groups": namesKey(account, Group.letter()),
			"Roles":    namesKey(account, Role.letter()),
			"Policies": namesKey(account, policyLetter), "Providers": providersOf(account),
		} {
			n, err := record.Count(r, prefix)
			if err != nil {
				return err
			}
			m[name] = n
		}
		all, owned, err := s.devices.All(r, account)
		if err != nil {
			return err
		}
		m["MFADevices"], m["MFADevicesInUse"] = all, owned
		root, err := s.devices.Owned(r, account, "")
		if err != nil {
			return err
		}
		a, _, err := readAccount(r, account)
		if err != nil {
			return err
		}
		m["AccountMFAEnabled"], m["AccountAccessKeysPresent"] = min(root, 1), min(len(a.RootKeys), 1)
		prefix := namesKey(account, policyLetter)
		for pair, err := range r.Scan(prefix, record.After(prefix)) {
			if err != nil {
				return err
			}
			p, err := readPolicy(r, string(pair.Value))
			if err != nil {
				return err
			}
			if p != nil {
				m["PolicyVersionsInUse"] += len(p.Versions)
			}
		}
		return nil
	})
	return m, err
}

func quotas() map[string]int {
	return map[string]int{
		"UsersQuota": maxUsers, "GroupsQuota": maxGroups, "RolesQuota": maxRoles, "PoliciesQuota": maxPolicies,
		"UserPolicySizeQuota": maxUserInline, "GroupPolicySizeQuota": maxGroupInline,
		"RolePolicySizeQuota": maxRoleInline,
		"PolicySizeQuota":     maxManagedDocument, "VersionsPerPolicyQuota": maxVersions,
		"AccessKeysPerUserQuota": maxKeysPerUser,
		"GroupsPerUserQuota":     maxUserGroups, "AttachedPoliciesPerUserQuota": maxAttached,
		"AttachedPoliciesPerGroupQuota": maxAttached,
		"AttachedPoliciesPerRoleQuota":  maxAttached, "AssumeRolePolicySizeQuota": 4096,
		"MFADevicesPerUserQuota":     MaxDevicesPerUser,
		"GlobalEndpointTokenVersion": 1, "AccountSigningCertificatesPresent": 0, "AccountPasswordPresent": 0,
		"ServerCertificates": 0, "ServerCertificatesQuota": 0, "SigningCertificatesPerUserQuota": 0,
		"InstanceProfiles": 0, "InstanceProfilesQuota": 0,
		"PolicyVersionsInUse": 0, "PolicyVersionsInUseQuota": maxPolicies * maxVersions,
	}
}
