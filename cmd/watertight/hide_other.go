//go:build !linux

package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps keys out of core files.
func noCoreDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }
