package pebblekv

import (
	"errors"
	"io/fs"
	"regexp"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
)

// Blame returns the file in o.Dir that an error of an engine that does not open is about, and what is wrong
// with it. ok is false if nothing is wrong with a file: the disk may be full, or another process has the engine.
func Blame(o Options, err error) (path, what string, ok bool) {
	name, failed := blamed(o, err)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "", "", false
	case name != "":
	case pebble.IsCorruptionError(err):
		return o.Dir, "can't be opened: one of its files is damaged, missing or another one", true
	default:
		return "", "", false
	}
	path = o.fs().PathJoin(o.Dir, name)
	if _, serr := o.fs().Stat(path); errors.Is(serr, fs.ErrNotExist) {
		return path, "is missing", true
	}
	if failed != nil && !errors.Is(failed, fs.ErrNotExist) {
		return path, "can't be used: " + failed.Error(), true
	}
	return path, "is damaged, cut or another file", true
}

// blamed returns the name of a file, and the system's error. Some errors of Pebble have the name only in their
// text, where a table may be a mere number.
func blamed(o Options, err error) (name string, failed error) {
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil && info.Path != "" {
		return o.fs().PathBase(info.Path), nil
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) && p.Path != "" {
		return o.fs().PathBase(p.Path), p.Err
	}
	text := err.Error()
	if name := regexp.MustCompile(`MANIFEST-\d{6,}|\b\d{6,}\.(sst|blob|log)\b`).FindString(text); name != "" {
		return name, nil
	}
	if m := regexp.MustCompile(`\b(?:L\d+: |backing file )(\d{6,})\b`).FindStringSubmatch(text); m != nil {
		return m[1] + ".sst", nil
	}
	return "", nil
}
