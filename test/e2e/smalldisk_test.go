//go:build linux

package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sys/unix"

	"watertight/internal/datadir"
	"watertight/internal/server"
	"watertight/test/harness"
)

// smallDisk names the folder on which a test that runs in namespaces of its own mounts a file system.
const smallDisk = "WATERTIGHT_TEST_SMALL_DISK"

// onSmallDisk runs the test again in a process that has its own user and mount namespaces, and there a
// file system of the given size. In that process it returns the mounted folder; otherwise it returns "",
// and the test has been run.
func onSmallDisk(t *testing.T, bytes int64, inodes int) string {
	t.Helper()
	if dir := os.Getenv(smallDisk); dir != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatal(err)
		}
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", bytes, inodes)); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.count=1")
	c.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	c.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	out, err := c.CombinedOutput()
	if errors.Is(err, syscall.EPERM) || errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EINVAL) {
		t.Skipf("this machine allows no namespaces: %v", err)
	}
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return ""
}

// TestRecoverToAFullDisk: wherever the disk with the new directory becomes full, recover says so, leaves nothing there
// and the old directory as it was. With room, it succeeds.
func TestRecoverToAFullDisk(t *testing.T) {
	const most = 48 << 20
	mounted := onSmallDisk(t, most, 10000)
	if mounted == "" {
		return
	}
	s := harness.Start(t)
	bucket := newBucket(t, s, "many")
	for i := range 40 {
		if _, err := s.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: bucket, Key: aws.String(fmt.Sprint(i)), Body: strings.NewReader(strings.Repeat("x", 5000+i*2000)),
		}); err != nil {
			t.Fatal(err)
		}
	}
	s.Stop()
	in := datadir.Options{Data: s.Data, RootKey: "file:" + filepath.Join(filepath.Dir(s.Data), "root.key")}
	old := tree(t, s.Data)
	filler, to := filepath.Join(mounted, "filler"), filepath.Join(mounted, "new")
	for _, room := range []int64{64 << 10, 1 << 20, 1792 << 10, 2 << 20, 2304 << 10, 2560 << 10, 3 << 20, most} {
		if err := os.WriteFile(filler, make([]byte, most-room), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := datadir.Recover(t.Context(), in, to)
		t.Logf("with %d bytes: %v", room, err)
		if now := tree(t, s.Data); now != old {
			t.Errorf("with %d bytes, the old directory changed", room)
		}
		if err == nil {
			found, err := datadir.Check(t.Context(), datadir.Options{Data: to, RootKey: in.RootKey}, true)
			if err != nil || len(found.Findings) > 0 {
				t.Errorf("with %d bytes, what was recovered is not whole: %v %v", room, found.Findings, err)
			}
			if err := os.RemoveAll(to); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if room == most {
			t.Error("there is room")
		}
		for _, words := range []string{"not enough space", "nothing was recovered"} {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("with %d bytes, the error is %v", room, err)
			}
		}
		if _, err := os.Lstat(to); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("with %d bytes, something is left: %v", room, err)
		}
	}
}

// tree returns the names and contents of all files of a folder.
func tree(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(b), b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// disk is a server on a small file system, and another process that fills it.
type disk struct {
	t     *testing.T
	dir   string
	min   int64
	s     *harness.Server
	acked map[string]int // keys of objects that were put and not deleted, and their sizes
	mu    sync.Mutex
	gone  atomic.Int64 // deletions that were acknowledged
	read  int          // reads that were answered
}

const fullBucket = "full"

func newDisk(t *testing.T, dir string, minFree int64) *disk {
	d := &disk{t: t, dir: dir, min: minFree, acked: map[string]int{}}
	d.start()
	if _, err := d.s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(fullBucket)}); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *disk) start() {
	d.t.Helper()
	d.s = harness.Start(d.t, func(c *server.Config) {
		c.Data, c.RootKey = filepath.Join(d.dir, "data"), "file:"+d.dir+".key"
		c.MinFree = d.min
	})
}

func (d *disk) put(key string, size int) error {
	_, err := d.s.S3.PutObject(d.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(fullBucket), Key: &key, Body: strings.NewReader(strings.Repeat(key[:1], size)),
	}, once)
	if err == nil {
		d.mu.Lock()
		d.acked[key] = size
		d.mu.Unlock()
	}
	return err
}

// once turns off the client's repeated attempts.
func once(o *s3.Options) { o.RetryMaxAttempts = 1 }

func (d *disk) fill(n, size int) {
	d.t.Helper()
	for i := range n {
		if err := d.put(fmt.Sprintf("%d-%d", size, i), size); err != nil {
			d.t.Fatal(err)
		}
	}
}

// take makes another process use the disk until only free bytes are left.
func (d *disk) take(free int64) {
	d.t.Helper()
	f, err := os.OpenFile(filepath.Join(d.dir, "other"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		d.t.Fatal(err)
	}
	defer f.Close()
	for n := d.free() - free; n > 0; n = d.free() - free {
		if _, err := f.Write(make([]byte, min(n, 1<<20))); err != nil {
			return
		}
	}
}

// takeFiles makes another process create files until only free are left.
func (d *disk) takeFiles(free uint64) {
	d.t.Helper()
	if err := os.MkdirAll(filepath.Join(d.dir, "others"), 0o700); err != nil {
		d.t.Fatal(err)
	}
	for i := 0; d.stat().Ffree > free; i++ {
		f, err := os.OpenFile(filepath.Join(d.dir, "others", fmt.Sprint(i)), os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return
		}
		f.Close()
	}
}

// giveBack ends the other process.
func (d *disk) giveBack() {
	d.t.Helper()
	if err := errors.Join(os.RemoveAll(filepath.Join(d.dir, "other")),
		os.RemoveAll(filepath.Join(d.dir, "others"))); err != nil {
		d.t.Fatal(err)
	}
}

func (d *disk) stat() (st unix.Statfs_t) {
	if err := unix.Statfs(d.dir, &st); err != nil {
		d.t.Fatal(err)
	}
	return st
}

func (d *disk) free() int64 {
	st := d.stat()
	return int64(st.Bavail) * st.Bsize
}

// isFull reports whether an answer says that the disk is full.
func isFull(err error) bool {
	var re *awshttp.ResponseError
	return errors.As(err, &re) && re.HTTPStatusCode() == http.StatusInsufficientStorage
}

func (d *disk) until(what string, ok func() bool) {
	d.t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			d.t.Fatalf("this did not happen in time: %s; %d bytes and %d files are free\n%s", what, d.free(),
				d.stat().Ffree, d.s.Logs)
		}
	}
}

// reads reads every object that was acknowledged.
func (d *disk) reads() {
	d.t.Helper()
	for key, size := range d.acked {
		out, err := d.s.S3.GetObject(d.t.Context(), &s3.GetObjectInput{Bucket: aws.String(fullBucket), Key: &key}, once)
		if err != nil {
			d.t.Errorf("reading %s: %v", key, err)
			continue
		}
		b, err := io.ReadAll(out.Body)
		if err != nil || string(b) != strings.Repeat(key[:1], size) {
			d.t.Errorf("%s has %d bytes, want %d: %v", key, len(b), size, err)
		}
		out.Body.Close()
		d.read++
	}
}

// deletes deletes n objects whose keys have a prefix.
func (d *disk) deletes(n int, prefix string) {
	d.t.Helper()
	for key := range d.acked {
		if n == 0 || !strings.HasPrefix(key, prefix) {
			continue
		}
		n--
		if _, err := d.s.S3.DeleteObject(d.t.Context(), &s3.DeleteObjectInput{
			Bucket: aws.String(fullBucket), Key: &key,
		}, once); err != nil {
			d.t.Fatalf("deleting %s with %d bytes free: %v\n%s", key, d.free(), err, d.s.Logs)
		}
		delete(d.acked, key)
		d.gone.Add(1)
	}
	if n > 0 {
		d.t.Fatalf("%d objects are missing", n)
	}
}

// finish makes room, and checks that writes come back without a restart, that nothing acknowledged is lost,
// and that every deletion and every read is in the audit log.
func (d *disk) finish() {
	d.t.Helper()
	d.giveBack()
	d.until("writes come back", func() bool { return d.put("again", 100) == nil })
	d.reads()
	d.s.Stop()
	var deleted int64
	read := 0
	if _, err := datadir.ReadAudit(context.Background(), datadir.Options{
		Data: filepath.Join(d.dir, "data"), RootKey: "file:" + d.dir + ".key",
	}, "", func(b []byte) error {
		var e struct{ EventName, ErrorCode string }
		if err := json.Unmarshal(b, &e); err != nil {
			return err
		}
		if e.EventName == "DeleteObject" && e.ErrorCode == "" {
			deleted++
		}
		if e.EventName == "GetObject" && e.ErrorCode == "" {
			read++
		}
		return nil
	}); err != nil || deleted != d.gone.Load() || read != d.read {
		d.t.Errorf("%d deletions and %d reads were answered, the audit log has %d and %d: %v", d.gone.Load(), d.read,
			deleted, read, err)
	}
}

// TestDiskFilledBelowMinFree: another process leaves less than a quarter of --min-free. Objects are read and
// deleted, with their events; writes are refused, and come back.
func TestDiskFilledBelowMinFree(t *testing.T) {
	dir := onSmallDisk(t, 160<<20, 4000)
	if dir == "" {
		return
	}
	d := newDisk(t, dir, 24<<20)
	d.fill(150, 1000)
	d.fill(4, 2<<20)
	d.take(4 << 20)
	d.until("writes are refused", func() bool { return isFull(d.put("w", 1000)) })
	d.reads()
	d.deletes(150, "1000-")
	if err := d.put("w", 1000); !isFull(err) {
		t.Errorf("a write: %v", err)
	}
	d.reads()
	d.deletes(2, "2097152-")
	d.finish()
}

// TestStartOnFullDisk: the disk has no byte left while the server runs, is stopped and is started
// again. It serves reads each time.
func TestStartOnFullDisk(t *testing.T) {
	dir := onSmallDisk(t, 160<<20, 4000)
	if dir == "" {
		return
	}
	d := newDisk(t, dir, 24<<20)
	d.fill(50, 1000)
	d.fill(4, 2<<20)
	for range 2 {
		d.take(0)
		d.until("writes are refused", func() bool { return d.put("w", 1000) != nil })
		d.reads()
		if err := d.s.End(); err != nil { // an engine that could not write is not closed cleanly
			t.Log(err)
		}
		d.start()
		d.reads()
		if err := d.put("w", 1000); err == nil {
			t.Error("a write on a full disk")
		}
	}
	// Any room that deletions need must come from the reserve or from others.
	if err := os.Truncate(filepath.Join(dir, "other"), 1<<20); err != nil {
		t.Fatal(err)
	}
	d.take(20 << 20)
	d.until("deletions go on", func() bool {
		_, err := d.s.S3.DeleteObject(t.Context(), &s3.DeleteObjectInput{
			Bucket: aws.String(fullBucket), Key: aws.String("1000-0"),
		}, once)
		return err == nil
	})
	delete(d.acked, "1000-0")
	d.gone.Add(1)
	d.deletes(20, "1000-")
	d.finish()
}

// TestDiskFilledUnderWrites: another process takes every byte while clients write. Writes are
// refused, and come back without a restart.
func TestDiskFilledUnderWrites(t *testing.T) {
	dir := onSmallDisk(t, 160<<20, 4000)
	if dir == "" {
		return
	}
	d := newDisk(t, dir, 24<<20)
	d.fill(50, 1000)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var failed atomic.Int64
	for c := range 6 {
		clients.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if d.put(fmt.Sprintf("c%d-%d", c, i), 20_000) != nil {
					failed.Add(1)
				}
			}
		})
	}
	d.until("clients write", func() bool { d.mu.Lock(); defer d.mu.Unlock(); return len(d.acked) > 100 })
	d.take(0)
	d.until("writes fail", func() bool { return failed.Load() > 100 })
	close(stop)
	clients.Wait()
	d.reads()
	d.finish()
}

// TestInodesRunOut: another process creates files until none is left. Objects are read and
// deleted, after a restart, too, and writes come back.
func TestInodesRunOut(t *testing.T) {
	dir := onSmallDisk(t, 300<<20, 2000)
	if dir == "" {
		return
	}
	d := newDisk(t, dir, 24<<20)
	d.fill(100, 1000)
	d.fill(4, 2<<20)
	d.takeFiles(0)
	d.until("writes are refused", func() bool { return isFull(d.put("w", 1000)) })
	d.reads()
	d.deletes(60, "1000-")
	d.s.Stop()
	d.start()
	d.reads()
	d.deletes(20, "1000-")
	d.deletes(2, "2097152-")
	d.finish()
}

// TestServerFillsItsDisk: clients write as fast as they can until nothing is taken any more, with a small
// --min-free. The server never takes the room that deletions need.
func TestServerFillsItsDisk(t *testing.T) {
	dir := onSmallDisk(t, 160<<20, 4000)
	if dir == "" {
		return
	}
	d := newDisk(t, dir, 8<<20)
	d.fill(50, 1000)
	var clients sync.WaitGroup
	for c := range 6 {
		clients.Go(func() {
			for i, full := 0, 0; full < 50 && i < 4000; i++ {
				if err := d.put(fmt.Sprintf("c%d-%d", c, i), 100_000+i%7*100_000); err != nil {
					full++
				}
			}
		})
	}
	clients.Wait()
	if err := d.put("w", 1<<20); !isFull(err) {
		t.Errorf("a write on a full disk: %v", err)
	}
	if strings.Contains(fmt.Sprint(d.s.Logs), "takes no more commits") {
		t.Error("the engine ran out of room")
	}
	d.reads()
	d.deletes(50, "1000-")
	d.deletes(20, "c")
	d.finish()
}
