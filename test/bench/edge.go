package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"watertight/internal/core/distribution"
	"watertight/internal/server"
)

// A hit in the CDN's cache is measured beside Go's file server and nginx's proxy_cache, each
// in a process of its own. Both caches have the file server as their origin.

// edgeChild runs one of the servers of the comparison until its input ends: the file server
// of a folder, a handler that writes bytes from memory, or the CDN in front of an origin.
func edgeChild(kind, dir, at, profile string) error {
	var address string
	switch kind {
	case "files":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go http.Serve(l, http.FileServer(http.Dir(dir)))
		address = l.Addr().String()
	case "bare":
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		bodies := map[string][]byte{"/10KiB.css": make([]byte, 10<<10), "/16MiB.css": make([]byte, 16<<20)}
		go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/css")
			w.Header().Set("Content-Length", strconv.Itoa(len(bodies[r.URL.Path])))
			w.Write(bodies[r.URL.Path])
		}))
		address = l.Addr().String()
	case "headers":
		// What net/http itself takes for an answer with as many headers as the CDN's.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		go http.Serve(l, withHeaders(make([]byte, 16<<20)))
		address = l.Addr().String()
	case "cdn":
		srv, err := benchCDN(dir, at)
		if err != nil {
			return err
		}
		address = srv.CDNAddr()
	default:
		return fmt.Errorf("no server is called %s", kind)
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
	fmt.Println(address)
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// benchHost is the name by which the CDN is asked.
const benchHost = "d1.cloudfront.net"

// withHeaders writes 10 KiB or 16 MiB from memory, with as many headers as the CDN.
func withHeaders(zeros []byte) http.Handler {
	header := http.Header{
		"Content-Type": {"text/css"}, "Accept-Ranges": {"bytes"}, "Age": {"1"}, "X-Cache": {"Hit from cloudfront"},
		"Last-Modified": {"Mon, 30 Nov 2026 11:31:36 GMT"}, "X-Amz-Cf-Pop": {"WTR50-P1"},
		"Via":         {"1.1 0123456789abcdef0123456789abcdef.cloudfront.net (CloudFront)"},
		"X-Amz-Cf-Id": {"0123456789abcdef0123456789abcdef0123456789abcdef01234567"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := zeros
		if r.URL.Path == "/10KiB.css" {
			body = zeros[:10<<10]
		}
		maps.Copy(w.Header(), header)
		w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
		w.Write(body)
	})
}

// benchCDN runs a server whose CDN has a custom origin.
func benchCDN(dir, at string) (*server.Server, error) {
	ctx := context.Background()
	srv, err := server.Build(ctx, server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: region,
		RootKey: "file:" + filepath.Join(dir, "root.key"), Logger: slog.New(slog.DiscardHandler),
		Root: server.RootCredentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret},
		CDN: server.CDNConfig{
			Listen: "127.0.0.1:0", AllowOrigins: []string{at}, Cache: server.CDNCache{Bytes: 256 << 20},
		},
	})
	if err != nil {
		return nil, err
	}
	go srv.Run(ctx)
	_, port, _ := strings.Cut(at, ":")
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, err
	}
	return srv, srv.ApplyCDN(ctx, &distribution.Snapshot{Generation: 1 << 40, Sites: []distribution.Site{{
		ID: "E1", Account: "000000000000", DomainName: benchHost,
		Config: distribution.Config{
			Enabled: true,
			Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
				Id: "o", DomainName: "127.0.0.1", CustomOriginConfig: &distribution.CustomOriginConfig{
					HTTPPort: number, HTTPSPort: 443, OriginProtocolPolicy: "http-only",
				},
			}}},
			DefaultCacheBehavior: distribution.CacheBehavior{
				TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: "p",
			},
		},
		CachePolicies: map[string]distribution.CachePolicyConfig{"p": {MinTTL: 1}},
	}}})
}

// nginxConfig is a cache like the CDN's: on the disk, one worker, no access log.
const nginxConfig = `worker_processes 1;
pid %[1]s/pid;
error_log %[1]s/error.log;
daemon off;
events { worker_connections 256; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000000;
  client_body_temp_path %[1]s/body; proxy_temp_path %[1]s/proxy; fastcgi_temp_path %[1]s/f;
  uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
  proxy_cache_path %[1]s/cache keys_zone=c:10m max_size=256m;
  server {
    listen %[2]s;
    location / { proxy_pass http://%[3]s; proxy_cache c; proxy_cache_valid 200 1d; }
  }
}
`

// rival is one of the servers of the comparison.
type rival struct {
	name string
	host string // what it is asked for, or "" for its address
	at   string
	pid  int
	stop func()
	cpu  []float64 // µs for each request in each turn
}

// startRival runs a program and, if it has no address yet, reads it from its first line.
func startRival(name, at string, cmd *exec.Cmd) (*rival, error) {
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	r := &rival{name: name, at: at, pid: cmd.Process.Pid, stop: func() {
		in.Close()
		if at != "" {
			cmd.Process.Signal(os.Interrupt)
		}
		cmd.Wait()
	}}
	if at == "" {
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			return nil, errors.Join(err, cmd.Wait())
		}
		r.at = strings.TrimSpace(line)
	}
	return r, nil
}

// spent returns the CPU time of a process and its children, from /proc (in ticks of 10 ms).
func spent(pid int) (time.Duration, error) {
	pids := []int{pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return 0, err
	}
	for text := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(text); err == nil {
			pids = append(pids, n)
		}
	}
	var ticks int64
	for _, p := range pids {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			return 0, err
		}
		fields := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
		for _, at := range []int{11, 12} { // utime, stime
			n, err := strconv.ParseInt(fields[at], 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// turn drives a server for a while.
func (r *rival) turn(client *http.Client, clients int, path string, size int64, each time.Duration) error {
	before, err := spent(r.pid)
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	counts, errs := make([]int, clients), make([]error, clients)
	end := time.Now().Add(each)
	for i := range clients {
		all.Go(func() {
			for time.Now().Before(end) && errs[i] == nil {
				errs[i] = r.get(client, path, size)
				counts[i]++
			}
		})
	}
	all.Wait()
	after, err := spent(r.pid)
	if err := errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("%s: %w", r.name, err)
	}
	n := 0
	for _, c := range counts {
		n += c
	}
	r.cpu = append(r.cpu, float64((after-before).Microseconds())/float64(n))
	return nil
}

func (r *rival) get(client *http.Client, path string, size int64) error {
	req, err := http.NewRequest(http.MethodGet, "http://"+r.at+path, nil)
	if err != nil {
		return err
	}
	if r.host != "" {
		req.Host = r.host
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, resp.Body)
	if err == nil && (n != size || resp.StatusCode != http.StatusOK) {
		err = fmt.Errorf("%d, %d bytes", resp.StatusCode, n)
	}
	return err
}

// edges prints what a hit costs the CDN, that of other builds, the file server and nginx, in turns.
func edges(clients, rounds int, each time.Duration, only, profile string, builds []string) (err error) {
	dir, err := os.MkdirTemp("", "watertight-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	rivals, err := startRivals(dir, profile, builds)
	defer func() {
		for _, r := range rivals {
			r.stop()
		}
	}()
	if err != nil {
		return err
	}
	client := &http.Client{Transport: &http.Transport{
		MaxIdleConnsPerHost: clients, DisableCompression: true, ReadBufferSize: 64 << 10,
	}}
	fmt.Printf("Server CPU µs for a hit, %d turns each; %d clients\n\n", rounds, clients)
	fmt.Println("| object | server | least, median | to the file server: least, median |\n|---|---|--:|--:|")
	for _, object := range []struct {
		name string
		size int64
	}{{"10 KiB", 10 << 10}, {"16 MiB", 16 << 20}} {
		if !strings.Contains(object.name, only) {
			continue
		}
		path := "/" + strings.ReplaceAll(object.name, " ", "") + ".css"
		for round := range 2 * rounds {
			for i := range rivals {
				r := rivals[(round+i)%len(rivals)]
				if round == rounds {
					r.cpu = nil // the first half warms up
				}
				if err := r.turn(client, clients, path, object.size, each/time.Duration(rounds)); err != nil {
					return err
				}
			}
		}
		base := slices.Sorted(slices.Values(rivals[0].cpu))
		for _, r := range rivals {
			slices.Sort(r.cpu)
			least, median := r.cpu[0], r.cpu[len(r.cpu)/2]
			fmt.Printf("| %s | %s | %.1f, %.1f | %.2f, %.2f |\n", object.name, r.name, least, median, least/base[0],
				median/base[len(base)/2])
			r.cpu = nil
		}
	}
	return nil
}

// startBuild starts the edge of another build, "NAME=PROGRAM".
func startBuild(dir, build, origin string) (*rival, error) {
	name, program, ok := strings.Cut(build, "=")
	if !ok {
		return nil, fmt.Errorf("-build %s is not NAME=PROGRAM", build)
	}
	home := filepath.Join(dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, err
	}
	r, err := startRival("edge, "+name, "", exec.Command(program, "-edge-child", "cdn", home, origin))
	if err == nil {
		r.host = benchHost
	}
	return r, err
}

// startRivals starts the file server, the edge, that of each other build ("NAME=PROGRAM") and, if
// it is installed, nginx.
func startRivals(dir, profile string, builds []string) (all []*rival, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o755); err != nil {
		return nil, err
	}
	for name, size := range map[string]int{"10KiB.css": 10 << 10, "16MiB.css": 16 << 20} {
		if err := os.WriteFile(filepath.Join(files, name), random(size).Body, 0o644); err != nil {
			return nil, err
		}
	}
	origin, err := startRival("net/http file server", "", exec.Command(self, "-edge-child", "files", files))
	if err != nil {
		return nil, err
	}
	all = append(all, origin)
	bare, err := startRival("bare net/http, from memory", "", exec.Command(self, "-edge-child", "bare"))
	if err != nil {
		return all, err
	}
	all = append(all, bare)
	headers, err := startRival("bare, the CDN's headers", "", exec.Command(self, "-edge-child", "headers", dir))
	if err != nil {
		return all, err
	}
	all = append(all, headers)
	cdn, err := startRival("edge", "", exec.Command(self, "-edge-child", "cdn", "-cpuprofile", profile, dir, origin.at))
	if err != nil {
		return all, err
	}
	cdn.host = benchHost
	all = append(all, cdn)
	for _, b := range builds {
		other, err := startBuild(dir, b, origin.at)
		if err != nil {
			return all, err
		}
		all = append(all, other)
	}
	if _, err := exec.LookPath("nginx"); err != nil {
		fmt.Print("nginx is not installed (Debian: nginx-light)\n\n")
		return all, nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return all, err
	}
	at, home := l.Addr().String(), filepath.Join(dir, "nginx")
	l.Close()
	config := filepath.Join(home, "nginx.conf")
	if err := errors.Join(os.Mkdir(home, 0o755), os.Chmod(dir, 0o755), os.WriteFile(config,
		fmt.Appendf(nil, nginxConfig, home, at, origin.at), 0o644)); err != nil {
		return all, err
	}
	nginx, err := startRival("nginx proxy_cache", at, exec.Command("nginx", "-c", config, "-e", home+"/error.log"))
	if err != nil {
		return all, err
	}
	time.Sleep(time.Second)
	return append(all, nginx), nil
}
