package object

import (
	"maps"
	"slices"

	"watertight/internal/core/bucket"
	"watertight/internal/core/change/record"
)

// append appends u as fields of a version's record.
func (u *underKMS) append(r []byte) []byte {
	r = record.String(r, fieldKMSKey, u.key)
	r = record.Bool(r, fieldKMSBucketKey, u.bucketKey)
	if len(u.pairs) == 0 {
		return r
	}
	for _, name := range slices.Sorted(maps.Keys(u.pairs)) {
		r = record.Pair(r, fieldKMSPair, name, u.pairs[name])
	}
	return r
}

// takeKMS stores the fields of a version under a key of KMS.
func (v *version) takeKMS(f *record.Fields) bool {
	if f.Number < fieldKMSKey || f.Number > fieldKMSPair {
		return false
	}
	if v.kms == nil {
		v.kms = &v.room
	}
	switch f.Number {
	case fieldKMSKey:
		v.kms.key = string(f.Bytes)
	case fieldKMSBucketKey:
		v.kms.bucketKey = f.Uint != 0
	case fieldKMSPair:
		name, value, ok := f.Pair()
		if !ok {
			return false
		}
		if v.kms.pairs == nil {
			v.kms.pairs = make(map[string]string)
		}
		v.kms.pairs[name] = value
	}
	return true
}

// encryptionName returns the encryption that a number stands for, empty for an unknown
// number. The numbers are stored.
func encryptionName(n uint64) bucket.Encryption {
	switch n {
	case encryptionAES256:
		return bucket.AES256
	case encryptionCustomerKey:
		return customerKey
	case encryptionKMS:
		return bucket.KMS
	case encryptionDSSE:
		return bucket.DSSE
	default:
		return ""
	}
}

func encryptionNumber(e bucket.Encryption) uint64 {
	switch e {
	case bucket.AES256:
		return encryptionAES256
	case customerKey:
		return encryptionCustomerKey
	case bucket.KMS:
		return encryptionKMS
	case bucket.DSSE:
		return encryptionDSSE
	default:
		return 0
	}
}
