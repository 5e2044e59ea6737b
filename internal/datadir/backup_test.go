package datadir

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/payload"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/rootkey"
)

// held is a data directory with a snapshot and some blobs, as a running server has it.
type held struct {
	t         *testing.T
	data, dir string
	warned    []string
	check     bool // backups verify what earlier ones copied
}

func newHeld(t *testing.T) *held {
	t.Helper()
	h := &held{t: t, data: filepath.Join(t.TempDir(), "data"), dir: filepath.Join(t.TempDir(), "backups")}
	if err := payload.Prepare(folder.OS(), h.data); err != nil {
		t.Fatal(err)
	}
	keyring := newKeyring(t)
	for name, text := range map[string]string{
		"meta/000001.sst": "a table", "meta/MANIFEST-1": "a list",
		"keyring": keyring, "blobs/keyring": keyring, "audit/keyring": keyring,
	} {
		h.write(filepath.Join(SnapshotFolder, name), text)
	}
	return h
}

// newKeyring returns a keyring under a new key.
func newKeyring(t *testing.T) string {
	t.Helper()
	k, err := rootkey.Open(t.Context(), "file:"+filepath.Join(t.TempDir(), "root.key"), rootkey.Options{
		DataDir: t.TempDir(), MayCreate: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(k.Text())
}

func (h *held) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.data, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

// blobName returns the name of the n-th blob.
func blobName(n int) string { return fmt.Sprintf("%02x%030x", n%7, n) }

func (h *held) blobs(n int) (names []string) {
	for i := range n {
		h.write(filepath.Join("blobs", blobName(i)[:2], blobName(i)), strings.Repeat("sealed ", i+1))
	}
	for k := range 7 { // in order of the names
		for i := range n {
			if i%7 == k {
				names = append(names, blobName(i))
			}
		}
	}
	return names
}

// backup makes a backup of one blob after the other; it ends before step stop, as if it was killed.
func (h *held) backup(names []string, stop int) (BackupCount, bool) {
	h.t.Helper()
	b, err := BeginBackup(h.data, h.dir, func(what string) { h.warned = append(h.warned, what) })
	if err != nil {
		h.t.Fatal(err)
	}
	if h.check {
		b.Verify()
	}
	defer b.lock.Close() // as at the end of a process
	steps := []func() error{func() error {
		return b.Snapshot(h.t.Context(), SnapshotFolder, 7, time.Unix(1_700_000_000, 0))
	}}
	for _, n := range names {
		steps = append(steps, func() error { return b.Blobs(h.t.Context(), []string{n}) })
	}
	steps = append(steps, b.Finish)
	for i, step := range steps {
		if i == stop {
			return b.count, false
		}
		if err := step(); err != nil {
			h.t.Fatal(err)
		}
	}
	return b.count, true
}

func (h *held) verify(name string) (Restored, error) {
	return VerifyBackup(context.Background(), RestoreInput{From: h.dir, Backup: name})
}

// TestBackupIsKilled: at whichever step a backup is killed, the previous one stays whole and is the
// newest, and the next backup succeeds.
func TestBackupIsKilled(t *testing.T) {
	h := newHeld(t)
	names := h.blobs(3)
	if _, done := h.backup(names, -1); !done {
		t.Fatal("the first backup was not made")
	}
	names = h.blobs(9)
	for stop := 0; ; stop++ {
		h.write(filepath.Join(SnapshotFolder, "meta", fmt.Sprintf("%06d.sst", stop)), "another table")
		if stop == 4 { // a part of a blob is left, too
			half := filepath.Join(h.dir, "blobs", names[8][:2], names[8]+unfinished)
			if err := os.WriteFile(half, []byte("seal"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, done := h.backup(names, stop)
		got, err := h.verify("")
		if err != nil {
			t.Fatalf("killed before step %d: %v", stop, err)
		}
		if done {
			if got.Backup != "000002" || got.Blobs != 9 {
				t.Errorf("%+v", got)
			}
			break
		}
		if got.Backup != "000001" || got.Blobs != 3 || got.Commit != 7 || got.Taken.Unix() != 1_700_000_000 {
			t.Errorf("killed before step %d: %+v", stop, got)
		}
	}
	if got, err := h.verify("000001"); err != nil || got.Blobs != 3 {
		t.Errorf("the first backup: %+v, %v", got, err)
	}
	if len(h.warned) > 0 {
		t.Error(h.warned)
	}
}

// TestVerifyReadsTheKeyring: a backup that no root key opens is not whole, even if all files were
// copied.
func TestVerifyReadsTheKeyring(t *testing.T) {
	h := newHeld(t)
	good := newKeyring(t)
	flipped := []byte(good)
	flipped[40] ^= 1
	for name, c := range map[string]struct {
		copies [3]string // in the data, beside the blobs, beside the audit log
		want   string
	}{
		"whole":                 {[3]string{good, good, good}, ""},
		"damaged":               {[3]string{string(flipped), string(flipped), string(flipped)}, "keyring is damaged"},
		"a damaged copy":        {[3]string{good, good, string(flipped)}, "keyring is damaged"},
		"empty":                 {[3]string{}, "keyring is damaged"},
		"too long":              {[3]string{strings.Repeat("k", rootkey.KeyringLimit+9), good, good}, "is damaged"},
		"a copy is another one": {[3]string{good, newKeyring(t), good}, "another keyring"},
		"none":                  {[3]string{"-"}, "no keyring"},
	} {
		t.Run(name, func(t *testing.T) {
			for i, place := range []string{"keyring", "blobs/keyring", "audit/keyring"} {
				h.write(filepath.Join(SnapshotFolder, place), c.copies[i])
				if c.copies[0] == "-" {
					os.Remove(filepath.Join(h.data, SnapshotFolder, place))
				}
			}
			h.backup(nil, -1)
			if _, err := h.verify(""); (err == nil) != (c.want == "") ||
				err != nil && !strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
}

// TestBackupKeepsTheOlderCopy: if a blob is missing or truncated in the data, the copy of an earlier
// backup counts, because blobs never change.
func TestBackupKeepsTheOlderCopy(t *testing.T) {
	h := newHeld(t)
	names := h.blobs(4)
	h.backup(names, -1)
	path := func(n int) string { return filepath.Join(h.data, "blobs", blobName(n)[:2], blobName(n)) }
	os.Remove(path(1))
	h.write(filepath.Join("blobs", blobName(2)[:2], blobName(2)), "cut")
	names = append(names, blobName(4)) // never existed
	n, _ := h.backup(names, -1)
	if n.Altered != 2 || n.Missing != 1 || n.Blobs != 4 || len(h.warned) != 3 {
		t.Errorf("%+v, %q", n, h.warned)
	}
	if got, err := h.verify(""); err != nil || got.Missing != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestBackupMendsItself: a missing copy is copied again, and a backup with a damaged manifest is not used
// as a base.
func TestBackupMendsItself(t *testing.T) {
	h := newHeld(t)
	names := h.blobs(5)
	h.backup(names, -1)
	if n, _ := h.backup(names, -1); n.Copied != 0 {
		t.Errorf("nothing is new: %+v", n)
	}
	os.Remove(filepath.Join(h.dir, "blobs", names[2][:2], names[2]))
	if _, err := h.verify(""); err == nil {
		t.Error("a missing copy is not noticed")
	}
	if n, _ := h.backup(names, -1); n.Copied == 0 {
		t.Errorf("a missing copy is not copied again: %+v", n)
	}
	if _, err := h.verify(""); err != nil {
		t.Error(err)
	}
	list := filepath.Join(h.dir, backupsFolder, "000003", manifestFile)
	text, err := os.ReadFile(list)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(list, bytes.Replace(text, []byte("blob "), []byte("blub "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if n, _ := h.backup(names, -1); n.Copied != n.Bytes || len(h.warned) != 1 {
		t.Errorf("%+v, %q", n, h.warned)
	}
	if _, err := h.verify("000003"); err == nil {
		t.Error("a damaged manifest is not noticed")
	}
}

// TestBackupVerifies: with Verify, a damaged copy in the folder of backups is replaced by the right bytes,
// and never by others.
func TestBackupVerifies(t *testing.T) {
	h := newHeld(t)
	names := h.blobs(4)
	h.backup(names, -1)
	h.check = true
	if n, _ := h.backup(names, -1); n.Copied != 0 || n.Mended != 0 || len(h.warned) > 0 {
		t.Errorf("nothing is damaged: %+v, %q", n, h.warned)
	}
	rot := func(path string) {
		t.Helper()
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[len(b)/2] ^= 1
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	rot(filepath.Join(h.dir, "blobs", names[0][:2], names[0]))
	rot(filepath.Join(h.dir, "blobs", names[1][:2], names[1]))
	rot(filepath.Join(h.data, "blobs", names[1][:2], names[1]))
	rot(filepath.Join(h.dir, backupsFolder, "000002", "meta", "000001.sst"))
	var bad []string
	got, err := VerifyBackup(t.Context(), RestoreInput{From: h.dir, Bad: func(what string) { bad = append(bad, what) }})
	if err == nil || got.Damaged != 3 || len(bad) != 3 || got.Blobs != 2 {
		t.Errorf("%+v, %q, %v", got, bad, err)
	}
	kept, err := os.ReadFile(filepath.Join(h.dir, "blobs", names[1][:2], names[1]))
	if err != nil {
		t.Fatal(err)
	}
	n, _ := h.backup(names, -1)
	if n.Mended != 1 || n.Missing != 1 || n.Blobs != 3 || len(h.warned) != 4 {
		t.Errorf("%+v, %q", n, h.warned)
	}
	if now, err := os.ReadFile(filepath.Join(h.dir, "blobs", names[1][:2], names[1])); err != nil ||
		!bytes.Equal(now, kept) {
		t.Error("a copy was replaced by unverified bytes:", err)
	}
	if got, err := h.verify(""); err != nil || got.Missing != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

// FuzzManifest: only a whole manifest is accepted.
func FuzzManifest(f *testing.F) {
	f.Add("watertight-backup 1\ntaken 2026-01-01T00:00:00Z\ncommit 7\nend 00\n")
	f.Add("watertight-backup 1\ntaken 2026-01-01T00:00:00Z\ncommit 7\nfile 00 7 ../x\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "m")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := openManifest(path)
		if err != nil {
			return
		}
		defer m.Close()
		err = m.each(func(e entry) error {
			if e.kind == "file" && !filepath.IsLocal(e.name) {
				t.Fatalf("a file outside of the backup: %q", e.name)
			}
			return nil
		})
		if err == nil && !strings.Contains(text, "\nend ") {
			t.Fatal("a manifest without an end is whole")
		}
	})
}
