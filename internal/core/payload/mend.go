package payload

import (
	"strings"

	"watertight/internal/core/change/record"
	"watertight/internal/core/payload/internal/segment"
)

// PlacedIn is Placed with records that were saved from a damaged store.
func PlacedIn(records map[string][]byte, name string) string {
	b := records[movedPrefix+name]
	if b == nil {
		return name
	}
	p, err := decodePlace(b)
	if err != nil {
		return name
	}
	return name + placeSign + p.String()
}

// Alone prepares saved records for a data directory in which each blob has a file of its
// own: it removes the records of places, and makes sure that no number of a segment is used
// a second time.
func Alone(records map[string][]byte) {
	var next uint64
	for k, b := range records {
		name, ok := strings.CutPrefix(k, ReferencePrefix)
		if ok {
			if p, _, ok := segment.Parse(name); ok {
				next = max(next, uint64(p.Segment)+1)
			}
			continue
		}
		if !strings.HasPrefix(k, placesPrefix) {
			continue
		}
		if k == nextKey {
			if n, err := decodeNext(b); err == nil {
				next = max(next, uint64(n))
			}
		} else if p, err := decodePlace(b); strings.HasPrefix(k, movedPrefix) && err == nil {
			next = max(next, uint64(p.Segment)+1)
		}
		delete(records, k)
	}
	if next > 0 {
		records[nextKey] = record.Uint(record.Start(nil), fieldNext, next)
	}
}
