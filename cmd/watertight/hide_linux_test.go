package main

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoCoreDumps asks the kernel whether another process can still read the memory of this one.
func TestNoCoreDumps(t *testing.T) {
	if err := noCoreDumps(); err != nil {
		t.Fatal(err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit.Cur != 0 || limit.Max != 0 {
		t.Errorf("core files may have %d bytes, %v", limit.Cur, err)
	}
	if n, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || n != 0 {
		t.Errorf("dumpable: %d, %v", n, err)
	}
}

// TestHideTyping: a terminal does not show a secret that is typed, and shows everything
// afterwards.
func TestHideTyping(t *testing.T) {
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("there are no terminals here:", err)
	}
	defer unix.Close(master)
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err = errors.Join(err, unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0)); err != nil {
		t.Fatal(err)
	}
	terminal, err := unix.Open(fmt.Sprint("/dev/pts/", n), unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(terminal)
	shows := func() bool {
		state, err := unix.IoctlGetTermios(terminal, unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return state.Lflag&unix.ECHO != 0
	}
	show := hideTyping(terminal)
	if shows() {
		t.Error("the terminal shows the typed text")
	}
	if !show() || !shows() {
		t.Error("the terminal shows no text any more")
	}
	if hideTyping(-1)() {
		t.Error("a file is accepted as a terminal")
	}
}
