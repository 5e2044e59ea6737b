// Command bench measures a fresh server: a process with its own data directory, durability and encryption on, driven
// over loopback by signed requests, in turns with other servers. It exists so that anyone can measure the speed again.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"watertight/test/bench/fleet"
)

// The names of our server and of the floor, a bare handler of net/http, in all tables.
const (
	ours      = "watertight"
	floorName = "floor"
)

type flags struct {
	serve, edgeChild, profile, heap, cert, key string
	floor, edge, rewrap, trace                 bool
	peers, kmsPeers, builds                    repeated
	clients, tls, only, dir, out               string
	objects, rounds, connections               int
	idle, busy                                 int
	each                                       time.Duration
}

// repeated is a flag that may be given several times.
type repeated []string

func (l *repeated) String() string     { return strings.Join(*l, " ") }
func (l *repeated) Set(s string) error { *l = append(*l, s); return nil }

func main() {
	var f flags
	flag.Var(&f.peers, "peer", "NAME=script that starts a server, or URL of one that runs; may be repeated")
	flag.Var(&f.kmsPeers, "kms-peer", "like -peer, of a server that takes SSE-KMS")
	flag.Var(&f.builds, "build", "NAME=another build of this program, whose server takes turns, too")
	flag.StringVar(&f.clients, "clients", "8,32", "concurrent clients; several numbers are measured in order")
	flag.StringVar(&f.tls, "tls", "both", "yes, no or both")
	flag.StringVar(&f.only, "only", "", "only operations whose name contains this")
	flag.DurationVar(&f.each, "time", 1500*time.Millisecond, "how long an operation runs on a server, in all turns")
	flag.IntVar(&f.rounds, "rounds", 5, "how many turns each has")
	flag.StringVar(&f.dir, "dir", "", "folder for the servers' data, on the disk that is to be measured")
	flag.StringVar(&f.out, "out", "", "folder for tables, charts and results in JSON")
	flag.BoolVar(&f.trace, "strace", false, "count fsyncs of peers, too, by strace, in a turn that is not measured")
	flag.StringVar(&f.profile, "cpuprofile", "", "write our server's CPU profile to this file")
	flag.StringVar(&f.heap, "memprofile", "", "write our server's heap profile at its end to this file")
	flag.IntVar(&f.objects, "objects", 0, "instead: put so many objects of 1 byte, and measure at powers of ten")
	flag.IntVar(&f.idle, "idle", 0, "instead: so many idle connections (5000) beside busy ones that put and get 1 MiB")
	flag.IntVar(&f.busy, "busy", 200, "with -idle: busy connections")
	flag.BoolVar(&f.edge, "edge", false, "instead: hits in the CDN's cache beside Go's file server and nginx")
	flag.BoolVar(&f.rewrap, "rewrap", false, "instead: versions that move to the newest material of their key")
	flag.StringVar(&f.serve, "serve", "", "internal: run as the server on this data directory")
	flag.BoolVar(&f.floor, "floor", false, "internal: run as the floor")
	flag.StringVar(&f.edgeChild, "edge-child", "", "internal: run as this server of -edge")
	flag.StringVar(&f.cert, "cert", "", "internal: certificate of the server")
	flag.StringVar(&f.key, "key", "", "internal: its key")
	flag.IntVar(&f.connections, "max-connections", 0, "internal: the server's limit of connections")
	flag.Parse()
	if err := f.run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (f *flags) run() error {
	child := childFlags{profile: f.profile, heap: f.heap, cert: f.cert, key: f.key, connections: f.connections}
	switch {
	case f.serve != "":
		return serveChild(f.serve, child, os.Stdin, os.Stdout)
	case f.floor:
		return floorChild(child, os.Stdin, os.Stdout)
	case f.edgeChild != "":
		return edgeChild(f.edgeChild, flag.Arg(0), flag.Arg(1), f.profile)
	}
	o, err := f.options()
	if err != nil {
		return err
	}
	switch {
	case f.edge:
		return edges(o.clients[0], o.rounds, o.each, o.only, f.profile, f.builds)
	case f.rewrap:
		return rewrap(o)
	case f.objects > 0:
		return scale(o, f.objects)
	case f.idle > 0:
		return connections(o, f.idle, f.busy)
	}
	return table(o)
}

// options turns flags into what is measured.
func (f *flags) options() (o options, err error) {
	o = options{
		rounds: f.rounds, each: f.each, only: f.only, dir: f.dir, out: f.out, trace: f.trace, log: os.Stderr,
	}
	for text := range strings.SplitSeq(f.clients, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return o, fmt.Errorf("-clients %s: want numbers", f.clients)
		}
		o.clients = append(o.clients, n)
	}
	switch f.tls {
	case "yes":
		o.transports = []string{"TLS"}
	case "no":
		o.transports = []string{"plain"}
	case "both":
		o.transports = []string{"plain", "TLS"}
	default:
		return o, fmt.Errorf("-tls %s: want yes, no or both", f.tls)
	}
	if o.rounds < 1 || o.each <= 0 {
		return o, errors.New("-rounds and -time must be positive")
	}
	o.specs, err = f.specs()
	return o, err
}

// specs lists the servers: ours, other builds, peers, the floor.
func (f *flags) specs() ([]fleet.Spec, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	own := []string{self, "-serve", "DIR"}
	if f.profile != "" {
		own = append(own, "-cpuprofile", f.profile)
	}
	if f.heap != "" {
		own = append(own, "-memprofile", f.heap)
	}
	all := []fleet.Spec{{Name: ours, Child: own, KMS: true}}
	for _, text := range f.builds {
		name, program, err := named(text)
		if err != nil {
			return nil, err
		}
		all = append(all, fleet.Spec{Name: name, Child: []string{program, "-serve", "DIR"}, KMS: true})
	}
	for _, kind := range []struct {
		peers repeated
		kms   bool
	}{{f.kmsPeers, true}, {f.peers, false}} {
		for _, text := range kind.peers {
			name, at, err := named(text)
			if err != nil {
				return nil, err
			}
			s := fleet.Spec{Name: name, KMS: kind.kms}
			if strings.Contains(at, "://") {
				s.Endpoint = at
			} else {
				s.Script = at
			}
			all = append(all, s)
		}
	}
	return append(all, fleet.Spec{Name: floorName, Child: []string{self, "-floor"}, Floor: true}), nil
}

// named splits NAME=VALUE. A name is part of paths.
func named(text string) (name, value string, err error) {
	name, value, ok := strings.Cut(text, "=")
	if !ok || name == "" || value == "" || filepath.Base(name) != name || name == floorName || name == ours {
		return "", "", fmt.Errorf("%q: want a name of its own, = and a script, program or URL", text)
	}
	return name, value, nil
}
