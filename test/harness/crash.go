package harness

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Terminate tells the program to stop, and waits for that; the program must exit without an error.
func (p *Process) Terminate() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := p.cmd.Wait()
	p.cmd = nil
	return err
}

// Clone stops the program at an arbitrary time, copies everything that it has on the disk
// and lets it continue. The copy is what a crash at that time would leave. Clone calls
// still while the program is stopped. The clone is not started.
func (p *Process) Clone(still func()) *Process {
	p.t.Helper()
	c := &Process{t: p.t, bin: p.bin, dir: p.dir, addr: "127.0.0.1:0", Data: filepath.Join(p.t.TempDir(), "data")}
	pid := p.cmd.Process.Pid
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	var status syscall.WaitStatus
	_, err := syscall.Wait4(pid, &status, syscall.WUNTRACED, nil)
	if err == nil && !status.Stopped() {
		err = fmt.Errorf("the server ended: %v", status)
	}
	if err == nil {
		still()
		err = copyTree(c.Data, p.Data)
	}
	if err := errors.Join(err, syscall.Kill(pid, syscall.SIGCONT)); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(c.Kill)
	return c
}

// copyTree copies folders and regular files only, not sockets.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, rel)
		switch {
		case d.IsDir():
			return os.MkdirAll(target, 0o700)
		case d.Type().IsRegular():
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			return os.WriteFile(target, b, 0o600)
		default:
			return nil
		}
	})
}
