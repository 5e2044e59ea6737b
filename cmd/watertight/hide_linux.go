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
