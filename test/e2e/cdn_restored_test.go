package e2e

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"

	"watertight/internal/datadir"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// wire passes connections on, until it is cut.
type wire struct {
	net.Listener
	to string

	mu   sync.Mutex
	cut  bool
	open []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{Listener: l, to: to}
	t.Cleanup(func() { l.Close() })
	go func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			w.pass(c)
		}
	}()
	return w
}

func (w *wire) pass(from net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut {
		from.Close()
		return
	}
	to, err := net.Dial("tcp", w.to)
	if err != nil {
		from.Close()
		return
	}
	w.open = append(w.open, from, to)
	for _, c := range [][2]net.Conn{{from, to}, {to, from}} {
		go func() {
			io.Copy(c[0], c[1])
			c[0].Close()
		}()
	}
}

// set cuts the wire, or mends it.
func (w *wire) set(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut = cut
	for _, c := range w.open {
		c.Close()
	}
	w.open = nil
}

// backup makes a backup of the store.
func (s *oacSite) backup(dir string) {
	s.t.Helper()
	b, err := datadir.BeginBackup(s.Data, dir, func(what string) { s.t.Error(what) })
	s.ok(err)
	s.ok(operator.Dial(s.Data).Backup(s.t.Context(), func(p operator.BackupProgress) (operator.BackupDone, error) {
		switch {
		case p.Snapshot != nil:
			return operator.BackupDone{}, b.Snapshot(s.t.Context(), p.Snapshot.Folder, p.Snapshot.Commit, p.Snapshot.At)
		case p.Listed:
			return operator.BackupDone{}, b.Finish()
		}
		return operator.BackupDone{}, b.Blobs(s.t.Context(), p.Blobs)
	}))
	s.ok(b.Close())
}

// restored stops the store, and starts it at the same address with what a backup has.
func (s *oacSite) restored(dir string) {
	s.t.Helper()
	s.Stop()
	data := filepath.Join(filepath.Dir(s.Data), "restored")
	_, err := datadir.Restore(s.t.Context(), datadir.RestoreInput{From: dir, Options: datadir.Options{
		Data: data, RootKey: "file:" + filepath.Join(filepath.Dir(data), "root.key"), Region: harness.Region,
	}})
	s.ok(err)
	s.Data = data
	s.back()
}

// disable disables a distribution.
func (s *oacSite) disable(d *types.Distribution) {
	s.t.Helper()
	got, err := s.cdn.GetDistributionConfig(s.t.Context(), &cloudfront.GetDistributionConfigInput{Id: d.Id})
	s.ok(err)
	got.DistributionConfig.Enabled = aws.Bool(false)
	_, err = s.cdn.UpdateDistribution(s.t.Context(), &cloudfront.UpdateDistributionInput{
		Id: d.Id, IfMatch: got.ETag, DistributionConfig: got.DistributionConfig,
	})
	s.ok(err)
}

// TestEdgeOfARestoredStore: a store is restored from a backup while an edge can't reach it, and
// is then changed as often as the edge has seen, or more often. The edge takes all of it: what was
// invalidated or disabled is no longer served.
func TestEdgeOfARestoredStore(t *testing.T) {
	for seen := 1; seen <= 3; seen++ {
		t.Run(fmt.Sprint(seen, " changes are given up"), func(t *testing.T) {
			s := newOACSite(t)
			cached, other := s.newCached(), s.own.Distribution
			s.policy("aws:SourceAccount", s.account, "s3:GetObject")
			w := newWire(t, strings.TrimPrefix(s.Endpoint, "http://"))
			config := s.enroll("berlin")
			config.Store.Address = "http://" + w.Addr().String()
			config.CDN.Cache = server.CDNCache{Dir: filepath.Join(t.TempDir(), "cache"), Bytes: 64 << 20}
			e := s.startEdge(config)
			defer func() { e.stop() }()
			e.get(t, other, "/page", 200)
			s.replaced(cached, "in the backup")
			dir := filepath.Join(t.TempDir(), "backups")
			s.backup(dir)
			last := ""
			for n := range seen {
				last = fmt.Sprint("given up ", n)
				s.replaced(cached, last)
			}
			e.until(t, cached, last)

			w.set(true)
			s.restored(dir)
			s.replaced(cached, "after the restore")
			s.disable(other)
			w.set(false)
			e.until(t, cached, "after the restore")
			e.get(t, other, "/page", 403)
		})
	}
}
