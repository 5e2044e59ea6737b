package record

import (
	"fmt"

	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Malformed is the error for a stored record that can't be decoded; what names the record
// in the log.
func Malformed(what string) error {
	return fault.Internal(fmt.Errorf("%s: %w", what, ErrMalformed))
}

// Names returns the keys that begin with prefix, without the prefix.
func Names(r kv.Reader, prefix []byte) ([]string, error) {
	var all []string
	for p, err := range r.Scan(prefix, After(prefix)) {
		if err != nil {
			return nil, err
		}
		all = append(all, string(p.Key[len(prefix):]))
	}
	return all, nil
}

// Count counts the keys that begin with prefix.
func Count(r kv.Reader, prefix []byte) (n int, err error) {
	for _, err := range r.Scan(prefix, After(prefix)) {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}
