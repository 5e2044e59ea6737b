package datadir

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"time"

	"watertight/internal/core/keys"
	"watertight/internal/core/kms"
	"watertight/internal/core/object"
	"watertight/internal/core/payload"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/rootkey"
)

// ScrubInput says how to scrub.
type ScrubInput = object.ScrubInput

// Scrub is object.Operator.Scrub on a data directory on which no server is running. It
// refuses a directory on which a server would not start: Check and Recover are for those.
func Scrub(ctx context.Context, in Options, how ScrubInput) (done object.Scrubbed, err error) {
	lock, err := lockExisting(in.Data)
	if err != nil {
		return done, err
	}
	if lock != nil {
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	key, err := in.keyring(ctx)
	if err != nil {
		return done, err
	}
	parts, err := Survey(folder.OS(), in.Data)
	if err != nil {
		return done, err
	}
	if parts.Fresh {
		return done, errors.New("there is no store")
	}
	atLeast, err := parts.readMarks(key.Ring)
	if err != nil {
		return done, err
	}
	ring := keys.New(key.Ring, nil)
	err = embedded.Check(ctx, embedded.Options{
		Dir: metaDir(in.Data), Root: key.Ring, AtLeast: atLeast, Logger: in.Logger,
		Marks: slices.Collect(maps.Values(parts.marks)),
		Verified: func(f embedded.Found) (err error) {
			if err := parts.belongs(ctx, f); err != nil {
				return Refused(err)
			}
			payloads, err := payload.Open(payload.Options{Dir: in.Data, Keys: ring, Records: f.Store})
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, payloads.Close()) }()
			customers := kms.NewOperator(kms.New(f.Store, kms.Options{
				Region: in.Region, Root: key.Ring, Now: time.Now,
			}))
			how.Files = FilesOf(in.Data, key)
			o := object.NewOperator(f.Store, payload.NewOperator(payloads, keys.NewOperator(ring, customers)))
			done, err = o.Scrub(ctx, how)
			return err
		},
	})
	return done, err
}

// FilesOf examines the keyring, the store's keys, the markers and their copies, and returns a finding for
// each one that is damaged or missing.
func FilesOf(data string, key *rootkey.Keyring) (all []object.Finding) {
	found := func(problem object.Problem, path, detail string) {
		if rel, err := filepath.Rel(data, path); err == nil {
			path = rel
		}
		all = append(all, object.Finding{Problem: problem, File: path, Detail: detail})
	}
	for _, path := range key.Damaged() {
		found(object.Damaged, path, "it is missing, damaged or not the keyring in use; the server makes it anew")
	}
	if path, err := embedded.CheckKeys(folder.OS(), metaDir(data), key.Ring); err != nil {
		found(object.Damaged, path, "it does not open; the next start makes it anew from a marker: "+err.Error())
	}
	for _, dir := range marked(data) {
		path := filepath.Join(dir, embedded.MarkerFile)
		switch _, err := embedded.ReadMarker(folder.OS(), dir, key.Ring); {
		case errors.Is(err, fs.ErrNotExist):
			found(object.Missing, path, "a start would be refused, or would not know the age of this folder")
		case err != nil:
			found(object.Damaged, path, err.Error())
		}
	}
	return all
}
