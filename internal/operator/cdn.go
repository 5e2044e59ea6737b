package operator

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/core/cdn"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

// CDNCommand asks for a distribution that serves a bucket.
type CDNCommand struct {
	Bucket     string
	Aliases    []string
	AccountID  string // owner of the distribution; "" is the bucket's
	RootObject string // default root object, or ""
	KeyPolicy  bool   // add a statement to the policy of the bucket's KMS key, too
}

// CDNBucket is a distribution that serves a bucket.
type CDNBucket struct {
	CDNDistribution
	Existed bool // the bucket had one already, and nothing was changed
	// BucketStatement is what the bucket's policy needs. It was added, unless BucketProblem says
	// why not.
	BucketStatement string
	BucketProblem   string `json:",omitempty"`
	// Key is the customer's key under which the bucket's new objects are encrypted, if any.
	// KeyStatement is what its policy needs. It was added if KeyAdded is set; KeyProblem says
	// why it could not be.
	Key          string `json:",omitempty"`
	KeyStatement string `json:",omitempty"`
	KeyAdded     bool   `json:",omitempty"`
	KeyProblem   string `json:",omitempty"`
	Edge         CDNEdge
}

// CDNDistribution is a distribution.
type CDNDistribution struct {
	ID           string `json:"Id"`
	AccountID    string `json:"AccountId"`
	DomainName   string
	Aliases      []string
	Origins      []string // domain names
	Enabled      bool
	Status       string // Deployed or InProgress
	Invalidating int    // invalidations that are not complete
	Protocol     string // ViewerProtocolPolicy of the default behavior
	Modified     time.Time
}

// CDNEdge is the edge of the server's own process.
type CDNEdge struct {
	Listen, TLSListen string // addresses, "" for none
	Sites             int64  // distributions that it serves
	Hits, Misses      uint64
	Stale             uint64 // answers with a copy whose time had passed
	Entries           int    // of the cache
	Bytes             int64
	Failures          []OriginFailure `json:",omitempty"` // the last one of each origin, the oldest first
}

// OriginFailure is the last request to an origin that got no answer.
type OriginFailure struct {
	Distribution, Origin string // ids
	At                   time.Time
	Reason               string
}

// On reports whether the edge listens anywhere.
func (e *CDNEdge) On() bool { return e.Listen != "" || e.TLSListen != "" }

// CDNStatus is the state of the content delivery network.
type CDNStatus struct {
	Distributions []CDNDistribution
	Unreadable    int // distributions whose records can't be read, and which are not served
	Edge          CDNEdge
	Remote        []RemoteEdge // edges on other machines
}

// RemoteEdge is an edge on another machine.
type RemoteEdge struct {
	Name          string
	AccountID     string     `json:"AccountId"`
	Distributions []string   `json:",omitempty"` // all of the account without any
	Seen          *time.Time `json:",omitempty"` // when it asked last since the server started
	Current       bool       // it serves the newest configuration
}

// CDNPurge names what is removed from the caches of a distribution.
type CDNPurge struct {
	ID    string `json:"Id"`
	Paths []string
}

// CDNPurged is an invalidation.
type CDNPurged struct {
	ID        string `json:"Id"`
	Completed bool   // no edge has it any more
}

// CreateCDN makes a distribution for a bucket. Errors: NoSuchBucket, NoSuchEntity for the
// account, and those of CloudFront's CreateDistribution.
func (c *Client) CreateCDN(ctx context.Context, in CDNCommand) (out CDNBucket, err error) {
	return out, c.do(ctx, http.MethodPost, "/cdn", in, &out)
}

// CDNStatus reports on a distribution, or on all without an id. Error: NoSuchDistribution.
func (c *Client) CDNStatus(ctx context.Context, id string) (out CDNStatus, err error) {
	return out, c.do(ctx, http.MethodPost, "/cdn/status", CDNPurge{ID: id}, &out)
}

// PurgeCDN removes paths from the caches of a distribution. Errors: NoSuchDistribution and those
// of CloudFront's CreateInvalidation.
func (c *Client) PurgeCDN(ctx context.Context, in CDNPurge) (out CDNPurged, err error) {
	return out, c.do(ctx, http.MethodPost, "/cdn/purge", in, &out)
}

func (c commands) network(m *http.ServeMux) {
	m.HandleFunc("POST /cdn", handle(c, "CreateDistribution", c.createCDN))
	m.HandleFunc("POST /cdn/status", handle(c, "GetCDNStatus", c.statusCDN))
	m.HandleFunc("POST /cdn/purge", handle(c, "CreateInvalidation", c.purgeCDN))
}

func (c commands) createCDN(ctx context.Context, cl *call, in CDNCommand) (out CDNBucket, err error) {
	cl.record.Event.Bucket = in.Bucket
	cl.param("aliases", strings.Join(in.Aliases, ","))
	encryption, owner, err := c.Buckets.EncryptionOf(ctx, in.Bucket)
	if err != nil {
		return out, err
	}
	if in.AccountID == "" {
		in.AccountID = owner
	}
	cl.record.Event.Owner = in.AccountID
	cl.param("accountId", in.AccountID)
	if err := c.checkAccount(ctx, in.AccountID); err != nil {
		return out, err
	}
	out.Edge = c.Edge()
	wanted := cdn.BucketInput{
		Account: in.AccountID, Bucket: in.Bucket, Aliases: in.Aliases, RootObject: in.RootObject, At: cl.at,
		ViewerProtocol: "allow-all",
	}
	if out.Edge.TLSListen != "" {
		wanted.ViewerProtocol = "redirect-to-https"
	}
	statement := func(source string) string { return distribution.BucketStatement(in.Bucket, source) }
	wanted.Allow = append(wanted.Allow, c.Buckets.AddStatement(in.Bucket, cl.at, statement))
	if encryption.Algorithm.UsesKMS() {
		c.findKey(ctx, owner, encryption.KeyID, cl.at, &out)
	}
	if out.Key != "" && in.KeyPolicy {
		wanted.Allow = append(wanted.Allow, c.Keys.AddStatement(owner, out.Key, cl.at, distribution.KeyStatement))
	}
	made, err := c.CDN.CreateForBucket(ctx, cl.record, wanted)
	if err != nil {
		return out, err
	}
	out.add(in.Bucket, &made)
	cl.param("bucketPolicy", strconv.FormatBool(!out.Existed && out.BucketProblem == ""))
	cl.param("keyPolicy", strconv.FormatBool(out.KeyAdded))
	return out, nil
}

// findKey finds the key under which a bucket's new objects are encrypted. If no statement in
// its policy can let a distribution in, it says so.
func (c commands) findKey(ctx context.Context, owner, name string, at time.Time, out *CDNBucket) {
	k, err := c.Keys.Resolve(ctx, owner, cmp.Or(name, "alias/aws/s3"), at)
	switch {
	case name == "" || err == nil && k.Managed:
		out.KeyProblem = "The bucket's new objects are encrypted under a key that the server manages, whose policy " +
			"lets no distribution in. Give the bucket a key of your own, and encrypt the objects anew."
	case err != nil:
		out.KeyProblem = "The bucket's KMS key was not found: " + fault.From(err).Message
	default:
		out.Key = k.ARN.String()
	}
}

// add adds what was made.
func (b *CDNBucket) add(bucket string, made *cdn.BucketOutput) {
	b.CDNDistribution, b.Existed = shownDistribution(made), made.Existed
	b.BucketStatement = distribution.BucketStatement(bucket, made.ARN)
	if b.Key != "" {
		b.KeyStatement = distribution.KeyStatement(made.ARN)
	}
	for i, problem := range made.Problems {
		if i == 0 {
			b.BucketProblem = problem
		} else {
			b.KeyProblem, b.KeyAdded = problem, problem == ""
		}
	}
}

func shownDistribution(d *cdn.BucketOutput) CDNDistribution {
	out := CDNDistribution{
		ID: d.ID, AccountID: d.Account, DomainName: d.DomainName, Aliases: slices.Clone(d.Config.Aliases.Items),
		Enabled: d.Config.Enabled, Status: d.Status(), Invalidating: d.Invalidating, Modified: d.Modified,
		Protocol: d.Config.DefaultCacheBehavior.ViewerProtocolPolicy,
	}
	for _, o := range d.Config.Origins.Items {
		out.Origins = append(out.Origins, o.DomainName)
	}
	return out
}

func (c commands) statusCDN(ctx context.Context, cl *call, in CDNPurge) (out CDNStatus, err error) {
	cl.param("distributionId", in.ID)
	all, unreadable, err := c.CDN.Distributions(ctx, in.ID)
	if err != nil {
		return out, err
	}
	out = CDNStatus{Distributions: []CDNDistribution{}, Unreadable: unreadable, Edge: c.Edge()}
	for i := range all {
		out.Distributions = append(out.Distributions, shownDistribution(&all[i]))
	}
	out.Remote, err = c.remoteEdges(ctx)
	return out, err
}

func (c commands) remoteEdges(ctx context.Context) (out []RemoteEdge, err error) {
	newest, err := c.CDN.Generation(ctx)
	if err != nil {
		return nil, err
	}
	all, err := c.CDN.Edges(ctx)
	for _, e := range all {
		r := RemoteEdge{
			Name: e.Name, AccountID: e.Account, Distributions: e.Only,
			Current: !e.Seen.IsZero() && e.Confirmed >= newest,
		}
		if !e.Seen.IsZero() {
			r.Seen = &e.Seen
		}
		out = append(out, r)
	}
	return out, err
}

func (c commands) purgeCDN(ctx context.Context, cl *call, in CDNPurge) (out CDNPurged, err error) {
	cl.param("distributionId", in.ID)
	cl.param("paths", strings.Join(in.Paths, ","))
	i, err := c.CDN.Invalidate(ctx, cl.record, in.ID, in.Paths, cl.at)
	return CDNPurged{i.ID, i.Completed}, err
}
