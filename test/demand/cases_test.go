package demand

import (
	"io"
	"maps"
	"slices"
	"strings"

	"watertight/internal/access/policy"
	"watertight/internal/core/acl"
	"watertight/internal/core/bucket"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/identity"
	"watertight/internal/core/kms"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/object"
	"watertight/internal/core/tag"
)

// arguments maps names of parameters and of members of inputs to values.
type arguments map[string]any

func (a arguments) with(more arguments) arguments {
	a = maps.Clone(a)
	maps.Copy(a, more)
	return a
}

// cases returns the arguments with which a method is called; arguments without a name in a case are zero
// values. A method whose action depends on its arguments has a case for each action.
func cases(f *fixture, m *method) []arguments {
	if m.room == "core/cdn" {
		return inCDN(f, m)
	}
	base := map[string]func(*fixture) arguments{
		"core/bucket": inBuckets, "core/object": inObjects, "core/identity": inIdentities, "core/mfa": inDevices,
		"core/session": inSessions, "core/simulate": inSimulations, "core/kms": inKeys,
	}[m.room]
	if base == nil {
		return []arguments{{}}
	}
	args := base(f)
	tags := []tag.Tag{{Key: "k", Value: "v"}}
	match := "*"
	switch m.room + "." + m.name {
	case "core/bucket.Create":
		args["Name"] = "new-bucket"
		return []arguments{
			args, args.with(arguments{"Ownership": bucket.ObjectWriter}),
			args.with(arguments{"ACL": acl.Request{Canned: "public-read"}}),
			args.with(arguments{"Tags": tag.Set(tags)}), args.with(arguments{"ObjectLock": true}),
		}
	case "core/kms.Wrap", "core/kms.Unwrap":
		return []arguments{args.with(arguments{"key": f.kmsKey.ARN})}
	case "core/kms.CreateKey":
		return []arguments{args, args.with(arguments{"Tags": tags})}
	case "core/kms.RetireGrant":
		return []arguments{args.with(arguments{"name": kms.GrantName{Key: f.kmsKey.ID, ID: f.kmsGrant}})}
	case "core/kms.RevokeGrant":
		return []arguments{args.with(arguments{"id": f.kmsGrant})}
	case "core/kms.CreateAlias":
		return []arguments{args.with(arguments{"alias": "alias/new"})}
	case "core/kms.CancelKeyDeletion":
		return []arguments{args.with(arguments{"key": f.ending.ID})}
	case "core/kms.GetParametersForImport", "core/kms.ImportKeyMaterial", "core/kms.DeleteImportedKeyMaterial":
		return []arguments{args.with(arguments{"key": f.external.ID, "Key": f.external.ID})}
	case "core/session.AssumeRole":
		return []arguments{args, args.with(arguments{"Tags": tags}), args.with(arguments{"SourceIdentity": "somebody"})}
	case "core/session.GetFederationToken":
		return []arguments{args, args.with(arguments{"Tags": tags})}
	case "core/identity.ListAbsentCredentials":
		return each(args, "k", identity.ServiceSpecificCredential, identity.SigningCertificate, identity.SSHPublicKey)
	case "core/identity.ListAbsent", "core/identity.GetAbsent", "core/identity.ListAbsentTags":
		args["name"] = "x"
		return append(each(args, "k", identity.InstanceProfile, identity.ServerCertificate),
			args.with(arguments{"k": identity.SAMLProvider, "name": saml}))
	case "core/identity.RootUser":
		return []arguments{args}
	}
	switch {
	case m.room == "core/object":
		all := []arguments{
			args, args.with(arguments{"VersionID": &f.version}),
			args.with(arguments{"IfMatch": &match, "IfNoneMatch": &match}),
		}
		lock := object.LockHeaders{Mode: "GOVERNANCE", Until: "2099-01-01T00:00:00Z"}
		return append(all, args.with(arguments{"Tags": tag.Set(tags)}), args.with(arguments{"Lock": lock}),
			args.with(arguments{"Lock": object.LockHeaders{LegalHold: "ON"}}),
			args.with(arguments{"ACL": acl.Request{Canned: "private"}}), args.with(sealedObject(f)))
	case m.room == "core/identity" && slices.Contains(m.params, "k"):
		return kinds(args, m)
	case m.room == "core/identity":
		args["name"] = named(f, m)
		if m.name == "AddClientID" {
			args["id"] = "another"
		}
	}
	return []arguments{args}
}

func each[T any](args arguments, name string, values ...T) (all []arguments) {
	for _, v := range values {
		all = append(all, args.with(arguments{name: v}))
	}
	return all
}

// kinds are the cases of a method for the kinds of entities that its actions name.
func kinds(args arguments, m *method) (all []arguments) {
	for k, name := range map[identity.EntityKind]string{identity.User: "u", identity.Group: "g", identity.Role: "r"} {
		if slices.ContainsFunc(m.needs, func(a policy.Action) bool { return strings.Contains(string(a), k.String()) }) {
			all = append(all, args.with(arguments{"k": k, "name": name}))
		}
	}
	slices.SortFunc(all, func(a, b arguments) int {
		return int(a["k"].(identity.EntityKind)) - int(b["k"].(identity.EntityKind))
	})
	return all
}

// named says what the parameter "name" names.
func named(f *fixture, m *method) string {
	action := string(m.needs[0])
	switch {
	case strings.Contains(action, "OpenIDConnect"):
		return f.provider
	case strings.Contains(action, "LastAccessed"):
		return f.user.ARN().String()
	case strings.Contains(action, "Role"):
		return "r"
	}
	return f.policy
}

func inBuckets(*fixture) arguments {
	return arguments{"name": "bkt",
		"text": `{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket",` +
			`"Resource":"arn:aws:s3:::bkt"}}`, "account": coretest.Account,
		"State": bucket.Enabled, "c": bucket.CORS{{Origins: []string{"*"}, Methods: []string{"GET"}}},
		"configuration": lifecycle.Configuration{Rules: []lifecycle.Rule{{
			Status: lifecycle.Disabled, Filter: &lifecycle.Filter{}, Abort: &lifecycle.Abort{Days: new(int32(1))},
		}}}}
}

func inObjects(f *fixture) arguments {
	return arguments{
		"bucketName": "bkt", "Bucket": "bkt", "key": "key", "Key": "key", "id": f.upload, "UploadID": f.upload,
		"Body": io.Reader(strings.NewReader("x")), "Size": int64(1), "Number": 1,
	}
}

// sealedObject is what is under a key of KMS, and a write that asks for the key.
func sealedObject(f *fixture) arguments {
	return arguments{
		"key": "sealed", "Key": "sealed", "id": f.sealed, "UploadID": f.sealed, "Customer": object.CustomerKey{},
		"Encryption": f.underKMS(), "Checksums": true, "KeyARN": f.kmsKey.ARN.String(),
		"Parts": []object.CompletePart{{Number: 1, ETag: "x"}},
	}
}

func inIdentities(f *fixture) arguments {
	return arguments{
		"Name": "new", "user": "u", "group": "g", "role": "r", "accessKeyID": f.key, "alias": "alias",
		"policyName": "inline", "policyARN": f.policy,
		"Policy": f.policy, "version": "v1", "document": document, "Document": document,
		"address": "https://new.example", "id": f.job,
		"Trust": `{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"AWS":"` + coretest.Account +
			`"},"Action":"sts:AssumeRole"}}`,
	}
}

func inKeys(f *fixture) arguments {
	return arguments{
		"key": f.kmsKey.ID, "Key": f.kmsKey.ID, "wrapped": f.wrapped, "Ciphertext": f.ciphertext,
		"alias": "alias/named", "Plaintext": kms.Secret("x"), "Bytes": 32, "bytes": 32,
		"Algorithm": "RSAES_OAEP_SHA_256", "Spec": "RSA_2048",
	}
}

func inDevices(f *fixture) arguments {
	return arguments{"path": "/", "name": "new", "User": "u", "serial": f.serial, "code1": "000000", "code2": "000000"}
}

func inSessions(f *fixture) arguments {
	return arguments{
		"RoleARN": f.role.ARN().String(), "SessionName": "session", "Token": f.token, "Name": "fed",
		"accessKeyID": f.key,
	}
}

func inSimulations(f *fixture) arguments {
	return arguments{
		"Source": f.user.ARN().String(), "entity": f.user.ARN().String(), "Actions": []string{"s3:GetObject"},
	}
}
