package pebblekv

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/batchrepr"
	"github.com/cockroachdb/pebble/v2/sstable"
	"github.com/cockroachdb/pebble/v2/sstable/block"
	"github.com/cockroachdb/pebble/v2/sstable/colblk"
	"github.com/cockroachdb/pebble/v2/sstable/valblk"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

// Found is a change that was read from a file. Of two changes of one key, the one with
// the larger Sequence is newer.
type Found struct {
	engine.Change
	Sequence uint64
}

// Damage is a part of a file that could not be read.
type Damage struct {
	File string
	At   int64
	What string
}

// Salvage reads every table and log separately, block by block, and skips damaged
// parts: no file is needed to read another. It changes nothing. The caller has to
// authenticate what it finds.
func Salvage(ctx context.Context, o Options, found func(Found) error) ([]Damage, error) {
	names, err := o.fs().List(o.Dir)
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	live := liveTables(o)
	s := &salvage{o: o, found: found}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		isTable := strings.HasSuffix(name, ".sst")
		if !isTable && !isLog(name) || isTable && live != nil && !live[name] {
			continue
		}
		data, err := s.read(name)
		if o.Sealed && errors.Is(err, pebble.ErrCorruption) { // FS has told its caller
			continue
		}
		if err != nil {
			s.damaged(name, 0, err.Error())
			continue
		}
		if isTable {
			err = s.table(name, data)
		} else {
			err = s.log(name, data)
		}
		if err != nil {
			return nil, err
		}
	}
	return s.damage, nil
}

// liveTables returns the tables that the manifest names, or nil if it can't be read.
func liveTables(o Options) map[string]bool {
	e, err := OpenReadOnly(o, TablesOnly)
	if err != nil {
		return nil
	}
	defer e.Close()
	levels, err := e.db.SSTables()
	if err != nil {
		return nil
	}
	live := map[string]bool{}
	for _, level := range levels {
		for _, t := range level {
			live[fmt.Sprintf("%s.sst", t.FileNum)] = true
		}
	}
	return live
}

type salvage struct {
	o      Options
	found  func(Found) error
	damage []Damage
}

func (s *salvage) damaged(name string, at int, what string) {
	s.damage = append(s.damage, Damage{s.o.fs().PathJoin(s.o.Dir, name), int64(at), what})
}

func (s *salvage) read(name string) ([]byte, error) {
	f, err := s.o.fs().Open(s.o.fs().PathJoin(s.o.Dir, name))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// masked returns the checksum that both tables and logs use.
func masked(c uint32) uint32 { return (c>>15 | c<<17) + 0xa282ead8 }

func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

// Chunks of a log: checksum, size, type, number of the log, and for some an offset.
const (
	logBlock      = 32 << 10
	recyclable    = 5 // the first type that names its log
	walSync       = 9 // the first type with an offset
	lastChunkType = 12
)

// chunk returns the chunk at the beginning of b, which is in a block.
func chunk(b []byte, number uint32) (position int, payload []byte, size int, ok bool) {
	if len(b) < 11 || b[6] < recyclable || b[6] > lastChunkType {
		return 0, nil, 0, false
	}
	head := 11
	if b[6] >= walSync {
		head = 19
	}
	size = head + int(binary.LittleEndian.Uint16(b[4:]))
	if len(b) < size || binary.LittleEndian.Uint32(b[7:]) != number {
		return 0, nil, 0, false
	}
	sum := masked(crc32.Checksum(b[6:size], castagnoli()))
	return int(b[6]-recyclable) % 4, b[head:size], size, sum == binary.LittleEndian.Uint32(b)
}

// log reads the batches of a log. Bytes between two sound chunks that are not a chunk
// are damaged; bytes after the last chunk are the end.
func (s *salvage) log(name string, data []byte) error {
	n, err := strconv.ParseUint(strings.TrimSuffix(name, ".log"), 10, 64)
	if err != nil {
		return nil
	}
	var batch []byte
	whole := false // batch has its beginning
	gap := -1      // where the last sound chunk ended, if something else follows
	for at := 0; at < len(data); {
		end := min(len(data), at/logBlock*logBlock+logBlock)
		position, payload, size, ok := chunk(data[at:end], uint32(n))
		if !ok {
			if gap < 0 && slices.ContainsFunc(data[at:min(end, at+7)], func(b byte) bool { return b != 0 }) {
				gap = at
			}
			if at++; end-at < 11 {
				at = end
			}
			continue
		}
		if gap >= 0 {
			s.damaged(name, gap, fmt.Sprintf("%d bytes of the log", at-gap))
			gap, whole = -1, false
		}
		at += size
		if position <= 1 { // full, first
			batch, whole = batch[:0], true
		}
		batch = append(batch, payload...)
		if whole && (position == 0 || position == 3) { // full, last
			if err := s.batch(name, at, batch); err != nil {
				return err
			}
			whole = false
		}
	}
	return nil
}

func (s *salvage) batch(name string, at int, batch []byte) error {
	if len(batch) < batchrepr.HeaderLen {
		return nil
	}
	sequence := binary.LittleEndian.Uint64(batch)
	err := eachChange(batch, func(c engine.Change) error {
		f := Found{c, sequence}
		sequence++
		return s.found(f)
	})
	if err != nil && strings.HasPrefix(err.Error(), "pebble") {
		s.o.Logger.Warn("engine: a batch of the log can't be read", "file", name, "cause", err)
		s.damaged(name, at, "a batch of the log can't be read")
		return nil
	}
	return err
}

// table reads the data blocks of a table: at the places that its index names, or, if
// the index can't be read, wherever a block with a right checksum follows another.
func (s *salvage) table(name string, data []byte) error {
	blocks, err := s.layout(name)
	if err == nil {
		for _, b := range blocks {
			at, end := int(b.Offset), int(b.Offset+b.Length)
			if end+block.TrailerLen > len(data) {
				s.damaged(name, at, fmt.Sprintf("%d bytes of the table are missing", end-at))
				continue
			}
			if b := data[at : end+block.TrailerLen]; !sound(b) {
				if s.o.Sealed || !correct(b) {
					s.damaged(name, at, fmt.Sprintf("%d bytes of the table", end-at))
					continue
				}
				s.damaged(name, at,
					fmt.Sprintf("a bit in %d bytes of the table, which its checksum puts right", end-at))
			}
			if err := s.block(name, at, data[at:end]); err != nil {
				return err
			}
		}
		return nil
	}
	s.o.Logger.Warn("engine: the index of a table can't be read", "file", name, "cause", err)
	s.damaged(name, len(data), "the index of the table can't be read")
	for at, resync := 0, -1; at < len(data); {
		limit := largestBlock
		if resync >= 0 {
			limit = usualBlock
		}
		n := next(data[at:], limit)
		if n < 0 {
			if resync < 0 {
				resync = at
			}
			if at++; at-resync > usualBlock {
				break
			}
			continue
		}
		if resync >= 0 {
			s.damaged(name, resync, fmt.Sprintf("%d bytes of the table", at-resync))
			resync = -1
		}
		if err := s.block(name, at, data[at:at+n]); err != nil {
			return err
		}
		at += n + block.TrailerLen
	}
	return nil
}

const (
	usualBlock   = 64 << 10 // how far after a damaged block the end of a block is searched for
	largestBlock = 4 << 20
)

// sound verifies a block with its trailer: type and checksum.
func sound(b []byte) bool {
	n := len(b) - block.TrailerLen
	return b[n] == 0 && masked(crc32.Checksum(b[:n+1], castagnoli())) == binary.LittleEndian.Uint32(b[n+1:])
}

// correct corrects a single wrong bit in b, if the checksum shows which one it is. It is for
// files that are not sealed: the caller authenticates the result.
func correct(b []byte) bool {
	if len(b) > usualBlock {
		return false
	}
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if sound(b) {
				return true
			}
			b[i] ^= 1 << bit
		}
	}
	return false
}

// next returns the length of the block that begins data, or -1.
func next(data []byte, limit int) int {
	t := castagnoli()
	crc := ^uint32(0)
	for n := 0; n < min(limit, len(data)-block.TrailerLen); n++ {
		if n > 8 && data[n] == 0 {
			c := ^(t[byte(crc)] ^ crc>>8)
			if masked(c) == binary.LittleEndian.Uint32(data[n+1:]) {
				return n
			}
		}
		crc = t[byte(crc)^data[n]] ^ crc>>8
	}
	return -1
}

func (s *salvage) layout(name string) (_ []block.HandleWithProperties, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	f, err := s.o.fs().Open(s.o.fs().PathJoin(s.o.Dir, name))
	if err != nil {
		return nil, err
	}
	readable, err := sstable.NewSimpleReadable(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	o := tune(s.o.Logger, newDisk(s.o.fs(), s.o))
	o.EnsureDefaults()
	r, err := sstable.NewReader(context.Background(), readable, o.MakeReaderOptions())
	if err != nil {
		return nil, err // it has closed the file
	}
	defer r.Close()
	l, err := r.Layout()
	if err != nil {
		return nil, err
	}
	return l.Data, nil
}

// block decodes a data block whose checksum is right. A block that only looks like a
// data block is skipped: it may be an index.
func (s *salvage) block(name string, at int, data []byte) error {
	all, err := decode(data)
	if err != nil {
		return nil
	}
	for _, f := range all {
		if err := s.found(f); err != nil {
			return err
		}
	}
	return nil
}

func decode(data []byte) (all []Found, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	schema := colblk.DefaultKeySchema(pebble.DefaultComparer, 16)
	var d colblk.DataBlockDecoder
	var i colblk.DataBlockIter
	d.Init(&schema, slices.Clone(data)) // the decoder needs aligned data
	var elsewhere valblk.Reader
	i.InitOnce(&schema, pebble.DefaultComparer, &elsewhere)
	if err := i.Init(&d, block.NoTransforms); err != nil {
		return nil, err
	}
	for kv := i.First(); kv != nil; kv = i.Next() {
		f := Found{engine.Change{Key: slices.Clone(kv.K.UserKey)}, uint64(kv.K.SeqNum())}
		switch kv.K.Kind() {
		case pebble.InternalKeyKindSet, pebble.InternalKeyKindSetWithDelete:
			if !kv.V.IsInPlaceValue() {
				continue // in a block of old values: a newer one of the key is in the table
			}
			v, _, err := kv.Value(nil)
			if err != nil {
				return nil, err
			}
			f.Value = slices.Clone(v)
		case pebble.InternalKeyKindDelete:
		default:
			return nil, errors.New("no kind of change that this program makes")
		}
		all = append(all, f)
	}
	return all, i.Error()
}
