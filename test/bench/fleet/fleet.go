// Package fleet starts the servers that a benchmark drives, each as a process of its own on a fresh folder, and reads
// what they use from the kernel. It exists so that all of them are started, measured and stopped in the same way. It
// must never know what they are asked.
package fleet

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"watertight/test/bench/load"
)

// Spec says how to start a server. One of Child, Script and Endpoint is set.
type Spec struct {
	Name string
	// Child is a program and its arguments. It prints a line of JSON with its URLs, answers each line "stats" with a
	// line of JSON (Counters), and ends when its input does. "DIR" among the arguments is its folder.
	Child []string
	// Script is a program that starts a server and stays its parent, or becomes it by exec. It gets BENCH_ADDRESS,
	// BENCH_DIR, BENCH_ACCESS_KEY_ID, BENCH_SECRET_ACCESS_KEY, BENCH_REGION and, for TLS, BENCH_TLS_CERT and
	// BENCH_TLS_KEY, which are files. SIGTERM stops it.
	Script   string
	Endpoint string // URL of a server that runs already
	KMS      bool   // takes SSE-KMS
	Floor    bool   // is the handler that others are compared with
}

// Counters are what a child counts itself.
type Counters struct{ Syncs uint64 }

// Server is a running server.
type Server struct {
	Spec
	Target load.Target
	Dir    string

	pid   int // 0 for an endpoint
	cmd   *exec.Cmd
	ended chan struct{}
	in    io.WriteCloser
	out   *bufio.Reader
	mu    sync.Mutex // of in and out
}

// patience is how long a server may take to start or to stop.
const patience = 60 * time.Second

// Start starts a server in a folder that it makes. It returns when the server answers.
func Start(s Spec, dir string, c load.Credentials, tls *TLS) (*Server, error) {
	srv := &Server{Spec: s, Dir: dir, Target: load.Target{Credentials: c}}
	if tls != nil {
		srv.Target.TLS = tls.Client()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	switch {
	case len(s.Child) > 0:
		err = srv.startChild(tls)
	case s.Script != "":
		err = srv.startScript(c, tls)
	default:
		srv.Target.Address, err = address(s.Endpoint, tls != nil)
	}
	if err == nil {
		err = srv.wait()
	}
	if err != nil {
		srv.Stop()
		return nil, fmt.Errorf("%s: %w", s.Name, err)
	}
	return srv, nil
}

// address takes the host and port from a URL, whose scheme must be the one that is measured.
func address(url string, secure bool) (string, error) {
	scheme, rest, ok := strings.Cut(url, "://")
	want := "http"
	if secure {
		want = "https"
	}
	if !ok || scheme != want {
		return "", fmt.Errorf("endpoint %q: want %s://host:port here", url, want)
	}
	host := strings.TrimSuffix(rest, "/")
	_, _, err := net.SplitHostPort(host)
	return host, err
}

func (s *Server) startChild(tls *TLS) error {
	args := append([]string(nil), s.Child[1:]...)
	for i, a := range args {
		if a == "DIR" {
			args[i] = s.Dir
		}
	}
	if tls != nil {
		args = append(args, "-cert", tls.Cert, "-key", tls.Key)
	}
	s.cmd = exec.Command(s.Child[0], args...)
	s.cmd.Stderr = os.Stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = bufio.NewReader(out)
	if err := s.run(); err != nil {
		return err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("it ended before it had an address: %w", err)
	}
	var urls []string
	if err := json.Unmarshal(line, &urls); err != nil || len(urls) == 0 {
		return fmt.Errorf("its first line is %q: %w", line, err)
	}
	s.Target.Address, err = address(urls[0], tls != nil)
	return err
}

func (s *Server) startScript(c load.Credentials, tls *TLS) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	s.Target.Address = l.Addr().String()
	l.Close()
	script, err := filepath.Abs(s.Script)
	if err != nil {
		return err
	}
	s.cmd = exec.Command(script)
	s.cmd.Env = append(os.Environ(),
		"BENCH_ADDRESS="+s.Target.Address, "BENCH_DIR="+s.Dir, "BENCH_REGION="+c.Region,
		"BENCH_ACCESS_KEY_ID="+c.AccessKeyID, "BENCH_SECRET_ACCESS_KEY="+c.SecretAccessKey)
	if tls != nil {
		s.cmd.Env = append(s.cmd.Env, "BENCH_TLS_CERT="+tls.Cert, "BENCH_TLS_KEY="+tls.Key)
	}
	log, err := os.Create(filepath.Join(s.Dir, "..", s.Name+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr = log, log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that Stop reaches what it started
	return s.run()
}

// run starts the process and watches its end.
func (s *Server) run() error {
	if err := s.cmd.Start(); err != nil {
		return err
	}
	s.pid, s.ended = s.cmd.Process.Pid, make(chan struct{})
	if s.out == nil { // Wait closes the pipes of a child, whose first line is still to be read
		go func() {
			s.cmd.Wait()
			close(s.ended)
		}()
	}
	return nil
}

// wait returns when the server accepts connections and answers a signed request.
func (s *Server) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		c := load.NewClient(s.Target)
		_, err := c.Do(&load.Request{Method: "GET", Path: "/"})
		c.Close()
		if err == nil || s.Floor {
			return nil
		}
		var over <-chan struct{}
		if s.out == nil {
			over = s.ended
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer: %w", err)
		case <-over:
			return fmt.Errorf("it ended; see %s.log beside its folder: %w", s.Name, err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Counters asks a child for its counters; ok is false for other servers.
func (s *Server) Counters() (c Counters, ok bool, err error) {
	if s.out == nil || s.Floor {
		return c, false, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := io.WriteString(s.in, "stats\n"); err != nil {
		return c, false, err
	}
	line, err := s.out.ReadBytes('\n')
	if err != nil {
		return c, false, err
	}
	return c, true, json.Unmarshal(line, &c)
}

// Stop ends the server and waits for it. An endpoint goes on.
func (s *Server) Stop() error {
	if s == nil || s.pid == 0 {
		return nil
	}
	if s.out != nil {
		s.in.Close()
		err := s.cmd.Wait()
		s.pid = 0
		return err
	}
	syscall.Kill(-s.pid, syscall.SIGTERM)
	select {
	case <-s.ended:
	case <-time.After(patience):
		err := errors.Join(syscall.Kill(-s.pid, syscall.SIGKILL), errors.New("it had to be killed"))
		<-s.ended
		s.pid = 0
		return err
	}
	s.pid = 0
	return nil
}
