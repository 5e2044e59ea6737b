package edge

import (
	"crypto/tls"
	"errors"
	"strings"

	"watertight/internal/core/distribution"
)

// site is a distribution that is served, with what its behaviours refer to.
type site struct {
	*distribution.Site
	behaviors map[*distribution.CacheBehavior]*behavior
}

func newSite(s *distribution.Site) (*site, error) {
	out := &site{Site: s, behaviors: map[*distribution.CacheBehavior]*behavior{}}
	add := func(c *distribution.CacheBehavior) error {
		b, err := newBehavior(s, c)
		out.behaviors[c] = b
		return err
	}
	for i := range s.Config.CacheBehaviors.Items {
		if err := add(&s.Config.CacheBehaviors.Items[i]); err != nil {
			return nil, err
		}
	}
	return out, add(&s.Config.DefaultCacheBehavior)
}

// behavior returns the behaviour of a normalized path. Patterns are compared with the path
// without its escapes, because an origin reads it so. It returns nil if an origin may read the
// path as one of another behaviour.
func (s *site) behavior(path string) *behavior {
	plain := unescape(path)
	b := s.behaviors[s.Behavior(plain)]
	if joined := collapse(plain); joined != plain && s.behaviors[s.Behavior(joined)] != b {
		return nil
	}
	if strings.Contains(plain, `\`) { // some servers read it as a slash
		if slashed := collapse(removeDots(strings.ReplaceAll(plain, `\`, "/"))); s.behaviors[s.Behavior(slashed)] != b {
			return nil
		}
	}
	for _, other := range spaced(path, plain) {
		if o := s.behaviors[s.Behavior(other)]; o != b && (o.s3 || b.s3) {
			return nil
		}
	}
	return b
}

// spaced returns how a bucket, which reads a plus sign of a path as a space, may read a path
// other than plain, and plain with a plus sign for each space, as the author of a pattern may
// have written it, because a pattern has no spaces.
func spaced(path, plain string) []string {
	if !strings.ContainsAny(plain, "+ ") {
		return nil
	}
	return []string{
		unescape(strings.ReplaceAll(path, "+", "%20")), strings.ReplaceAll(plain, " ", "+"),
	}
}

// root returns the default root object for the root, and every other path unchanged.
func (s *site) root(path string) string {
	if object := s.Config.DefaultRootObject; path == "/" && object != "" {
		if p, ok := normalizePath("/" + object); ok {
			return p
		}
	}
	return path
}

// index finds sites. It is never changed after it is made.
type index struct {
	generation uint64
	byID       map[string]*site
	byHost     map[string]*site // lower case; "*.example.com" for a whole level
}

// newIndex prepares a snapshot. A site that can't be served is left out, and the error says
// why; the others are served.
func newIndex(s *distribution.Snapshot) (*index, error) {
	x := &index{generation: s.Generation, byID: map[string]*site{}, byHost: map[string]*site{}}
	var errs []error
	for i := range s.Sites {
		one, err := newSite(&s.Sites[i])
		if err != nil {
			errs = append(errs, err)
			continue
		}
		x.byID[one.ID] = one
		x.byHost[strings.ToLower(one.DomainName)] = one
		for _, alias := range one.Config.Aliases.Items {
			if !distribution.IsAddress(alias) { // an earlier release accepted them
				x.byHost[strings.ToLower(alias)] = one
			}
		}
	}
	return x, errors.Join(errs...)
}

// find returns the site for a host without its port: by its name or an alias, else by an
// alias for all names of one level.
func (x *index) find(host string) *site {
	if s := x.byHost[host]; s != nil && !strings.HasPrefix(host, "*") {
		return s
	}
	if _, rest, ok := strings.Cut(host, "."); ok {
		return x.byHost["*."+rest]
	}
	return nil
}

// channel returns the least version of TLS that a distribution takes, and whether it takes
// HTTP/2. Older versions than 1.2 are taken by none.
func (s *site) channel() (least uint16, http2 bool) {
	least = tls.VersionTLS12
	if strings.HasPrefix(s.Config.ViewerCertificate.MinimumProtocolVersion, "TLSv1.3") {
		least = tls.VersionTLS13
	}
	switch strings.ToLower(s.Config.HttpVersion) {
	case "http1.1", "http3":
		return least, false
	}
	return least, true
}

// hostName returns the name in a Host header, in lower case and without its port. It reports
// false if that is neither a name nor an address.
func hostName(host string) (string, bool) {
	name, port, _ := strings.Cut(host, ":")
	if strings.HasPrefix(host, "[") {
		end := strings.IndexByte(host, ']')
		if end < 0 {
			return "", false
		}
		rest := host[end+1:]
		if rest != "" && rest[0] != ':' {
			return "", false
		}
		name, port = host[:end+1], strings.TrimPrefix(rest, ":")
		if !isPlain(name[1:end], func(c byte) bool { return isAlphanumeric(c) || c == ':' || c == '.' }) {
			return "", false
		}
	} else if !isPlain(name, func(c byte) bool { return isHostByte(c) || c == '_' }) {
		return "", false
	}
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	if name == "" || len(name) > 253 || strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		return "", false
	}
	return name, true
}
