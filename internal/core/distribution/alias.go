package distribution

import (
	"strings"

	"watertight/internal/fault"
)

// checkAliases checks the alternate domain names. The operator manages certificates, so an
// alias does not need one of its own. Names that can't belong to a customer are refused: IP
// addresses, which every client of this machine may use, and names of AWS and of this server.
func (c *Config) checkAliases(domains []string) error {
	if c.Aliases.Quantity > maxAliases {
		return fault.Of(fault.TooManyDistributionCNAMEs)
	}
	for _, alias := range c.Aliases.Items {
		host := strings.TrimPrefix(alias, "*.")
		if !isHost(host) || !strings.Contains(host, ".") || strings.Contains(host, "_") || IsAddress(host) {
			return invalid("%.255q is not a domain name. A wildcard stands for the whole first label.", alias)
		}
		for _, reserved := range []string{"cloudfront.net", "amazonaws.com", "localhost"} {
			if isBelow(host, reserved) {
				return invalid("An alias can't be below %s.", reserved)
			}
		}
		for _, own := range domains {
			_, above, _ := strings.Cut(own, ".")
			if isBelow(host, own) || strings.EqualFold(alias, "*."+above) { // the wildcard covers this server's name
				return invalid("The alias %.255q stands for a name of this server, %s or one below it.", alias, own)
			}
		}
	}
	if alias, twice := repeated(c.Aliases.Items, true); twice {
		return invalid("The alias %.255q is named twice.", alias)
	}
	return nil
}

// isBelow reports whether a host is a domain or below it, regardless of case.
func isBelow(host, domain string) bool {
	host, domain = strings.ToLower(host), strings.ToLower(domain)
	return host == domain || strings.HasSuffix(host, "."+domain)
}

// IsAddress reports whether a host is an IP address or would be read as one: its last label is
// a number (the "ends in a number checker" of the URL standard), or it is in brackets. Such a
// host is never the name of a distribution.
func IsAddress(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if strings.HasPrefix(host, "[") || strings.Contains(host, ":") {
		return true
	}
	last := strings.ToLower(host[strings.LastIndexByte(host, '.')+1:])
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(last, "0x"); ok {
		last, digits = hex, digits+"abcdef"
		return strings.Trim(last, digits) == ""
	}
	return last != "" && strings.Trim(last, digits) == ""
}
