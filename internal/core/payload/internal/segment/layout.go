package segment

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"

	"watertight/internal/storage/folder"
)

// A segment is a header (one unit), a bit for each unit that is set when the extent that
// begins there is freed (one unit), and extents. An extent is a header, the blob's bytes,
// and padding to the next unit. The numbers are stored; integers are big-endian.
const (
	Unit       = 4096
	maxUnits   = 8 * Unit // one unit of bits
	firstUnit  = 2
	headerSize = 64 // of an extent

	segmentMagic = "WTSEGM1\n"
	extentMagic  = "WTEXTNT\n"
)

// units returns how many units a blob needs.
func units(size int64) uint32 { return uint32((size + headerSize + Unit - 1) / Unit) }

// Offset returns where the blob's bytes begin in the segment.
func (p Place) Offset() int64 { return int64(p.Unit)*Unit + headerSize }

// checksum detects damage, and does not protect against changes on purpose. A header decides nothing that a
// record decides, and the bytes authenticate under their data key.
func checksum(b []byte) uint32 { return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) }

func segmentHeader(number uint32) []byte {
	b := append(make([]byte, 0, Unit), segmentMagic...)
	b = binary.BigEndian.AppendUint32(b, number)
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return b[:Unit]
}

func extentHeader(name string, size int64) []byte {
	b := append(make([]byte, 0, headerSize), extentMagic...)
	b = append(b, name...)
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	b = binary.BigEndian.AppendUint32(b, checksum(b))
	return b[:headerSize]
}

// parseExtent reads an extent's header. It returns false if there is none.
func parseExtent(b []byte) (name string, size int64, ok bool) {
	const sizeAt, sumAt = len(extentMagic) + nameLength, len(extentMagic) + nameLength + 8
	if len(b) < headerSize || string(b[:len(extentMagic)]) != extentMagic ||
		binary.BigEndian.Uint32(b[sumAt:]) != checksum(b[:sumAt]) {
		return "", 0, false
	}
	name = string(b[len(extentMagic):sizeAt])
	_, want, ok := Parse(name)
	size = int64(binary.BigEndian.Uint64(b[sizeAt:]))
	return name, size, ok && size == want
}

// Extent is an extent that was found by its header.
type Extent struct {
	Place
	Name  string
	Size  int64 // of the blob, in bytes
	Freed bool  // its record was deleted, or never committed
}

// walk yields the extents of a segment whose headers can be read. A damaged header does not
// hide those behind it.
func walk(f folder.File, number uint32) iter.Seq2[Extent, error] {
	return func(yield func(Extent, error) bool) {
		info, err := f.Stat()
		if err != nil {
			yield(Extent{}, err)
			return
		}
		freed := make([]byte, Unit)
		if _, err := f.ReadAt(freed, Unit); err != nil {
			if info.Size() < firstUnit*Unit { // a crash left it without content
				return
			}
			yield(Extent{}, err)
			return
		}
		header := make([]byte, headerSize)
		end := uint32(min(info.Size()/Unit+1, maxUnits))
		for u := uint32(firstUnit); u < end; {
			if int64(u)*Unit+headerSize > info.Size() {
				return
			}
			if _, err := f.ReadAt(header, int64(u)*Unit); err != nil {
				yield(Extent{Place: Place{number, u}}, err)
				return
			}
			name, size, ok := parseExtent(header)
			if !ok {
				u++
				continue
			}
			e := Extent{Place{number, u}, name, size, freed[u/8]&(1<<(u%8)) != 0}
			if !yield(e, nil) {
				return
			}
			u += units(size)
		}
	}
}

// errHeader means that the header of an extent is not the one of the blob that was looked for.
var errHeader = errors.New("segment: another extent is there")
