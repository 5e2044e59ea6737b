// Package s3model is a small reference model of S3's versions, conditions and listings. It
// exists so that the tests of core and those of the whole server use the same model. It
// must never know how the store works. Only tests may import it.
package s3model

import (
	"maps"
	"slices"
	"strings"

	"watertight/internal/core/bucket"
)

// Null is the id of versions that are written while versioning isn't enabled.
const Null = "null"

// Version is a version of an object or a delete marker.
type Version struct {
	ID     string
	Marker bool
	Text   string // what was stored, or any text that distinguishes it
	ETag   string // without quotes
	Size   int64
	Tags   string // in the form in which a test compares them
	// Encryption is how it is encrypted, in the form in which a test compares it. The model
	// does not know which encryptions there are.
	Encryption string
	// Object Lock: the mode of its retention, which does not end while a test runs, and
	// its legal hold.
	Mode string
	Hold bool
	// Place in the order of writes, and that of the write that its bytes come from. Put sets
	// them; what a test observes has neither.
	Born, Payload int
}

// Bucket has the versions of each key, newest first.
type Bucket struct {
	State     bucket.Versioning
	MFADelete bool
	Keys      map[string][]Version
	born      int
}

// New returns an empty bucket that was never versioned.
func New() *Bucket { return &Bucket{Keys: map[string][]Version{}} }

// Clone returns an independent copy of the bucket.
func (b *Bucket) Clone() *Bucket {
	c := &Bucket{State: b.State, MFADelete: b.MFADelete, born: b.born, Keys: make(map[string][]Version, len(b.Keys))}
	for key, versions := range b.Keys {
		c.Keys[key] = slices.Clone(versions)
	}
	return c
}

// Put makes v the newest version of key. Unless versioning is enabled, v is the null
// version and replaces the previous null version (S3 user guide, "How S3 Versioning
// works").
func (b *Bucket) Put(key string, v Version) {
	if b.State != bucket.Enabled {
		v.ID = Null
		b.DeleteVersion(key, Null)
	}
	b.born++
	if v.Born = b.born; v.Payload == 0 {
		v.Payload = v.Born
	}
	b.Keys[key] = slices.Insert(b.Keys[key], 0, v)
}

// Moment is the place of the newest write in the order of writes.
func (b *Bucket) Moment() int { return b.born }

// Rollback takes the keys that begin with prefix back to a moment. A key that is as it was
// stays; others get a version with the old content, or a delete marker. id names what a key
// gets.
func (b *Bucket) Rollback(prefix string, moment int, id func(key string) string) {
	for _, key := range slices.Sorted(maps.Keys(b.Keys)) {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		head := b.Current(key)
		i := slices.IndexFunc(b.Keys[key], func(v Version) bool { return v.Born <= moment })
		if i < 0 || b.Keys[key][i].Marker {
			if head != nil {
				b.Delete(key, id(key))
			}
			continue
		}
		old := b.Keys[key][i]
		if head != nil && head.Payload == old.Payload && head.Tags == old.Tags && head.Encryption == old.Encryption {
			continue
		}
		old.ID, old.Mode, old.Hold = id(key), "", false
		b.Put(key, old)
	}
}

// Delete deletes a key without a version id: the key gets a delete marker or, if the bucket
// was never versioned, is removed.
func (b *Bucket) Delete(key, markerID string) {
	if b.State == bucket.Off {
		b.DeleteVersion(key, Null)
		return
	}
	b.Put(key, Version{ID: markerID, Marker: true})
}

// DeleteVersion deletes a version or marker permanently. It is not an error if there is none.
func (b *Bucket) DeleteVersion(key, id string) {
	left := slices.DeleteFunc(b.Keys[key], func(v Version) bool { return v.ID == id })
	if b.Keys[key] = left; len(left) == 0 {
		delete(b.Keys, key)
	}
}

// Destroys reports that a write or a deletion of key removes a version for good: the null
// version that it takes the place of.
func (b *Bucket) Destroys(key string) bool {
	null := Null
	return b.State != bucket.Enabled && b.Version(key, &null) != nil
}

// Removable reports that Object Lock lets a version go (S3 user guide, "How S3 Object Lock
// works"). bypass is the permission to bypass GOVERNANCE, and the header that asks for it.
func (v *Version) Removable(bypass bool) bool {
	return !v.Hold && (v.Mode == "" || v.Mode == "GOVERNANCE" && bypass)
}

// Current returns the object that a read without a version id finds, or nil.
func (b *Bucket) Current(key string) *Version {
	if v := b.Keys[key]; len(v) > 0 && !v[0].Marker {
		return &v[0]
	}
	return nil
}

// Version returns the version with an id, or the current object if the id is nil; it
// returns nil if there is none.
func (b *Bucket) Version(key string, id *string) *Version {
	if id == nil {
		return b.Current(key)
	}
	if i := slices.IndexFunc(b.Keys[key], func(v Version) bool { return v.ID == *id }); i >= 0 {
		return &b.Keys[key][i]
	}
	return nil
}

// Refusal returns the error code for a write of key with conditions, or "" (S3 user guide,
// "Conditional requests").
func (b *Bucket) Refusal(key string, ifMatch, ifNoneMatch *string) string {
	v := b.Current(key)
	switch {
	case ifNoneMatch != nil && v != nil, ifMatch != nil && v != nil && *ifMatch != v.ETag:
		return "PreconditionFailed"
	case ifMatch != nil && v == nil:
		return "NoSuchKey"
	default:
		return ""
	}
}

// Row is one line of a listing: a common prefix or a version.
type Row struct {
	Key     string
	Version *Version // nil for a common prefix
	Latest  bool
}

// List asks for a listing.
type List struct {
	Prefix, Delimiter, After string
	VersionID                *string // for listings of versions: only what follows this version of After
}

// rollUp returns the common prefix that stands for key, if there is one.
func (l *List) rollUp(key string) (string, bool) {
	before, _, found := strings.Cut(key[len(l.Prefix):], l.Delimiter)
	return l.Prefix + before + l.Delimiter, found && l.Delimiter != ""
}

// rows lists what of returns for each key that is asked for. A common prefix that
// contains After was already listed.
func (b *Bucket) rows(l List, of func(key string) []Row) (out []Row) {
	for _, key := range slices.Sorted(maps.Keys(b.Keys)) {
		if !strings.HasPrefix(key, l.Prefix) || key < l.After || key == l.After && l.After != "" && l.VersionID == nil {
			continue
		}
		all := of(key)
		if common, ok := l.rollUp(key); ok && len(all) > 0 {
			if !strings.HasPrefix(l.After, common) && (len(out) == 0 || out[len(out)-1].Key != common) {
				out = append(out, Row{Key: common})
			}
			continue
		}
		out = append(out, all...)
	}
	return out
}

// Objects returns everything that a listing of current objects shows, as one page.
func (b *Bucket) Objects(l List) []Row {
	l.VersionID = nil
	return b.rows(l, func(key string) []Row {
		if v := b.Current(key); v != nil {
			return []Row{{key, v, true}}
		}
		return nil
	})
}

// Versions returns everything that a listing of versions shows, as one page.
func (b *Bucket) Versions(l List) []Row {
	return b.rows(l, func(key string) (out []Row) {
		all := b.Keys[key]
		for i := range all {
			out = append(out, Row{key, &all[i], i == 0})
		}
		if key == l.After && l.VersionID != nil {
			out = out[1+slices.IndexFunc(all, func(v Version) bool { return v.ID == *l.VersionID }):]
		}
		return out
	})
}
