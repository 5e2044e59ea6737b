package policy

import (
	"net/netip"
	"slices"
)

// Peers is what a server knows about the addresses of requests: which of them several
// callers share. With the zero value nothing is known, so an address of this machine or of
// a private network may be anyone's: behind a proxy that the server does not know of, all
// callers have such an address.
type Peers struct {
	told   bool
	shared []netip.Prefix
}

// ToldApart returns Peers for a server that sees each caller's own address. Only an address
// in shared may be anyone's.
func ToldApart(shared ...netip.Prefix) Peers {
	p := Peers{told: true}
	for _, n := range shared {
		p.shared = append(p.shared, unmapped(n))
	}
	return p
}

// unmapped returns the IPv4 range of an IPv4-mapped range, and other ranges unchanged,
// because addresses are compared in that form.
func unmapped(p netip.Prefix) netip.Prefix {
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked()
}

// Loopback returns the addresses of the machine itself.
func Loopback() []netip.Prefix { return prefixes("127.0.0.0/8", "::1/128") }

// Private returns the addresses that many networks use (RFC 1918, 3927, 6598, 4193, 4291, 8215).
func Private() []netip.Prefix {
	return prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "fc00::/7",
		"fe80::/10", "64:ff9b:1::/48")
}

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, t := range texts {
		all = append(all, netip.MustParsePrefix(t))
	}
	return all
}

// hide reports whether an address in the range may be anyone's.
func (p *Peers) hide(r netip.Prefix) bool {
	shared := p.shared
	if !p.told {
		shared = append(Loopback(), Private()...)
	}
	return slices.ContainsFunc(shared, r.Overlaps)
}

// AWS's limit for a single range is a /8 of IPv4 and a /32 of IPv6 (S3 user guide, "The
// meaning of public"). A document is also public if it allows everyone from ranges that
// together are as large as two such ranges.
const (
	narrow4  = 8
	narrow6  = 32
	tooMany4 = 2 << (32 - narrow4)
	tooMany6 = 2 << (48 - narrow6) // networks of /48
)

// narrow reports whether a range is within the limit for a single range.
func narrow(p netip.Prefix) bool {
	if p.Addr().Is4() {
		return p.Bits() >= narrow4
	}
	return p.Bits() >= narrow6
}

// union returns the ranges that are not inside another one. Two ranges never overlap partly.
func union(all []netip.Prefix) []netip.Prefix {
	all = slices.Clone(all)
	slices.SortFunc(all, func(a, b netip.Prefix) int {
		if c := a.Addr().Compare(b.Addr()); c != 0 {
			return c
		}
		return a.Bits() - b.Bits()
	})
	out := all[:0]
	for _, p := range all {
		if len(out) == 0 || !out[len(out)-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}

// common returns the addresses that are in both lists of ranges.
func common(a, b []netip.Prefix) (out []netip.Prefix) {
	for _, p := range a {
		for _, q := range b {
			switch {
			case !p.Overlaps(q):
			case p.Bits() >= q.Bits():
				out = append(out, p)
			default:
				out = append(out, q)
			}
		}
	}
	return union(out)
}

// few reports whether ranges contain few callers: each range is narrow, and together they
// have fewer addresses than two of the largest narrow ranges. Private networks do not
// count, because each caller is in at most one of them; Peers says whether callers share
// their addresses.
func few(all []netip.Prefix) bool {
	var four, six uint64
	var counted []netip.Prefix
	for _, p := range all {
		counted = append(counted, translated(p))
	}
	local := append(Loopback(), Private()...)
	inside := func(p netip.Prefix) bool {
		return slices.ContainsFunc(local, func(q netip.Prefix) bool { return q.Overlaps(p) && q.Bits() <= p.Bits() })
	}
	for _, p := range union(counted) {
		switch {
		case !narrow(p):
			return false
		case inside(p):
		case p.Addr().Is4():
			four += 1 << (32 - p.Bits())
		default:
			six += 1 << max(0, 48-p.Bits())
		}
	}
	return four < tooMany4 && six < tooMany6
}

// translated returns the IPv4 range for a range of 64:ff9b::/96, in which a translator
// gives each IPv4 caller an address (RFC 6052).
func translated(p netip.Prefix) netip.Prefix {
	well := netip.MustParsePrefix("64:ff9b::/96")
	switch {
	case !p.Overlaps(well):
		return p
	case p.Bits() < well.Bits():
		return netip.MustParsePrefix("0.0.0.0/0")
	}
	a := p.Addr().As16()
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(a[12:])), p.Bits()-well.Bits())
}
