package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"watertight/test/bench/report"
)

// machine describes where the benchmark runs, and how quick its disk and how busy it is at this moment.
func machine(dir string) (report.Machine, error) {
	m := report.Machine{Cores: runtime.NumCPU(), CPU: processor()}
	sync, err := syncTime(dir)
	if err != nil {
		return m, err
	}
	m.SyncMillis[0] = sync.Seconds() * 1e3
	if b, err := os.ReadFile("/proc/loadavg"); err == nil {
		m.Load[0], _ = strconv.ParseFloat(strings.Fields(string(b))[0], 64)
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return m, nil
}

// processor is the processor's name, "" if the kernel does not tell.
func processor() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if name, value, _ := strings.Cut(s.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// commit is the tree's commit, with "+" if files are changed; "" outside of a repository.
func commit() string {
	head, err := exec.Command("git", "rev-parse", "--short", "HEAD").Output()
	if err != nil {
		return ""
	}
	name := strings.TrimSpace(string(head))
	if changed, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err == nil &&
		len(changed) > 0 {
		name += "+"
	}
	return name
}

// syncTime returns the median duration of a durable 4 KiB append on this machine.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range 101 {
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
