package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"watertight/internal/operator"
)

// cdnCommands holds the commands on the content delivery network; they talk to the running
// server.
type cdnCommands struct {
	Create cdnCreate `cmd:"" help:"Serve a private bucket by the CDN: an origin access control, a distribution, and a statement in the bucket's policy. Exits with 1 if the policy could not take the statement."`
	Status cdnStatus `cmd:"" help:"Show distributions, and what the server's own edge does."`
	Purge  cdnPurge  `cmd:"" help:"Remove paths from the caches of a distribution. They are gone when the command ends."`
}

type cdnCreate struct {
	running
	Bucket     string   `help:"Name of the bucket, or s3://BUCKET." required:"" placeholder:"BUCKET"`
	Alias      []string `help:"A domain name that the bucket is served by, such as www.example.com. Can be repeated." placeholder:"HOST"`
	Account    string   `help:"Id of the account that owns the distribution. Default: the bucket's." placeholder:"ID"`
	RootObject string   `help:"What is served for the path /; empty for nothing." default:"index.html" placeholder:"KEY"`
	KeyPolicy  bool     `help:"If the bucket's objects are encrypted under a KMS key, add a statement to the key's policy, too."`
	JSON       bool     `help:"Print JSON." name:"json"`
}

// errStatement ends a command that created a distribution which can't read its bucket yet.
var errStatement = errors.New("the bucket answers the distribution with 403 until its policy has the statement above")

// Run creates a distribution and shows its URLs.
func (c *cdnCreate) Run(p process) error {
	name, err := parseBucket(c.Bucket)
	if err != nil {
		return err
	}
	d, err := operator.Dial(c.Data).CreateCDN(p.ctx, operator.CDNCommand{
		Bucket: name, Aliases: c.Alias, AccountID: c.Account, RootObject: c.RootObject, KeyPolicy: c.KeyPolicy,
	})
	if err != nil {
		return err
	}
	if c.JSON {
		err = printJSON(p, d)
	} else {
		_, err = fmt.Fprint(p.stdout, c.told(name, &d))
	}
	switch {
	case err != nil:
		return err
	case d.BucketProblem != "":
		return errStatement
	case d.Existed:
		return c.unmet(&d)
	}
	return nil
}

// unmet returns an error if an existing distribution lacks something that was asked for.
// Nothing was changed.
func (c *cdnCreate) unmet(d *operator.CDNBucket) error {
	for _, alias := range c.Alias {
		if !slices.ContainsFunc(d.Aliases, func(has string) bool { return strings.EqualFold(has, alias) }) {
			return fmt.Errorf("the distribution %s does not have the alias %s: add it with UpdateDistribution", d.ID,
				alias)
		}
	}
	if !d.Enabled {
		return fmt.Errorf("the distribution %s is disabled: enable it with UpdateDistribution", d.ID)
	}
	if c.KeyPolicy && d.KeyStatement != "" && !d.KeyAdded {
		return errors.New("--key-policy changes the key's policy for a new distribution only: put the statement " +
			"above into it")
	}
	return nil
}

// told says what was created, its URLs, and the steps that remain.
func (c *cdnCreate) told(name string, d *operator.CDNBucket) string {
	var out strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&out, format+"\n", args...) }
	if d.Existed {
		say("the distribution %s of account %s serves the bucket %s already; nothing was changed", d.ID, d.AccountID,
			name)
	} else {
		say("the distribution %s of account %s serves the bucket %s", d.ID, d.AccountID, name)
	}
	for _, url := range urlsOf(&d.CDNDistribution, &d.Edge) {
		say("  %s", url)
	}
	switch {
	case d.Existed:
		say("it needs this statement in the bucket's policy:\n  %s", d.BucketStatement)
	case d.BucketProblem != "":
		say("the bucket's policy was not changed. %s\nPut this statement into it:\n  %s", d.BucketProblem,
			d.BucketStatement)
	default:
		say("added to the bucket's policy:\n  %s", d.BucketStatement)
	}
	switch {
	case d.KeyProblem != "":
		say("%s", d.KeyProblem)
	case d.KeyAdded:
		say("added to the policy of the key %s:\n  %s", d.Key, d.KeyStatement)
	}
	if d.KeyStatement != "" && !d.KeyAdded {
		say("the policy of the key %s needs this statement (--key-policy adds it for a new distribution):\n  %s",
			d.Key, d.KeyStatement)
	}
	if !d.Edge.On() {
		say("this server has no CDN listener: start it with --cdn-listen, or --cdn-tls-listen and a certificate")
	}
	if len(d.Aliases) > 0 {
		say("let the DNS records of %s point to this machine", strings.Join(d.Aliases, ", "))
	}
	return out.String()
}

// urlsOf returns the URLs of a distribution at the server's own edge: by its aliases, by its
// domain name, and, without DNS, by its path.
func urlsOf(d *operator.CDNDistribution, e *operator.CDNEdge) (all []string) {
	scheme, addr, usual := "https", e.TLSListen, "443"
	if addr == "" {
		scheme, addr, usual = "http", e.Listen, "80"
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil || port == usual {
		port = ""
	} else {
		port = ":" + port
	}
	for _, host := range append(d.Aliases[:len(d.Aliases):len(d.Aliases)], d.DomainName) {
		if !strings.Contains(host, "*") {
			all = append(all, scheme+"://"+host+port+"/")
		}
	}
	at, err := netip.ParseAddrPort(e.Listen)
	if err == nil && at.Addr().IsLoopback() {
		all = append(all, "http://"+e.Listen+"/_/"+d.ID+"/ (on this machine, without DNS)")
	}
	return all
}

type cdnStatus struct {
	running
	ID   string `arg:"" optional:"" help:"Id of the distribution; all without one." placeholder:"ID"`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Run shows distributions and the edge.
func (c *cdnStatus) Run(p process) error {
	s, err := operator.Dial(c.Data).CDNStatus(p.ctx, c.ID)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(p, s)
	}
	w := tabwriter.NewWriter(p.stdout, 0, 0, 2, ' ', 0)
	if len(s.Distributions) > 0 {
		fmt.Fprintln(w, "ID\tACCOUNT\tSTATE\tDOMAIN NAMES\tORIGINS")
	}
	for i := range s.Distributions {
		d := &s.Distributions[i]
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", d.ID, d.AccountID, stateOf(d),
			strings.Join(append(d.Aliases, d.DomainName), ","), strings.Join(d.Origins, ","))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprint(p.stdout, c.told(&s))
	return err
}

func stateOf(d *operator.CDNDistribution) string {
	state := d.Status
	if !d.Enabled {
		state = "disabled, " + state
	}
	if d.Invalidating > 0 {
		state += fmt.Sprintf(", %d invalidations in progress", d.Invalidating)
	}
	return state
}

func (c *cdnStatus) told(s *operator.CDNStatus) string {
	var out strings.Builder
	if len(s.Distributions) == 0 {
		fmt.Fprintln(&out, "there are no distributions")
	}
	if s.Unreadable > 0 {
		fmt.Fprintf(&out, "%d distributions can't be read, and are not served: did a later version write them?\n",
			s.Unreadable)
	}
	for _, r := range s.Remote {
		state := "was not seen since the server started"
		if r.Seen != nil {
			state = "was seen at " + r.Seen.UTC().Format(time.RFC3339)
			if !r.Current {
				state += " with an older configuration"
			}
		}
		fmt.Fprintf(&out, "the edge %s of account %s %s\n", r.Name, r.AccountID, state)
	}
	e := &s.Edge
	if !e.On() {
		fmt.Fprintln(&out, "this server has no CDN listener")
		return out.String()
	}
	for _, l := range []struct{ what, addr string }{{"HTTPS", e.TLSListen}, {"HTTP", e.Listen}} {
		if l.addr != "" {
			fmt.Fprintf(&out, "this server's edge listens on %s for %s\n", l.addr, l.what)
		}
	}
	fmt.Fprintf(&out, "it serves %d distributions: %d hits, %d misses, %d stale answers\n", e.Sites, e.Hits, e.Misses,
		e.Stale)
	fmt.Fprintf(&out, "its cache has %d entries, %d bytes\n", e.Entries, e.Bytes)
	for _, f := range e.Failures {
		fmt.Fprintf(&out, "at %s origin %s of %s gave no answer: %s\n", f.At.UTC().Format(time.RFC3339), f.Origin,
			f.Distribution, f.Reason)
	}
	return out.String()
}

type cdnPurge struct {
	running
	ID    string   `arg:"" help:"Id of the distribution." placeholder:"ID"`
	Paths []string `arg:"" optional:"" help:"Paths as viewers ask for them, such as /index.html; a star at the end stands for any rest. Default: /*, everything." placeholder:"PATH"`
}

// Run removes paths from the caches.
func (c *cdnPurge) Run(p process) error {
	paths := c.Paths
	if len(paths) == 0 {
		paths = []string{"/*"}
	}
	i, err := operator.Dial(c.Data).PurgeCDN(p.ctx, operator.CDNPurge{ID: c.ID, Paths: paths})
	if err != nil {
		return err
	}
	state := "complete: no edge has these paths any more"
	if !i.Completed {
		state = "in progress: an edge on another machine has not confirmed it yet"
	}
	_, err = fmt.Fprintf(p.stdout, "invalidation %s is %s\n", i.ID, state)
	return err
}
