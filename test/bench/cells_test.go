package main

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"watertight/internal/server"
	"watertight/test/bench/fleet"
	"watertight/test/bench/load"
	"watertight/test/harness"
)

// TestCells: each operation of the benchmark works on our server and on the floor, and reads and writes as many bytes
// as it says.
func TestCells(t *testing.T) {
	s := harness.Start(t, func(c *server.Config) {
		c.Root = server.RootCredentials{AccessKeyID: benchKey, SecretAccessKey: benchSecret}
	})
	bare := httptest.NewServer(newFloor())
	defer bare.Close()
	servers := []*fleet.Server{
		{Spec: fleet.Spec{Name: ours, KMS: true}, Target: target(s.Endpoint)},
		{Spec: fleet.Spec{Name: floorName, Floor: true}, Target: target(bare.URL)},
	}
	for _, srv := range servers {
		srv.Dir = t.TempDir()
		if err := makeBucket(srv); err != nil {
			t.Fatal(err)
		}
	}
	var listing []byte
	for _, group := range groups() {
		for _, c := range group {
			for _, srv := range servers {
				if c.variant == kms && !srv.KMS {
					continue
				}
				t.Run(label(c)+" "+srv.Name, func(t *testing.T) { once(t, newLane(srv, c, 1, &listing)) })
			}
		}
	}
}

func target(url string) load.Target {
	return load.Target{Address: strings.TrimPrefix(url, "http://"), Credentials: rootCredentials()}
}

func label(c cell) string { return strings.TrimSuffix(c.name+" "+c.variant, " ") }

// once runs a lane's preparation and one operation.
func once(t *testing.T, l *lane) {
	if l.cell.consume {
		l.cell.prepare = func(l *lane) error { return l.fill(3, time.Hour, random(64)) }
	}
	if l.cell.prepare != nil {
		if err := l.cell.prepare(l); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.turn(0); err != nil {
		t.Fatal(err)
	}
	r := l.result("plain")
	if r.Ops != 1 || r.Rate <= 0 {
		t.Errorf("%+v", r)
	}
	if _, err := l.end(); err != nil {
		t.Error(err)
	}
}

func TestSizeIn(t *testing.T) {
	for _, test := range []struct {
		name, path string
		want       int
	}{
		{"size", "/bench/get-1-kib-8/1024/17", 1024}, {"none", "/bench", 0}, {"root", "/", 0}, {"empty", "", 0},
		{"too large", "/bench/x/99999999999/1", 0}, {"negative", "/bench/x/-1/1", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := sizeIn(test.path); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

func TestEscape(t *testing.T) {
	if got := escape("a b/c+d~é"); got != "a%20b%2Fc%2Bd~%C3%A9" {
		t.Error(got)
	}
}

func TestFlags(t *testing.T) {
	good := flags{clients: "8,32", tls: "both", rounds: 5, each: time.Second}
	for _, test := range []struct {
		name   string
		change func(*flags)
		fails  bool
	}{
		{"good", func(*flags) {}, false},
		{"clients", func(f *flags) { f.clients = "8,x" }, true},
		{"no client", func(f *flags) { f.clients = "0" }, true},
		{"tls", func(f *flags) { f.tls = "maybe" }, true},
		{"rounds", func(f *flags) { f.rounds = 0 }, true},
		{"script", func(f *flags) { f.peers = repeated{"a=b.sh"} }, false},
		{"no name", func(f *flags) { f.peers = repeated{"b.sh"} }, true},
		{"name of a path", func(f *flags) { f.kmsPeers = repeated{"../a=b.sh"} }, true},
		{"our name", func(f *flags) { f.builds = repeated{ours + "=b"} }, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := good
			test.change(&f)
			if _, err := f.options(); (err != nil) != test.fails {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestSpecs: scripts and endpoints are told apart, and the floor is the last.
func TestSpecs(t *testing.T) {
	f := flags{peers: repeated{"a=x.sh", "b=http://h:1"}, kmsPeers: repeated{"c=y.sh"}, builds: repeated{"d=old"}}
	all, err := f.specs()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range all {
		got = append(got, s.Name+" "+s.Script+s.Endpoint)
	}
	want := "watertight , d , c y.sh, a x.sh, b http://h:1, floor "
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("%q, want %q", text, want)
	}
}

// TestPeers: the start scripts of the peers are there and can be run.
func TestPeers(t *testing.T) {
	for _, name := range []string{"minio", "minio-encrypted", "versitygw"} {
		t.Run(name, func(t *testing.T) {
			info, err := os.Stat(filepath.Join("..", "..", "tools", "peers", name+".sh"))
			if err != nil || info.Mode()&0o100 == 0 {
				t.Errorf("%v", err)
			}
		})
	}
}
