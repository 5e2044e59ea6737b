package identity

import (
	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
)

// Fields of a managed policy's record, and of a version in it.
const (
	fieldPolicyAccount = iota + 1
	fieldPolicyName
	fieldPolicyPath
	fieldPolicyDescription
	fieldPolicyCreated
	fieldPolicyUpdated
	fieldPolicyDefault
	fieldPolicyNewest
	fieldPolicyTag     // repeated
	fieldPolicyVersion // repeated: a record

	fieldVersionNumber   = 1
	fieldVersionCreated  = 2
	fieldVersionDocument = 3
)

func (p *ManagedPolicy) encode() []byte {
	r := record.Start(make([]byte, 0, 512))
	r = record.String(r, fieldPolicyAccount, p.Account)
	r = record.String(r, fieldPolicyName, p.Name)
	r = record.String(r, fieldPolicyPath, p.Path)
	r = record.String(r, fieldPolicyDescription, p.Description)
	r = record.Time(r, fieldPolicyCreated, p.Created)
	r = record.Time(r, fieldPolicyUpdated, p.Updated)
	r = record.Uint(r, fieldPolicyDefault, uint64(p.Default))
	r = record.Uint(r, fieldPolicyNewest, uint64(p.Newest))
	for _, t := range p.Tags {
		r = record.Pair(r, fieldPolicyTag, t.Key, t.Value)
	}
	for _, v := range p.Versions {
		b := record.Start(nil)
		b = record.Uint(b, fieldVersionNumber, uint64(v.Number))
		b = record.Time(b, fieldVersionCreated, v.Created)
		r = record.Bytes(r, fieldPolicyVersion, record.String(b, fieldVersionDocument, v.Document))
	}
	return r
}

func decodePolicy(id string, value []byte) (*ManagedPolicy, error) {
	p := &ManagedPolicy{ID: id}
	bad := record.Malformed("policy " + id)
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldPolicyAccount:
			p.Account = string(f.Bytes)
		case fieldPolicyName:
			p.Name = string(f.Bytes)
		case fieldPolicyPath:
			p.Path = string(f.Bytes)
		case fieldPolicyDescription:
			p.Description = string(f.Bytes)
		case fieldPolicyCreated:
			p.Created = f.Time()
		case fieldPolicyUpdated:
			p.Updated = f.Time()
		case fieldPolicyDefault:
			p.Default = f.Int()
		case fieldPolicyNewest:
			p.Newest = f.Int()
		case fieldPolicyTag:
			k, v, ok := f.Pair()
			if !ok {
				return nil, bad
			}
			p.Tags = append(p.Tags, tag.Tag{Key: k, Value: v})
		case fieldPolicyVersion:
			v, ok := decodeVersion(f.Bytes)
			if !ok {
				return nil, bad
			}
			p.Versions = append(p.Versions, v)
		default:
			return nil, bad
		}
	}
	// A policy whose default version is missing must not be treated as one that allows
	// nothing: it may have contained a Deny.
	if f.Err() != nil || p.Account == "" || p.Name == "" || p.Path == "" || p.InForce() == nil {
		return nil, bad
	}
	return p, nil
}

func decodeVersion(b []byte) (PolicyVersion, bool) {
	var v PolicyVersion
	f := record.Read(b)
	for f.Next() {
		switch f.Number {
		case fieldVersionNumber:
			v.Number = f.Int()
		case fieldVersionCreated:
			v.Created = f.Time()
		case fieldVersionDocument:
			v.Document = string(f.Bytes)
		default:
			f.Unknown()
		}
	}
	return v, f.Err() == nil && v.Number > 0 && v.Document != ""
}
