package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"

	"watertight/internal/server"
	"watertight/test/bench/fleet"
)

// childFlags are the flags of a server process.
type childFlags struct {
	profile, heap, cert, key string
	connections              int // 0 is the server's default
}

// serveChild runs a real server and answers "stats" lines until its input ends.
func serveChild(dir string, f childFlags, in io.Reader, out io.Writer) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: region,
		RootKey: "file:" + filepath.Join(dir, "root.key"), MaxConnections: f.connections,
		Root:   server.RootCredentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret},
		Logger: slog.New(slog.DiscardHandler),
	}
	c.TLS.CertFile, c.TLS.KeyFile = f.cert, f.key
	defer c.Collector().Start()() // as in watertight serve
	srv, err := server.Build(ctx, c)
	if err != nil {
		return err
	}
	stop, err := profiled(f.profile)
	if err != nil {
		return err
	}
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	if err := json.NewEncoder(out).Encode([]string{srv.Scheme() + "://" + srv.Addr()}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(in); lines.Scan(); {
		if err := json.NewEncoder(out).Encode(fleet.Counters{Syncs: srv.Stats().Syncs}); err != nil {
			return err
		}
	}
	err = writeHeap(f.heap)
	cancel()
	if failed := <-ended; failed != nil {
		err = errors.Join(err, fmt.Errorf("server: %w", failed))
	}
	return err
}

// profiled writes a CPU profile until stop is called, if a file is named.
func profiled(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		f.Close()
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}

// writeHeap writes a profile of what memory is in use, and of what was ever allocated, if a file is named.
func writeHeap(file string) error {
	if file == "" {
		return nil
	}
	var b bytes.Buffer
	if err := pprof.Lookup("heap").WriteTo(&b, 0); err != nil {
		return err
	}
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// floorChild runs the floor until its input ends.
func floorChild(f childFlags, in io.Reader, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop, err := profiled(f.profile)
	if err != nil {
		return err
	}
	defer stop()
	h := &http.Server{Handler: newFloor(), TLSConfig: &tls.Config{NextProtos: []string{"http/1.1"}}}
	scheme := "http"
	if f.cert == "" {
		go h.Serve(l)
	} else {
		scheme = "https"
		go h.ServeTLS(l, f.cert, f.key)
	}
	defer h.Close()
	if err := json.NewEncoder(out).Encode([]string{scheme + "://" + l.Addr().String()}); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, in)
	return err
}

// floor is what net/http itself costs: it reads and writes as many bytes as a server, and verifies, stores and
// encrypts nothing. Targets are ratios to it, because machines differ and drift.
type floor struct {
	zeros   []byte
	listing atomic.Pointer[[]byte] // what it answers to a listing
}

const (
	largest     = 16 << 20
	maxListing  = 4 << 20
	listingPath = "/" + bucket + "/listing" // where the listing that it is to answer is put
)

func newFloor() *floor { return &floor{zeros: make([]byte, largest)} }

// ServeHTTP answers with as many bytes as the path's last directory says: /bench/get/1024/17.
func (f *floor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if r.URL.RawQuery != "" {
			if xml := f.listing.Load(); xml != nil {
				w.Header().Set("Content-Type", "application/xml")
				w.Header().Set("Content-Length", strconv.Itoa(len(*xml)))
				w.Write(*xml)
				return
			}
		}
		n := sizeIn(r.URL.Path)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set("Content-Length", strconv.Itoa(n))
		w.Write(f.zeros[:n])
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPut:
		if r.URL.Path == listingPath {
			xml, err := io.ReadAll(io.LimitReader(r.Body, maxListing))
			if err == nil {
				f.listing.Store(&xml)
			}
			return
		}
		io.Copy(io.Discard, r.Body)
		if r.URL.RawQuery != "" {
			w.Header().Set("ETag", `"part"`)
		}
	case http.MethodPost:
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, "<InitiateMultipartUploadResult><UploadId>floor</UploadId></InitiateMultipartUploadResult>")
	}
}

// sizeIn reads the size from a path; 0 if it has none.
func sizeIn(path string) int {
	dir := path[:max(strings.LastIndexByte(path, '/'), 0)]
	n, err := strconv.Atoi(dir[strings.LastIndexByte(dir, '/')+1:])
	if err != nil || n < 0 || n > largest {
		return 0
	}
	return n
}
