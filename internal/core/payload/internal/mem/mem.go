// Package mem keeps blobs in memory, for tests.
package mem

import (
	"bytes"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"watertight/internal/core/payload/internal/blob"
)

// Engine is a map of blobs.
type Engine struct {
	mu    sync.Mutex
	blobs map[string][]byte
	aside map[string]aside
	apart map[string][]byte // in quarantine
}

type aside struct {
	text  []byte
	since time.Time
}

// Open returns an empty engine.
func Open() *Engine {
	return &Engine{blobs: map[string][]byte{}, aside: map[string]aside{}, apart: map[string][]byte{}}
}

// Create implements blob.Engine.
func (e *Engine) Create(name string, _ int64) (blob.Writer, error) {
	if err := blob.CheckName(name); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.blobs[name]; ok {
		return nil, fs.ErrExist
	}
	e.blobs[name] = nil
	return &writer{engine: e, name: name}, nil
}

type writer struct {
	bytes.Buffer
	engine *Engine
	name   string
}

// Front implements blob.Writer: a file has nothing before the blob.
func (w *writer) Front() []byte { return nil }

func (w *writer) Commit() error {
	w.engine.mu.Lock()
	defer w.engine.mu.Unlock()
	w.engine.blobs[w.name] = w.Bytes()
	return nil
}

func (w *writer) Abort() { w.engine.Remove(w.name) }

// Open implements blob.Engine.
func (e *Engine) Open(name string) (blob.Reader, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := e.blobs[name]
	if !ok {
		return nil, blob.ErrNotExist
	}
	return reader{bytes.NewReader(b)}, nil
}

type reader struct{ *bytes.Reader }

func (reader) Close() error { return nil }

func (reader) Uncache() {}

// Remove implements blob.Engine.
func (e *Engine) Remove(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.blobs, name)
	return nil
}

// List implements blob.Engine.
func (e *Engine) List() iter.Seq2[string, error] {
	e.mu.Lock()
	names := slices.Sorted(maps.Keys(e.blobs))
	e.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, n := range names {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// SetAside implements blob.Engine.
func (e *Engine) SetAside(name string, now time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if text, ok := e.blobs[name]; ok {
		e.aside[name] = aside{text, now}
		delete(e.blobs, name)
	}
	return nil
}

// PutBack implements blob.Engine.
func (e *Engine) PutBack(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a, ok := e.aside[name]
	if !ok {
		return blob.ErrNotExist
	}
	e.blobs[name] = a.text
	delete(e.aside, name)
	return nil
}

// Forget implements blob.Engine.
func (e *Engine) Forget(name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.aside, name)
	return nil
}

// Aside implements blob.Engine.
func (e *Engine) Aside() iter.Seq2[blob.Aside, error] {
	e.mu.Lock()
	var all []blob.Aside
	for _, n := range slices.Sorted(maps.Keys(e.aside)) {
		all = append(all, blob.Aside{Name: n, Since: e.aside[n].since})
	}
	e.mu.Unlock()
	return func(yield func(blob.Aside, error) bool) {
		for _, a := range all {
			if !yield(a, nil) {
				return
			}
		}
	}
}

// Retire implements blob.Engine.
func (e *Engine) Retire(name string) error { return e.Remove(name) }

// Purge implements blob.Engine.
func (e *Engine) Purge() error { return nil }

// Quarantine implements blob.Engine.
func (e *Engine) Quarantine(name string) error { return e.move(e.blobs, e.apart, name) }

// Release implements blob.Engine.
func (e *Engine) Release(name string) error { return e.move(e.apart, e.blobs, name) }

func (e *Engine) move(from, to map[string][]byte, name string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := from[name]
	if !ok {
		return blob.ErrNotExist
	}
	to[name] = b
	delete(from, name)
	return nil
}

// OpenQuarantined implements blob.Engine.
func (e *Engine) OpenQuarantined(name string) (blob.Reader, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	b, ok := e.apart[name]
	if !ok {
		return nil, blob.ErrNotExist
	}
	return reader{bytes.NewReader(b)}, nil
}

// Quarantined implements blob.Engine.
func (e *Engine) Quarantined() iter.Seq2[string, error] {
	e.mu.Lock()
	names := slices.Sorted(maps.Keys(e.apart))
	e.mu.Unlock()
	return func(yield func(string, error) bool) {
		for _, n := range names {
			if !yield(n, nil) {
				return
			}
		}
	}
}

// Syncs implements blob.Engine.
func (e *Engine) Syncs() uint64 { return 0 }

// Close implements blob.Engine.
func (e *Engine) Close() error { return nil }
