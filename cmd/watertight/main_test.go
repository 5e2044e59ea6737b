package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"watertight": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			os.Exit(run(process{ctx, os.Stdout, os.Stderr, os.Getenv}, os.Args[1:]))
		},
	})
}

// TestScripts runs the commands as a person would type them.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:  "testdata/script",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"serve": serveUntilReady},
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_DATA_HOME", "")
			e.Setenv("XDG_CONFIG_HOME", "")
			return nil
		},
	})
}

// serveUntilReady starts a server, stops it with SIGTERM once it serves, and writes its output to the
// files out and err.
func serveUntilReady(ts *testscript.TestScript, neg bool, args []string) {
	own := []string{"serve", "--listen=127.0.0.1:0", "--cdn-listen=none"}
	cmd := exec.Command("watertight", append(own, args...)...)
	cmd.Dir = ts.Getenv("WORK")
	for _, name := range []string{
		"PATH", "HOME", "WATERTIGHT_ROOT_ACCESS_KEY_ID", "WATERTIGHT_ROOT_SECRET_ACCESS_KEY", "WATERTIGHT_ACCOUNT_ID",
	} {
		if v := ts.Getenv(name); v != "" {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	path, err := exec.LookPath("watertight")
	ts.Check(err)
	cmd.Path = path
	var out bytes.Buffer
	cmd.Stdout = &out
	pipe, err := cmd.StderrPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	var said strings.Builder
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		fmt.Fprintln(&said, lines.Text())
		if strings.Contains(lines.Text(), "msg=serving") {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
		}
	}
	err = cmd.Wait()
	ts.Check(os.WriteFile(ts.MkAbs("out"), out.Bytes(), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), []byte(said.String()), 0o600))
	if (err != nil) != neg {
		ts.Fatalf("the server ended with %v:\n%s", err, said.String())
	}
}
