package sealedfs

import (
	"strconv"
	"strings"
)

// kind is what a file is, by its name. The numbers are stored.
type kind byte

const (
	empty    kind = 0 // markers and the lock, which hold no bytes
	table    kind = 1
	blob     kind = 2
	log      kind = 3
	manifest kind = 4
	other    kind = 5 // OPTIONS and temporaries, which are renamed, so they are not bound to a number
)

// parse returns the kind and number of a file.
func parse(base string) (kind, uint64) {
	if base == "LOCK" || strings.HasPrefix(base, "marker.") {
		return empty, 0
	}
	digits, k := base, other
	switch {
	case strings.HasSuffix(base, ".sst"):
		digits, k = strings.TrimSuffix(base, ".sst"), table
	case strings.HasSuffix(base, ".blob"):
		digits, k = strings.TrimSuffix(base, ".blob"), blob
	case strings.HasSuffix(base, ".log"):
		digits, k = strings.TrimSuffix(base, ".log"), log
	case strings.HasPrefix(base, "MANIFEST-"):
		digits, k = strings.TrimPrefix(base, "MANIFEST-"), manifest
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	if k == other || err != nil {
		return other, 0
	}
	return k, n
}

// framed reports whether files of the kind are frames; others are chunks.
func (k kind) framed() bool { return k == log || k == manifest }

// most returns more than a file of frames of the kind ever has, in bytes. A log takes what one memtable holds and one
// transaction, a manifest some hundreds of bytes for each table.
func (k kind) most() int64 {
	if k == log {
		return 1 << 30
	}
	return 16 << 30
}

// catalogued reports whether the ids of files of the kind are in the manifest.
func (k kind) catalogued() bool { return k == table || k == blob }
