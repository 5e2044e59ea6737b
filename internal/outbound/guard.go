package outbound

import (
	"context"
	"net/netip"
	"syscall"
)

// refusal is an address that must not be reached.
type refusal struct{ address string }

func (r refusal) Error() string {
	return "outbound: " + r.address + " is not a public address, and no flag allows its network"
}

// guard judges the address that is about to be dialled, after its name was
// resolved. So a name that resolves to another address later is judged again.
func (c *Client) guard(_ context.Context, network, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil || network != "tcp4" && network != "tcp6" || !c.reachable(a.Addr()) {
		return refusal{address}
	}
	return nil
}

// reachable reports whether an address may be dialled.
func (c *Client) reachable(a netip.Addr) bool {
	if a.Zone() != "" {
		return false
	}
	a = a.Unmap()
	for _, p := range c.options.Allow {
		if p.Contains(a) {
			return true
		}
	}
	return public(a)
}

// public reports whether an address is one of the internet's: not one of the
// special-purpose registries of IANA (RFC 6890), which hold loopback, private,
// link-local (the metadata services of clouds among them), shared, multicast
// and translated ranges.
func public(a netip.Addr) bool {
	special := special6()
	switch {
	case a.Is4():
		special = special4()
	case !netip.MustParsePrefix("2000::/3").Contains(a):
		return false
	}
	for _, p := range special {
		if netip.MustParsePrefix(p).Contains(a) {
			return false
		}
	}
	return true
}

func special4() []string {
	return []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24",
		"192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15",
		"198.51.100.0/24",
		"203.0.113.0/24", "224.0.0.0/3",
		"168.63.129.16/32", // Azure's host, as its virtual machines see it
	}
}

// special6 lies within 2000::/3; outside it nothing is public.
func special6() []string {
	return []string{"2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"}
}
