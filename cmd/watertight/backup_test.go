package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/datadir"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// keySource returns the source of the root key of a test's server.
func keySource(s *harness.Server) string {
	return "file:" + filepath.Join(filepath.Dir(s.Data), "root.key")
}

// filesOf returns the files below a folder, by their path in it.
func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err == nil {
			all[rel], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func get(t *testing.T, s *harness.Server, key string) string {
	t.Helper()
	r, err := s.S3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: aws.String("photos"), Key: &key})
	if err != nil {
		return err.Error()
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func remove(t *testing.T, s *harness.Server, key string) {
	t.Helper()
	if _, err := s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: aws.String("photos"), Key: &key,
	}); err != nil {
		t.Fatal(err)
	}
}

// must runs a command, and fails the test if the command fails.
func must(t *testing.T, args ...string) string {
	t.Helper()
	code, out, errs := ran(t, args...)
	if code != exitOK {
		t.Fatalf("%q exits with %d: %s%s", args, code, out, errs)
	}
	return out
}

// flip changes a bit in the middle of a file.
func flip(t *testing.T, path string) {
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

// TestBackup makes backups of a running server. Each is restored to a server that serves the data from
// the time of the backup.
func TestBackup(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "small", 10)
	put(t, s, "large", 1_200_000)
	put(t, s, "gone", 300_000)
	dir := filepath.Join(t.TempDir(), "backups")
	first := must(t, "backup", dir, "--data", s.Data)
	if !strings.Contains(first, "backup 000001: 2 blobs") {
		t.Error(first)
	}
	remove(t, s, "gone")
	put(t, s, "new", 100_000)
	second := must(t, "backup", dir, "--data", s.Data)
	if !strings.Contains(second, "backup 000002: 2 blobs") {
		t.Error(second)
	}
	if files, err := os.ReadDir(filepath.Join(s.Data, "snapshot")); err == nil {
		t.Errorf("files of the snapshot are left: %v", files)
	}
	if left := blobFiles(t, s.Data); len(left) != 1 {
		t.Errorf("%d blobs are in the data directory", len(left))
	}
	key, err := os.ReadFile(strings.TrimPrefix(keySource(s), "file:"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range filesOf(t, dir) {
		if bytes.Contains(text, []byte("watertight watertight ")) || bytes.Contains(text, bytes.TrimSpace(key)) {
			t.Errorf("%s contains plaintext or the root key", name)
		}
	}
	for _, step := range []struct {
		backup, has, hasNot string
	}{{"000001", "gone", "new"}, {"000002", "new", "gone"}} {
		must(t, "restore", dir, "--verify-only", "--backup", step.backup)
		data := filepath.Join(t.TempDir(), "data")
		must(t, "restore", dir, "--data", data, "--root-key", keySource(s), "--backup", step.backup)
		must(t, "scrub", "--offline", "--data", data, "--root-key", keySource(s))
		must(t, "check", "--data", data, "--root-key", keySource(s), "--read-data")
		if events := must(t, "audit", "export", "--data", data, "--root-key", keySource(s)); !strings.Contains(events,
			`"StoreRestored"`) || !strings.Contains(events, "backup "+step.backup) {
			t.Error("the audit log has no event of the restore")
		}
		r := harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = data, keySource(s) })
		if !strings.HasPrefix(get(t, r, "large"), "watertight ") ||
			!strings.HasPrefix(get(t, r, step.has), "watertight ") ||
			!strings.Contains(get(t, r, step.hasNot), "NoSuchKey") {
			t.Errorf("backup %s does not serve the data of its time", step.backup)
		}
		r.Stop()
	}
}

// TestBackupBesideDeletions: a deleted blob that a backup needs is removed only after the backup has
// copied it.
func TestBackupBesideDeletions(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 200_000)
	put(t, s, "gone", 1_200_000)
	dir := filepath.Join(t.TempDir(), "backups")
	b, err := datadir.BeginBackup(s.Data, dir, func(what string) { t.Error(what) })
	if err != nil {
		t.Fatal(err)
	}
	err = operator.Dial(s.Data).Backup(t.Context(), func(p operator.BackupProgress) (operator.BackupDone, error) {
		switch {
		case p.Snapshot != nil:
			remove(t, s, "gone")
			put(t, s, "large", 100_000)
			if code, _, errs := ran(t, "backup", dir+"2", "--data", s.Data); code != exitFailure ||
				!strings.Contains(errs, "Another backup is under way") {
				t.Errorf("a second backup: %d: %s", code, errs)
			}
			if code, _, errs := ran(t, "backup", dir, "--data", s.Data); code != exitFailure ||
				!strings.Contains(errs, "is under way") {
				t.Errorf("a second backup into the same folder: %d: %s", code, errs)
			}
			return operator.BackupDone{}, b.Snapshot(t.Context(), p.Snapshot.Folder, p.Snapshot.Commit, p.Snapshot.At)
		case p.Listed:
			return operator.BackupDone{}, b.Finish()
		}
		return operator.BackupDone{}, b.Blobs(t.Context(), p.Blobs)
	})
	if err != nil || b.Close() != nil || b.Count().Blobs != 2 || b.Count().Missing != 0 {
		t.Fatalf("%+v, %v", b.Count(), err)
	}
	if left := blobFiles(t, s.Data); len(left) != 0 {
		t.Errorf("%d blobs are left", len(left))
	}
	data := filepath.Join(t.TempDir(), "data")
	must(t, "restore", dir, "--data", data, "--root-key", keySource(s))
	must(t, "check", "--data", data, "--root-key", keySource(s), "--read-data")
}

// TestBackupHoldsTheKeyringInUse: if the keyring and its copies on the disk are damaged, a backup has
// the keyring that the server holds in memory.
func TestBackupHoldsTheKeyringInUse(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 200_000)
	dir := filepath.Join(t.TempDir(), "backups")
	all := []string{"keyring", "blobs/keyring", "audit/keyring"}
	for name, harmed := range map[string][]string{"the keyring": all[:1], "the copies": all[1:], "all": all} {
		t.Run(name, func(t *testing.T) {
			for _, place := range harmed {
				flip(t, filepath.Join(s.Data, place))
			}
			must(t, "backup", dir, "--data", s.Data)
			must(t, "restore", dir, "--verify-only")
			data := filepath.Join(t.TempDir(), "data")
			must(t, "restore", dir, "--data", data, "--root-key", keySource(s))
			must(t, "check", "--data", data, "--root-key", keySource(s), "--read-data")
			for _, place := range harmed { // as the server does it every minute
				whole, err := os.ReadFile(filepath.Join(data, place))
				if err == nil {
					err = os.WriteFile(filepath.Join(s.Data, place), whole, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestBackupIsIncremental: bytes that an earlier backup has are not copied again.
func TestBackupIsIncremental(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 3_000_000)
	dir := filepath.Join(t.TempDir(), "backups")
	var counts []datadir.BackupCount
	for range 2 {
		var n datadir.BackupCount
		if err := json.Unmarshal([]byte(must(t, "backup", dir, "--data", s.Data, "--json")), &n); err != nil {
			t.Fatal(err)
		}
		counts = append(counts, n)
	}
	if counts[0].Copied < 3_000_000 || counts[1].Copied > 1_000_000 || counts[1].Bytes < 3_000_000 {
		t.Errorf("%+v", counts)
	}
}

// TestRestoreRefuses: a target that is not empty, a damaged backup, another root key and a missing
// backup are refused, and no files are left in the target.
func TestRestoreRefuses(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 200_000)
	dir := filepath.Join(t.TempDir(), "backups")
	must(t, "backup", dir, "--data", s.Data)
	blob := blobFiles(t, dir)[0]
	meta, err := filepath.Glob(filepath.Join(dir, "backups", "000001", "meta", "MANIFEST-*"))
	if err != nil || len(meta) != 1 {
		t.Fatal(meta, err)
	}
	list := filepath.Join(dir, "backups", "000001", "manifest")
	flipped := func(path string) func() { return func() { flip(t, path) } }
	for name, c := range map[string]struct {
		harm, undo func()
		args       []string
		want       string
	}{
		"not empty":     {args: []string{"--data", s.Data}, want: "is not empty"},
		"in the backup": {args: []string{"--data", filepath.Join(dir, "x")}, want: "lies in"},
		"no such":       {args: []string{"--backup", "000009"}, want: "there is no backup 000009"},
		"another key":   {args: []string{"--root-key", "file:" + s.Data + ".key"}, want: "root key"},
		"a blob":        {harm: flipped(blob), undo: flipped(blob), want: "backup 000001 is damaged"},
		"metadata":      {harm: flipped(meta[0]), undo: flipped(meta[0]), want: "backup 000001 is damaged"},
		"the manifest":  {harm: flipped(list), undo: flipped(list), want: "damaged"},
		"a blob is gone": {
			harm: func() { os.Rename(blob, blob+".x") }, undo: func() { os.Rename(blob+".x", blob) },
			want: "is damaged",
		},
		"the manifest is cut": {
			harm: func() { os.Rename(list, list+".x"); os.WriteFile(list, []byte("watertight-backup 1\n"), 0o600) },
			undo: func() { os.Rename(list+".x", list) }, want: "is damaged",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.harm != nil {
				c.harm()
				defer c.undo()
				if code, _, errs := ran(t, "restore", dir, "--verify-only"); code != exitFailure ||
					!strings.Contains(errs, "damaged") {
					t.Errorf("verified: %d: %s", code, errs)
				}
			}
			data := filepath.Join(t.TempDir(), "data")
			args := append([]string{"restore", dir, "--data", data, "--root-key", keySource(s)}, c.args...)
			code, _, errs := ran(t, args...)
			if code != exitFailure || !strings.Contains(errs, c.want) {
				t.Errorf("%d: %s", code, errs)
			}
			if _, err := os.Stat(data); !errors.Is(err, fs.ErrNotExist) {
				t.Error("files are left in the target:", err)
			}
		})
	}
	must(t, "restore", dir, "--data", filepath.Join(t.TempDir(), "data"), "--root-key", keySource(s))
	if code, _, _ := ran(t, "restore", dir); code != exitUsage {
		t.Error("neither a target nor --verify-only:", code)
	}
	if code, _, errs := ran(t, "backup", filepath.Join(s.Data, "x"), "--data", s.Data); code != exitFailure ||
		!strings.Contains(errs, "lies in") {
		t.Errorf("a backup in the data: %d: %s", code, errs)
	}
}

// TestRestoreSkipsDamaged: damaged files of the backup are listed and left out, a scrub names their
// objects, and a backup with --verify replaces them.
func TestRestoreSkipsDamaged(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	put(t, s, "rotten", 200_000)
	dir := filepath.Join(t.TempDir(), "backups")
	must(t, "backup", dir, "--data", s.Data)
	blob := blobFiles(t, dir)[0]
	put(t, s, "good", 300_000)
	must(t, "backup", dir, "--data", s.Data)
	b, err := os.ReadFile(blob)
	if err != nil {
		t.Fatal(err)
	}
	b[1000] ^= 1
	if err := os.WriteFile(blob, b, 0o600); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(t.TempDir(), "data")
	restore := []string{"restore", dir, "--data", data, "--root-key", keySource(s)}
	if code, _, errs := ran(t, restore...); code != exitFailure || !strings.Contains(errs, filepath.Base(blob)) {
		t.Errorf("%d: %s", code, errs)
	}
	code, out, errs := ran(t, append(restore, "--skip-damaged")...)
	if code != exitSkipped || !strings.Contains(errs, "damaged in the backup: blob "+filepath.Base(blob)) ||
		!strings.Contains(out, "1 blobs") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	code, out, errs = ran(t, "scrub", "--offline", "--data", data, "--root-key", keySource(s))
	if code != exitDamaged || !strings.Contains(out, "missing: s3://photos/rotten version null") ||
		!strings.Contains(out, "\n1 findings\n") {
		t.Errorf("%d: %s%s", code, out, errs)
	}
	if _, _, errs := ran(t, "backup", dir, "--data", s.Data, "--verify"); !strings.Contains(errs,
		filepath.Base(blob)) {
		t.Error("the damage is not listed:", errs)
	}
	must(t, "restore", dir, "--verify-only")
	must(t, "restore", dir, "--verify-only", "--backup", "000001")
}

// TestRestoreTriesTheKeyFirst: a key that does not open the backup is refused before a
// blob is read, and the same target can be tried again with the right one.
func TestRestoreTriesTheKeyFirst(t *testing.T) {
	s, other := harness.Start(t), harness.Start(t)
	makeBucket(t, s)
	put(t, s, "large", 200_000)
	dir := filepath.Join(t.TempDir(), "backups")
	must(t, "backup", dir, "--data", s.Data)
	blob := blobFiles(t, dir)[0]
	if err := os.Rename(blob, blob+".x"); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]string{"missing": filepath.Join(t.TempDir(), "data"), "empty": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			code, _, errs := ran(t, "restore", dir, "--data", data, "--root-key", keySource(other))
			if code != exitFailure || !strings.Contains(errs, "does not open it") {
				t.Errorf("%d: %s", code, errs)
			}
			if files, err := os.ReadDir(data); name == "empty" && err != nil || len(files) > 0 {
				t.Errorf("files left: %v, %v", files, err)
			}
		})
		if err := os.Rename(blob+".x", blob); err != nil {
			t.Fatal(err)
		}
		must(t, "restore", dir, "--data", data, "--root-key", keySource(s))
		if err := os.Rename(blob, blob+".x"); err != nil {
			t.Fatal(err)
		}
	}
}

// TestBackupUnderLoad: a backup of a server under constant writes is one state with all of its bytes.
func TestBackupUnderLoad(t *testing.T) {
	s := harness.Start(t)
	makeBucket(t, s)
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				key := fmt.Sprintf("%d-%d", w, n%20)
				put(t, s, key, 20_000+n)
				if n%3 == 0 {
					remove(t, s, key)
				}
			}
		})
	}
	dir := filepath.Join(t.TempDir(), "backups")
	for range 3 {
		must(t, "backup", dir, "--data", s.Data)
	}
	close(stop)
	writers.Wait()
	for _, name := range []string{"000001", "000002", "000003"} {
		data := filepath.Join(t.TempDir(), "data")
		must(t, "restore", dir, "--data", data, "--root-key", keySource(s), "--backup", name)
		must(t, "check", "--data", data, "--root-key", keySource(s), "--read-data")
		must(t, "scrub", "--data", data, "--root-key", keySource(s), "--offline", "--rate", "0")
	}
	// The files of a backup that was interrupted with its server are removed at the next start.
	s.Stop()
	cut := []string{filepath.Join(s.Data, "snapshot"), filepath.Join(s.Data, "blobs", "retired")}
	for _, dir := range cut {
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	harness.Start(t, func(c *server.Config) { c.Data, c.RootKey = s.Data, keySource(s) })
	for _, dir := range cut {
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is still there: %v", dir, err)
		}
	}
}
