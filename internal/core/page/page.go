package page

import (
	"sort"

	"watertight/internal/fault"
)

// Request says which page of a listing a request of IAM asks for.
type Request struct {
	Marker string // marker of the previous page; empty for the first page
	Max    int    // 0 means 100; 1000 at most
}

const (
	defaultSize = 100
	maxSize     = 1000
)

// Size returns the maximum number of items on the page.
func (r Request) Size() int {
	if r.Max == 0 {
		return defaultSize
	}
	return max(1, min(r.Max, maxSize))
}

// After returns the last item of the previous page, "" for the first page. scope names the
// listing. Errors: ValidationError.
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

// Cut returns the page of items that r asks for and the marker of the next page, "" after
// the last page. The items must be sorted by key, without duplicates. Errors:
// ValidationError.
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
