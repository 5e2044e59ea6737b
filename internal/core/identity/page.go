package identity

import (
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// walk visits the ids of the entities of a kind, in the order of their names, from the
// start of the page. keep reports whether an id is on the page. walk stops when the page is
// full.
func walk(
	r kv.Reader, account, letter string, p page.Request, keep func(id string) (bool, error),
) (next string, err error) {
	scope := "iam\x00" + account + "\x00" + letter
	last, err := p.After(scope)
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
		if n == p.Size() {
			return page.Token(scope, at), nil
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
