package format

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"testing"
)

// extent returns the bytes of a blob in a segment.
func (d *directory) extent(name string) []byte {
	d.t.Helper()
	segment, unit := number(d.t, name[1:9]), number(d.t, name[9:14])
	if moved, ok := d.records["t/n/"+name]; ok {
		m := record(d.t, moved)
		segment, unit = get(m, 1).uint, get(m, 2).uint
		at := fmt.Sprintf("t/s/%08x%05x", segment, unit)
		if got := string(get(record(d.t, d.records[at]), 1).bytes); got != name {
			d.t.Errorf("%s refers to %q, not to %q", at, got, name)
		}
	}
	file := d.file(fmt.Sprintf("blobs/segments/%08x.seg", segment))
	head := append([]byte("WTSEGM1\n"), binary.BigEndian.AppendUint32(nil, uint32(segment))...)
	castagnoli := crc32.MakeTable(crc32.Castagnoli)
	head = binary.BigEndian.AppendUint32(head, crc32.Checksum(head, castagnoli))
	if !bytes.HasPrefix(file, head) {
		d.t.Errorf("segment %d begins with %x", segment, file[:16])
	}
	if file[4096+unit/8]&(1<<(unit%8)) != 0 {
		d.t.Errorf("the extent of %s is free", name)
	}
	size := number(d.t, name[14:20])
	extent := append([]byte("WTEXTNT\n"), name...)
	extent = binary.BigEndian.AppendUint64(extent, size)
	extent = binary.BigEndian.AppendUint32(extent, crc32.Checksum(extent, castagnoli))
	at := file[unit*4096:]
	if !bytes.HasPrefix(at, extent) {
		d.t.Errorf("the extent of %s begins with %x", name, at[:52])
	}
	return at[64 : 64+size]
}

func number(t *testing.T, digits string) uint64 {
	n, err := strconv.ParseUint(digits, 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func record(t *testing.T, b []byte) []field {
	all, ok := fields(b)
	if !ok {
		t.Fatalf("%x is no record", b)
	}
	return all
}
