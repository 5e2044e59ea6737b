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

// compare measures the servers of two builds of this program, which run at the same
// time and are driven in turns, so that both meet the same moods of the machine. It
// prints the CPU time of an operation, least and median of all turns, and the ratios
// of this build to the other one.
func compare(other string, clients, rounds int, each time.Duration, only string) (err error) {
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
	fmt.Printf("Server CPU µs/op of %d turns each, other build and this one; %d clients\n\n", rounds, clients)
	fmt.Println("| line | other: least, median | this: least, median | ratio: least, median |")
	fmt.Println("|---|--:|--:|--:|")
	for _, l := range lines() {
		if !strings.Contains(l.name, only) {
			continue
		}
		var cpu [2][]float64
		if cpu, err = turns(both, l, rounds, each/time.Duration(rounds)); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		a, b := cpu[0], cpu[1]
		fmt.Printf("| %s | %.1f, %.1f | %.1f, %.1f | %.2f, %.2f |\n", l.name, a[0], a[len(a)/2], b[0], b[len(b)/2],
			b[0]/a[0], b[len(b)/2]/a[len(a)/2])
	}
	return nil
}

// turns returns the CPU µs/op of each turn of each server, sorted.
func turns(both [2]*bench, l line, rounds int, each time.Duration) (cpu [2][]float64, err error) {
	for _, b := range both {
		if err := b.ready(l); err != nil {
			return cpu, err
		}
	}
	most := l.most
	if most == 0 {
		most = 1 << 30
	}
	var done [2]int
	for round := range rounds {
		for turn := range both {
			i := (round + turn) % len(both) // neither is always the first
			b := both[i]
			before, err := b.srv.stats()
			if err != nil {
				return cpu, err
			}
			took, err := b.drive(most-done[i], each, func(n int) error { return l.op(b, done[i]+n) })
			after, err2 := b.srv.stats()
			if err := errors.Join(err, err2); err != nil {
				return cpu, err
			}
			if len(took) > 0 {
				done[i] += len(took)
				cpu[i] = append(cpu[i], float64((after.CPU-before.CPU).Nanoseconds())/1e3/float64(len(took)))
			}
		}
	}
	for i := range cpu {
		if len(cpu[i]) == 0 {
			return cpu, errors.New("no operation ended in time")
		}
		slices.Sort(cpu[i])
	}
	return cpu, nil
}
