package fleet

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"watertight/test/bench/load"
)

// TestUsage: the CPU time and memory of a process of ours, and of its child.
func TestUsage(t *testing.T) {
	s := &Server{pid: os.Getpid()}
	before, ok, err := s.CPU()
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	for end := time.Now().Add(20 * time.Millisecond); time.Now().Before(end); { // takes CPU time
	}
	after, _, err := s.CPU()
	if err != nil || after <= before {
		t.Errorf("CPU time went from %v to %v, %v", before, after, err)
	}
	now, _, err := s.Memory()
	peak, _, err2 := s.PeakMemory()
	if err != nil || err2 != nil || now < 1<<20 || peak < now/2 {
		t.Errorf("memory %d, peak %d, %v, %v", now, peak, err, err2)
	}
	child := exec.Command("sleep", "60")
	if err := child.Start(); err != nil {
		t.Skipf("this machine has no program that sleeps: %v", err)
	}
	defer child.Wait()
	defer child.Process.Kill()
	all, err := tree(os.Getpid())
	if err != nil || len(all) < 2 {
		t.Errorf("the tree of processes is %v, %v", all, err)
	}
	if _, ok, err := (&Server{}).CPU(); ok || err != nil {
		t.Error("an endpoint has a CPU time")
	}
}

// TestCounted reads strace's summary.
func TestCounted(t *testing.T) {
	const table = `% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 99.90    0.123456         123      1003           fdatasync
  0.10    0.000001           1         7         2 fsync
------ ----------- ----------- --------- --------- ----------------
100.00    0.123457         122      1010         2 total
`
	for _, test := range []struct {
		name, table string
		want        uint64
	}{{"calls", table, 1010}, {"none", "", 0}} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := counted(test.table); err != nil || got != test.want {
				t.Errorf("%d, %v, want %d", got, err, test.want)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	for _, test := range []struct {
		name, url string
		secure    bool
		want      string
	}{
		{"plain", "http://127.0.0.1:9000", false, "127.0.0.1:9000"}, {"slash", "http://h:1/", false, "h:1"},
		{"TLS", "https://h:1", true, "h:1"}, {"plain for TLS", "http://h:1", true, ""},
		{"TLS for plain", "https://h:1", false, ""}, {"no scheme", "h:1", false, ""},
		{"no port", "http://h", false, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := address(test.url, test.secure)
			if err != nil {
				got = ""
			}
			if got != test.want {
				t.Errorf("%q, %v, want %q", got, err, test.want)
			}
		})
	}
}

// TestMain serves as a peer for TestScript.
func TestMain(m *testing.M) {
	if at := os.Getenv("BENCH_ADDRESS"); at != "" {
		h := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
		if cert := os.Getenv("BENCH_TLS_CERT"); cert != "" {
			http.ListenAndServeTLS(at, cert, os.Getenv("BENCH_TLS_KEY"), h)
		}
		http.ListenAndServe(at, h)
	}
	os.Exit(m.Run())
}

// TestScript: a script that stays the server's parent is started, measured and stopped with it, with and without TLS.
func TestScript(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	script := filepath.Join(dir, "peer.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+self+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	secure, err := NewTLS(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		tls  *TLS
	}{{"plain", nil}, {"TLS", secure}} {
		t.Run(test.name, func(t *testing.T) {
			s, err := Start(Spec{Name: test.name, Script: script}, filepath.Join(dir, "x", test.name),
				load.Credentials{AccessKeyID: "A", SecretAccessKey: "S", Region: "us-east-1"}, test.tls)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Stop()
			if n, ok, err := s.PeakMemory(); n < 1<<20 || !ok || err != nil {
				t.Errorf("peak memory %d, %v", n, err)
			}
			if _, ok, err := s.Counters(); ok || err != nil {
				t.Error("a script counts", err)
			}
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
			c := load.NewClient(s.Target)
			defer c.Close()
			if _, err := c.Do(&load.Request{Method: "GET", Path: "/"}); err == nil {
				t.Error("it still answers")
			}
		})
	}
}

// TestScriptEnds: a script that ends at once is an error, not a wait.
func TestScriptEnds(t *testing.T) {
	script := filepath.Join(t.TempDir(), "peer.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\nexit 1\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Name: "x", Script: script}
	if _, err := Start(spec, filepath.Join(t.TempDir(), "x"), load.Credentials{}, nil); err == nil {
		t.Error("it has started")
	}
}
