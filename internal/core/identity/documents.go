package identity

import (
	"watertight/internal/access/policy"
	"watertight/internal/limit"
)

// Bytes that compiled policies may take. Those of sessions have a part of their
// own: whoever may make sessions pushes out no user's policies.
const (
	maxDocuments = 32 << 20
	maxSessions  = 16 << 20
)

// documents keeps compiled policies by their text: a changed text is another
// entry, so a change takes effect with the next request. Only what is stored
// is kept; what a request brings along is parsed and dropped.
type documents struct {
	stored, sessions *limit.Cache[document, *policy.Document]
}

type document struct {
	kind policy.Kind
	text string
}

func newDocuments() *documents {
	size := func(at document, d *policy.Document) int64 { return int64(len(at.text)) + limit.Footprint(d) }
	return &documents{limit.NewCache(maxDocuments, size), limit.NewCache(maxSessions, size)}
}

// get compiles a policy that is stored.
func (d *documents) get(kind policy.Kind, text string) (*policy.Document, error) {
	cache := d.stored
	if kind == policy.Session {
		cache = d.sessions
	}
	at := document{kind, text}
	if doc, ok := cache.Get(at); ok {
		return doc, nil
	}
	doc, err := policy.Parse(kind, []byte(text))
	if err == nil {
		cache.Put(at, doc)
	}
	return doc, err
}
