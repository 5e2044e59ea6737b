// Package blobtest is the conformance suite of blob engines: every engine must pass it. It
// must not depend on any engine.
package blobtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"watertight/internal/core/payload/internal/blob"
)

func name(n int) string { return fmt.Sprintf("%032x", n) }

// Run checks an engine; open returns an empty one.
func Run(t *testing.T, open func(t *testing.T) blob.Engine) {
	for what, check := range map[string]func(*testing.T, blob.Engine){
		"round trip": roundTrip, "names": names, "abort": abort, "remove": remove, "list": list, "together": together,
		"aside": aside, "quarantine": quarantine, "retire": retire,
	} {
		t.Run(what, func(t *testing.T) { check(t, open(t)) })
	}
}

func put(t *testing.T, e blob.Engine, n int, content []byte) {
	t.Helper()
	w, err := e.Create(name(n), int64(len(content)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, e blob.Engine, n int) []byte {
	t.Helper()
	r, err := e.Open(name(n))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func roundTrip(t *testing.T, e blob.Engine) {
	for n, size := range []int{0, 1, 100_000} {
		content := bytes.Repeat([]byte{byte(n + 1)}, size)
		put(t, e, n, content)
		if !bytes.Equal(get(t, e, n), content) {
			t.Errorf("%d bytes do not come back", size)
		}
	}
	// The announced size does not limit the length.
	w, err := e.Create(name(9), 1000)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "short")
	if err := w.Commit(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, e, 9); string(got) != "short" {
		t.Errorf("%d bytes instead of 5", len(got))
	}
	if _, err := e.Create(name(9), -1); err == nil {
		t.Error("a name was given twice")
	}
	if got := get(t, e, 9); string(got) != "short" {
		t.Error("the second creation changed the first blob")
	}
}

func names(t *testing.T, e blob.Engine) {
	for _, bad := range []string{
		"", "x", "../../../../../../../../../etc/pw", name(1)[:31], name(1) + "0", "ABCDEF" + name(1)[6:],
		"/" + name(1)[1:], "..%2f" + name(1)[5:], name(1)[:31] + "\x00",
	} {
		if _, err := e.Create(bad, 1); err == nil {
			t.Errorf("%q was made", bad)
		}
		if _, err := e.Open(bad); err == nil {
			t.Errorf("%q was opened", bad)
		}
	}
}

func abort(t *testing.T, e blob.Engine) {
	w, err := e.Create(name(1), 10)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, "half")
	w.Abort()
	if _, err := e.Open(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("an aborted blob: %v", err)
	}
	put(t, e, 1, []byte("again"))
}

func remove(t *testing.T, e blob.Engine) {
	put(t, e, 1, []byte("content"))
	r, err := e.Open(name(1))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for range 2 {
		if err := e.Remove(name(1)); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.Open(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("a removed blob: %v", err)
	}
	b := make([]byte, 7)
	if _, err := r.ReadAt(b, 0); (err != nil && err != io.EOF) || string(b) != "content" {
		t.Errorf("an open reader does not read on: %q, %v", b, err)
	}
}

func list(t *testing.T, e blob.Engine) {
	var want []string
	for n := range 20 {
		put(t, e, n, nil)
		want = append(want, name(n))
	}
	var got []string
	for n, err := range e.List() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, n)
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func together(t *testing.T, e blob.Engine) {
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			w, err := e.Create(name(n), -1)
			if err != nil {
				t.Error(err)
				return
			}
			w.Write(bytes.Repeat([]byte{byte(n)}, 1000))
			if err := w.Commit(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for n := range 8 {
		if !bytes.Equal(get(t, e, n), bytes.Repeat([]byte{byte(n)}, 1000)) {
			t.Errorf("blob %d holds something else", n)
		}
	}
}

func aside(t *testing.T, e blob.Engine) {
	now := time.Unix(1700000000, 0)
	put(t, e, 1, []byte("kept"))
	put(t, e, 2, []byte("forgotten"))
	for _, n := range []int{1, 2, 3} {
		if err := e.SetAside(name(n), now); err != nil {
			t.Fatal(err)
		}
		if _, err := e.Open(name(n)); !errors.Is(err, blob.ErrNotExist) {
			t.Errorf("blob %d opens: %v", n, err)
		}
	}
	var names []string
	for a, err := range e.Aside() {
		if err != nil || !a.Since.Equal(now) {
			t.Error(a, err)
		}
		names = append(names, a.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{name(1), name(2)}) {
		t.Errorf("aside are %v", names)
	}
	for _, err := range e.List() {
		t.Errorf("something is listed, %v", err)
	}
	if err := e.PutBack(name(1)); err != nil || string(get(t, e, 1)) != "kept" {
		t.Error(err)
	}
	for range 2 {
		if err := e.Forget(name(2)); err != nil {
			t.Error(err)
		}
	}
	if err := e.PutBack(name(2)); !errors.Is(err, blob.ErrNotExist) {
		t.Error(err)
	}
}

func retire(t *testing.T, e blob.Engine) {
	put(t, e, 1, []byte("removed"))
	for _, n := range []int{1, 1, 2} {
		if err := e.Retire(name(n)); err != nil {
			t.Error(err)
		}
	}
	if _, err := e.Open(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("it opens: %v", err)
	}
	for _, err := range e.List() {
		t.Errorf("something is listed, %v", err)
	}
	for range 2 {
		if err := e.Purge(); err != nil {
			t.Error(err)
		}
	}
}

func quarantine(t *testing.T, e blob.Engine) {
	put(t, e, 1, []byte("damaged"))
	if err := e.Quarantine(name(2)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("a blob that is not there: %v", err)
	}
	if err := e.Quarantine(name(1)); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Open(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Errorf("it opens: %v", err)
	}
	for _, err := range e.List() {
		t.Errorf("something is listed, %v", err)
	}
	for range 2 { // removing and sweeping must not affect it
		if err := errors.Join(e.Remove(name(1)), e.Forget(name(1))); err != nil {
			t.Error(err)
		}
	}
	var names []string
	for n, err := range e.Quarantined() {
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, n)
	}
	if !slices.Equal(names, []string{name(1)}) {
		t.Errorf("in quarantine are %v", names)
	}
	r, err := e.OpenQuarantined(name(1))
	if err != nil {
		t.Fatal(err)
	}
	r.Uncache()
	b := make([]byte, 7)
	if _, err := r.ReadAt(b, 0); (err != nil && err != io.EOF) || string(b) != "damaged" || r.Close() != nil {
		t.Errorf("it reads %q, %v", b, err)
	}
	if err := e.Release(name(1)); err != nil || string(get(t, e, 1)) != "damaged" {
		t.Error(err)
	}
	if err := e.Release(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Error(err)
	}
	if _, err := e.OpenQuarantined(name(1)); !errors.Is(err, blob.ErrNotExist) {
		t.Error(err)
	}
}
