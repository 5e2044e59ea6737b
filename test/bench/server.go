package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"syscall"
	"time"

	"watertight/internal/server"
)

// serveChild runs a real server and answers "stats" lines until its input ends.
func serveChild(dir, profile string, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	srv, err := server.Build(ctx, server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1",
		RootKey: "file:" + filepath.Join(dir, "root.key"),
		Root:    server.RootCredentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret},
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if profile != "" {
		f, err := os.Create(profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	bare, err := startBare()
	if err != nil {
		return err
	}
	defer bare.Close()
	if err := json.NewEncoder(out).Encode([]string{
		"http://" + srv.Addr(), "http://" + bare.Addr().String(),
	}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		s := Stats{
			CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Syncs: srv.Stats().Syncs, PeakRSS: u.Maxrss << 10,
		}
		if err := json.NewEncoder(out).Encode(s); err != nil {
			return err
		}
	}
	cancel()
	if err := <-ended; err != nil {
		return fmt.Errorf("server: %w", err)
	}
	return nil
}

// startBare starts a server that only reads the body, to measure what net/http itself
// costs. Lines are compared with it, because machines differ and drift.
func startBare() (net.Listener, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	go http.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }))
	return l, nil
}
