package rootkey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/seal"
)

// KeyringFile is the name of the keyring in the data directory, and of each copy.
const KeyringFile = "keyring"

// Keyring is the root key of a data directory: its generations, which are in a file there,
// sealed under a source outside of the directory. Its methods may take as long as a request
// to another machine.
type Keyring struct {
	Ring    *seal.Ring
	Created bool   // the key of the source was created by this call
	Where   string // the source that was given to Open, for messages

	o  Options
	mu sync.Mutex // guards everything below
	// The keyring as it is or will be stored.
	id     [idSize]byte
	serial uint64
	source Source
	all    []Made // newest first
	text   []byte // the file; nil until it is written for the first time
}

// Open finds the root key of a data directory: it opens the keyring there, or creates one
// if o.MayCreate allows it. In a directory that is older than keyrings, the root key
// becomes generation 1; Save writes its keyring. Open changes nothing in an existing data
// directory. Its errors say what to do and contain no key.
func Open(ctx context.Context, source string, o Options) (*Keyring, error) {
	from, err := NewSource(source, o)
	if err != nil {
		return nil, err
	}
	k := &Keyring{o: o, source: from, Where: from.Describe()}
	text, s, err := find(o)
	switch {
	case err == nil:
		return k, k.unlock(ctx, text, s)
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	case o.MayCreate:
		return k, k.create(ctx)
	}
	old, ok := from.(earlier)
	if !ok {
		return nil, fmt.Errorf("%s is missing; put back a copy of it", filepath.Join(o.DataDir, KeyringFile))
	}
	root, err := old.rootKey()
	if err != nil {
		return nil, err
	}
	k.id, k.all = newID(), []Made{{seal.Generation{Number: 1, Key: root}, time.UnixMicro(0).UTC()}}
	k.Ring = ringOf(k.all)
	return k, nil
}

// Migrates reports whether the data directory is older than keyrings, and its keyring was
// not saved yet.
func (k *Keyring) Migrates() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.text == nil
}

// places returns the paths of the keyring and its copies.
func (o Options) places() []string {
	all := []string{filepath.Join(o.DataDir, KeyringFile)}
	for _, dir := range o.Copies {
		all = append(all, filepath.Join(dir, KeyringFile))
	}
	return all
}

// find reads the keyring. It uses a copy only if the keyring itself is missing or damaged,
// because an older copy may still have a lock that was removed since.
func find(o Options) (text []byte, s stored, err error) {
	var broken error
	for i, path := range o.places() {
		b, err := readJudged(o.files(), path, KeyringLimit+1, judgeParameters)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, s, err
		}
		found, err := parseKeyring(b)
		if err != nil {
			broken = fmt.Errorf("%s: %w; put back a copy of it", path, err)
			continue
		}
		if i == 0 {
			return b, found, nil
		}
		if text == nil || found.serial > s.serial {
			text, s = b, found
		}
	}
	switch {
	case text != nil:
		return text, s, nil
	case broken != nil:
		return nil, s, broken
	}
	return nil, s, fs.ErrNotExist
}

// unlock opens a keyring with the source.
func (k *Keyring) unlock(ctx context.Context, text []byte, s stored) error {
	var errs []error
	for _, l := range s.locks {
		key, err := k.source.Unwrap(ctx, l.wrapped, boundTo(s.id))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all, err := s.open(key)
		if err != nil {
			return fmt.Errorf("%s: %w", filepath.Join(k.o.DataDir, KeyringFile), err)
		}
		slices.SortFunc(all, func(a, b Made) int { return int(int64(b.Number) - int64(a.Number)) })
		k.id, k.serial, k.all, k.text, k.Ring = s.id, s.serial, all, text, ringOf(all)
		return nil
	}
	err := errs[0]
	for _, e := range errs {
		if !errors.Is(e, ErrOtherKey) {
			err = e // the source could not be asked
		}
	}
	if errors.Is(err, ErrOtherKey) {
		return fmt.Errorf("the keyring was sealed under %s, and the root key source %s does not open it: %w. Nothing "+
			"was changed", names(s.locks), k.Where, err)
	}
	return fmt.Errorf("the root key source %s can't be used, and without it nothing can be read: %w. Nothing was "+
		"changed", k.Where, err)
}

func names(locks []lock) string {
	text := ""
	for i, l := range locks {
		if i > 0 {
			text += " and "
		}
		text += l.name
	}
	return text
}

func ringOf(all []Made) *seal.Ring {
	var gs []seal.Generation
	for _, m := range all {
		gs = append(gs, m.Generation)
	}
	return seal.NewRing(gs...)
}

// create creates the first keyring of a data directory, and the key of its source.
func (k *Keyring) create(ctx context.Context) (err error) {
	if m, ok := k.source.(maker); ok {
		if k.Created, err = m.make(); err != nil {
			return err
		}
	}
	k.id, k.all = newID(), []Made{{seal.Generation{Number: 1, Key: seal.NewKey()}, k.o.at()}}
	k.Ring = ringOf(k.all)
	return k.write(ctx, []Source{k.source}, k.all)
}

// write seals generations under a new key that each of the sources opens, and replaces the
// keyring and its copies. After an error, the stored keyring is the old or the new one.
func (k *Keyring) write(ctx context.Context, sources []Source, all []Made) error {
	key := seal.NewKey()
	var locks []lock
	for _, s := range sources {
		w, err := s.Wrap(ctx, key, boundTo(k.id))
		if err != nil {
			return fmt.Errorf("the root key source %s can't be used: %w", s.Describe(), err)
		}
		name := s.Describe()
		if len(name) > maxName || len(w) > maxWrapped {
			return fmt.Errorf("the root key source %s: its name or what it wrapped is too long", name)
		}
		locks = append(locks, lock{name, w})
	}
	text := encodeKeyring(k.id, k.serial+1, locks, key, all)
	if err := k.put(text); err != nil {
		return err
	}
	k.serial, k.all, k.text = k.serial+1, all, text
	return nil
}

// put replaces the keyring, and then its copies. It skips a folder that does not exist yet;
// Save writes the copy there.
func (k *Keyring) put(text []byte) error {
	for i, path := range k.o.places() {
		if b, err := folder.ReadFile(k.o.files(), path); err == nil && bytes.Equal(b, text) {
			continue
		}
		err := k.o.replace(path, text)
		if i > 0 && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("writing %s: %w", path, err)
		}
	}
	return nil
}

// Save makes the keyring and its copies equal to what Open found: it writes a keyring for a
// directory that had none, and replaces files that are missing, damaged or older.
func (k *Keyring) Save(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.text == nil {
		return k.write(ctx, []Source{k.source}, k.all)
	}
	return k.put(k.text)
}

// At returns the keyring for another data directory, to which Save writes it.
func (k *Keyring) At(dataDir string, copies []string) *Keyring {
	k.mu.Lock()
	defer k.mu.Unlock()
	o := k.o
	o.DataDir, o.Copies = dataDir, copies
	return &Keyring{
		Ring: k.Ring, Where: k.Where, o: o, id: k.id, serial: k.serial, source: k.source, all: k.all, text: k.text,
	}
}

// Damaged returns the paths of the keyring and its copies that are missing, damaged or
// older than what was opened.
func (k *Keyring) Damaged() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []string
	for _, path := range k.o.places() {
		if b, err := folder.ReadFile(k.o.files(), path); k.text != nil && (err != nil || !bytes.Equal(b, k.text)) {
			all = append(all, path)
		}
	}
	return all
}

// Move seals the keyring under another source, and creates its key if it has none. Until
// the new source has been shown to open the keyring, the old one also opens it; afterwards
// only the new one does. If the source is in use already, Move does nothing.
func (k *Keyring) Move(ctx context.Context, source string) (err error) {
	to, err := NewSource(source, k.o)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if to.Describe() == k.source.Describe() {
		return nil
	}
	if m, ok := to.(maker); ok {
		if _, err := m.make(); err != nil {
			return err
		}
	}
	if err := k.write(ctx, []Source{k.source, to}, k.all); err != nil {
		return err
	}
	if err := k.confirm(ctx, to); err != nil {
		return err
	}
	if err := k.write(ctx, []Source{to}, k.all); err != nil {
		return err
	}
	k.source = to
	return nil
}

// confirm reads the keyring from the disk and opens it with a source.
func (k *Keyring) confirm(ctx context.Context, s Source) error {
	again := &Keyring{o: k.o, source: s, Where: s.Describe()}
	text, found, err := find(k.o)
	if err != nil {
		return err
	}
	return again.unlock(ctx, text, found)
}

// Grow creates a generation and seals the keyring again. The new generation becomes the
// current one after it is durable.
func (k *Keyring) Grow(ctx context.Context) (seal.Generation, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.all) == maxGenerations {
		return seal.Generation{}, fmt.Errorf("the keyring has %d generations already", maxGenerations)
	}
	g := seal.Generation{Number: k.all[0].Number + 1, Key: seal.NewKey()}
	if err := k.write(ctx, []Source{k.source}, append([]Made{{g, k.o.at()}}, k.all...)); err != nil {
		return seal.Generation{}, err
	}
	if err := k.confirm(ctx, k.source); err != nil {
		return seal.Generation{}, err
	}
	k.Ring.Add(g)
	return g, nil
}

// Drop removes generations that are no longer needed from the keyring, and seals it again.
// Until the process ends, Ring can still open what a request read before. The current
// generation stays.
func (k *Keyring) Drop(ctx context.Context, numbers []uint32) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(k.all), func(m Made) bool {
		return m.Number != k.all[0].Number && slices.Contains(numbers, m.Number)
	})
	if len(kept) == len(k.all) {
		return nil
	}
	if err := k.write(ctx, []Source{k.source}, kept); err != nil {
		return err
	}
	return k.confirm(ctx, k.source)
}

// Forget removes what an earlier version of this program stored beside the keyring: the
// parameters of a passphrase, from which generation 1 can be derived.
func (k *Keyring) Forget() error {
	err := k.o.files().Remove(filepath.Join(k.o.DataDir, parameterFile))
	if err == nil {
		err = folder.Sync(k.o.files(), k.o.DataDir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Generations returns the generations in the keyring, the newest first.
func (k *Keyring) Generations() []Made {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Clone(k.all)
}

// Source returns the name of the source in use.
func (k *Keyring) Source() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.source.Describe()
}

// Check asks the source to open the keyring again. An error means that the next start would
// be refused.
func (k *Keyring) Check(ctx context.Context) error {
	k.mu.Lock()
	text, source, o := k.text, k.source, k.o
	k.mu.Unlock()
	s, err := parseKeyring(text)
	if err != nil {
		return err
	}
	if c, ok := source.(checker); ok {
		return c.check(ctx)
	}
	again := &Keyring{o: o, source: source, Where: source.Describe()}
	return again.unlock(ctx, text, s)
}

// Locks returns the names of the sources that open the keyring: one, unless a move to
// another source was not finished.
func (k *Keyring) Locks() (names []string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, err := parseKeyring(k.text)
	if err != nil {
		return []string{k.source.Describe()}
	}
	for _, l := range s.locks {
		names = append(names, l.name)
	}
	return names
}
