package cache

import (
	"io"
	"os"
	"sync"
)

// openFiles counts the files that take room on the disk but are not in the index: files that
// are being written, and removed files that somebody still reads. A slow viewer can keep a
// removed file for a long time, so these files have a budget of their own. When it is used up,
// nothing more is written, and readers of removed files are cut off, beginning with the file
// that was removed first. A cache in memory counts its bodies in the same way.
type openFiles struct {
	budget int64

	mu     sync.Mutex
	files  map[name]*openFile
	bytes  int64  // of the files that are not in the index
	number uint64 // of removals
}

// openFile is a file that is written or read.
type openFile struct {
	size    int64
	uses    int
	counted bool                   // its size is in openFiles.bytes
	removed uint64                 // the number of its removal, or 0
	handles map[io.Closer]struct{} // closing one cuts off its readers
}

func newOpenFiles(budget int64) *openFiles {
	return &openFiles{budget: budget, files: map[name]*openFile{}}
}

// write begins the use of a file that is not in the index yet.
func (o *openFiles) write(n name, f io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.files[n] = &openFile{uses: 1, counted: true, handles: map[io.Closer]struct{}{f: {}}}
}

// grow reports whether a file may grow by so many bytes, and counts them.
func (o *openFiles) grow(n name, bytes int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.cut(bytes); o.bytes+bytes > o.budget {
		return false
	}
	o.files[n].size += bytes
	o.bytes += bytes
	return true
}

// shrink says that a file has so many bytes less.
func (o *openFiles) shrink(n name, bytes int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.files[n]
	bytes = min(bytes, f.size)
	if f.size -= bytes; f.counted {
		o.bytes -= bytes
	}
}

// index moves a file that was written to the index: it no longer counts here.
func (o *openFiles) index(n name) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if f := o.files[n]; f != nil && f.counted {
		f.counted = false
		o.bytes -= f.size
	}
}

// read opens a file of the index. The file is counted before it is opened, and removed counts
// it after its name is gone. So every removed file that is open is counted.
func (o *openFiles) read(n name, size int64, open func() (io.Closer, error)) (io.Closer, error) {
	o.mu.Lock()
	f := o.files[n]
	if f == nil {
		f = &openFile{size: size, handles: map[io.Closer]struct{}{}}
		o.files[n] = f
	}
	f.uses++
	o.mu.Unlock()
	file, err := open()
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && f.removed > 0 {
		file.Close()
		err = os.ErrNotExist
	}
	if err != nil {
		o.release(n, f)
		return nil, err
	}
	f.handles[file] = struct{}{}
	return file, nil
}

// removed says that a file was removed from its folder.
func (o *openFiles) removed(n name) {
	o.mu.Lock()
	defer o.mu.Unlock()
	f := o.files[n]
	if f == nil || f.removed > 0 {
		return
	}
	o.number++
	f.removed = o.number
	if !f.counted {
		f.counted = true
		o.bytes += f.size
	}
	o.cut(0)
}

// cut cuts off readers of removed files until there is room for so many more bytes.
func (o *openFiles) cut(bytes int64) {
	for o.bytes+bytes > o.budget {
		var first *openFile
		for _, f := range o.files {
			if f.removed > 0 && f.counted && len(f.handles) > 0 && (first == nil || f.removed < first.removed) {
				first = f
			}
		}
		if first == nil {
			return
		}
		for handle := range first.handles {
			handle.Close()
		}
		clear(first.handles)
		first.counted = false
		o.bytes -= first.size
	}
}

// close ends one use of a file.
func (o *openFiles) close(n name, file io.Closer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	file.Close()
	if f := o.files[n]; f != nil {
		delete(f.handles, file)
		o.release(n, f)
	}
}

func (o *openFiles) release(n name, f *openFile) {
	if f.uses--; f.uses > 0 {
		return
	}
	if f.counted {
		o.bytes -= f.size
	}
	delete(o.files, n)
}
