package digest

import (
	"encoding/binary"
	"hash/crc32"
)

// nvme is the polynomial of CRC-64/NVME, reflected (NVM Express base
// specification, "64b CRC").
const nvme = 0x9A6C9329AC4BC9B5

// Combine returns the checksum of two byte strings, one after the other, from
// the checksum of each and the length of the second in bytes. It is for the
// CRCs alone: appending zeros is linear over GF(2), and the second checksum is
// added to it. It returns nil for other algorithms and for sums of another size.
func Combine(a Algorithm, first, second []byte, length int64) []byte {
	if len(first) != a.Size() || len(second) != a.Size() || length < 0 {
		return nil
	}
	switch a {
	case CRC32, CRC32C:
		poly := uint64(crc32.IEEE)
		if a == CRC32C {
			poly = crc32.Castagnoli
		}
		sum := shift(uint64(binary.BigEndian.Uint32(first)), poly, 32, length)
		return binary.BigEndian.AppendUint32(nil, uint32(sum)^binary.BigEndian.Uint32(second))
	case CRC64NVME:
		sum := shift(binary.BigEndian.Uint64(first), nvme, 64, length)
		return binary.BigEndian.AppendUint64(nil, sum^binary.BigEndian.Uint64(second))
	default:
		return nil
	}
}

// matrix is linear over GF(2): column i is what bit i becomes.
type matrix [64]uint64

func (m *matrix) times(v uint64) (out uint64) {
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			out ^= m[i]
		}
	}
	return out
}

func (m *matrix) squared(width int) (out matrix) {
	for i := range width {
		out[i] = m.times(m[i])
	}
	return out
}

// shift is what a reflected CRC becomes when length zero bytes come after.
func shift(crc, poly uint64, width int, length int64) uint64 {
	var step matrix // one zero bit
	step[0] = poly
	for i := 1; i < width; i++ {
		step[i] = 1 << (i - 1)
	}
	for range 3 { // one zero byte
		step = step.squared(width)
	}
	for ; length > 0; length >>= 1 {
		if length&1 != 0 {
			crc = step.times(crc)
		}
		step = step.squared(width)
	}
	return crc
}
