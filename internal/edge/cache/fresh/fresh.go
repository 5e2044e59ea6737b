// Package fresh says how long a response may be answered from a cache, from the origin's
// headers and the rules of a cache behavior. It is pure. It exists so that every question of
// RFC 9111 has one answer that a table can test. It must never know where responses are
// kept, nor anything of the viewer's request.
package fresh

import (
	"net/http"
	"strings"
	"time"
)

// Rules are what a cache behavior says about lifetimes (CloudFront developer guide, "Managing
// how long content stays in the cache" and "How CloudFront caches errors").
type Rules struct {
	MinTTL, DefaultTTL, MaxTTL time.Duration
	// ErrorTTL is ErrorCachingMinTTL by status; a status that it does not name has
	// DefaultErrorTTL.
	ErrorTTL map[int]time.Duration
	// Lax stores what the origin marks no-cache, no-store or private for MinTTL, if that is
	// more than zero, as CloudFront does. Without it, these directives are always honoured.
	Lax bool
}

// DefaultErrorTTL is ErrorCachingMinTTL where a distribution does not set it.
const DefaultErrorTTL = 10 * time.Second

// Life says how long one response may be used.
type Life struct {
	Received time.Time
	Age      time.Duration // when it was received (RFC 9111, section 4.2.3)
	Fresh    time.Time     // it is fresh before this instant
	Refresh  time.Time     // before it, a stale response may be used while it is revalidated
	Error    time.Time     // before it, a stale response may be used if the origin fails
}

// Of judges a response that was asked for and received at these instants. It returns false
// if the response may not be stored.
func Of(status int, h http.Header, rules *Rules, asked, received time.Time) (Life, bool) {
	d := Parse(h["Cache-Control"])
	if rules.MaxTTL <= 0 || forbidden(h, &d, rules) {
		return Life{}, false
	}
	now := age(h, asked, received)
	explicit, sent := lifetime(h, &d, received)
	var ttl time.Duration
	switch {
	case status >= 400:
		var ok bool
		if ttl, ok = errorTTL(status, &d, rules); !ok {
			return Life{}, false
		}
	case d.NoCache || d.NoStore || d.Private: // rules.Lax
		ttl = rules.MinTTL
	case sent && storable(status):
		ttl = min(max(explicit-now, rules.MinTTL), rules.MaxTTL)
	case heuristic(status):
		ttl = min(max(rules.DefaultTTL-now, rules.MinTTL), rules.MaxTTL)
	default:
		return Life{}, false
	}
	l := Life{Received: received, Age: now, Fresh: received.Add(max(ttl, 0))}
	l.stale(status, &d, rules)
	return l, true
}

// forbidden reports whether a response is never stored, whatever its lifetime.
func forbidden(h http.Header, d *Directives, rules *Rules) bool {
	if (d.NoStore || d.NoCache || d.Private) && !(rules.Lax && rules.MinTTL > 0) {
		return true
	}
	if len(h["Set-Cookie"]) > 0 { // it is meant for one viewer
		return true
	}
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if trim(name) == "*" && !(rules.Lax && rules.MinTTL > 0) {
				return true
			}
		}
	}
	return false
}

// stale sets how long a stale response may be used. Both limits end with MaxTTL.
func (l *Life) stale(status int, d *Directives, rules *Rules) {
	l.Refresh, l.Error = l.Fresh, l.Fresh
	if status >= 400 || d.MustRevalidate || d.NoCache || d.NoStore || d.Private {
		return
	}
	end := l.Received.Add(rules.MaxTTL)
	l.Refresh = until(l.Fresh, d.StaleWhileRevalidate, end)
	if d.IfErrors.Sent {
		l.Error = until(l.Fresh, d.IfErrors, end)
	} else if end.After(l.Fresh) {
		l.Error = end
	}
}

func until(fresh time.Time, s Seconds, end time.Time) time.Time {
	t := fresh.Add(s.Value)
	if t.After(end) {
		t = end
	}
	if t.Before(fresh) {
		return fresh
	}
	return t
}

// errorTTL returns how long an error is stored. Some are stored only if the origin says how
// long.
func errorTTL(status int, d *Directives, rules *Rules) (time.Duration, bool) {
	sent := d.SMaxAge.Sent || d.MaxAge.Sent
	switch status {
	case 404, 414, 500, 501, 502, 503, 504:
	case 400, 403, 405, 412, 415:
		if !sent {
			return 0, false
		}
	default:
		return 0, false
	}
	least := rules.BackOff(status)
	said := d.MaxAge
	if d.SMaxAge.Sent {
		said = d.SMaxAge
	}
	ttl := max(least, min(said.Value, rules.MaxTTL))
	return ttl, ttl > 0
}

// BackOff returns ErrorCachingMinTTL of a status: how long an error is stored at least, and
// how long an origin that failed is left alone.
func (r *Rules) BackOff(status int) time.Duration {
	if ttl, ok := r.ErrorTTL[status]; ok {
		return ttl
	}
	return DefaultErrorTTL
}

// storable reports whether responses with a status may be stored if the origin says for how
// long, and heuristic whether they may be stored without it (RFC 9110, section 15.1). Parts
// are never stored.
func storable(status int) bool {
	return heuristic(status) || status == 302 || status == 303 || status == 307
}

func heuristic(status int) bool {
	switch status {
	case 200, 203, 204, 300, 301, 308:
		return true
	}
	return false
}

// lifetime returns the lifetime that the origin sent (RFC 9111, section 4.2.1). An Expires
// that is repeated or is not a date counts as passed.
func lifetime(h http.Header, d *Directives, received time.Time) (time.Duration, bool) {
	switch expires := h["Expires"]; {
	case d.SMaxAge.Sent:
		return d.SMaxAge.Value, true
	case d.MaxAge.Sent:
		return d.MaxAge.Value, true
	case len(expires) == 1:
		t, err := http.ParseTime(expires[0])
		if err != nil {
			return 0, true
		}
		return max(t.Sub(date(h, received)), 0), true
	default:
		return 0, len(expires) > 0
	}
}

// date returns when the origin made the response: its Date, or when it was received.
func date(h http.Header, received time.Time) time.Time {
	if lines := h["Date"]; len(lines) == 1 {
		if t, err := http.ParseTime(lines[0]); err == nil {
			return t
		}
	}
	return received
}

// age returns a response's age when it was received (RFC 9111, section 4.2.3).
func age(h http.Header, asked, received time.Time) time.Duration {
	apparent := max(received.Sub(date(h, received)).Truncate(time.Second), 0)
	return max(apparent, Age(h)+max(received.Sub(asked), 0))
}

// Age returns the age that an origin sent. Several, or one that can't be read, count as the
// largest.
func Age(h http.Header) time.Duration {
	lines := h["Age"]
	if len(lines) == 0 {
		return 0
	}
	n, ok := seconds(trim(lines[0]))
	if !ok || len(lines) > 1 {
		n = maxAge
	}
	return time.Duration(n) * time.Second
}
