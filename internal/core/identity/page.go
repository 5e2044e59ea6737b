package identity

import (
	"sort"

	"watertight/internal/core/bucket/pagetoken"
	"watertight/internal/core/change/record"
	"watertight/internal/storage/kv"
)

// Page is which part of a listing is asked for.
type Page struct {
	Marker string // of the page before; empty for the first
	Max    int    // 0 is 100, the most is 1000
}

const (
	usualPage = 100
	maxPage   = 1000
)

func (p Page) size() int {
	if p.Max == 0 {
		return usualPage
	}
	return max(1, min(p.Max, maxPage))
}

// position is the last item of the page before.
func (p Page) position(scope string) (string, error) {
	if p.Marker == "" {
		return "", nil
	}
	at, err := pagetoken.Open(scope, p.Marker)
	if err != nil {
		return "", validation("Invalid Marker")
	}
	return at, nil
}

// cut returns a page of items, which are sorted by key and have different ones,
// and the marker of the next.
func cut[T any](items []T, key func(*T) string, p Page, scope string) ([]T, string, error) {
	last, err := p.position(scope)
	if err != nil {
		return nil, "", err
	}
	if last != "" {
		items = items[sort.Search(len(items), func(i int) bool { return key(&items[i]) > last }):]
	}
	if len(items) <= p.size() {
		return items, "", nil
	}
	items = items[:p.size()]
	return items, pagetoken.Make(scope, key(&items[len(items)-1])), nil
}

// walk visits the ids under the names of a kind, in order, from the page's
// start on; keep says whether one counts, and the page ends when it is full.
func (p Page) walk(r kv.Reader, account, letter string, keep func(id string) (bool, error)) (next string, err error) {
	scope := "iam\x00" + account + "\x00" + letter
	last, err := p.position(scope)
	if err != nil {
		return "", err
	}
	prefix := namesKey(account, letter)
	from := prefix
	if last != "" {
		from = record.Key(string(prefix), last, "\x00")
	}
	n, at := 0, ""
	for pair, err := range r.Scan(from, record.After(prefix)) {
		if err != nil {
			return "", err
		}
		name, id := string(pair.Key[len(prefix):]), string(pair.Value)
		if n == p.size() {
			return pagetoken.Make(scope, at), nil
		}
		kept, err := keep(id)
		if err != nil {
			return "", err
		}
		if kept {
			n, at = n+1, name
		}
	}
	return "", nil
}
