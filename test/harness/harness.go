// Package harness starts servers for tests: in this process, or as a separate process
// that can be killed.
package harness

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/core/distribution"
	"watertight/internal/gateway/dispatch"
	"watertight/internal/server"
)

// The root credentials of every server that this package starts.
const (
	AccessKeyID     = "AKIATESTTESTTESTTEST"
	SecretAccessKey = "test-secret-of-a-server-that-is-thrown-away"
	Region          = "us-east-1"
)

// Server is a server in this process.
type Server struct {
	Endpoint, AccessKeyID, SecretAccessKey, Region string
	Data                                           string
	S3                                             *s3.Client
	Logs                                           *Lines
	HTTP                                           *http.Transport // trusts the server's certificate

	server *server.Server
	stop   func() error
	t      testing.TB
}

// Credentials are an access key.
type Credentials struct{ AccessKeyID, SecretAccessKey string }

// Start runs a server on a fresh data directory until the test ends. change
// may alter its configuration.
func Start(t testing.TB, change ...func(*server.Config)) *Server {
	t.Helper()
	s, err := Try(t, change...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Try is Start for tests that expect a refusal.
func Try(t testing.TB, change ...func(*server.Config)) (*Server, error) {
	t.Helper()
	dir := t.TempDir()
	logs := &Lines{}
	c := server.Config{
		Data: filepath.Join(dir, "data"), Listen: []string{"127.0.0.1:0"}, Region: Region,
		RootKey: "file:" + filepath.Join(dir, "root.key"),
		Root:    server.RootCredentials{AccessKeyID: AccessKeyID, SecretAccessKey: SecretAccessKey},
		Logger:  slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&c)
	}
	srv, err := server.Build(t.Context(), c)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- srv.Run(ctx) }()
	s := &Server{
		Endpoint: srv.Scheme() + "://" + srv.Addr(), AccessKeyID: c.Root.AccessKeyID,
		SecretAccessKey: c.Root.SecretAccessKey,
		Region:          c.Region, Data: c.Data, Logs: logs, server: srv, t: t,
	}
	s.HTTP = transport(t, c)
	s.S3 = s.Client(Credentials{s.AccessKeyID, s.SecretAccessKey})
	s.stop = func() error {
		cancel()
		return <-ended
	}
	t.Cleanup(s.Stop)
	return s, nil
}

// transport trusts the authority that --tls-self-signed makes.
func transport(t testing.TB, c server.Config) *http.Transport {
	t.Helper()
	tr := http.DefaultTransport.(*http.Transport).Clone()
	t.Cleanup(tr.CloseIdleConnections)
	if !c.TLS.SelfSigned {
		return tr
	}
	ca, err := os.ReadFile(filepath.Join(c.Data, "tls", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("the authority's certificate can't be read")
	}
	tr.TLSClientConfig = &tls.Config{RootCAs: pool}
	return tr
}

// Client returns an SDK client for this server.
func (s *Server) Client(c Credentials, change ...func(*s3.Options)) *s3.Client {
	own := func(o *s3.Options) { o.HTTPClient = SDK(s.HTTP) }
	return Client(s.Endpoint, c, append([]func(*s3.Options){own}, change...)...)
}

// Stop stops the server and waits for it; a second Stop does nothing.
func (s *Server) Stop() {
	s.t.Helper()
	if err := s.End(); err != nil {
		s.t.Errorf("the server ended: %v", err)
	}
}

// End is Stop for a server that may end with an error, which it returns.
func (s *Server) End() error {
	if s.stop == nil {
		return nil
	}
	stop := s.stop
	s.stop = nil
	return stop()
}

// HealthAddr returns the address of the listener for probes.
func (s *Server) HealthAddr() string { return s.server.HealthAddr() }

// ProfileAddr returns the address of the listener for profiles.
func (s *Server) ProfileAddr() string { return s.server.ProfileAddr() }

// MetricsAddr returns the address of the listener for metrics.
func (s *Server) MetricsAddr() string { return s.server.MetricsAddr() }

// CDN returns the URL of the CDN's listener for plain HTTP, and CDNTLS the address of that
// for HTTPS.
func (s *Server) CDN() string    { return "http://" + s.server.CDNAddr() }
func (s *Server) CDNTLS() string { return s.server.CDNTLSAddr() }

// ApplyCDN makes the CDN serve a snapshot.
func (s *Server) ApplyCDN(t testing.TB, snapshot *distribution.Snapshot) {
	t.Helper()
	if err := s.server.ApplyCDN(t.Context(), snapshot); err != nil {
		t.Fatal(err)
	}
}

// DeliverAccessLogs delivers the CDN's access logs.
func (s *Server) DeliverAccessLogs(t testing.TB) { s.server.DeliverAccessLogs(t.Context()) }

// Reload has the effect of SIGHUP.
func (s *Server) Reload() { s.server.Reload() }

// Operations lists the rows of a service.
func (s *Server) Operations(service string) []dispatch.Row { return s.server.Operations(service) }

// CreateAccount creates another account and returns its root key.
func (s *Server) CreateAccount(t testing.TB, name string) Credentials {
	t.Helper()
	_, k, err := s.server.CreateAccount(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return Credentials{k.AccessKeyID, k.Secret}
}

// Environment returns a clean environment for client programs.
func (s *Server) Environment(home string) []string { return environment(home, s.Endpoint) }

func environment(home, endpoint string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "LANG=C.UTF-8", "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true",
		"AWS_ACCESS_KEY_ID=" + AccessKeyID, "AWS_SECRET_ACCESS_KEY=" + SecretAccessKey, "AWS_REGION=" + Region,
		"AWS_DEFAULT_REGION=" + Region,
		"AWS_ENDPOINT_URL=" + endpoint,
	}
}

// Client returns an SDK client that ignores the environment.
func Client(endpoint string, c Credentials, change ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: Region, UsePathStyle: true, RetryMaxAttempts: 1,
		HTTPClient:  SDK(awshttp.NewBuildableClient().GetTransport()),
		Credentials: credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, ""),
	}, append([]func(*s3.Options){func(o *s3.Options) { o.DisableLogOutputChecksumValidationSkipped = true }},
		change...)...)
}

// NeedTool skips the test if a program is missing. make test installs the programs,
// and sets WATERTIGHT_REQUIRE_TOOLS so that the test fails instead.
func NeedTool(t testing.TB, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err == nil {
		return
	}
	if ToolsRequired() {
		t.Fatalf("%s is not installed", name)
	}
	t.Skipf("%s is not installed; make test installs it", name)
}

// ToolsRequired reports whether make test runs the tests.
func ToolsRequired() bool { return os.Getenv("WATERTIGHT_REQUIRE_TOOLS") != "" }

// Process is a server in a separate process.
type Process struct {
	Endpoint string
	Data     string
	S3       *s3.Client

	t    testing.TB
	bin  string
	dir  string
	addr string
	more []string // arguments
	cmd  *exec.Cmd
}

// Build builds the program and returns its path.
func Build(t testing.TB) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "watertight")
	build := exec.Command("go", "build", "-o", bin, "watertight/cmd/watertight")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
	return bin
}

// StartProcess builds the program and starts it on a fresh data directory, with more
// arguments.
func StartProcess(t testing.TB, more ...string) *Process {
	t.Helper()
	p := &Process{t: t, dir: t.TempDir(), addr: "127.0.0.1:0", more: more}
	p.bin = Build(t)
	p.Data = filepath.Join(p.dir, "data")
	p.Restart()
	t.Cleanup(p.Kill)
	return p
}

// Restart starts the program on its data directory.
func (p *Process) Restart() {
	p.t.Helper()
	p.cmd = exec.Command(p.bin, "serve", "--data", p.Data, "--listen", p.addr, "--cdn-listen", "none",
		"--root-key",
		"file:"+filepath.Join(p.dir, "root.key"))
	p.cmd.Args = append(p.cmd.Args, p.more...)
	p.cmd.Env = append(environment(p.dir, ""), "WATERTIGHT_ROOT_ACCESS_KEY_ID="+AccessKeyID,
		"WATERTIGHT_ROOT_SECRET_ACCESS_KEY="+SecretAccessKey)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	var said []string
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		said = append(said, lines.Text())
		if _, rest, ok := strings.Cut(lines.Text(), "msg=serving address="); ok {
			addr, _, _ := strings.Cut(rest, " ")
			p.Endpoint = "http://" + addr
			p.S3 = Client(p.Endpoint, Credentials{AccessKeyID, SecretAccessKey})
			go func() { // so that the server never waits for a reader
				for lines.Scan() {
				}
			}()
			return
		}
	}
	p.t.Fatalf("the server did not start:\n%s", strings.Join(said, "\n"))
}

// Kill kills the program without any chance to clean up.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	p.cmd.Process.Signal(syscall.SIGKILL)
	p.cmd.Wait()
	p.cmd = nil
}

// PID returns the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// String returns a text for messages.
func (p *Process) String() string { return fmt.Sprintf("server on %s", p.Endpoint) }
