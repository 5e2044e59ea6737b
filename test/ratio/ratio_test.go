// Package ratio measures what small requests cost a server, as ratios to bare handlers of
// net/http that do the same transfers.
package ratio

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"

	"watertight/internal/server"
)

// ratioChild is the variable of the environment that makes TestRatioServer serve. Its value
// is a directory for the store.
const ratioChild = "WATERTIGHT_RATIO_CHILD"

// ratioServer is what the server's process tells the benchmark.
type ratioServer struct {
	Server, Bare, Primitives string // addresses
}

// Credentials of the root user.
const (
	rootKey    = "AKIATESTTESTTESTTEST"
	rootSecret = "test-secret-of-a-server-that-is-thrown-away"
)

// ratioStats is what the server's process has used until now.
type ratioStats struct {
	CPU     time.Duration
	Mallocs uint64
}

// TestRatioServer is not a test: it is the server's process of BenchmarkRatio. Beside the
// server it has bare handlers of net/http that do the same transfers and nothing else.
func TestRatioServer(t *testing.T) {
	dir := os.Getenv(ratioChild)
	if dir == "" {
		t.Skip("only BenchmarkRatio starts it")
	}
	c := server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: "us-east-1",
		RootKey: "file:" + filepath.Join(dir, "root.key"),
		Root:    server.RootCredentials{AccessKeyID: rootKey, SecretAccessKey: rootSecret},
	}
	defer c.Collector().Start()() // as in watertight serve
	s, err := server.Build(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(t.Context()) }()
	bare := listenAndServe(t, &bareHandler{object: bytes.Repeat([]byte("x"), 1024)})
	primitives := listenAndServe(t, newPrimitives(t, dir))
	if path := os.Getenv(ratioChild + "_PROFILE"); path != "" {
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			t.Fatal(err)
		}
		defer pprof.StopCPUProfile()
	}
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(ratioServer{s.Addr(), bare, primitives}); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var u syscall.Rusage
		var m runtime.MemStats
		if lines.Text() == "allocations" {
			runtime.ReadMemStats(&m)
		}
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		cpu := time.Duration(u.Utime.Nano() + u.Stime.Nano())
		if err := out.Encode(ratioStats{cpu, m.Mallocs}); err != nil {
			t.Fatal(err)
		}
	}
}

// listenAndServe serves h on an address of its own, and returns it.
func listenAndServe(t *testing.T, h http.Handler) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go http.Serve(l, h)
	return l.Addr().String()
}

// bareHandler transfers what the server would, and does nothing else.
type bareHandler struct {
	object []byte
	page   []byte // the answer to a listing, as the server sends it
}

func (h *bareHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodPost: // sets the page
		h.page, _ = io.ReadAll(r.Body)
	case http.MethodPut:
		io.Copy(io.Discard, r.Body)
	case http.MethodDelete:
		w.WriteHeader(http.StatusNoContent)
	default:
		b := h.object
		if r.URL.RawQuery != "" {
			b = h.page
		}
		w.Header().Set("Content-Length", fmt.Sprint(len(b)))
		if r.Method == http.MethodGet {
			w.Write(b)
		}
	}
}

// ratioRun is the benchmark's side.
type ratioRun struct {
	tb    testing.TB
	at    ratioServer
	user  aws.Credentials // a user with a policy
	ask   io.Writer
	told  *json.Decoder
	conns map[string][]*rawConn
}

// ratioClients is the number of clients. More of them make larger groups of commits for each sync.
var ratioClients = flag.Int("ratio-clients", 8, "clients of BenchmarkRatio")

func startRatio(tb testing.TB) *ratioRun {
	tb.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestRatioServer$", "-test.timeout=0")
	cmd.Env, cmd.Stderr = append(os.Environ(), ratioChild+"="+tb.TempDir()), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		in.Close()
		go io.Copy(io.Discard, out)
		cmd.Wait()
	})
	r := &ratioRun{tb: tb, ask: in, told: json.NewDecoder(out), conns: map[string][]*rawConn{}}
	if err := r.told.Decode(&r.at); err != nil {
		tb.Fatal(err)
	}
	r.user = aws.Credentials{AccessKeyID: rootKey, SecretAccessKey: rootSecret}
	r.newUser()
	r.send(r.at.Server, [][]byte{r.request(http.MethodPut, "/bench", nil)})
	return r
}

// newUser makes a user with a policy, who sends all requests from then on.
func (r *ratioRun) newUser() {
	call := func(action string, params ...string) string {
		form := url.Values{"Action": {action}, "Version": {"2010-05-08"}, "UserName": {"bench"}}
		for i := 0; i+1 < len(params); i += 2 {
			form.Set(params[i], params[i+1])
		}
		request := r.signed("iam", http.MethodPost, "/", []byte(form.Encode()),
			"Content-Type", "application/x-www-form-urlencoded")
		return string(r.send(r.at.Server, [][]byte{request}))
	}
	call("CreateUser")
	call("PutUserPolicy", "PolicyName", "all", "PolicyDocument", `{"Version":"2012-10-17","Statement":[{`+
		`"Effect":"Allow","Action":["s3:*","kms:GenerateDataKey","kms:Decrypt"],"Resource":"*"}]}`)
	answer := call("CreateAccessKey")
	within := func(element string) string {
		_, rest, _ := strings.Cut(answer, "<"+element+">")
		value, _, _ := strings.Cut(rest, "<")
		return value
	}
	r.user = aws.Credentials{AccessKeyID: within("AccessKeyId"), SecretAccessKey: within("SecretAccessKey")}
}

func (r *ratioRun) stats(what string) (s ratioStats) {
	fmt.Fprintln(r.ask, what)
	if err := r.told.Decode(&s); err != nil {
		r.tb.Fatal(err)
	}
	return s
}

// rest waits until the server has done what the requests before it caused.
func (r *ratioRun) rest() {
	for last := r.stats("cpu").CPU; ; {
		time.Sleep(100 * time.Millisecond)
		now := r.stats("cpu").CPU
		if now-last < 3*time.Millisecond {
			return
		}
		last = now
	}
}

// request returns a signed request as it is sent.
func (r *ratioRun) request(method, target string, body []byte, headers ...string) []byte {
	return r.signed("s3", method, target, body, headers...)
}

func (r *ratioRun) signed(service, method, target string, body []byte, headers ...string) []byte {
	sum := sha256.Sum256(body)
	hash := hex.EncodeToString(sum[:])
	req, err := http.NewRequest(method, "http://"+r.at.Server+target, bytes.NewReader(body))
	if err != nil {
		r.tb.Fatal(err)
	}
	if service == "s3" {
		req.Header.Set("X-Amz-Content-Sha256", hash)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	err = v4.NewSigner().SignHTTP(context.Background(), r.user, req, hash, service, "us-east-1", time.Now())
	if err != nil {
		r.tb.Fatal(err)
	}
	var b bytes.Buffer
	if err := req.Write(&b); err != nil {
		r.tb.Fatal(err)
	}
	return b.Bytes()
}

// rawConn is a connection of a client that costs little: the machine's cores are the server's, too.
type rawConn struct {
	net.Conn
	r *bufio.Reader
}

// do sends a request and reads the response.
func (c *rawConn) do(request []byte) (status int, body []byte, err error) {
	if _, err := c.Write(request); err != nil {
		return 0, nil, err
	}
	method, _, _ := bytes.Cut(request, []byte(" "))
	res, err := http.ReadResponse(c.r, &http.Request{Method: string(method)})
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(res.Body)
	return res.StatusCode, body, err
}

// send sends all requests to an address, from all clients, and returns the last answer.
func (r *ratioRun) send(address string, requests [][]byte) (last []byte) {
	for len(r.conns[address]) < *ratioClients {
		c, err := net.Dial("tcp", address)
		if err != nil {
			r.tb.Fatal(err)
		}
		r.tb.Cleanup(func() { c.Close() })
		r.conns[address] = append(r.conns[address], &rawConn{c, bufio.NewReaderSize(c, 64<<10)})
	}
	work := make(chan []byte, len(requests))
	for _, q := range requests {
		work <- q
	}
	close(work)
	var wg sync.WaitGroup
	var mu sync.Mutex
	for _, c := range r.conns[address] {
		wg.Go(func() {
			for q := range work {
				status, body, err := c.do(q)
				if err != nil || status >= 300 {
					r.tb.Error(status, string(body), err)
					return
				}
				mu.Lock()
				last = body
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if r.tb.Failed() {
		r.tb.FailNow()
	}
	return last
}

// ratioLine is one kind of request.
type ratioLine struct {
	name     string
	target   float64
	requests func(turn int) [][]byte // of a turn
	prepare  func(turn int)          // not measured; may be nil
	beside   func(turn int) [][]byte // what the target is a ratio to; nil is the same at the bare handler
}

// BenchmarkRatio prints the CPU time, user and system, that a server needs for a small
// request, as a ratio to what a bare handler of net/http needs for the same transfer in the
// same process. Turns of both alternate, so that a change of the machine's speed affects both.
//
//	go test ./test/ratio -run '^$' -bench Ratio -benchtime 10x
func BenchmarkRatio(b *testing.B) {
	r := startRatio(b)
	for _, l := range r.lines() {
		b.Run(l.name, func(b *testing.B) {
			var ours, bare, primitives []float64
			var mallocs float64
			for turn := range b.N {
				requests := l.requests(turn)
				if l.prepare != nil {
					l.prepare(turn)
				}
				cpu, allocs := r.turn(r.at.Server, requests)
				ours, mallocs = append(ours, cpu), allocs
				if l.beside != nil {
					cpu, _ = r.turn(r.at.Server, l.beside(turn))
					bare = append(bare, cpu)
					continue
				}
				cpu, _ = r.turn(r.at.Bare, requests)
				bare = append(bare, cpu)
				cpu, _ = r.turn(r.at.Primitives, requests)
				primitives = append(primitives, cpu)
			}
			slices.Sort(ours)
			slices.Sort(bare)
			b.ReportMetric(ours[0], "µs/least")
			b.ReportMetric(ours[len(ours)/2], "µs/median")
			b.ReportMetric(bare[len(bare)/2], "µs/beside")
			b.ReportMetric(ours[0]/bare[0], "ratio/least")
			b.ReportMetric(ours[len(ours)/2]/bare[len(bare)/2], "ratio/median")
			b.ReportMetric(l.target, "target")
			if slices.Sort(primitives); primitives != nil {
				b.ReportMetric(primitives[0]/bare[0], "primitives/least")
				b.ReportMetric(primitives[len(primitives)/2]/bare[len(bare)/2], "primitives/median")
			}
			b.ReportMetric(mallocs, "allocs")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// turn sends all requests, and returns the CPU time in µs and the allocations of the server's process for each.
func (r *ratioRun) turn(address string, requests [][]byte) (cpu, allocs float64) {
	n := float64(len(requests))
	before := r.stats("allocations")
	r.send(address, requests)
	after := r.stats("allocations")
	return float64((after.CPU - before.CPU).Nanoseconds()) / 1e3 / n, float64(after.Mallocs-before.Mallocs) / n
}

// lines returns the lines with what they need in the store.
func (r *ratioRun) lines() []ratioLine {
	content := bytes.Repeat([]byte("x"), 1024)
	const each = 1000 // requests of a turn
	many := func(method, format string, body []byte, headers ...string) (all [][]byte) {
		for i := range each {
			all = append(all, r.request(method, fmt.Sprintf(format, i), body, headers...))
		}
		return all
	}
	kms := []string{
		"X-Amz-Server-Side-Encryption", "aws:kms", "X-Amz-Server-Side-Encryption-Bucket-Key-Enabled", "true",
	}
	r.send(r.at.Primitives, [][]byte{fmt.Appendf(nil, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s",
		len(r.user.SecretAccessKey), r.user.SecretAccessKey)})
	both := func(requests [][]byte) {
		r.send(r.at.Server, requests)
		r.send(r.at.Primitives, requests)
	}
	both(many(http.MethodPut, "/bench/list/%05d", content))
	r.send(r.at.Server, many(http.MethodPut, "/bench/kms/%d", content, kms...))
	list := r.request(http.MethodGet, "/bench?list-type=2&prefix=list%2F", nil)
	page := r.send(r.at.Server, [][]byte{list})
	if n := strings.Count(string(page), "<Contents>"); n != 1000 {
		r.tb.Fatalf("%d lines: %.300s", n, page)
	}
	r.send(r.at.Bare, [][]byte{r.request(http.MethodPost, "/", page)})
	putOf := func(body []byte, format string, headers ...string) func(int) [][]byte {
		return func(turn int) [][]byte {
			return many(http.MethodPut, fmt.Sprintf(format, turn, time.Now().UnixNano())+"%d", body, headers...)
		}
	}
	put := func(format string, headers ...string) func(int) [][]byte { return putOf(content, format, headers...) }
	fixed := func(all [][]byte) func(int) [][]byte { return func(int) [][]byte { return all } }
	idle := func(int) { r.rest() }
	get := fixed(many(http.MethodGet, "/bench/list/%05d", nil))
	return []ratioLine{
		{name: "PUT", target: 5, requests: put("/bench/put/%d/%d/")},
		{name: "PUT 10 KiB", target: 6.5, prepare: idle,
			requests: putOf(bytes.Repeat(content, 10), "/bench/put10/%d/%d/")},
		{name: "GET", target: 3, requests: get, prepare: idle},
		{name: "HEAD", target: 2.5, requests: fixed(many(http.MethodHead, "/bench/list/%05d", nil)), prepare: idle},
		{name: "DELETE", target: 4.5, requests: fixed(many(http.MethodDelete, "/bench/delete/%d", nil)),
			prepare: func(int) {
				both(many(http.MethodPut, "/bench/delete/%d", content))
				r.rest()
			}},
		{name: "LIST", target: 1.1, requests: fixed(slices.Repeat([][]byte{list}, 100)), prepare: idle},
		{name: "PUT SSE-KMS", target: 1.1, requests: put("/bench/kput/%d/%d/", kms...),
			beside: put("/bench/put/%d/%d/")},
		{name: "GET SSE-KMS", target: 1.1, requests: fixed(many(http.MethodGet, "/bench/kms/%d", nil)), prepare: idle,
			beside: get},
	}
}
