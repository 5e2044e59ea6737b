package authn

import (
	"net/netip"
	"strconv"
	"strings"

	"watertight/internal/gateway/protocol"
)

// origin is where a request comes from, and how: from the connection or,
// behind proxies that the operator trusts, from what these say of their client.
type origin struct {
	ip        netip.Addr // invalid if unknown; conditions on the address fail then
	tls       bool       // aws:SecureTransport: the request was sent with TLS
	secure    bool       // tls, or loopback at both ends of the client's own connection
	forwarded bool       // a trusted proxy spoke for its client
}

// origin trusts only headers of trusted proxies, and of these only what they
// wrote themselves: lists are read from their end, as far as the hops are
// trusted. X-Forwarded-For (one address a hop) goes before Forwarded (RFC 7239),
// which a proxy that writes the former hands on as its client sent it. TLS is
// what every value that counts calls https; two that differ are none.
func (i *Identifier) origin(r *protocol.Request) origin {
	o := origin{ip: r.Peer, tls: r.HTTP.TLS != nil}
	o.secure = o.tls || r.Loopback
	h := r.HTTP.Header
	hops, protos, elements := h["X-Forwarded-For"], h["X-Forwarded-Proto"], h["Forwarded"]
	if len(hops)+len(protos)+len(elements) == 0 || !i.trusted(o.ip) {
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
	case told.proto && len(hops) > 0: // perhaps the client's own words: they take away, and give nothing
		o.tls = o.tls && told.https
	case told.proto:
		o.tls = told.https
	}
	o.secure = o.tls // loopback would be the proxy's
	return o
}

// SourceIP is the address a request comes from, or its peer's if a trusted proxy
// says that it is unknown.
func (i *Identifier) SourceIP(r *protocol.Request) netip.Addr {
	if ip := i.origin(r).ip; ip.IsValid() {
		return ip
	}
	return r.Peer
}

func (i *Identifier) trusted(ip netip.Addr) bool {
	for _, p := range i.options.TrustedProxies {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// hops follows X-Forwarded-For from its end while the hops are trusted.
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

// told is what Forwarded says as far as trusted proxies wrote it.
type told struct {
	ip    netip.Addr
	proto bool // it says by what protocol
	https bool // each of its elements that count says https
}

// elements follows Forwarded from its end while the hops are trusted. What
// can't be parsed counts as unknown, and as not https.
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

// lastElement cuts a list at its last comma outside of quotes; more is false
// where there is none.
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

// element is what one proxy says of its client.
type element struct{ client, proto string }

// parseElement reads the pairs of an element. Escapes in quotes, repeated
// pairs and other forms that no proxy writes are refused.
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

// allHTTPS reports whether each value of a list is https. The last one is the
// trusted proxy's; others may be the client's, and can only take away.
func allHTTPS(list string) bool {
	for v := range strings.SplitSeq(list, ",") {
		if !strings.EqualFold(strings.TrimSpace(v), "https") {
			return false
		}
	}
	return true
}

// address reads an address with or without port, of IPv6 with or without
// brackets; anything else (unknown, _hidden, a name) is invalid.
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
