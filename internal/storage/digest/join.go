package digest

import "encoding/binary"

// Joiner computes the checksum of a whole from the checksums of its parts, without their
// bytes. This works for CRCs because appending n bytes multiplies the remainder by x^8n
// (the method of zlib's crc32_combine).
type Joiner struct {
	poly  uint64 // reflected
	width uint   // bits
	crc   uint64
	size  int64  // size of the part for which shift was computed
	shift uint64 // x^(8 * size)
}

// Joins reports whether a has a Joiner.
func (a Algorithm) Joins() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// NewJoiner returns a joiner for a that starts at the checksum of no bytes, or nil
// if checksums of a can't be joined.
func (a Algorithm) NewJoiner() *Joiner {
	switch a {
	case CRC32:
		return &Joiner{poly: 0xedb88320, width: 32}
	case CRC32C:
		return &Joiner{poly: 0x82f63b78, width: 32}
	case CRC64NVME:
		return &Joiner{poly: 0x9a6c9329ac4bc9b5, width: 64}
	default:
		return nil
	}
}

// Add appends a part of size bytes whose checksum is sum, big-endian.
func (j *Joiner) Add(sum []byte, size int64) {
	var b [8]byte
	copy(b[8-j.width/8:], sum)
	if size != j.size || j.shift == 0 { // most parts have the same size
		j.size, j.shift = size, j.power(uint64(size))
	}
	j.crc = j.multiply(j.shift, j.crc) ^ binary.BigEndian.Uint64(b[:])
}

// Sum returns the checksum so far, big-endian.
func (j *Joiner) Sum() []byte {
	b := binary.BigEndian.AppendUint64(nil, j.crc)
	return b[8-j.width/8:]
}

// multiply returns the product of two polynomials modulo the CRC's, all reflected: the
// highest bit is x^0.
func (j *Joiner) multiply(a, b uint64) (product uint64) {
	for bit := uint64(1) << (j.width - 1); bit != 0 && a&(2*bit-1) != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
		}
		carry := b & 1
		b >>= 1
		if carry != 0 {
			b ^= j.poly
		}
	}
	return product
}

// power returns x^(8n).
func (j *Joiner) power(n uint64) uint64 {
	result := uint64(1) << (j.width - 1)
	for square := result >> 8; n > 0; n >>= 1 { // x^8, because all widths are larger
		if n&1 != 0 {
			result = j.multiply(square, result)
		}
		square = j.multiply(square, square)
	}
	return result
}
