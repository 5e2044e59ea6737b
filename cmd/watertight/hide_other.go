//go:build !linux

package main

import "golang.org/x/sys/unix"

// noCoreDumps keeps keys out of core files.
func noCoreDumps() error { return unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) }

// hideTyping does nothing: how a terminal stops showing what is typed differs.
func hideTyping(int) (show func() (terminal bool)) { return func() bool { return false } }
