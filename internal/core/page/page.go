package page

import (
	"sort"

	"watertight/internal/fault"
)

// Request is the page of a listing that a request of IAM asks for.
type Request struct {
	Marker string // of the page before; empty for the first
	Max    int    // 0 is 100, the most is 1000
}

const (
	defaultSize = 100
	maxSize     = 1000
)

// Size is how many items the page has at most.
func (r Request) Size() int {
	if r.Max == 0 {
		return defaultSize
	}
	return max(1, min(r.Max, maxSize))
}

// After returns the last item of the page before, "" for the first page. scope
// names the listing. Errors: ValidationError.
func (r Request) After(scope string) (string, error) {
	if r.Marker == "" {
		return "", nil
	}
	last, err := Open(scope, r.Marker)
	if err != nil {
		return "", fault.New(fault.ValidationError, "Invalid Marker")
	}
	return last, nil
}

// Cut returns the page of items that r asks for and the marker of the next, ""
// after the last. The items are sorted by key, and no two have the same.
// Errors: ValidationError.
func Cut[T any](items []T, key func(*T) string, r Request, scope string) (page []T, next string, err error) {
	last, err := r.After(scope)
	if err != nil {
		return nil, "", err
	}
	if last != "" {
		items = items[sort.Search(len(items), func(i int) bool { return key(&items[i]) > last }):]
	}
	if len(items) <= r.Size() {
		return items, "", nil
	}
	items = items[:r.Size()]
	return items, Token(scope, key(&items[len(items)-1])), nil
}
