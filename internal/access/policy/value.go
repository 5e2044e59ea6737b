package policy

import (
	"cmp"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// decimal is an exact number: sign, integer digits without leading zeros, and fraction
// digits without trailing zeros. Floats would make different large numbers equal.
type decimal struct {
	negative        bool
	whole, fraction string
}

func parseDecimal(s string) (decimal, bool) {
	var d decimal
	s, d.negative = strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(s, ".")
	if whole == "" || point && fraction == "" || strings.Trim(whole, "0123456789") != "" ||
		strings.Trim(fraction, "0123456789") != "" {
		return decimal{}, false
	}
	d.whole, d.fraction = strings.TrimLeft(whole, "0"), strings.TrimRight(fraction, "0")
	if d.whole == "" && d.fraction == "" {
		d.negative = false
	}
	return d, true
}

func (d decimal) compare(e decimal) int {
	if d.negative != e.negative {
		if d.negative {
			return -1
		}
		return 1
	}
	order := cmp.Or(cmp.Compare(len(d.whole), len(e.whole)), strings.Compare(d.whole, e.whole),
		strings.Compare(d.fraction, e.fraction))
	if d.negative {
		return -order
	}
	return order
}

// parseDate parses the W3C profile of ISO 8601, or seconds since 1970. Four digits are a
// year. Without a time zone it is UTC.
func parseDate(s string) (time.Time, bool) {
	digits := strings.TrimPrefix(s, "-")
	if digits != "" && (len(s) != 4 || digits != s) && strings.Trim(digits, "0123456789") == "" {
		n, err := strconv.ParseInt(s, 10, 64)
		// Beyond this, time.Time overflows.
		if err != nil || n > 1<<40 || n < -1<<40 {
			return time.Time{}, false
		}
		return time.Unix(n, 0).UTC(), true
	}
	for _, layout := range [...]string{
		"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04Z07:00", "2006-01-02", "2006-01", "2006",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func parseBool(s string) (value, ok bool) {
	value = strings.EqualFold(s, "true")
	return value, value || strings.EqualFold(s, "false")
}

// parsePrefix parses an address range. A single address is a range of one address. Bits
// beyond the prefix are ignored.
func parsePrefix(s string) (netip.Prefix, bool) {
	if !strings.Contains(s, "/") {
		a, err := netip.ParseAddr(s)
		if err != nil || a.Zone() != "" {
			return netip.Prefix{}, false
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() {
		// Callers are compared by their IPv4 addresses.
		if p.Bits() < 96 {
			return netip.Prefix{}, false
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}
