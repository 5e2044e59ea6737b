package main

import (
	"errors"
	"fmt"
	"time"

	"watertight/internal/datadir"
	"watertight/internal/operator"
)

var errIncomplete = errors.New("some bytes are missing in the data directory; watertight scrub names their objects")

// exitSkipped is the exit code of a restore that left out what is damaged.
const exitSkipped = 6

var errSkipped = errors.New(
	"it was restored without what is damaged in the backup; watertight scrub --offline names the objects")

// backup copies the data of the running server. The server holds a snapshot, and this
// process copies it, so that a failure of the backup's disk does not affect the server.
type backup struct {
	running
	progressFlag
	Dir    string `arg:"" help:"Folder of backups, which is made if it is missing."`
	Verify bool   `help:"Read what was copied by earlier backups, compare it with the manifest, and copy what is damaged again. It reads the whole backup, so it takes as long as a first one."`
	JSON   bool   `help:"Print the result as JSON." name:"json"`
}

// Run makes a backup.
func (c *backup) Run(p process) (err error) {
	bar := c.bar(p)
	b, err := datadir.BeginBackup(c.Data, c.Dir, func(what string) {
		bar.clear()
		fmt.Fprintln(p.stderr, "watertight:", what)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if c.Verify {
		b.Verify()
	}
	err = operator.Dial(c.Data).Backup(p.ctx, func(s operator.BackupProgress) (done operator.BackupDone, err error) {
		switch {
		case s.Snapshot != nil:
			err = b.Snapshot(p.ctx, s.Snapshot.Folder, s.Snapshot.Commit, s.Snapshot.At)
		case s.Listed:
			err = b.Finish()
			done = operator.BackupDone{Blobs: int64(b.Count().Blobs), Bytes: b.Count().Bytes}
		default:
			err = b.Blobs(p.ctx, s.Blobs)
		}
		return done, errors.Join(err, bar.show(fmt.Sprintf("%d blobs, %d bytes, %d of them copied", b.Count().Blobs,
			b.Count().Bytes, b.Count().Copied)))
	})
	bar.clear()
	if err != nil {
		return whenGone(err, "Restart the server and run the same command again: it copies what is new since the last "+
			"complete backup.")
	}
	n := b.Count()
	if c.JSON {
		err = printJSON(p, n)
	} else {
		_, err = fmt.Fprintf(p.stdout, "backup %s: %d blobs and %d files, %d bytes, %d of them copied now\n",
			n.Backup, n.Blobs, n.Files, n.Bytes, n.Copied)
	}
	if err == nil && n.Missing > 0 {
		err = errIncomplete
	}
	return err
}

// restore makes a data directory from a backup.
type restore struct {
	progressFlag
	Dir         string `arg:"" help:"Folder of backups."`
	Data        string `help:"New data directory, which is made." placeholder:"DIR"`
	RootKey     string `help:"Where the root key comes from; see serve." default:"${rootkey}" env:"WATERTIGHT_ROOT_KEY" placeholder:"SOURCE"`
	Anchor      string `help:"Where the anchor of the store is, see serve: the backup is accepted in place of the state that it knows, which the audit log records. The variable WATERTIGHT_ANCHOR does not count here." placeholder:"PATH|URL"`
	Backup      string `help:"Name of the backup; the newest if it is not given." placeholder:"NAME"`
	VerifyOnly  bool   `help:"Read a whole backup and compare it with its manifest. It needs neither --data nor the root key."`
	SkipDamaged bool   `help:"Go on without files of objects that are damaged in the backup or not there, list each, and exit with 6. Scrub then names their objects."`
	JSON        bool   `help:"Print the result as JSON." name:"json"`
}

// Run restores a backup, or verifies one.
func (c *restore) Run(p process) error {
	if (c.Data == "") != c.VerifyOnly {
		return usageError{errors.New("restore needs one of --data NEW and --verify-only")}
	}
	if c.VerifyOnly && c.Anchor != "" {
		return usageError{errors.New("--verify-only restores nothing that --anchor could accept")}
	}
	bar := c.bar(p)
	s := sealedData{running{c.Data}, c.RootKey}
	in := datadir.RestoreInput{
		Options: s.options(p), From: c.Dir, Backup: c.Backup, SkipDamaged: c.SkipDamaged,
		Bad: func(what string) {
			bar.clear()
			fmt.Fprintln(p.stderr, "watertight:", what)
		},
		Progress: func(n datadir.BackupCount) error {
			return bar.show(fmt.Sprintf("%d blobs, %d bytes", n.Blobs, n.Bytes))
		},
	}
	do, said := datadir.Restore, "restored to "+c.Data
	if c.VerifyOnly {
		do, said = datadir.VerifyBackup, "is whole"
	}
	done, err := do(p.ctx, in)
	bar.clear()
	if err == nil && c.Anchor != "" {
		err = c.accept(p, in.Options, done)
	}
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, done)
	} else {
		_, err = fmt.Fprintf(p.stdout, "backup %s of %s %s: %d blobs and %d files, %d bytes, up to commit %d\n",
			done.Backup, done.Taken.Format(time.RFC3339), said, done.Blobs, done.Files, done.Bytes, done.Commit)
	}
	switch {
	case err == nil && done.Damaged > 0:
		err = errSkipped
	case err == nil && done.Missing > 0:
		err = errIncomplete
	}
	return err
}

// accept makes what was restored the state that the anchor knows.
func (c *restore) accept(p process, o datadir.Options, done datadir.Restored) error {
	_, err := datadir.AcceptAnchor(p.ctx, o, c.Anchor,
		fmt.Sprintf("backup %s of %s was restored", done.Backup, done.Taken.Format(time.RFC3339)))
	if err == nil || errors.Is(err, datadir.ErrAnchorAgrees) {
		return nil
	}
	return fmt.Errorf("the backup was restored to %s, and its anchor was not changed: %w. Run \"watertight anchor "+
		"accept\" on it", c.Data, err)
}
