package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"watertight/test/bench/fleet"
	"watertight/test/bench/load"
	"watertight/test/bench/report"
)

// lane is a cell on a server.
type lane struct {
	server  *fleet.Server
	cell    cell
	clients []*load.Client
	prefix  string // of its keys, below the bucket
	headers []load.Header
	listing *[]byte // page that the floor is to answer with; shared by the lanes of a cell

	filled int // objects that were prepared
	next   int // number of the next operation
	sample load.Sample
	cpu    []float64 // µs for each operation, of each turn
	syncs  uint64
	counts bool // syncs was counted
}

func newLane(s *fleet.Server, c cell, clients int, listing *[]byte) *lane {
	slug := strings.ToLower(strings.ReplaceAll(strings.ReplaceAll(c.name+"-"+c.variant, " ", "-"), ",", ""))
	l := &lane{
		server: s, cell: c, listing: listing, headers: kmsHeaders(),
		prefix: fmt.Sprintf("%s-%d/%d/", strings.TrimSuffix(slug, "-"), clients, c.size),
	}
	for range clients {
		l.clients = append(l.clients, load.NewClient(s.Target))
	}
	return l
}

// key is a key of the lane below the bucket, and path the whole path.
func (l *lane) key(n string) string { return l.prefix + n }
func (l *lane) path(n int) string   { return fmt.Sprintf("/%s/%s%d", bucket, l.prefix, n) }

// last is the number of operations that there can be.
func (l *lane) last() int {
	if l.cell.consume {
		return l.filled
	}
	return math.MaxInt
}

// turn runs the lane for a while.
func (l *lane) turn(each time.Duration) error {
	if l.next >= l.last() {
		return nil
	}
	if err := l.quiet(); err != nil {
		return err
	}
	before, known, err := l.server.CPU()
	if err != nil {
		return err
	}
	counters, counts, err := l.server.Counters()
	if err != nil {
		return err
	}
	s, next, err := load.Turn(l.clients, each, l.next, l.last(), l.do)
	if err != nil {
		return fmt.Errorf("%s: %w", l.server.Name, err)
	}
	l.next = next
	l.sample.Add(s)
	after, _, err := l.server.CPU()
	if known && err == nil {
		l.cpu = append(l.cpu, float64((after-before).Nanoseconds())/1e3/float64(len(s.Took)))
	}
	now, _, err2 := l.server.Counters()
	l.syncs += now.Syncs - counters.Syncs
	l.counts = counts
	return errors.Join(err, err2)
}

func (l *lane) do(c *load.Client, n int) error { return l.cell.op(l, c, n) }

// quiet writes what servers left to the kernel to the disk, before a turn that writes much: a server that does not sync
// must not slow down the one that has the next turn. That is in favour of servers that don't.
func (l *lane) quiet() error {
	if !l.cell.bulky {
		return nil
	}
	dir, err := os.Open(l.server.Dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return unix.Syncfs(int(dir.Fd()))
}

// trace counts fsyncs of a server that does not count them itself, in a turn that is not measured.
func (l *lane) trace(each time.Duration) error {
	if _, ok, err := l.server.Counters(); ok || err != nil || l.server.Floor || l.next >= l.last() {
		return err
	}
	n := 0
	syncs, err := l.server.Traced(func() error {
		s, next, err := load.Turn(l.clients, each, l.next, l.last(), l.do)
		n, l.next = len(s.Took), next
		return err
	})
	if err != nil {
		return err
	}
	// Scale it to the operations that were measured.
	l.syncs, l.counts = uint64(math.Round(float64(syncs)*float64(len(l.sample.Took))/float64(n))), true
	return nil
}

// end removes what a bulky lane wrote, closes the connections, and returns how often they had been closed by the
// server.
func (l *lane) end() (redialed int, err error) {
	if l.cell.bulky && l.next > 0 && !l.server.Floor && l.cell.prepare == nil {
		_, _, err = load.Turn(l.clients, time.Hour, 0, l.next, func(c *load.Client, n int) error {
			_, err := c.Do(&load.Request{Method: "DELETE", Path: l.path(n)})
			return err
		})
	}
	for _, c := range l.clients {
		redialed += c.Redial
		c.Close()
	}
	return redialed, err
}

// result is what the lane's turns gave.
func (l *lane) result(transport string) report.Result {
	r := report.Result{
		Cell: l.cell.name, Variant: l.cell.variant, Transport: transport, Clients: len(l.clients),
		Server: l.server.Name, Ops: len(l.sample.Took), Rate: l.sample.Rate(len(l.clients)),
		P50: micros(l.sample.Quantile(.5)), P99: micros(l.sample.Quantile(.99)),
	}
	if len(l.cpu) > 0 {
		slices.Sort(l.cpu)
		r.CPU = &report.Spread{Least: l.cpu[0], Median: l.cpu[len(l.cpu)/2]}
	}
	if l.counts && r.Ops > 0 {
		n := float64(l.syncs) / float64(r.Ops)
		r.Syncs = &n
	}
	return r
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

// settle waits until no server works any more: after many writes an engine compacts for seconds, which the next
// cell must not measure. A server that never rests is not waited for longer than a time.
func settle(servers []*fleet.Server) error {
	const (
		pause  = 250 * time.Millisecond
		idle   = pause / 50
		atMost = 10 * time.Second
	)
	total := func() (sum time.Duration, err error) {
		for _, s := range servers {
			d, _, err := s.CPU()
			if err != nil {
				return 0, err
			}
			sum += d
		}
		return sum, nil
	}
	last, err := total()
	for end := time.Now().Add(atMost); err == nil && time.Now().Before(end); {
		time.Sleep(pause)
		before := last
		if last, err = total(); last-before <= idle*time.Duration(len(servers)) {
			break
		}
	}
	return err
}
