package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps keys out of core files, and prevents debuggers of the same user from
// reading them.
func noCoreDumps() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
}

// hideTyping stops a terminal from showing what is typed. The function that it returns
// shows it again, and reports whether there was a terminal.
func hideTyping(fd int) (show func() (terminal bool)) {
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() bool { return false }
	}
	hidden := *before
	hidden.Lflag &^= unix.ECHO
	if unix.IoctlSetTermios(fd, unix.TCSETS, &hidden) != nil {
		return func() bool { return false }
	}
	return func() bool { return unix.IoctlSetTermios(fd, unix.TCSETS, before) == nil }
}
