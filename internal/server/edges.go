package server

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"watertight/internal/access/credential"
	"watertight/internal/access/policy"
	"watertight/internal/core/cdn"
	"watertight/internal/core/distribution"
	"watertight/internal/core/session"
	"watertight/internal/edge/accesslog"
	"watertight/internal/edge/remote"
	"watertight/internal/fault"
	"watertight/internal/gateway/authn"
	"watertight/internal/gateway/protocol"
)

// credentials finds the credentials of users, sessions and edges on other machines. It
// implements authn.Credentials and authn.Edges.
type credentials struct {
	sessions *session.Store
	contents *cdn.Store
	domains  []string
}

// Lookup implements authn.Credentials.
func (c credentials) Lookup(ctx context.Context, accessKeyID string) (*credential.Credential, error) {
	if len(accessKeyID) < len(cdn.EdgePrefix) || accessKeyID[:len(cdn.EdgePrefix)] != cdn.EdgePrefix {
		return c.sessions.Lookup(ctx, accessKeyID)
	}
	secret, found, err := c.contents.EdgeSecret(ctx, accessKeyID)
	if err != nil || !found {
		return nil, err
	}
	return &credential.Credential{
		AccessKeyID: accessKeyID, Secret: secret, Active: true,
		Principal: policy.Principal{Kind: policy.Service, Name: cdn.Service},
	}, nil
}

// Sends implements authn.Edges. An edge on another machine asks only for objects of buckets
// that are origins of the distribution, with an origin access control that signs, and only by
// methods that the distribution allows.
func (c credentials) Sends(
	ctx context.Context, accessKeyID, token string, r *protocol.Request,
) (*authn.Service, error) {
	id, logs := strings.CutPrefix(token, remote.LogToken)
	site, err := c.contents.EdgeSite(ctx, accessKeyID, id)
	if err != nil {
		return nil, err
	}
	if logs && site != nil && c.putsLog(site, r) {
		return &authn.Service{Name: logDelivery, SourceARN: site.ARN(), SourceAccount: site.Account}, nil
	}
	if logs || site == nil || !allows(site, r.HTTP.Method) || !c.signsFor(site, r.Bucket) || !aboutObjects(r) ||
		!c.copies(site, r.HTTP.Header) {
		return nil, fault.Of(fault.AccessDenied)
	}
	return &authn.Service{Name: cdn.Service, SourceARN: site.ARN(), SourceAccount: site.Account}, nil
}

// maxLog bounds a file of an access log, in bytes.
const maxLog = 8 << 20

// putsLog reports whether a request only puts a new file of a distribution's access log into
// the bucket and under the prefix that the distribution's configuration names.
func (c credentials) putsLog(site *distribution.Site, r *protocol.Request) bool {
	bucket, ok := distribution.BucketOf(site.Config.Logging.Bucket, c.domains)
	header := r.HTTP.Header
	if !ok || !site.Config.Logging.Enabled || r.HTTP.Method != http.MethodPut || r.Bucket != bucket ||
		!accesslog.IsName(site, r.Key) || len(r.Query) > 0 || header.Get("If-None-Match") != "*" ||
		r.HTTP.ContentLength < 0 || r.HTTP.ContentLength > maxLog {
		return false
	}
	for name := range header {
		switch name {
		case "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256":
		default:
			if strings.HasPrefix(name, "X-Amz-") || strings.HasPrefix(name, "X-Watertight-") {
				return false // another source, an ACL, a lock, tags or a key
			}
		}
	}
	return true
}

// allows reports whether a behaviour of a distribution allows a method.
func allows(site *distribution.Site, method string) bool {
	in := func(b *distribution.CacheBehavior) bool {
		return method == "GET" || method == "HEAD" || slices.Contains(b.AllowedMethods.Items, method)
	}
	for i := range site.Config.CacheBehaviors.Items {
		if in(&site.Config.CacheBehaviors.Items[i]) {
			return true
		}
	}
	return in(&site.Config.DefaultCacheBehavior)
}

// signsFor reports whether a bucket is an origin of a distribution whose requests are signed.
func (c credentials) signsFor(site *distribution.Site, bucket string) bool {
	return bucket != "" && slices.ContainsFunc(site.Config.Origins.Items, func(o distribution.Origin) bool {
		name, ok := distribution.BucketOf(o.DomainName, c.domains)
		behavior := site.OriginAccessControls[o.OriginAccessControlId].SigningBehavior
		return ok && name == bucket && o.OriginAccessControlId != "" && behavior != "" && behavior != "never"
	})
}

// copies reports whether a request copies nothing, or an object of a bucket for which signsFor is
// true. A source whose bucket is written with escapes is refused.
func (c credentials) copies(site *distribution.Site, h http.Header) bool {
	for _, source := range h["X-Amz-Copy-Source"] {
		bucket, _, found := strings.Cut(strings.TrimPrefix(source, "/"), "/")
		if !found || !c.signsFor(site, bucket) {
			return false
		}
	}
	return true
}

// aboutObjects reports whether a request is for an object, or lists them.
func aboutObjects(r *protocol.Request) bool {
	if r.Key != "" {
		return true
	}
	if r.HTTP.Method != "GET" && r.HTTP.Method != "HEAD" {
		return false
	}
	return !slices.ContainsFunc(r.Query, func(p protocol.Param) bool {
		switch p.Name {
		case "list-type", "prefix", "delimiter", "marker", "max-keys", "start-after", "continuation-token",
			"encoding-type", "fetch-owner", "x-id":
			return false
		}
		return true
	})
}
