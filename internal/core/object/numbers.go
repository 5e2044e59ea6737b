package object

import "watertight/internal/storage/digest"

// className returns the storage class that a number stands for, empty for an unknown
// number. The numbers are stored.
func className(n uint64) string {
	switch n {
	case 0:
		return "STANDARD"
	case 1:
		return "REDUCED_REDUNDANCY"
	case 2:
		return "STANDARD_IA"
	case 3:
		return "ONEZONE_IA"
	case 4:
		return "INTELLIGENT_TIERING"
	case 5:
		return "GLACIER_IR"
	default:
		return ""
	}
}

func classNumber(name string) uint64 {
	for n := uint64(0); className(n) != ""; n++ {
		if className(n) == name {
			return n
		}
	}
	return 0
}

// algorithmName returns the algorithm that a number stands for, None for an unknown number.
// The numbers are stored.
func algorithmName(n uint64) digest.Algorithm {
	switch n {
	case 1:
		return digest.CRC32
	case 2:
		return digest.CRC32C
	case 3:
		return digest.CRC64NVME
	case 4:
		return digest.SHA1
	case 5:
		return digest.SHA256
	case 6:
		return digest.MD5
	case 7:
		return digest.SHA512
	case 8:
		return digest.XXHash64
	case 9:
		return digest.XXHash3
	case 10:
		return digest.XXHash128
	default:
		return digest.None
	}
}

func algorithmNumber(a digest.Algorithm) uint64 {
	for n := uint64(1); algorithmName(n) != digest.None; n++ {
		if algorithmName(n) == a {
			return n
		}
	}
	return 0
}

func typeName(n uint64) ChecksumType {
	switch n {
	case checksumFullObject:
		return FullObject
	case checksumComposite:
		return Composite
	default:
		return ""
	}
}

func typeNumber(t ChecksumType) uint64 {
	switch t {
	case FullObject:
		return checksumFullObject
	case Composite:
		return checksumComposite
	default:
		return 0
	}
}
