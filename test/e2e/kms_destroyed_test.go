package e2e

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"

	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/rootkey"
	"watertight/test/metafiles"
)

// waitForLog waits until the server has logged a line.
func (c kmsCast) waitForLog(t *testing.T, line string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(c.Logs.String(), line); {
		if time.Now().After(end) {
			t.Fatalf("no line %q in\n%s", line, c.Logs)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestKMSDestroyedForEver: when the window has ended, the server destroys the key. No table of the
// engine has its material any more, an event reports it, and setting the clock back
// restores nothing.
func TestKMSDestroyedForEver(t *testing.T) {
	c := newKMSCast(t)
	ctx, key, other := t.Context(), c.newKey(), c.newKey()
	c.Stop()
	if !c.inTables(t, idOf(key)) || !c.inTables(t, idOf(other)) {
		c = c.again(t) // the engine writes its log into a table
		c.Stop()
	}
	if !c.inTables(t, idOf(key)) || !c.inTables(t, idOf(other)) {
		t.Fatal("the test does not find material in the engine's tables")
	}
	c = c.again(t)
	_, err := c.kms.ScheduleKeyDeletion(ctx, &kms.ScheduleKeyDeletionInput{
		KeyId: &key, PendingWindowInDays: aws.Int32(7),
	})
	c.ok(err)
	c.Stop()
	c.clock.ahead.Add(int64(7*24*time.Hour + time.Minute))
	c = c.again(t)
	c.waitForLog(t, "customers' keys: destroyed for ever")
	c.waitForLog(t, "customers' keys: material erased from the store's files")
	c.Stop()
	if c.inTables(t, idOf(key)) {
		t.Error("its material is still in a table of the engine")
	}
	if !c.inTables(t, idOf(other)) {
		t.Error("another key's material is gone, too")
	}
	root, err := rootkey.Open(ctx, "file:"+filepath.Join(filepath.Dir(c.Data), "root.key"),
		rootkey.Options{DataDir: c.Data})
	c.ok(err)
	told := false
	c.ok(audit.Read(folder.OS(), filepath.Join(c.Data, "audit"), root.Ring, func(g audit.Group) error {
		for _, e := range g.Events {
			told = told || bytes.Contains(e.JSON, []byte(`"DeleteKey"`)) && bytes.Contains(e.JSON, []byte(key))
		}
		return nil
	}))
	if !told {
		t.Error("no event reports the destruction")
	}
	c.clock.ahead.Store(0)
	c = c.again(t)
	_, err = c.kms.DescribeKey(ctx, &kms.DescribeKeyInput{KeyId: &key})
	expect(t, err, "NotFoundException")
	_, err = c.kms.CancelKeyDeletion(ctx, &kms.CancelKeyDeletionInput{KeyId: &key})
	expect(t, err, "NotFoundException")
}

// inTables reports whether a table of the engine holds the record of a key's material.
func (c kmsCast) inTables(t *testing.T, id string) (found bool) {
	t.Helper()
	root, err := rootkey.Open(t.Context(), "file:"+filepath.Join(filepath.Dir(c.Data), "root.key"),
		rootkey.Options{DataDir: c.Data})
	c.ok(err)
	var generations [][]byte
	for _, g := range root.Ring.Generations() {
		generations = append(generations, g.Key[:])
	}
	meta := filepath.Join(c.Data, "meta")
	store, err := metafiles.Open(meta, generations)
	c.ok(err)
	files, err := filepath.Glob(filepath.Join(meta, "*.sst"))
	c.ok(err)
	for _, f := range files {
		b, err := store.File(filepath.Base(f))
		c.ok(err)
		found = found || bytes.Contains(b, []byte("m/"+id+"/"))
	}
	return found
}
