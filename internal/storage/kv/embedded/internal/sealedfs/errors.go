package sealedfs

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
)

// ErrDamaged is the error of a file, or a part of it, that is not what this store wrote
// there: damaged, cut, exchanged, or an older file of the same name.
var ErrDamaged = errors.New("sealedfs: a file is not what the store wrote")

var (
	errEmpty       = errors.New("sealedfs: markers hold no bytes")
	errFinished    = errors.New("sealedfs: a write after the file was finished by a sync")
	errFull        = errors.New("sealedfs: the file has too many frames")
	errUnsupported = errors.New("sealedfs: this kind of file has no such operation")
)

// Damage is a part of a file that is not what the store wrote there. Length is 0 if it is
// unknown.
type Damage struct {
	File       string
	At, Length int64 // in the file as it is on the disk
	What       string
}

// damaged is the error of a Damage. Pebble reports it as corruption of its own files.
type damaged struct{ Damage }

func (d *damaged) Error() string {
	return fmt.Sprintf("sealedfs: %s at %d: %s", d.File, d.At, d.What)
}

// DamageIn returns the damage that an error is about.
func DamageIn(err error) (Damage, bool) {
	if d := (*damaged)(nil); errors.As(err, &d) {
		return d.Damage, true
	}
	return Damage{}, false
}

// Is makes errors.Is true for ErrDamaged and pebble.ErrCorruption.
func (d *damaged) Is(target error) bool {
	return target == ErrDamaged || target == pebble.ErrCorruption
}
