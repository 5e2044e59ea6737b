package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"watertight/test/bench/fleet"
	"watertight/test/bench/load"
	"watertight/test/bench/report"
)

// options are what the table is measured with.
type options struct {
	specs      []fleet.Spec
	clients    []int
	transports []string
	rounds     int
	each       time.Duration // of a cell on a server, all turns
	only       string        // part of a cell's label
	dir        string        // where the servers' folders are made
	out        string        // folder of the document; "" prints only
	trace      bool
	log        io.Writer
}

const (
	benchKey    = "AKIABENCHMARKEXAMPLE"
	benchSecret = "benchmark-secret-of-a-server-that-is-thrown-away"
)

func rootCredentials() load.Credentials {
	return load.Credentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret, Region: region}
}

// table measures all cells on all servers, in turns, and writes the document.
func table(o options) error {
	dir, err := os.MkdirTemp(o.dir, "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	run := report.Run{Date: time.Now().UTC().Format(time.DateOnly), Commit: commit()}
	if run.Machine, err = machine(dir); err != nil {
		return err
	}
	for _, s := range o.specs {
		run.Servers = append(run.Servers, report.Server{
			Name: s.Name, Ours: s.Name == ours, Floor: s.Floor, Build: len(s.Child) > 0 && s.Name != ours && !s.Floor,
			Peak: map[string]int64{},
		})
	}
	for _, transport := range o.transports {
		if err := o.transport(&run, filepath.Join(dir, transport), transport); err != nil {
			return err
		}
	}
	after, err := machine(dir)
	if err != nil {
		return err
	}
	run.Machine.SyncMillis[1], run.Machine.Load[1] = after.SyncMillis[0], after.Load[0]
	return o.write(&run)
}

// certificate makes what the servers of a transport need in a folder; nil for plain HTTP.
func certificate(transport, dir string) (*fleet.TLS, error) {
	if transport != "TLS" {
		return nil, nil
	}
	return fleet.NewTLS(dir)
}

// transport measures fresh servers over plain HTTP or TLS.
func (o *options) transport(run *report.Run, dir, transport string) (err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	secure, err := certificate(transport, dir)
	if err != nil {
		return err
	}
	var servers []*fleet.Server
	defer func() {
		for _, s := range servers {
			err = errors.Join(err, s.Stop())
		}
		os.RemoveAll(dir)
	}()
	for _, spec := range o.specs {
		s, err := fleet.Start(spec, filepath.Join(dir, spec.Name), rootCredentials(), secure)
		if err != nil {
			return err
		}
		servers = append(servers, s)
		if err := makeBucket(s); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	for _, clients := range o.clients {
		for _, group := range groups() {
			if err := o.group(run, servers, group, transport, clients); err != nil {
				return fmt.Errorf("%s, %s, %d clients: %w", group[0].name, transport, clients, err)
			}
		}
	}
	for i, s := range servers {
		peak, ok, err := s.PeakMemory()
		if err != nil {
			return err
		}
		if ok {
			run.Servers[i].Peak[transport] = peak
		}
	}
	return nil
}

func makeBucket(s *fleet.Server) error {
	c := load.NewClient(s.Target)
	defer c.Close()
	_, err := c.Do(&load.Request{Method: "PUT", Path: "/" + bucket})
	return err
}

// group measures a cell and its variants on all servers, in turns, so that changes of the machine's speed affect all of
// them. Each round another one begins.
func (o *options) group(run *report.Run, servers []*fleet.Server, cells []cell, transport string, clients int) error {
	var lanes []*lane
	var listing []byte
	rounds := o.rounds
	for _, c := range cells {
		if !strings.Contains((&report.Result{Cell: c.name, Variant: c.variant}).Label(), o.only) {
			continue
		}
		if c.turns > 0 {
			rounds = min(rounds, c.turns)
		}
		for _, s := range servers {
			if c.variant != kms || s.KMS {
				lanes = append(lanes, newLane(s, c, clients, &listing))
			}
		}
	}
	if len(lanes) == 0 {
		return nil
	}
	for _, l := range lanes {
		if l.cell.prepare == nil {
			continue
		}
		if err := l.cell.prepare(l); err != nil {
			return fmt.Errorf("%s: %w", l.server.Name, err)
		}
	}
	if err := settle(servers); err != nil {
		return err
	}
	for round := range rounds {
		for i := range lanes {
			if err := lanes[(round+i)%len(lanes)].turn(o.each / time.Duration(rounds)); err != nil {
				return err
			}
		}
	}
	for _, l := range lanes {
		if o.trace {
			if err := l.trace(o.each / time.Duration(rounds)); err != nil {
				return err
			}
		}
		r := l.result(transport)
		run.Results = append(run.Results, r)
		fmt.Fprintf(o.log, "%-6s %3d  %-22s %-16s %9.0f ops/s\n", transport, clients, r.Label(), r.Server, r.Rate)
		redialed, err := l.end()
		if err != nil {
			return err
		}
		run.Redialed += redialed
	}
	return nil
}

// write prints the tables, and writes the document if a folder is named.
func (o *options) write(run *report.Run) error {
	page := run.Page()
	fmt.Fprintln(o.log)
	fmt.Println(page)
	if o.out == "" {
		return nil
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return err
	}
	files := run.Charts()
	stored, err := run.JSON()
	if err != nil {
		return err
	}
	files["results.json"], files["README.md"] = string(stored), page
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(o.out, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}
