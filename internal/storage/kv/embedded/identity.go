package embedded

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded/internal/foldervfs"
	"watertight/internal/storage/seal"
)

// The format of a store as a whole. It increases with every change that an older program
// would not understand, or would lose when it writes a record again. Format 1 had no
// markers (see Marker), format 2 no keyring, and up to format 3 the engine's files were
// plain (see legacy).
const (
	version      = 4
	oldest       = 1
	newestLegacy = 3
)

// The file STORE in the engine's folder holds the store's own keys, wrapped. The numbers are
// stored.
//
//	"WTMETA" and a newline | version 1 | wrapped id 60 | wrapped file key 60 | 8 bytes of SHA-256 of all before
const (
	storeFile  = "STORE"
	storeMagic = "WTMETA\n"
	storeBody  = len(storeMagic) + 1 + 2*wrappedSize
	storeSize  = storeBody + storeSum
	storeSum   = 8

	storePurpose = "watertight kv store" // wraps the id, in every format
	filesPurpose = "watertight kv files"
)

// newerFile is the name of an empty file in the engine's folder. Programs that know only
// plain files take it for the engine's newest note of its own format, do not understand it,
// and quote it in the error with which they refuse the store.
const newerFile = "marker.format-version.999999.format-4_a-newer-program-made-this-store_use-that-one"

// ownFiles are the files in the engine's folder that are not the engine's.
func ownFiles() []string { return []string{storeFile, newerFile} }

// identity is what makes a store itself: its id and the key of its files, which stay, and
// their wrapped forms, which a rotation of the root key replaces.
type identity struct {
	root  *seal.Ring
	id    seal.Key
	files seal.Key

	writing sync.Mutex // held while the wrapped keys are replaced
	mu      sync.Mutex
	wrapped wrappings
}

// wrappings are the wrapped keys of a store.
type wrappings struct{ id, files []byte }

// newIdentity returns the identity of a store with an id and a new key of its files.
func newIdentity(root *seal.Ring, id seal.Key) *identity {
	i := &identity{root: root, id: id, files: seal.NewKey()}
	i.wrapped = wrappings{
		root.For(storePurpose).Wrap(i.id, versionKey()), root.For(filesPurpose).Wrap(i.files, filesContext(i.id)),
	}
	return i
}

func filesContext(id seal.Key) []byte { return append(slices.Clone(id[:]), version) }

// open unwraps the keys.
func (w wrappings) open(root *seal.Ring) (*identity, error) {
	i := &identity{root: root, wrapped: w}
	var err error
	if i.id, err = root.For(storePurpose).Unwrap(w.id, versionKey()); err != nil {
		return nil, fmt.Errorf("kv: the root key is not this store's: %w", err)
	}
	if i.files, err = root.For(filesPurpose).Unwrap(w.files, filesContext(i.id)); err != nil {
		return nil, fmt.Errorf("kv: the key of the store's files: %w", err)
	}
	return i, nil
}

// current returns the wrapped keys.
func (i *identity) current() wrappings {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.wrapped
}

// rewrap returns the keys wrapped under the current generation of the root key, and how
// many of them were wrapped under an older one.
func (i *identity) rewrap() (w wrappings, n int, err error) {
	old := i.current()
	id, changedID, err := i.root.For(storePurpose).Rewrap(old.id, versionKey())
	if err != nil {
		return old, 0, err
	}
	files, changedFiles, err := i.root.For(filesPurpose).Rewrap(old.files, filesContext(i.id))
	if err != nil {
		return old, 0, err
	}
	for _, changed := range []bool{changedID, changedFiles} {
		if changed {
			n++
		}
	}
	return wrappings{id, files}, n, nil
}

func (i *identity) set(w wrappings) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.wrapped = w
}

// publicID returns the id that markers hold. The store's own id is never written in plain.
func publicID(id seal.Key) [16]byte {
	k := id.Derive("watertight kv public id")
	return [16]byte(k[:16])
}

// text returns the contents of STORE.
func (w wrappings) text() []byte {
	b := append([]byte(storeMagic), version)
	return summed(append(append(b, w.id...), w.files...))
}

func summed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(b, sum[:storeSum]...)
}

var errStoreFile = errors.New("is damaged")

// parseStore reads the contents of STORE. The sum tells damage from another root key.
func parseStore(b []byte) (w wrappings, err error) {
	if len(b) < len(storeMagic)+1+storeSum || string(b[:len(storeMagic)]) != storeMagic {
		return w, errStoreFile
	}
	body, sum := b[:len(b)-storeSum], sha256.Sum256(b[:len(b)-storeSum])
	if !bytes.Equal(b[len(body):], sum[:storeSum]) {
		return w, errStoreFile
	}
	if v := body[len(storeMagic)]; v != version {
		return w, errFormat(v)
	}
	if len(b) != storeSize {
		return w, errStoreFile
	}
	return wrappings{body[len(storeMagic)+1:][:wrappedSize], body[storeBody-wrappedSize:]}, nil
}

func errFormat(v byte) error {
	return fmt.Errorf(
		"kv: the store has format %d, this program knows formats %d to %d; a newer program made it, use that one",
		v, oldest, version,
	)
}

// identify finds the identity of the store in dir. It is nil if the store has an older
// format, which keeps its id in the engine. If STORE is lost or damaged, the copy in a
// marker replaces it, and whole is false.
func identify(files vfs.FS, dir string, root *seal.Ring, marks []Mark) (id *identity, whole bool, err error) {
	b, err := readFile(files, files.PathJoin(dir, storeFile), 2*int64(storeSize))
	var w wrappings
	if err == nil {
		w, err = parseStore(b)
	}
	if err == nil {
		if id, err = w.open(root); err == nil {
			return id, true, nil
		}
	}
	missing := errors.Is(err, fs.ErrNotExist)
	for _, m := range marks {
		w, ok := m.wrappings()
		if !ok {
			continue
		}
		if id, merr := w.open(root); merr == nil {
			return id, false, nil
		}
	}
	if !missing {
		return nil, false, fmt.Errorf("%s: %w", files.PathJoin(dir, storeFile), err)
	}
	_, serr := files.Stat(files.PathJoin(dir, newerFile))
	if errors.Is(serr, fs.ErrNotExist) {
		return nil, true, nil
	}
	return nil, false, errors.Join(serr, fmt.Errorf("%s is missing, and no marker has a copy of it",
		files.PathJoin(dir, storeFile)))
}

// CheckKeys returns an error if the file with the keys of the store in dir is lost or
// damaged, and its path. A store of an older format has none.
func CheckKeys(files folder.FS, dir string, root *seal.Ring) (path string, err error) {
	on := foldervfs.Of(files)
	path = on.PathJoin(dir, storeFile)
	_, _, err = identify(on, dir, root, nil)
	return path, err
}

// readFile reads a file of at most so many bytes; longer ones are cut.
func readFile(files vfs.FS, path string, most int64) ([]byte, error) {
	f, err := files.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, most))
	return b, errors.Join(err, f.Close())
}

// writeStore writes the files of ownFiles into dir durably.
func writeStore(files vfs.FS, dir string, w wrappings) error {
	f, err := files.Create(files.PathJoin(dir, newerFile), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := replaceFile(files, files.PathJoin(dir, storeFile), w.text()); err != nil {
		return err
	}
	return syncFolder(files, dir)
}

// replaceFile replaces a file as a whole. Its name becomes durable with its folder.
func replaceFile(files vfs.FS, path string, text []byte) error {
	next := path + unfinished
	f, err := files.Create(next, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = files.Rename(next, path)
	}
	if err != nil {
		return errors.Join(err, files.Remove(next))
	}
	return nil
}

func syncFolder(files vfs.FS, dir string) error {
	d, err := files.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// wrappings returns the wrapped keys of a store of this format.
func (m *Mark) wrappings() (wrappings, bool) {
	if len(m.record) != 1+wrappedSize || m.record[0] != version || len(m.keys) != 1 {
		return wrappings{}, false
	}
	return wrappings{m.record[1:], m.keys[0]}, true
}

// marker returns a marker: it holds what is needed to open the store's records.
func (i *identity) marker(commit uint64) []byte {
	w := i.current()
	return markerText(i.root, Mark{publicID(i.id), commit, append([]byte{version}, w.id...), [][]byte{w.files}})
}

// marker is the marker of a store of an older format.
func (l *legacy) marker(root *seal.Ring, commit uint64) []byte {
	return markerText(root, Mark{publicID(l.id), commit, l.record, l.copies})
}

func markerText(root *seal.Ring, m Mark) []byte {
	b := append([]byte(markerMagic), m.ID[:]...)
	b = binary.BigEndian.AppendUint64(b, m.Commit)
	b = append(b, m.record...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(m.keys)))
	for _, k := range m.keys {
		b = append(b, k...)
	}
	return append(b, markerMAC(root.Current().Key, b)...)
}
