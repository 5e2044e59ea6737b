package tamper

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
)

// edit changes an image in a random way, and says how.
type edit struct {
	name string
	do   func(e *editor) string
}

// editor edits an image with what an attacker has: the disk as it is, and copies of it from
// earlier moments.
type editor struct {
	r   *rand.Rand
	now image
	old []image // earlier moments, oldest first
}

// copyOf returns a copy of an image.
func (i image) copyOf() image { return maps.Clone(i) }

// parts are the parts of a data directory that hold state.
func parts() []string { return []string{"meta/", "blobs/", "audit/", "keyring"} }

// in reports whether a path is in one of some parts.
func in(path string, of []string) bool {
	return slices.ContainsFunc(of, func(p string) bool { return strings.HasPrefix(path, p) })
}

// files returns the files of an image below some parts, sorted. Files that no start reads are
// left out.
func (i image) files(of ...string) []string {
	var out []string
	for path := range i {
		if !strings.HasSuffix(path, "/") && in(path, of) && !strings.HasSuffix(path, "LOCK") {
			out = append(out, path)
		}
	}
	slices.Sort(out)
	return out
}

// file chooses a file; a few files of metadata and log are as likely as all those of blobs.
func (e *editor) file() string {
	for {
		of := []string{"meta/", "meta/", "meta/", "blobs/", "audit/", "keyring"}[e.r.IntN(6)]
		if all := e.now.files(of); len(all) > 0 {
			return all[e.r.IntN(len(all))]
		}
	}
}

// beside returns another file of the same folder.
func (e *editor) beside(path string) string {
	all := e.now.files(filepath.Dir(path) + "/")
	if strings.HasPrefix(path, "blobs/") {
		all = e.now.files("blobs/")
	}
	if !strings.Contains(path, "/") {
		return path
	}
	return all[e.r.IntN(len(all))]
}

func (e *editor) earlier() (image, int) {
	n := e.r.IntN(len(e.old))
	return e.old[n], n
}

// at returns a place in a text of n bytes: often its beginning or its end.
func (e *editor) at(n int) int {
	switch {
	case n == 0:
		return 0
	case e.r.IntN(4) == 0:
		return e.r.IntN(min(n, 128))
	case e.r.IntN(3) == 0:
		return n - 1 - e.r.IntN(min(n, 128))
	}
	return e.r.IntN(n)
}

func (e *editor) set(path string, b []byte) { e.now[path] = string(b) }

// edits are all ways.
func edits() []edit {
	return []edit{
		{"flip", func(e *editor) string {
			path := e.file()
			b := []byte(e.now[path])
			if len(b) == 0 {
				return ""
			}
			at := e.at(len(b))
			b[at] ^= 1 << e.r.IntN(8)
			e.set(path, b)
			return fmt.Sprintf("%s at %d", path, at)
		}},
		{"cut", func(e *editor) string {
			path := e.file()
			at := e.at(len(e.now[path]))
			e.now[path] = e.now[path][:at]
			return fmt.Sprintf("%s at %d", path, at)
		}},
		{"zero", func(e *editor) string {
			path := e.file()
			b := []byte(e.now[path])
			at := e.at(len(b))
			n := min(1+e.r.IntN(5000), len(b)-at)
			clear(b[at : at+n])
			e.set(path, b)
			return fmt.Sprintf("%s at %d, %d bytes", path, at, n)
		}},
		{"add", func(e *editor) string {
			path := e.file()
			more := make([]byte, 1+e.r.IntN(5000))
			if e.r.IntN(2) == 0 {
				for i := range more {
					more[i] = byte(e.r.Uint32())
				}
			}
			e.now[path] += string(more)
			return fmt.Sprintf("%d bytes to %s", len(more), path)
		}},
		{"append another", func(e *editor) string {
			path := e.file()
			other := e.beside(path)
			e.now[path] += e.now[other]
			return other + " to " + path
		}},
		{"swap", func(e *editor) string {
			path := e.file()
			other := e.beside(path)
			e.now[path], e.now[other] = e.now[other], e.now[path]
			return path + " and " + other
		}},
		{"duplicate", func(e *editor) string {
			path := e.file()
			other := e.beside(path)
			e.now[other] = e.now[path]
			return path + " over " + other
		}},
		{"new name", func(e *editor) string {
			path := e.file()
			to := renamed(e, path)
			e.now[to] = e.now[path]
			if e.r.IntN(2) == 0 {
				delete(e.now, path)
			}
			return path + " to " + to
		}},
		{"remove", func(e *editor) string {
			path := e.file()
			delete(e.now, path)
			return path
		}},
		{"splice within", func(e *editor) string {
			path := e.file()
			b := []byte(e.now[path])
			if len(b) < 2 {
				return ""
			}
			n := 1 + e.r.IntN(min(len(b)/2, 4112))
			if e.r.IntN(2) == 0 {
				n = min(4112, len(b)/2) // a chunk of a sealed table
			}
			from, to := e.r.IntN(len(b)-n+1), e.r.IntN(len(b)-n+1)
			copy(b[to:to+n], bytes.Clone(b[from:from+n]))
			e.set(path, b)
			return fmt.Sprintf("%s: %d bytes from %d to %d", path, n, from, to)
		}},
		{"leave out", func(e *editor) string {
			path := e.file()
			b := []byte(e.now[path])
			at := e.at(len(b))
			n := min(1+e.r.IntN(5000), len(b)-at)
			e.set(path, slices.Delete(b, at, at+n))
			return fmt.Sprintf("%d bytes at %d of %s", n, at, path)
		}},
		{"older file", func(e *editor) string {
			old, n := e.earlier()
			all := old.files(parts()...)
			path := all[e.r.IntN(len(all))]
			if e.r.IntN(2) == 0 {
				all = old.files("meta/")
				path = all[e.r.IntN(len(all))]
			}
			e.now[path] = old[path]
			return fmt.Sprintf("%s of moment %d", path, n)
		}},
		{"older bytes", func(e *editor) string {
			old, n := e.earlier()
			path := e.file()
			was, b := old[path], []byte(e.now[path])
			if len(was) == 0 || len(b) == 0 {
				return ""
			}
			at := e.r.IntN(min(len(was), len(b)))
			size := 1 + e.r.IntN(min(len(was), len(b))-at)
			copy(b[at:at+size], was[at:at+size])
			e.set(path, b)
			return fmt.Sprintf("%s: %d bytes at %d of moment %d", path, size, at, n)
		}},
		{"older folders", func(e *editor) string {
			old, n := e.earlier()
			var chosen []string
			for _, p := range parts() {
				if e.r.IntN(2) == 0 {
					chosen = append(chosen, p)
				}
			}
			for _, path := range e.now.files(chosen...) {
				delete(e.now, path)
			}
			for _, path := range old.files(chosen...) {
				e.now[path] = old[path]
			}
			return fmt.Sprintf("%q of moment %d", chosen, n)
		}},
		{"some older files", func(e *editor) string {
			old, n := e.earlier()
			of := []string{"meta/"}
			if e.r.IntN(3) == 0 {
				of = parts()
			}
			var chosen []string
			for _, path := range old.files(of...) {
				if e.r.IntN(2) == 0 {
					e.now[path] = old[path]
					chosen = append(chosen, path)
				}
			}
			for _, path := range e.now.files(of...) {
				if _, ok := old[path]; !ok && e.r.IntN(2) == 0 {
					delete(e.now, path)
				}
			}
			return fmt.Sprintf("%d of moment %d in %q", len(chosen), n, of)
		}},
		{"empty", func(e *editor) string {
			all := append(parts(), "blobs/segments/")
			p := all[e.r.IntN(len(all))]
			for _, path := range e.now.files(p) {
				delete(e.now, path)
			}
			return p
		}},
	}
}

// renamed returns another name for a file, of the same form: another number, or other digits.
func renamed(e *editor, path string) string {
	dir, name := filepath.Split(path)
	b := []byte(name)
	for i := range b {
		if b[i] >= '0' && b[i] <= '9' && e.r.IntN(3) == 0 {
			b[i] = '0' + byte(e.r.IntN(10))
		}
	}
	if strings.HasPrefix(path, "blobs/") && e.r.IntN(2) == 0 {
		dir = fmt.Sprintf("blobs/%s/", string(b[:min(2, len(b))]))
	}
	return dir + string(b)
}

// older reports whether the audit log and the markers are all those of one earlier moment:
// what only an anchor notices is a whole old copy of everything.
func (e *editor) older() bool {
	return slices.ContainsFunc(e.old, func(old image) bool {
		return !slices.ContainsFunc(old.files("audit/", "blobs/store.id"), func(path string) bool {
			return path != "audit/keyring" && old[path] != e.now[path]
		})
	})
}
