package embedded

import (
	"errors"
	"fmt"
	"log/slog"

	"watertight/internal/storage/kv/embedded/internal/pebblekv"
	"watertight/internal/storage/kv/embedded/internal/sealedfs"
)

// unreadable is the error of a file of the engine, in words for an operator. The engine's words are its cause, and are
// only in the log.
type unreadable struct {
	path, what string
	cause      error
}

func (u *unreadable) Error() string { return u.path + " " + u.what }

func (u *unreadable) Unwrap() error { return u.cause }

// Explain returns an error about a file of the engine in words for an operator, and logs what the engine says.
// It returns every other error as it is.
func Explain(log *slog.Logger, err error) error {
	if errors.As(err, new(*unreadable)) {
		return err
	}
	d, ok := sealedfs.DamageIn(err)
	if !ok {
		return err
	}
	return explained(log, d.File, fmt.Sprintf("is damaged or was changed, at byte %d: %s", d.At, d.What), err)
}

func explained(log *slog.Logger, path, what string, err error) error {
	if log != nil {
		log.Error("kv: a file of the metadata can't be read", "file", path, "cause", err)
	}
	return &unreadable{path, what, err}
}

// explain is Explain for the opening of a store, where the engine may also say that a file is missing.
func explain(o Options, err error) error {
	if err = Explain(o.Logger, err); err == nil || errors.As(err, new(*unreadable)) {
		return err
	}
	if !errors.As(err, new(engineFailed)) {
		return err
	}
	if path, what, ok := pebblekv.Blame(engineOptions(o, nil), err); ok {
		return explained(o.Logger, path, what, err)
	}
	return err
}

// changed is the error of an opening after the verification: files of the engine may have changed.
type changed struct{ error }

func (c changed) Unwrap() error { return c.error }

// Changed reports whether an opening failed after files of the engine may have changed, which keeps every record.
func Changed(err error) bool { return errors.As(err, new(changed)) }

// engineFailed is the error of an engine that does not open.
type engineFailed struct {
	doing string
	error
}

func (e engineFailed) Error() string { return fmt.Sprintf("kv: %s the engine: %v", e.doing, e.error) }

func (e engineFailed) Unwrap() error { return e.error }
