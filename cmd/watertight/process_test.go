package main

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// started is a server in a separate process that logs to a file.
type started struct {
	*exec.Cmd
	addr string
}

// begin runs serve. said waits until the server is ready, and returns the line that says so.
func begin(t *testing.T, dir string, out *os.File, said func() string, args ...string) started {
	t.Helper()
	cmd := exec.Command("watertight",
		append(
			[]string{
				"serve", "--listen=127.0.0.1:0", "--cdn-listen=none", "--data", filepath.Join(dir, "data"),
				"--root-key", "file:" + filepath.Join(dir, "root.key"),
			},
			args...,
		)...)
	cmd.Env = []string{"HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	if out != nil {
		out.Close() // ours
	}
	found := regexp.MustCompile(`msg=serving address=(\S+)`).FindStringSubmatch(said())
	if found == nil {
		t.Fatal("the server does not become ready")
	}
	return started{cmd, found[1]}
}

// await reads a file until it contains a text.
func await(t *testing.T, path, text string) string {
	t.Helper()
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if b, err := os.ReadFile(path); err == nil && strings.Contains(string(b), text) {
			return string(b)
		}
		if time.Now().After(end) {
			t.Fatalf("%s does not contain %q", path, text)
		}
	}
}

// ask sends the rest of an anonymous request and expects the refusal.
func (s started) ask(t *testing.T, c net.Conn, rest string) {
	t.Helper()
	io.WriteString(c, rest)
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, res.Body)
	if res.StatusCode/100 != 4 {
		t.Errorf("anonymous: %s", res.Status)
	}
}

func (s started) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

func (s started) end(t *testing.T) {
	t.Helper()
	if err := errors.Join(s.Process.Signal(syscall.SIGTERM), s.Wait()); err != nil {
		t.Error(err)
	}
}

// TestHangup: SIGHUP opens the log again and interrupts no request.
func TestHangup(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "log")
	s := begin(t, dir, nil, func() string { return await(t, log, "msg=serving") }, "--log-file", log)
	c := s.dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHo")
	if err := errors.Join(os.Rename(log, log+".1"), s.Process.Signal(syscall.SIGHUP)); err != nil {
		t.Fatal(err)
	}
	await(t, log, "msg=reloaded")
	s.ask(t, c, "st: h\r\n\r\n")
	s.end(t)
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestLogWithoutReader: if the log's reader is gone or has stopped reading, the server continues and no
// request waits.
func TestLogWithoutReader(t *testing.T) {
	for name, gone := range map[string]bool{"gone": true, "stands still": false} {
		t.Run(name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			lines := bufio.NewReader(r)
			s := begin(t, t.TempDir(), w, func() string {
				for {
					if line, err := lines.ReadString('\n'); err != nil || strings.Contains(line, "msg=serving") {
						return line
					}
				}
			}, "--log-level", "debug")
			if gone {
				r.Close()
			}
			// More than fits into the pipe and the queue.
			fill := strings.Repeat("x", 4000)
			c := s.dial(t)
			for range 500 {
				s.ask(t, c, "GET /"+fill+" HTTP/1.1\r\nHost: h\r\n\r\n")
			}
			s.end(t)
		})
	}
}

// TestLogsAreBounded: lines that do not fit are dropped and counted, and the count is logged.
func TestLogsAreBounded(t *testing.T) {
	r, w := io.Pipe()
	l, err := startLogs(w, "", "text")
	if err != nil {
		t.Fatal(err)
	}
	line := strings.Repeat("x", 1023) + "\n"
	const lines = 3 * maxWaiting / 1024
	for range lines {
		l.Write([]byte(line))
	}
	go func() {
		l.end()
		w.Close()
	}()
	all, err := io.ReadAll(r)
	kept, dropped := strings.Count(string(all), line), 0
	for _, found := range regexp.MustCompile(`count=([0-9]+)\n`).FindAllStringSubmatch(string(all), -1) {
		n, _ := strconv.Atoi(found[1])
		dropped += n
	}
	if err != nil || kept+dropped != lines || dropped == 0 || kept < maxWaiting/1024 {
		t.Errorf("%d kept, %d dropped of %d, %v", kept, dropped, lines, err)
	}
}
