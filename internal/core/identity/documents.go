package identity

import (
	"sync"

	"watertight/internal/access/policy"
)

// maxDocuments bounds the cache of compiled policies.
const maxDocuments = 16384

// documents keeps compiled policies by their text: a changed text is another
// entry, so a change takes effect with the next request.
type documents struct {
	mu      sync.RWMutex
	entries map[document]*policy.Document
}

type document struct {
	kind policy.Kind
	text string
}

func newDocuments() *documents { return &documents{entries: map[document]*policy.Document{}} }

func (d *documents) get(kind policy.Kind, text string) (*policy.Document, error) {
	at := document{kind, text}
	d.mu.RLock()
	doc, ok := d.entries[at]
	d.mu.RUnlock()
	if ok {
		return doc, nil
	}
	doc, err := policy.Parse(kind, []byte(text))
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.entries) >= maxDocuments {
		clear(d.entries) // all are cheap to make again
	}
	d.entries[at] = doc
	return doc, nil
}
