package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// lane is a line on one of the servers.
type lane struct {
	b    *bench
	l    line
	done int       // operations
	cpu  []float64 // µs/op of each turn; sorted at the end
}

// turn runs a lane for a while.
func (a *lane) turn(each time.Duration) error {
	most := a.l.most
	if most == 0 {
		most = 1 << 30
	}
	before, err := a.b.srv.stats()
	if err != nil {
		return err
	}
	took, err := a.b.drive(most-a.done, each, func(n int) error { return a.l.op(a.b, a.done+n) })
	after, err2 := a.b.srv.stats()
	if err := errors.Join(err, err2); err != nil {
		return err
	}
	if len(took) > 0 {
		a.done += len(took)
		a.cpu = append(a.cpu, float64((after.CPU-before.CPU).Nanoseconds())/1e3/float64(len(took)))
	}
	return nil
}

// turns runs two lanes alternately, so that changes of the machine's speed affect both. It
// prints the CPU time of an operation, minimum and median of all turns, and the ratios of
// the second lane to the first.
func turns(name string, both [2]*lane, rounds int, each time.Duration) error {
	for _, a := range both {
		if err := a.b.ready(a.l); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	for round := range rounds {
		for turn := range both {
			i := (round + turn) % len(both) // neither is always the first
			if err := both[i].turn(each / time.Duration(rounds)); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for _, a := range both {
		if len(a.cpu) == 0 {
			return fmt.Errorf("%s: no operation ended in time", name)
		}
		slices.Sort(a.cpu)
	}
	a, b := both[0].cpu, both[1].cpu
	fmt.Printf("| %s | %.1f, %.1f | %.1f, %.1f | %.2f, %.2f |\n", name, a[0], a[len(a)/2], b[0], b[len(b)/2],
		b[0]/a[0], b[len(b)/2]/a[len(a)/2])
	return nil
}

// compare measures the servers of two builds of this program, which run at the same
// time. Lines of
// SSE-KMS are left out if the other build has none.
func compare(other string, clients, rounds int, each time.Duration, only string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var both [2]*bench
	for i, program := range []string{other, self} {
		if both[i], err = startBench(program, filepath.Join(dir, fmt.Sprint(i)), "", clients); err != nil {
			return err
		}
		defer both[i].srv.stop()
	}
	header(rounds, clients, "other build", "this build")
	for _, l := range lines() {
		if !strings.Contains(l.name, only) {
			continue
		}
		if l.beside != "" && putKMS(both[0], "/bench/probe", 0, newPayload(0)) != nil {
			continue
		}
		if err := turns(l.name, [2]*lane{{b: both[0], l: l}, {b: both[1], l: l}}, rounds, each); err != nil {
			return err
		}
	}
	return nil
}

// pairs measures lines that are compared with another line of the same server.
func pairs(clients, rounds int, each time.Duration, only string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b, err := startBench(self, dir, "", clients)
	if err != nil {
		return err
	}
	defer b.srv.stop()
	header(rounds, clients, "SSE-S3", "SSE-KMS")
	all := lines()
	for _, l := range all {
		if l.beside == "" || !strings.Contains(l.name, only) {
			continue
		}
		i := slices.IndexFunc(all, func(m line) bool { return m.name == l.beside })
		if err := turns(l.name, [2]*lane{{b: b, l: all[i]}, {b: b, l: l}}, rounds, each); err != nil {
			return err
		}
	}
	return nil
}

func header(rounds, clients int, first, second string) {
	fmt.Printf("Server CPU µs/op of %d turns each; %d clients\n\n", rounds, clients)
	fmt.Printf("| line | %s: least, median | %s: least, median | ratio: least, median |\n", first, second)
	fmt.Println("|---|--:|--:|--:|")
}
