package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version prints what the program was built from.
type version struct{}

// Run prints one line.
func (version) Run(p process) error {
	revision := "development"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = s.Value
			}
		}
		if v := info.Main.Version; v != "" && v != "(devel)" {
			revision = v
		}
	}
	_, err := fmt.Fprintf(p.stdout, "watertight %s %s %s/%s\n", revision, runtime.Version(), runtime.GOOS,
		runtime.GOARCH)
	return err
}
