package segment

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Place is where an extent begins.
type Place struct {
	Segment uint32 // number of the segment
	Unit    uint32 // offset in the segment, in units of Unit bytes
}

// A name of a blob in a segment says where the blob was written first, so that a read needs
// no other record while the blob is there: `s`, the segment's number (8 hex digits), the
// unit (5), the blob's length in bytes (6), and 12 random digits. Names are stored.
const (
	nameLength = 32
	unitAt     = 1 + 8
	lengthAt   = unitAt + 5
	randomAt   = lengthAt + 6
)

// MaxSize is the largest blob in a segment, in bytes.
const MaxSize = 1<<24 - 1

func makeName(p Place, size int64) string {
	var random [(nameLength - randomAt) / 2]byte
	rand.Read(random[:])
	return fmt.Sprintf("s%08x%05x%06x%s", p.Segment, p.Unit, size, hex.EncodeToString(random[:]))
}

// Parse returns where the blob with a name was written first, and its size in bytes. It
// returns false for names of other blobs.
func Parse(name string) (p Place, size int64, ok bool) {
	if len(name) != nameLength || name[0] != 's' || strings.ToLower(name) != name {
		return p, 0, false
	}
	number, err := strconv.ParseUint(name[1:unitAt], 16, 32)
	unit, err2 := strconv.ParseUint(name[unitAt:lengthAt], 16, 32)
	n, err3 := strconv.ParseUint(name[lengthAt:randomAt], 16, 32)
	_, err4 := hex.DecodeString(name[randomAt:])
	if errors.Join(err, err2, err3, err4) != nil {
		return p, 0, false
	}
	return Place{uint32(number), uint32(unit)}, int64(n), true
}

// Prefix is what the names of all blobs begin with that were first written into a segment.
func Prefix(number uint32) string { return fmt.Sprintf("s%08x", number) }

// String returns the segment's number and the unit as 13 hex digits, which sort like places.
func (p Place) String() string { return fmt.Sprintf("%08x%05x", p.Segment, p.Unit) }

// ParsePlace reads what String returned.
func ParsePlace(s string) (p Place, ok bool) {
	if len(s) != lengthAt-1 {
		return p, false
	}
	number, err := strconv.ParseUint(s[:8], 16, 32)
	unit, err2 := strconv.ParseUint(s[8:], 16, 32)
	return Place{uint32(number), uint32(unit)}, err == nil && err2 == nil
}

const suffix = ".seg"

func fileName(number uint32) string { return fmt.Sprintf("%08x%s", number, suffix) }

// Path returns the path of a segment below the folder of segments.
func Path(dir string, number uint32) string { return filepath.Join(dir, fileName(number)) }

// numberOf returns the number of a segment from its file's name.
func numberOf(file string) (uint32, bool) {
	digits, ok := strings.CutSuffix(file, suffix)
	n, err := strconv.ParseUint(digits, 16, 32)
	return uint32(n), ok && err == nil && fileName(uint32(n)) == file
}
