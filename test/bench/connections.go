package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"watertight/test/bench/load"
	"watertight/test/bench/report"
)

// connections measures the memory of our server while many connections are idle and some put and get 1 MiB, for each
// transport.
func connections(o options, idle, busy int) error {
	doc := report.Connections{Date: time.Now().UTC().Format(time.DateOnly), Commit: commit(), Idle: idle, Busy: busy}
	for _, transport := range o.transports {
		line, err := connected(o, transport, idle, busy)
		if err != nil {
			return fmt.Errorf("%s: %w", transport, err)
		}
		doc.Lines = append(doc.Lines, line)
	}
	text := doc.Markdown()
	fmt.Print(text)
	if o.out == "" {
		return nil
	}
	return errors.Join(os.MkdirAll(o.out, 0o755),
		os.WriteFile(filepath.Join(o.out, "connections.md"), []byte(text), 0o644))
}

// connected measures one transport.
func connected(o options, transport string, idle, busy int) (c report.ConnectionLine, err error) {
	dir, err := os.MkdirTemp("", "watertight-bench-")
	if err != nil {
		return c, err
	}
	defer os.RemoveAll(dir)
	secure, err := certificate(transport, dir)
	if err != nil {
		return c, err
	}
	s, stop, err := ownServer(o, secure, "-max-connections", strconv.Itoa(idle+busy+16))
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	c.Transport = transport
	waiting := make([]*load.Client, idle)
	defer func() {
		for _, c := range waiting {
			c.Close()
		}
	}()
	for i := range waiting {
		waiting[i] = load.NewClient(s.Target)
		if _, err := waiting[i].Do(&load.Request{Method: "HEAD", Path: "/" + bucket}); err != nil {
			return c, fmt.Errorf("connection %d: %w", i, err)
		}
	}
	if c.IdleMemory, _, err = s.Memory(); err != nil {
		return c, err
	}
	const size, keys = 1 << 20, 64
	p := random(size)
	l := newLane(s, cell{name: "busy", size: size}, busy, nil)
	if err := l.fill(keys, time.Hour, p); err != nil {
		return c, err
	}
	work, _, err := load.Turn(l.clients, max(o.each, 10*time.Second), 0, l.last(), func(c *load.Client, n int) error {
		if n%2 == 0 {
			return l.put(c, n%keys, p)
		}
		_, err := c.Do(&load.Request{Method: "GET", Path: l.path(n % keys), Want: size})
		return err
	})
	if err != nil {
		return c, err
	}
	c.Rate, c.P99 = work.Rate(busy), micros(work.Quantile(.99))
	if c.Peak, _, err = s.PeakMemory(); err != nil {
		return c, err
	}
	for i, w := range waiting { // are they still connected?
		if _, err := w.Do(&load.Request{Method: "HEAD", Path: "/" + bucket}); err != nil {
			return c, fmt.Errorf("connection %d at the end: %w", i, err)
		}
		c.Lost += w.Redial
	}
	_, err = l.end()
	return c, err
}
