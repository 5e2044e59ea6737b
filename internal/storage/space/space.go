// Package space watches the free space of the data directory's file system, and holds a
// reserve for deletions. It exists so that writes are refused before the metadata engine
// runs out of space. It must never know what is written.
package space

import (
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// State says how much space is left for new records.
type State uint8

// The states, in descending order of free space.
const (
	Ample       State = iota // space for everything
	DeletesOnly              // space for deletions and for the records that they write
	Full                     // space only for deletions, as long as the reserve lasts
)

// Disk is the file system of a data directory, which is watched between Watch and Close. It
// can run out of bytes and of files.
type Disk struct {
	dir     string
	look    func() (room, error)
	minimum int64
	log     *slog.Logger
	now     atomic.Uint32 // a State
	left    atomic.Int64  // free bytes at the last measurement, less what was taken since
	mu      sync.Mutex    // held during a measurement
	reserve *reserve      // nil if there is none
	armed   atomic.Bool   // the data directory is known to be the store's, so the reserve may change
	stop    chan struct{}
	done    chan struct{}
}

// room is the free and the total space of a file system.
type room struct {
	bytes, files       int64 // free
	allBytes, allFiles int64 // allFiles is 0 if the file system does not count files
}

const (
	// spaceInterval is the time between measurements of the free space; what is written in
	// between is counted.
	spaceInterval = 500 * time.Millisecond
	// lastBytes is the number of bytes that even deletions leave free.
	lastBytes = 2 << 20
	// With fewer free files than fewFiles, a large file system refuses writes; with
	// fewer than lastFiles, the reserve is released.
	fewFiles  = 1024
	lastFiles = 16
	// firstBytes and firstFiles are the free space that a first start needs in addition to
	// --min-free.
	firstBytes = 16 << 20
	firstFiles = 330
)

// Options say which disk is watched, and how.
type Options struct {
	Dir     string // data directory
	MinFree int64  // bytes that writes must leave free; 0 means none
	// Free measures the free bytes of Dir's file system; nil asks the operating
	// system.
	Free   func(dir string) (int64, error)
	Logger *slog.Logger
}

// Watch starts to watch a disk. Close stops it.
func Watch(o Options) *Disk {
	d := &Disk{dir: o.Dir, minimum: o.MinFree, log: o.Logger, stop: make(chan struct{}), done: make(chan struct{})}
	d.look = func() (room, error) { return freeRoom(o.Dir) }
	if o.Free != nil {
		d.look = func() (room, error) {
			free, err := o.Free(o.Dir)
			return room{bytes: free, files: math.MaxInt64, allBytes: math.MaxInt64}, err
		}
	} else if r, err := d.look(); err == nil && o.MinFree > 0 {
		d.reserve = newReserve(o.Dir, o.MinFree, r.allBytes)
	}
	d.measure()
	go d.run()
	return d
}

func (d *Disk) run() {
	defer close(d.done)
	tick := time.NewTicker(spaceInterval)
	defer tick.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-tick.C:
			d.measure()
		}
	}
}

// Arm allows the reserve to change, and takes it at once if there is plenty of space. It
// must be called when the data directory is known to be the store's.
func (d *Disk) Arm() {
	d.armed.Store(true)
	d.measure()
}

// Close stops watching. The reserve stays.
func (d *Disk) Close() {
	close(d.stop)
	<-d.done
}

// measure sets the state from the free room. If that can't be measured, the state
// stays.
func (d *Disk) measure() {
	d.mu.Lock()
	defer d.mu.Unlock()
	r, err := d.look()
	if err != nil {
		return
	}
	d.hold(&r)
	d.left.Store(r.bytes)
	state := Ample
	switch {
	case r.bytes < min(d.minimum/4, lastBytes):
		state = Full
	case r.bytes < d.minimum || r.few():
		state = DeletesOnly
	}
	if old := State(d.now.Swap(uint32(state))); d.log != nil && (old == Ample) != (state == Ample) {
		if state == Ample {
			d.log.Info("the disk has room again; writes are taken")
		} else {
			d.log.Warn("the disk is nearly full; writes are refused, reads and deletions go on", "freeBytes", r.bytes,
				"freeFiles", r.files)
		}
	}
}

// few reports whether the file system is running out of files.
func (r room) few() bool { return r.allFiles > 0 && r.files < min(fewFiles, r.allFiles/16) }

// hold takes the reserve while there is plenty of space, and releases half of it when the
// disk is nearly full.
func (d *Disk) hold(r *room) {
	if d.reserve == nil || !d.armed.Load() {
		return
	}
	var err error
	switch {
	case r.bytes < d.minimum/4, r.allFiles > 0 && r.files < lastFiles:
		if d.reserve.held < 2 {
			return
		}
		if err = d.reserve.lend(); err == nil {
			*r, err = d.look()
		}
	case r.bytes >= d.minimum+2*d.reserve.size &&
		(r.allFiles == 0 || r.files >= 2*min(fewFiles, r.allFiles/16)+reserveNames):
		err = d.reserve.take()
	}
	if err != nil && d.log != nil {
		d.log.Warn("the reserve of the disk", "err", err)
	}
}

// Enough reports whether the engine may write so many bytes, and the files it needs, to be
// opened or for a deletion. It may release the reserve for that.
func (d *Disk) Enough(n int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for range 2 {
		r, err := d.look()
		if err != nil || r.bytes >= n && (r.allFiles == 0 || r.files >= lastFiles/2) {
			return true
		}
		if d.reserve == nil || d.reserve.held == 0 || d.reserve.release() != nil {
			return false
		}
	}
	return false
}

// CheckFirst refuses a first start on a disk that is too small for one.
func (d *Disk) CheckFirst() error {
	r, err := d.look()
	if err != nil {
		return fmt.Errorf("the disk of %s: %w", d.dir, err)
	}
	if need := d.minimum + firstBytes; r.bytes < need {
		return fmt.Errorf(
			"the disk of %s has %d bytes free; a first start needs %d, of which %d are what --min-free leaves free",
			d.dir, r.bytes, need, d.minimum,
		)
	}
	if r.allFiles > 0 && r.files < firstFiles {
		return fmt.Errorf("the file system of %s has room for %d more files (inodes); a first start needs %d", d.dir,
			r.files, firstFiles)
	}
	return nil
}

// Room counts n bytes that a commit will write, and returns the state.
func (d *Disk) Room(n int64) State {
	state := State(d.now.Load())
	if d.left.Add(-n) < d.minimum && state == Ample {
		return DeletesOnly
	}
	return state
}

// Left returns the free bytes as they are known: those of the last measurement, less what was taken since.
func (d *Disk) Left() int64 { return d.left.Load() }

// Fits implements payload.Room.
func (d *Disk) Fits(n int64) bool {
	return State(d.now.Load()) == Ample && d.left.Load()-n >= d.minimum
}

// Take implements payload.Room. What is taken counts against the minimum until the
// next measurement includes it.
func (d *Disk) Take(n int64) bool {
	if d.left.Add(-n) >= d.minimum {
		return true
	}
	d.left.Add(n)
	return false
}

// Spare takes n bytes for something that can do without them: it leaves what writes need
// twice over.
func (d *Disk) Spare(n int64) bool { return d.Fits(n+d.minimum) && d.Take(n) }

func freeRoom(dir string) (room, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return room{}, err
	}
	bytes := func(blocks uint64) int64 { return int64(min(blocks*uint64(st.Bsize), math.MaxInt64)) }
	return room{
		bytes: bytes(st.Bavail), allBytes: bytes(st.Blocks),
		files: int64(min(st.Ffree, math.MaxInt64)), allFiles: int64(min(st.Files, math.MaxInt64)),
	}, nil
}
