// Command bench measures a fresh server: a child process with its own data
// directory, durability and encryption on, driven over loopback by signed
// requests. It exists so that anyone can measure the speed again.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

func main() {
	serve := flag.String("serve", "", "internal: run as the server on this data directory")
	clients := flag.Int("clients", 8, "concurrent clients")
	each := flag.Duration("time", 3*time.Second, "how long each line runs")
	only := flag.String("only", "", "run only lines whose name contains this")
	profile := flag.String("cpuprofile", "", "write the server's CPU profile to this file")
	against := flag.String("against", "", "another build of this program: compare the two servers, in turns")
	edge := flag.Bool("edge", false, "compare hits in the CDN's cache with Go's file server and nginx, in turns")
	child := flag.String("edge-child", "", "internal: run as this server of -edge")
	inPairs := flag.Bool("pairs", false, "compare lines of SSE-KMS with those of SSE-S3, in turns")
	rounds := flag.Int("rounds", 25, "with -against, -pairs or -edge: how many turns each has, of -time in total")
	flag.Parse()
	var err error
	switch {
	case *serve != "":
		err = serveChild(*serve, *profile, os.Stdin, os.Stdout)
	case *child != "":
		err = edgeChild(*child, flag.Arg(0), flag.Arg(1), *profile)
	case *edge:
		err = edges(*clients, *rounds, *each, *only, *profile)
	case *against != "":
		err = compare(*against, *clients, *rounds, *each, *only)
	case *inPairs:
		err = pairs(*clients, *rounds, *each, *only)
	default:
		err = run(*clients, *each, *only, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(clients int, each time.Duration, only, profile string) error {
	dir, err := os.MkdirTemp("", "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	b, err := startBench(self, dir, profile, clients)
	if err != nil {
		return err
	}
	defer b.srv.stop()
	b.each = each
	fmt.Printf("%d clients, %d cores, loopback, SigV4 with a payload hash, SSE-S3, every write synced\n\n", clients,
		runtime.NumCPU())
	sync, err := syncTime(dir)
	if err != nil {
		return err
	}
	fmt.Printf("fdatasync of a 4 KiB append: %.2f ms\n\n", sync.Seconds()*1e3)
	fmt.Println("| line | ops/s | p50 ms | p99 ms | server CPU µs/op | fsyncs/op |")
	fmt.Println("|---|--:|--:|--:|--:|--:|")
	for _, l := range lines() {
		if err := b.line(l, only); err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
	}
	if err := b.rewrap(filepath.Join(dir, "data"), only); err != nil {
		return err
	}
	s, err := b.srv.stats()
	if err != nil {
		return err
	}
	fmt.Printf("\npeak memory %d MB\n", s.PeakRSS>>20)
	return nil
}

// startBench starts a server of a build of this program, and creates the bucket that all lines use.
func startBench(program, dir, profile string, clients int) (*bench, error) {
	srv, err := startChild(program, dir, profile)
	if err != nil {
		return nil, err
	}
	b := &bench{
		client: newClient(srv.endpoints[0], clients), bare: newClient(srv.endpoints[1], clients), srv: srv,
		clients: clients,
	}
	if err := b.client.do("PUT", "/bench", nil, nil, nil); err != nil {
		srv.stop()
		return nil, err
	}
	return b, nil
}

// Stats are the counters that the child process reports.
type Stats struct {
	CPU     time.Duration
	Syncs   uint64
	PeakRSS int64 // bytes
}

// child is the server process.
type child struct {
	cmd       *exec.Cmd
	in        io.WriteCloser
	out       *bufio.Reader
	endpoints []string // the server, and bare net/http in the same process
}

func startChild(program, dir, profile string) (*child, error) {
	c := &child{cmd: exec.Command(program, "-serve", dir, "-cpuprofile", profile)}
	c.cmd.Stderr = os.Stderr
	var err error
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	return c, json.NewDecoder(io.LimitReader(lineReader{c.out}, 1<<16)).Decode(&c.endpoints)
}

// stats asks the child for its counters.
func (c *child) stats() (Stats, error) {
	if _, err := io.WriteString(c.in, "stats\n"); err != nil {
		return Stats{}, err
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return Stats{}, err
	}
	var s Stats
	return s, json.Unmarshal(line, &s)
}

func (c *child) stop() {
	c.in.Close()
	c.cmd.Wait()
}

// lineReader returns only one line, so that a decoder does not read past it.
type lineReader struct{ r *bufio.Reader }

func (l lineReader) Read(p []byte) (int, error) {
	b, err := l.r.ReadSlice('\n')
	return copy(p, b), err
}

// syncTime returns the median duration of a durable 4 KiB append on this machine.
func syncTime(dir string) (time.Duration, error) {
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	var took []time.Duration
	for range 101 {
		if _, err := f.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		start := time.Now()
		if err := unix.Fdatasync(int(f.Fd())); err != nil {
			return 0, err
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
