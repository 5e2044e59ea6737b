package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// Options name a data directory on which no server is running, and its root key.
type Options struct {
	Data    string
	RootKey string // source, see rootkey.Open
	Region  string // of events that are added to the audit log
	Logger  *slog.Logger
	Getenv  func(string) string // for a passphrase, and credentials of an anchor
	Anchor  string              // with which Check compares the store, see anchor.Open
}

// keyring opens the root key. It changes nothing.
func (o Options) keyring(ctx context.Context) (*rootkey.Keyring, error) {
	return OpenKeyring(ctx, o.Data, o.RootKey, rootkey.Options{Getenv: o.Getenv})
}

// Inspection is the result of checking a data directory.
type Inspection struct {
	Findings []string // one line for each damaged or lost item; empty for a sound store
	Records  int      // readable records
	Blobs    int      // blobs that objects and parts refer to
	Anchor   string   // what the comparison with the anchor found; empty if it is a finding, or there was none
}

func (i *Inspection) find(format string, args ...any) {
	i.Findings = append(i.Findings, fmt.Sprintf(format, args...))
}

// offline is a data directory on which no server is running.
type offline struct {
	Inspection
	data   string
	key    *rootkey.Keyring
	lock   folder.File
	marks  map[string]embedded.Mark // by folder
	trail  *audit.Log               // nil if it can't be opened
	anchor uint64
	saved  embedded.Salvaged
	mended object.Mended
	found  map[string]string // blobs in segments that were found by their headers, with their places
}

// Check reports what is damaged or lost in a data directory. It changes
// nothing. No server may run on it. With readData, the bytes of all
// objects are read.
func Check(ctx context.Context, in Options, readData bool) (_ Inspection, err error) {
	o, err := inspect(ctx, in)
	if err != nil {
		return Inspection{}, err
	}
	defer func() { err = errors.Join(err, o.close(ctx)) }()
	o.checkStart(ctx, in)
	return o.Inspection, o.blobs(ctx, readData)
}

// inspect opens the parts that can be opened, and reads every record that authenticates.
func inspect(ctx context.Context, in Options) (_ *offline, err error) {
	o := &offline{data: in.Data, marks: map[string]embedded.Mark{}}
	if o.lock, err = lockExisting(in.Data); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.close(ctx))
		}
	}()
	if o.key, err = in.keyring(ctx); err != nil {
		return nil, err
	}
	for _, path := range o.key.Damaged() {
		o.find("%s is missing, damaged or older than another copy; the next start makes it anew", path)
	}
	for _, dir := range (&Parts{data: in.Data}).marked() {
		m, err := embedded.ReadMarker(folder.OS(), dir, o.key.Ring)
		switch {
		case err == nil:
			o.marks[dir], o.anchor = m, max(o.anchor, m.Commit)
		case !errors.Is(err, fs.ErrNotExist):
			o.find("%v", err)
		}
	}
	o.readLog(in)
	o.saved, err = embedded.Salvage(ctx, embedded.Options{Dir: metaDir(in.Data), Root: o.key.Ring, Logger: in.Logger},
		slices.Collect(maps.Values(o.marks)))
	if err != nil {
		return nil, err
	}
	for _, d := range o.saved.Damage {
		o.find("%s is damaged at byte %d: %s", d.File, d.At, d.What)
	}
	for _, k := range o.saved.Unopened {
		o.find("the record %q does not open", k)
	}
	o.mend()
	return o, nil
}

// readLog verifies the whole audit log.
func (o *offline) readLog(in Options) {
	err := audit.Read(folder.OS(), AuditDir(in.Data), o.key.Ring, func(audit.Group) error { return nil })
	if err != nil {
		o.find("the audit log: %v", err)
	}
	o.trail, err = audit.Open(audit.Options{Dir: AuditDir(in.Data), Root: o.key.Ring, Logger: in.Logger})
	if err != nil {
		o.trail = nil
		return
	}
	o.anchor = max(o.anchor, o.trail.Anchor())
}

func (o *offline) mend() {
	m := object.Mend(o.saved.Records)
	for _, k := range m.Broken {
		o.find("the record %q can't be read", k)
	}
	for _, k := range m.Later {
		o.find("the record %q was written by a later version of Watertight", k)
	}
	for _, of := range m.Lost {
		o.find("the object %s is lost, or its newest version", of)
	}
	if m.Pointers+m.References > 0 {
		o.find(
			"%d pointers to current versions and %d references of blobs are missing or wrong; recover makes them anew",
			m.Pointers, m.References,
		)
	}
	o.mended, o.Records, o.Blobs = m, len(o.saved.Records), len(m.Blobs)
}

// checkStart makes the same checks as a start.
func (o *offline) checkStart(ctx context.Context, in Options) {
	parts, err := Survey(folder.OS(), in.Data)
	if err != nil {
		o.find("%v", err)
		return
	}
	parts.marks, parts.Keyring = o.marks, o.key
	if o.trail != nil {
		parts.Agree = o.trail.Check
		parts.Anchored = func(ctx context.Context, f embedded.Found) error { return o.compareAnchor(ctx, in, f) }
	}
	err = embedded.Check(ctx, embedded.Options{
		Dir: metaDir(in.Data), Root: o.key.Ring, AtLeast: o.anchor, Logger: in.Logger,
		Marks:    slices.Collect(maps.Values(o.marks)),
		Verified: func(f embedded.Found) error { return parts.belongs(ctx, f) },
	})
	if err != nil {
		o.find("a server does not start on it: %v", err)
	}
}

// compareAnchor compares the store with its anchor, as a start does.
func (o *offline) compareAnchor(ctx context.Context, in Options, f embedded.Found) error {
	at, err := anchoredOf(ctx, f.Store)
	switch {
	case err != nil:
		return err
	case in.Anchor == "" && at.place != "":
		o.Anchor = fmt.Sprintf("the store was not compared with its anchor: --anchor %s compares it", at.place)
		return nil
	case in.Anchor == "" || in.Anchor == AnchorNone:
		return nil
	}
	a, err := OpenAnchor(AnchorOptions{
		Place: in.Anchor, Data: in.Data, Getenv: in.Getenv, Keyring: o.key, Trail: o.trail, Logger: in.Logger,
	})
	if err == nil {
		err = a.Check(ctx, f)
	}
	if err != nil {
		return err
	}
	o.Anchor = fmt.Sprintf("the store is the one that the anchor %s knows, and not older", in.Anchor)
	if at.place == "" {
		o.Anchor = fmt.Sprintf("the store was never anchored at %s", in.Anchor)
	}
	return nil
}

// blobs compares the files of objects with the records.
func (o *offline) blobs(ctx context.Context, read bool) error {
	o.places()
	for _, name := range slices.Sorted(maps.Keys(o.mended.Blobs)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := o.mended.Blobs[name]
		f, err := payload.OpenFile(folder.OS(), o.data, o.placed(name))
		if errors.Is(err, fs.ErrNotExist) {
			o.find("the bytes of %s are missing: blob %s", b.Of, name)
			continue
		}
		if err == nil {
			err = b.Verify(f, o.key.Ring, read)
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			o.find("the bytes of %s are damaged: blob %s: %v", b.Of, name, err)
		}
	}
	return nil
}

// places finds blobs in segments whose place no record tells any more.
func (o *offline) places() {
	missing := map[string]bool{}
	for name := range o.mended.Blobs {
		f, err := payload.OpenFile(folder.OS(), o.data, payload.PlacedIn(o.saved.Records, name))
		if err == nil {
			err = f.Close()
		}
		if errors.Is(err, fs.ErrNotExist) {
			missing[name] = true
		}
	}
	if len(missing) > 0 {
		o.found = payload.Find(folder.OS(), o.data, missing)
	}
}

// placed returns the name of a blob as payload.OpenFile expects it.
func (o *offline) placed(name string) string {
	if at := o.found[name]; at != "" {
		return at
	}
	return payload.PlacedIn(o.saved.Records, name)
}

func (o *offline) close(ctx context.Context) error {
	var errs []error
	if o.trail != nil {
		errs = append(errs, o.trail.Close(ctx))
	}
	if o.lock != nil {
		errs = append(errs, o.lock.Close())
	}
	return errors.Join(errs...)
}

// lockExisting locks a data directory without creating anything in it. A directory on which
// no server has ever run has no lock.
func lockExisting(dir string) (folder.File, error) {
	f, err := folder.Open(folder.OS(), filepath.Join(dir, "lock"))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(dir)
		return nil, err
	}
	if err != nil {
		return nil, err
	}
	if err := f.Lock(); err != nil {
		return nil, errors.Join(fmt.Errorf("the data directory %s is in use by a server; stop it first", dir),
			f.Close())
	}
	return f, nil
}
