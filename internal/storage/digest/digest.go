// Package digest names the checksum algorithms of S3 and implements their hashes. It is
// pure; it must never know where a checksum came from.
package digest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/minio/crc64nvme"
	"github.com/zeebo/xxh3"
)

// Algorithm is a checksum algorithm by its AWS name.
type Algorithm string

// The algorithms; None means that there is no checksum.
const (
	None      Algorithm = ""
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	MD5       Algorithm = "MD5"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
	SHA512    Algorithm = "SHA512"
	XXHash128 Algorithm = "XXHASH128"
	XXHash3   Algorithm = "XXHASH3"
	XXHash64  Algorithm = "XXHASH64"
)

// All lists the algorithms in AWS's order.
func All() []Algorithm {
	return []Algorithm{CRC32, CRC32C, CRC64NVME, MD5, SHA1, SHA256, SHA512, XXHash128, XXHash3, XXHash64}
}

// Parse returns the algorithm with a name, in upper or lower case.
func Parse(name string) (Algorithm, bool) {
	a := Algorithm(strings.ToUpper(name))
	return a, a.Size() > 0
}

// Header returns the name of the header or trailer for a checksum of a, or "" for None.
// Like CanonicalHeader, it spells out the names, because every request needs all of them.
func (a Algorithm) Header() string {
	switch a {
	case CRC32:
		return "x-amz-checksum-crc32"
	case CRC32C:
		return "x-amz-checksum-crc32c"
	case CRC64NVME:
		return "x-amz-checksum-crc64nvme"
	case MD5:
		return "x-amz-checksum-md5"
	case SHA1:
		return "x-amz-checksum-sha1"
	case SHA256:
		return "x-amz-checksum-sha256"
	case SHA512:
		return "x-amz-checksum-sha512"
	case XXHash128:
		return "x-amz-checksum-xxhash128"
	case XXHash3:
		return "x-amz-checksum-xxhash3"
	case XXHash64:
		return "x-amz-checksum-xxhash64"
	}
	return ""
}

// CanonicalHeader returns Header as net/http spells it.
func (a Algorithm) CanonicalHeader() string {
	switch a {
	case CRC32:
		return "X-Amz-Checksum-Crc32"
	case CRC32C:
		return "X-Amz-Checksum-Crc32c"
	case CRC64NVME:
		return "X-Amz-Checksum-Crc64nvme"
	case MD5:
		return "X-Amz-Checksum-Md5"
	case SHA1:
		return "X-Amz-Checksum-Sha1"
	case SHA256:
		return "X-Amz-Checksum-Sha256"
	case SHA512:
		return "X-Amz-Checksum-Sha512"
	case XXHash128:
		return "X-Amz-Checksum-Xxhash128"
	case XXHash3:
		return "X-Amz-Checksum-Xxhash3"
	case XXHash64:
		return "X-Amz-Checksum-Xxhash64"
	}
	return ""
}

// Size returns the length of a digest in bytes, or 0 for an unknown algorithm.
func (a Algorithm) Size() int {
	switch a {
	case CRC32, CRC32C:
		return 4
	case CRC64NVME, XXHash3, XXHash64:
		return 8
	case MD5, XXHash128:
		return 16
	case SHA1:
		return sha1.Size
	case SHA256:
		return sha256.Size
	case SHA512:
		return sha512.Size
	default:
		return 0
	}
}

// New returns a hash whose Sum is the big-endian digest, or nil for None.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(crc32.MakeTable(crc32.Castagnoli))
	case CRC64NVME:
		return crc64nvme.New()
	case MD5:
		return md5.New()
	case SHA1:
		return sha1.New()
	case SHA256:
		return sha256.New()
	case SHA512:
		return sha512.New()
	case XXHash128:
		return xxh3.New128()
	case XXHash3:
		return xxh3.New()
	case XXHash64:
		return xxhash.New()
	default:
		return nil
	}
}
