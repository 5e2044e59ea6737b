package fleet

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// CPU returns the CPU time of the server and its living children, user and system. It is the kernel's scheduler clock
// of each process (clock_getcpuclockid(3)), in nanoseconds; /proc/PID/stat counts in ticks of 10 ms. ok is
// false for an endpoint.
func (s *Server) CPU() (d time.Duration, ok bool, err error) {
	if s.pid == 0 {
		return 0, false, nil
	}
	pids, err := tree(s.pid)
	if err != nil {
		return 0, false, err
	}
	for _, pid := range pids {
		const scheduled = 2 // CPUCLOCK_SCHED
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|scheduled), &t); err != nil {
			if errors.Is(err, unix.EINVAL) && pid != s.pid { // a child that has ended
				continue
			}
			return 0, false, fmt.Errorf("CPU time of %d: %w", pid, err)
		}
		d += time.Duration(t.Nano())
	}
	return d, true, nil
}

// PeakMemory returns the highest resident memory of the server and its living children in bytes (VmHWM: peaks of
// several processes are added up). ok is false for an endpoint.
func (s *Server) PeakMemory() (n int64, ok bool, err error) { return s.memory("VmHWM:") }

// Memory returns the resident memory in bytes.
func (s *Server) Memory() (n int64, ok bool, err error) { return s.memory("VmRSS:") }

func (s *Server) memory(field string) (sum int64, ok bool, err error) {
	if s.pid == 0 {
		return 0, false, nil
	}
	pids, err := tree(s.pid)
	if err != nil {
		return 0, false, err
	}
	for _, pid := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return 0, false, err
		}
		n, err := kilobytes(string(b), field)
		if err != nil {
			return 0, false, err
		}
		sum += n << 10
	}
	return sum, true, nil
}

// kilobytes reads a line such as "VmHWM:   123 kB" of /proc/PID/status.
func kilobytes(status, field string) (int64, error) {
	_, rest, ok := strings.Cut(status, field)
	if !ok {
		return 0, fmt.Errorf("/proc has no %s", field)
	}
	text, _, _ := strings.Cut(rest, "kB")
	return strconv.ParseInt(strings.TrimSpace(text), 10, 64)
}

// maxProcesses bounds the walk of a tree of processes.
const maxProcesses = 256

// tree returns a process and its living descendants.
func tree(pid int) ([]int, error) {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil || len(tasks) == 0 && i == 0 {
			return nil, errors.Join(err, fmt.Errorf("process %d: %w", pid, os.ErrProcessDone))
		}
		for _, task := range tasks {
			text, err := os.ReadFile(task)
			if err != nil {
				continue // the thread has ended
			}
			for field := range strings.FieldsSeq(string(text)) {
				n, err := strconv.Atoi(field)
				if err != nil || len(all) >= maxProcesses {
					return nil, fmt.Errorf("children of %d: %q: %w", pid, text, err)
				}
				all = append(all, n)
			}
		}
	}
	return all, nil
}

// Traced runs f while strace counts the server's calls that make data durable, and returns how many there were. Files
// that are opened with O_SYNC or O_DSYNC need no call and are not counted. Tracing slows a server down: f's times mean
// nothing.
func (s *Server) Traced(f func() error) (syncs uint64, err error) {
	if s.pid == 0 {
		return 0, errors.New("no process to trace")
	}
	pids, err := tree(s.pid)
	if err != nil {
		return 0, err
	}
	out := filepath.Join(s.Dir, "..", s.Name+".strace")
	args := []string{"-f", "-c", "-o", out, "-e", "trace=fsync,fdatasync,sync_file_range,syncfs,sync,msync"}
	for _, pid := range pids {
		args = append(args, "-p", strconv.Itoa(pid))
	}
	trace := exec.Command("strace", args...)
	if err := trace.Start(); err != nil {
		return 0, err
	}
	for range 100 { // until it is attached
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.pid))
		if err != nil || !strings.Contains(string(status), "TracerPid:\t0\n") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	err = f()
	trace.Process.Signal(syscall.SIGINT)
	trace.Wait() // ends by its signal
	table, err2 := os.ReadFile(out)
	if err := errors.Join(err, err2); err != nil {
		return 0, err
	}
	return counted(string(table))
}

// counted adds up the calls of strace's summary.
func counted(table string) (sum uint64, err error) {
	// % time, seconds, usecs/call, calls, errors (may be empty), syscall
	row := regexp.MustCompile(`(?m)^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(\w+)$`)
	for _, m := range row.FindAllStringSubmatch(table, -1) {
		if m[2] == "total" {
			continue
		}
		n, err := strconv.ParseUint(m[1], 10, 64)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return sum, nil
}
