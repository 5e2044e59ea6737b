package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watertight/test/bench/fleet"
	"watertight/test/bench/load"
	"watertight/test/bench/report"
)

const (
	firstStep  = 10_000
	scaleTurn  = 10_000 // puts that a step measures, its last ones
	scalePages = 60     // pages that a step measures
)

// scale puts objects of 1 byte into one bucket, and at each power of ten measures puts, gets, pages, a start, memory
// and the disk.
func scale(o options, objects int) (err error) {
	dir, err := os.MkdirTemp(o.dir, "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	g := growth{o: o, dir: filepath.Join(dir, ours), payload: random(1)}
	defer func() { err = errors.Join(err, g.server.Stop()) }()
	if _, err := g.start(); err != nil {
		return err
	}
	if err := makeBucket(g.server); err != nil {
		return err
	}
	doc := report.Scale{Date: time.Now().UTC().Format(time.DateOnly), Commit: commit()}
	for n := min(firstStep, objects); ; n = min(n*10, objects) {
		step, err := g.step(n)
		if err != nil {
			return fmt.Errorf("%d objects: %w", n, err)
		}
		fmt.Fprintf(o.log, "%+v\n", step)
		doc.Steps = append(doc.Steps, step)
		if n == objects {
			break
		}
	}
	fmt.Print(doc.Markdown())
	if o.out == "" {
		return nil
	}
	stored, err := doc.JSON()
	return errors.Join(err, os.MkdirAll(o.out, 0o755),
		os.WriteFile(filepath.Join(o.out, "scale.json"), stored, 0o644),
		os.WriteFile(filepath.Join(o.out, "scale.md"), []byte(doc.Markdown()), 0o644),
		os.WriteFile(filepath.Join(o.out, "scale.svg"), []byte(doc.Chart()), 0o644))
}

// growth is a store that grows.
type growth struct {
	o       options
	dir     string
	server  *fleet.Server
	payload *load.Payload
	objects int
}

// start starts the server on what is there, and returns how long that took.
func (g *growth) start() (time.Duration, error) {
	begin := time.Now()
	s, err := fleet.Start(g.o.specs[0], g.dir, rootCredentials(), nil)
	if err != nil {
		return 0, err
	}
	g.server = s
	return time.Since(begin), nil
}

// spread gives each number another name, in no order: objects are put all over the bucket, as they are by users.
func spread(n int) string { return fmt.Sprintf("%016x", uint64(n)*0x9e3779b97f4a7c15) }

func (g *growth) clients(n int) (all []*load.Client, done func()) {
	for range n {
		all = append(all, load.NewClient(g.server.Target))
	}
	return all, func() {
		for _, c := range all {
			c.Close()
		}
	}
}

// step grows the bucket to n objects and measures.
func (g *growth) step(n int) (s report.Step, err error) {
	s.Objects = n
	many := g.o.clients[len(g.o.clients)-1]
	clients, done := g.clients(many)
	defer done()
	put := func(c *load.Client, i int) error {
		_, err := c.Do(&load.Request{Method: "PUT", Path: "/" + bucket + "/" + spread(i), Payload: g.payload})
		return err
	}
	first := g.objects
	logged, err := g.disk()
	if err != nil {
		return s, err
	}
	for _, until := range []int{n - scaleTurn, n} {
		if until <= g.objects {
			continue
		}
		before, _, err := g.server.CPU()
		if err != nil {
			return s, err
		}
		work, _, err := load.Turn(clients, 24*time.Hour, g.objects, until, put)
		if err != nil {
			return s, err
		}
		after, _, err := g.server.CPU()
		if err != nil {
			return s, err
		}
		s.PutCPU = micros(after-before) / float64(until-g.objects)
		s.Puts, g.objects = work.Rate(many), until
	}
	if s.Peak, _, err = g.server.PeakMemory(); err != nil {
		return s, err
	}
	if s.Disk, err = g.disk(); err != nil {
		return s, err
	}
	s.Audit = float64(s.Disk["audit"]-logged["audit"]) / float64(n-first)
	if err := g.server.Stop(); err != nil {
		return s, err
	}
	took, err := g.start()
	if err != nil {
		return s, err
	}
	s.Start = took.Seconds()
	return s, g.reads(&s)
}

// reads measures gets of objects in no order and pages at three places.
func (g *growth) reads(s *report.Step) (err error) {
	few := g.o.clients[0]
	clients, done := g.clients(few)
	defer done()
	get := func(c *load.Client, i int) error {
		_, err := c.Do(&load.Request{Method: "GET", Want: 1,
			Path: "/" + bucket + "/" + spread(int(uint64(i)*0x9e3779b97f4a7c15>>1%uint64(g.objects)))})
		return err
	}
	if _, _, err := load.Turn(clients, g.o.each, 0, 1<<30, get); err != nil { // warms up
		return err
	}
	before, _, err := g.server.CPU()
	if err != nil {
		return err
	}
	work, _, err := load.Turn(clients, g.o.each, 1<<30, 1<<31, get)
	if err != nil {
		return err
	}
	after, _, err := g.server.CPU()
	if err != nil {
		return err
	}
	s.Gets, s.GetP50 = work.Rate(few), micros(work.Quantile(.5))
	s.GetCPU = micros(after-before) / float64(len(work.Took))
	pages, _, err := load.Turn(clients[:1], time.Hour, 0, scalePages, func(c *load.Client, i int) error {
		from := []string{"0", "8", "ef"}[i%3]
		_, err := c.Do(&load.Request{Method: "GET", Path: "/" + bucket, Query: "list-type=2&start-after=" + from})
		return err
	})
	if err != nil {
		return err
	}
	s.Page = micros(pages.Quantile(.5))
	s.Memory, _, err = g.server.PeakMemory()
	return err
}

// disk adds up the files of the data directory's folders.
func (g *growth) disk() (map[string]int64, error) {
	sizes := map[string]int64{}
	data := filepath.Join(g.dir, "data")
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) { // the engine removed it meanwhile
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		below, err := filepath.Rel(data, path)
		top, _, _ := strings.Cut(below, string(filepath.Separator))
		sizes[top] += info.Size()
		return err
	})
	return sizes, err
}
