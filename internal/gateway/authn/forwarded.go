package authn

import (
	"net/netip"
	"strconv"
	"strings"

	"watertight/internal/gateway/protocol"
)

// origin is the address that a request comes from, and the security of its connection. If
// the operator trusts a proxy, the proxy's headers say it; otherwise the connection does.
type origin struct {
	ip        netip.Addr // invalid if unknown; conditions on the address fail then
	tls       bool       // aws:SecureTransport: the client sent the request over TLS
	secure    bool       // tls, or loopback at both ends of the client's connection
	forwarded bool       // a trusted proxy forwarded the request
}

// origin trusts only the headers of trusted proxies, and only the parts that these proxies
// wrote: lists are read from the end, as long as the hops are trusted. X-Forwarded-For (one
// address per hop) takes precedence over Forwarded (RFC 7239), because a proxy that writes
// the former passes on the latter as its client sent it. A request counts as sent over TLS
// only if every value that counts says https.
func (i *Identifier) origin(r *protocol.Request) origin {
	if r.InProcess {
		return origin{tls: r.Secure, secure: r.Secure}
	}
	o := origin{ip: r.Peer, tls: r.HTTP.TLS != nil}
	o.secure = o.tls || r.Loopback
	if !i.trusted(o.ip) {
		return o
	}
	h := r.HTTP.Header
	hops, protos, elements := h["X-Forwarded-For"], h["X-Forwarded-Proto"], h["Forwarded"]
	if len(hops)+len(protos)+len(elements) == 0 {
		return o
	}
	o.forwarded = true
	told := i.elements(o.ip, strings.Join(elements, ","))
	switch {
	case len(hops) > 0:
		o.ip = i.hops(o.ip, strings.Join(hops, ","))
	case len(elements) > 0:
		o.ip = told.ip
	}
	switch {
	case len(protos) > 0:
		o.tls = allHTTPS(strings.Join(protos, ",")) && (told.https || !told.proto)
	case told.proto && len(hops) > 0: // perhaps written by the client: it may only reduce trust
		o.tls = o.tls && told.https
	case told.proto:
		o.tls = told.https
	}
	o.secure = o.tls // a loopback address would be the proxy's
	return o
}

// SourceIP returns the address that a request comes from, or its peer's address if a
// trusted proxy does not know it.
func (i *Identifier) SourceIP(r *protocol.Request) netip.Addr {
	if ip := i.origin(r).ip; ip.IsValid() {
		return ip
	}
	return r.Peer
}

// Sender is SourceIP, and whether the client sent the request over TLS. It looks only at the
// request's HTTP and Peer.
func (i *Identifier) Sender(r *protocol.Request) (netip.Addr, bool) {
	return i.SourceIP(r), i.origin(r).tls
}

func (i *Identifier) trusted(ip netip.Addr) bool {
	for _, p := range i.options.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// hops follows X-Forwarded-For from its end as long as the hops are trusted.
func (i *Identifier) hops(ip netip.Addr, list string) netip.Addr {
	for more := true; more && i.trusted(ip); {
		hop := list
		if n := strings.LastIndexByte(list, ','); n >= 0 {
			list, hop = list[:n], list[n+1:]
		} else {
			more = false
		}
		ip = address(strings.TrimSpace(hop))
	}
	return ip
}

// told is what trusted proxies wrote into Forwarded.
type told struct {
	ip    netip.Addr
	proto bool // it names a protocol
	https bool // each of its elements that count names https
}

// elements follows Forwarded from its end as long as the hops are trusted. An element that
// can't be parsed counts as an unknown address, and as not https.
func (i *Identifier) elements(ip netip.Addr, list string) told {
	t := told{ip: ip, https: true}
	for more := list != ""; more && i.trusted(t.ip); {
		var element string
		list, element, more = lastElement(list)
		e, ok := parseElement(element)
		if !ok {
			return told{proto: true}
		}
		t.ip = address(e.client)
		t.proto = t.proto || e.proto != ""
		t.https = t.https && strings.EqualFold(e.proto, "https")
	}
	return t
}

// lastElement cuts a list at its last comma outside quotes; more is false if there is none.
func lastElement(list string) (rest, element string, more bool) {
	quoted := false
	for n := len(list) - 1; n >= 0; n-- {
		switch {
		case list[n] == '"':
			quoted = !quoted
		case list[n] == ',' && !quoted:
			return list[:n], list[n+1:], true
		}
	}
	return "", list, false
}

// element is what one proxy wrote about its client.
type element struct{ client, proto string }

// parseElement parses the pairs of an element. It refuses escapes in quotes, repeated pairs
// and other forms that no proxy writes.
func parseElement(s string) (e element, ok bool) {
	seen := 0
	for s = strings.TrimSpace(s); s != ""; {
		name, rest, found := strings.Cut(s, "=")
		if !found {
			return element{}, false
		}
		var value string
		if quoted, is := strings.CutPrefix(rest, `"`); is {
			value, s, found = strings.Cut(quoted, `"`)
			if s = strings.TrimLeft(s, " \t"); !found || s != "" && s[0] != ';' {
				return element{}, false
			}
			s = strings.TrimPrefix(s, ";")
		} else {
			value, s, _ = strings.Cut(rest, ";")
			value = strings.TrimRight(value, " \t")
		}
		if strings.ContainsAny(value, `"\`) {
			return element{}, false
		}
		s = strings.TrimLeft(s, " \t")
		bit := 0
		switch strings.ToLower(strings.TrimRight(name, " \t")) {
		case "for":
			e.client, bit = value, 1
		case "proto":
			e.proto, bit = value, 2
		}
		if seen&bit != 0 {
			return element{}, false
		}
		seen |= bit
	}
	return e, true
}

// allHTTPS reports whether every value of a list is https. The last value is the trusted
// proxy's; others may be the client's, and may only reduce trust.
func allHTTPS(list string) bool {
	for v := range strings.SplitSeq(list, ",") {
		if !strings.EqualFold(strings.TrimSpace(v), "https") {
			return false
		}
	}
	return true
}

// address parses an address with or without port, of IPv6 with or without brackets.
// Anything else (unknown, _hidden, a name) is invalid.
func address(s string) netip.Addr {
	host, port, hasPort := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if !ok || !strings.Contains(host, ":") {
			return netip.Addr{}
		}
		if port != "" {
			port, hasPort = strings.CutPrefix(port, ":")
			if !hasPort {
				return netip.Addr{}
			}
		}
	} else if strings.Count(s, ":") == 1 {
		host, port, hasPort = strings.Cut(s, ":")
	}
	if hasPort {
		if _, err := strconv.ParseUint(port, 10, 16); err != nil {
			return netip.Addr{}
		}
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap().WithZone("")
}
