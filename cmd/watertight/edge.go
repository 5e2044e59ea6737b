package main

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/certs"
	"watertight/internal/operator"
	"watertight/internal/server"
)

// edgeCommands run an edge on another machine, and manage the credentials of such edges.
type edgeCommands struct {
	Serve  edgeRun    `cmd:"" name:"run" default:"withargs" help:"Run an edge that serves the distributions of a store on another machine."`
	Enroll edgeEnroll `cmd:"" help:"Create the credential of an edge, on the store's machine, and write it to a file. It is shown only once."`
	List   edgeList   `cmd:"" help:"List the edges on other machines, on the store's machine."`
	Remove edgeRemove `cmd:"" help:"Remove the credential of an edge, on the store's machine. The edge serves nothing from then on."`
}

type edgeRun struct {
	Origin        string   `help:"Address of the store." required:"" env:"WATERTIGHT_EDGE_ORIGIN" placeholder:"https://HOST[:PORT]"`
	Credential    string   `help:"File that watertight edge enroll wrote; its mode must be 0600." required:"" env:"WATERTIGHT_EDGE_CREDENTIAL" placeholder:"FILE"`
	OriginCA      string   `name:"origin-ca" help:"File with the certificate authority of the store. The default is the system's authorities." placeholder:"FILE"`
	Domain        []string `help:"Domain below which the store's buckets have names. May be given several times." placeholder:"DOMAIN"`
	Listen        string   `help:"Address for plain HTTP, or none. On an address that is not loopback it only redirects to HTTPS, except with --allow-plain-http." default:"127.0.0.1:9080" placeholder:"ADDR"`
	TLSListen     string   `name:"tls-listen" help:"Address for HTTPS." placeholder:"ADDR"`
	TLSCert       []string `name:"tls-cert" help:"Certificate file, chosen by the name that a viewer asks for. May be given several times." placeholder:"FILE"`
	TLSKey        []string `name:"tls-key" help:"Key file of each certificate, in the same order." placeholder:"FILE"`
	ACME          bool     `name:"acme" help:"Get a certificate from an ACME authority for each alias of an enabled distribution, when a viewer first asks for it. Needs port 443, and a --cache-key that outlives the process."`
	ACMEEmail     string   `name:"acme-email" help:"Address for the authority's notices." placeholder:"ADDRESS"`
	ACMEDirectory string   `name:"acme-directory" help:"Directory URL of the authority; the default is Let's Encrypt." placeholder:"URL"`
	Plain         bool     `name:"allow-plain-http" help:"Serve over plain HTTP on every address, for use behind a TLS proxy."`
	TrustedProxy  []string `help:"Network of proxies whose headers tell the viewer's address." placeholder:"CIDR"`
	Cache         string   `help:"Folder of the cache, whose files are sealed. Without it, the cache is in memory." placeholder:"DIR"`
	CacheSize     int64    `help:"Bytes of the cache on the disk." default:"1073741824" placeholder:"BYTES"`
	CacheKey      string   `help:"What seals the cache and what the edge keeps: memory is a random key of this process, so that a restart empties the cache; kms:ARN is a key of the store's KMS whose policy lets cloudfront.amazonaws.com use it; file:PATH (created at the first start), passphrase: (from ${passvar}), passphrase:file:PATH, vault:URL/MOUNT/KEY and awskms:KEYARN[@URL] work while the store is away, too." default:"memory" env:"WATERTIGHT_EDGE_CACHE_KEY" placeholder:"KEY"`
	Metrics       string   `name:"metrics-listen" help:"Address of a separate plain HTTP listener that answers only /metrics, in Prometheus's format, without a signature." placeholder:"ADDR"`
	AllowOrigin   []string `help:"Server that distributions may have as a custom origin. May be given several times." placeholder:"HOST:PORT"`
}

// Run runs the edge.
func (e *edgeRun) Run(p process) error {
	c := server.EdgeConfig{
		Domains: e.Domain, AllowPlainHTTP: e.Plain, MetricsListen: e.Metrics,
		Logger: slog.New(slog.NewTextHandler(p.stderr, nil)),
		CDN:    server.CDNConfig{Listen: e.Listen, TLSListen: e.TLSListen, AllowOrigins: e.AllowOrigin},
	}
	if e.Listen == "none" {
		c.CDN.Listen = ""
	}
	if e.Cache != "" {
		c.CDN.Cache = server.CDNCache{Dir: e.Cache, Bytes: e.CacheSize}
	}
	c.CDN.Cache.Key, c.Getenv = e.CacheKey, p.getenv
	c.CDN.TLS = certs.SiteSource{ACME: e.ACME, ACMEEmail: e.ACMEEmail, ACMEDirectory: e.ACMEDirectory}
	if len(e.TLSCert) != len(e.TLSKey) {
		return usageError{errors.New("--tls-cert and --tls-key go together, one key for each certificate")}
	}
	for i, file := range e.TLSCert {
		c.CDN.TLS.Pairs = append(c.CDN.TLS.Pairs, certs.Pair{CertFile: file, KeyFile: e.TLSKey[i]})
	}
	for _, text := range e.TrustedProxy {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			return usageError{fmt.Errorf("--trusted-proxy %s: %w", text, err)}
		}
		c.TrustedProxies = append(c.TrustedProxies, network)
	}
	var err error
	if c.Store, err = server.StoreOf(e.Origin, e.Credential); err != nil {
		return err
	}
	if e.OriginCA != "" {
		pem, err := os.ReadFile(e.OriginCA)
		if err != nil {
			return err
		}
		c.Store.Roots = x509.NewCertPool()
		if !c.Store.Roots.AppendCertsFromPEM(pem) {
			return fmt.Errorf("%s has no certificate", e.OriginCA)
		}
	}
	c.Ready = func(plain, secure, metrics string) {
		fmt.Fprintf(p.stdout, "the edge serves the distributions of %s\n", e.Origin)
		for _, at := range []struct{ scheme, addr string }{{"http", plain}, {"https", secure}} {
			if at.addr != "" {
				fmt.Fprintf(p.stdout, "  %s://%s\n", at.scheme, at.addr)
			}
		}
		if metrics != "" {
			fmt.Fprintf(p.stdout, "its metrics are at http://%s/metrics\n", metrics)
		}
	}
	return server.RunEdge(p.ctx, c)
}

type edgeEnroll struct {
	running
	Name         string   `help:"Name of the edge." required:"" placeholder:"NAME"`
	Account      string   `help:"Account that owns the distributions." required:"" placeholder:"ID"`
	Distribution []string `help:"Distribution that the edge serves. May be given several times." xor:"which" placeholder:"ID"`
	All          bool     `help:"The edge serves all distributions of the account." xor:"which"`
	Out          string   `help:"File for the credential, which must not exist." required:"" placeholder:"FILE"`
}

// Run creates a credential and writes it to its file.
func (c *edgeEnroll) Run(p process) (err error) {
	if c.All == (len(c.Distribution) > 0) {
		return usageError{errors.New("use --distribution or --all")}
	}
	f, err := os.OpenFile(c.Out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if closed := f.Close(); err == nil {
			err = closed
		}
		if err != nil {
			os.Remove(c.Out)
		}
	}()
	e, err := operator.Dial(c.Data).EnrollEdge(p.ctx, operator.EdgeCommand{
		Name: c.Name, AccountID: c.Account, Distributions: c.Distribution,
	})
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(struct {
		AccessKeyID     string `json:"AccessKeyId"`
		SecretAccessKey string
		Region          string
	}{e.AccessKeyID, e.SecretAccessKey, e.Region}, "", "\t")
	if err != nil {
		return err
	}
	if _, err = f.Write(append(b, '\n')); err == nil {
		err = f.Sync()
	}
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "the credential of the edge %s is in %s; move it to the edge's machine\n",
			e.Name, c.Out)
	}
	return err
}

type edgeList struct {
	running
	JSON bool `help:"Print JSON." name:"json"`
}

// Run lists the edges.
func (c *edgeList) Run(p process) error {
	all, err := operator.Dial(c.Data).Edges(p.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, all)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tACCESS KEY\tACCOUNT\tDISTRIBUTIONS\tLAST SEEN")
	for _, e := range all {
		which, seen := "all", "not since the server started"
		if len(e.Distributions) > 0 {
			which = strings.Join(e.Distributions, ",")
		}
		if e.Seen != nil {
			seen = e.Seen.UTC().Format(time.RFC3339)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.Name, e.AccessKeyID, e.AccountID, which, seen)
	}
	return w.Flush()
}

type edgeRemove struct {
	running
	Name string `arg:"" help:"Name of the edge, or its access key id." placeholder:"NAME"`
}

// Run removes an edge.
func (c *edgeRemove) Run(p process) error {
	e, err := operator.Dial(c.Data).RemoveEdge(p.ctx, c.Name)
	if err == nil {
		_, err = fmt.Fprintf(p.stdout, "the edge %s is removed\n", e.Name)
	}
	return err
}
