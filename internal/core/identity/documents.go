package identity

import (
	"watertight/internal/access/policy"
	"watertight/internal/limit"
)

// maxDocuments bounds the cache of compiled policies, in bytes.
const maxDocuments = 32 << 20

// Documents caches compiled policies by their text. A changed text is another entry, so a
// change takes effect with the next request. Only stored policies are cached; a policy in a
// request is parsed and dropped.
type Documents struct {
	cache *limit.Cache[document, *policy.Document]
}

type document struct {
	kind policy.Kind
	text string
}

// NewDocuments returns an empty cache that holds at most so many bytes.
func NewDocuments(bytes int64) *Documents {
	return &Documents{limit.NewCache(bytes, func(at document, d *policy.Document) int64 {
		return int64(len(at.text)) + limit.Footprint(d)
	})}
}

// Get compiles a stored policy.
func (d *Documents) Get(kind policy.Kind, text string) (*policy.Document, error) {
	at := document{kind, text}
	if doc, ok := d.cache.Get(at); ok {
		return doc, nil
	}
	doc, err := policy.Parse(kind, []byte(text))
	if err == nil {
		d.cache.Put(at, doc)
	}
	return doc, err
}

// Len returns the number of cached policies.
func (d *Documents) Len() int { return d.cache.Len() }
