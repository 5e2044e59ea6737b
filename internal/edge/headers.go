package edge

import (
	"net/http"
	"strconv"
	"strings"

	"watertight/internal/core/distribution"
)

// headersPolicy is a response headers policy, ready to be applied.
type headersPolicy struct {
	cors    *corsPolicy
	remove  []string // canonical names
	add     []addition
	timings float64 // percent of the responses that have Server-Timing
}

// addition is a header that a policy adds.
type addition struct {
	name, value string
	override    bool // it replaces that of the origin; else it is added if the origin sent none
}

// newHeadersPolicy prepares a policy.
func newHeadersPolicy(c *distribution.ResponseHeadersPolicyConfig) *headersPolicy {
	p := &headersPolicy{}
	if c.CorsConfig != nil {
		p.cors = newCORSPolicy(c.CorsConfig)
	}
	if r := c.RemoveHeadersConfig; r != nil {
		for _, h := range r.Items {
			p.remove = append(p.remove, http.CanonicalHeaderKey(h.Header))
		}
	}
	if s := c.SecurityHeadersConfig; s != nil {
		p.add = securityHeaders(s)
	}
	if h := c.CustomHeadersConfig; h != nil {
		for _, h := range h.Items {
			p.add = append(p.add, addition{http.CanonicalHeaderKey(h.Header), h.Value, h.Override})
		}
	}
	if t := c.ServerTimingHeadersConfig; t != nil && t.Enabled {
		p.timings = 100
		if rate, err := strconv.ParseFloat(t.SamplingRate, 64); err == nil {
			p.timings = rate
		}
	}
	return p
}

func securityHeaders(s *distribution.SecurityHeadersConfig) []addition {
	var all []addition
	add := func(name, value string, override bool) { all = append(all, addition{name, value, override}) }
	if c := s.XSSProtection; c != nil {
		value := "0"
		if c.Protection {
			value = "1"
			if c.ModeBlock != nil && *c.ModeBlock {
				value += "; mode=block"
			}
			if c.ReportUri != "" {
				value += "; report=" + c.ReportUri
			}
		}
		add("X-Xss-Protection", value, c.Override)
	}
	if c := s.FrameOptions; c != nil {
		add("X-Frame-Options", c.FrameOption, c.Override)
	}
	if c := s.ReferrerPolicy; c != nil {
		add("Referrer-Policy", c.ReferrerPolicy, c.Override)
	}
	if c := s.ContentSecurityPolicy; c != nil {
		add("Content-Security-Policy", c.ContentSecurityPolicy, c.Override)
	}
	if c := s.ContentTypeOptions; c != nil {
		add("X-Content-Type-Options", "nosniff", c.Override)
	}
	if c := s.StrictTransportSecurity; c != nil {
		value := "max-age=" + strconv.Itoa(c.AccessControlMaxAgeSec)
		if c.IncludeSubdomains != nil && *c.IncludeSubdomains {
			value += "; includeSubDomains"
		}
		if c.Preload != nil && *c.Preload {
			value += "; preload"
		}
		add("Strict-Transport-Security", value, c.Override)
	}
	return all
}

// apply changes the headers of a response: headers are removed first, then added.
func (p *headersPolicy) apply(h http.Header, r *http.Request) {
	for _, name := range p.remove {
		delete(h, name)
	}
	if p.cors != nil {
		p.cors.apply(h, r)
	}
	for _, a := range p.add {
		if _, there := h[a.name]; !there || a.override {
			h[a.name] = []string{a.value}
		}
	}
}

// corsPolicy is the part of a policy about cross-origin resource sharing.
type corsPolicy struct {
	config      *distribution.CorsConfig
	any         bool // every origin is allowed
	credentials bool
	methods     string
	headers     string
	expose      string
	age         string
}

// corsNames are the headers of responses that a policy's OriginOverride is about.
func corsNames() []string {
	return []string{
		"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
		"Access-Control-Allow-Credentials", "Access-Control-Expose-Headers", "Access-Control-Max-Age",
	}
}

func newCORSPolicy(c *distribution.CorsConfig) *corsPolicy {
	p := &corsPolicy{config: c, credentials: c.AccessControlAllowCredentials}
	for _, o := range c.AccessControlAllowOrigins.Items {
		p.any = p.any || o == "*"
	}
	methods := c.AccessControlAllowMethods.Items
	for _, m := range methods {
		if m == "ALL" {
			methods = []string{"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE", "OPTIONS"}
			break
		}
	}
	p.methods = strings.Join(methods, ", ")
	p.headers = strings.Join(c.AccessControlAllowHeaders.Items, ", ")
	if e := c.AccessControlExposeHeaders; e != nil {
		p.expose = strings.Join(e.Items, ", ")
	}
	if c.AccessControlMaxAgeSec != nil {
		p.age = strconv.Itoa(*c.AccessControlMaxAgeSec)
	}
	return p
}

// apply adds the headers for the origin of a request. An origin that is not allowed gets none
// of the policy's headers. With OriginOverride, it gets none of the origin server's either.
func (p *corsPolicy) apply(h http.Header, r *http.Request) {
	if !p.config.OriginOverride {
		for _, name := range corsNames() {
			if _, there := h[name]; there {
				return
			}
		}
	}
	if !p.any {
		addVary(h, "Origin")
	}
	origin := r.Header.Get("Origin")
	static := p.any && !p.credentials
	if origin == "" && !static {
		return
	}
	for _, name := range corsNames() {
		delete(h, name)
	}
	switch {
	case p.any: // browsers refuse "*" with credentials, and an origin that is not named is never echoed
		h["Access-Control-Allow-Origin"] = []string{"*"}
	case p.allows(origin):
		h["Access-Control-Allow-Origin"] = []string{origin}
	default:
		return
	}
	set := func(name, value string) {
		if value != "" {
			h[name] = []string{value}
		}
	}
	if p.credentials {
		set("Access-Control-Allow-Credentials", "true")
	}
	set("Access-Control-Expose-Headers", p.expose)
	if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
		set("Access-Control-Allow-Methods", p.methods)
		set("Access-Control-Allow-Headers", p.headers)
		set("Access-Control-Max-Age", p.age)
	}
}

// allows reports whether the policy names an origin. A star in a name stands for any
// characters of a host or a port.
func (p *corsPolicy) allows(origin string) bool {
	for _, o := range p.config.AccessControlAllowOrigins.Items {
		before, after, wild := strings.Cut(o, "*")
		if !wild && strings.EqualFold(o, origin) {
			return true
		}
		if !wild || len(origin) < len(before)+len(after) {
			continue
		}
		end := len(origin) - len(after)
		if strings.EqualFold(origin[:len(before)], before) && strings.EqualFold(origin[end:], after) &&
			isPlain(origin[len(before):end], isHostByte) && hasLabels(origin) {
			return true
		}
	}
	return false
}

// hasLabels reports whether no label of an origin's host is empty. A browser sends no such origin.
func hasLabels(origin string) bool {
	_, host, _ := strings.Cut(origin, "://")
	host, _, _ = strings.Cut(host, ":")
	return host != "" && host[0] != '.' && !strings.Contains(host, "..")
}

func isHostByte(c byte) bool { return isAlphanumeric(c) || c == '-' || c == '.' }

// addVary adds a name to Vary, if it is not there.
func addVary(h http.Header, name string) {
	for _, v := range h["Vary"] {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part == "*" || strings.EqualFold(part, name) {
				return
			}
		}
	}
	h["Vary"] = append(h["Vary"][:len(h["Vary"]):len(h["Vary"])], name)
}
