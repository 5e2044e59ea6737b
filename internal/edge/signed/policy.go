package signed

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"watertight/internal/strictjson"
)

// statement is the one statement of a policy.
type statement struct {
	anywhere bool   // every URL of the distribution
	resource string // a pattern
	before   int64  // seconds of Unix time
	after    int64  // meaningful if later is set
	later    bool
	viewers  netip.Prefix // the zero value means all
}

// depth of {"Statement":[{"Condition":{"DateLessThan":{}}}]}.
const depth = 5

// parsePolicy reads a policy. It refuses unknown members, because each could be a restriction.
func parsePolicy(document []byte) (*statement, error) {
	root, err := strictjson.Read(document, depth)
	if err != nil {
		return nil, err
	}
	if err := only(root, "Statement"); err != nil {
		return nil, err
	}
	items, err := strictjson.Items(root["Statement"])
	if err != nil {
		return nil, err
	}
	if len(items) != 1 {
		return nil, fmt.Errorf("signed: %d statements, not one", len(items))
	}
	members, err := strictjson.Members(items[0])
	if err != nil {
		return nil, err
	}
	if err := only(members, "Resource", "Condition"); err != nil {
		return nil, err
	}
	s := &statement{}
	if v, ok := members["Resource"]; ok {
		if s.resource, err = strictjson.Text(v); err != nil {
			return nil, err
		}
		if !validPattern(s.resource) {
			return nil, errors.New("signed: the resource is not a URL with wildcards")
		}
	} else {
		s.anywhere = true
	}
	return s, s.readConditions(members["Condition"])
}

func (s *statement) readConditions(v strictjson.Value) error {
	conditions, err := strictjson.Members(v)
	if err != nil {
		return err
	}
	if err := only(conditions, "DateLessThan", "DateGreaterThan", "IpAddress"); err != nil {
		return err
	}
	if s.before, err = readTime(conditions["DateLessThan"]); err != nil {
		return err
	}
	if v, ok := conditions["DateGreaterThan"]; ok {
		s.later = true
		if s.after, err = readTime(v); err != nil {
			return err
		}
	}
	if v, ok := conditions["IpAddress"]; ok {
		s.viewers, err = readAddress(v)
	}
	return err
}

func readTime(v strictjson.Value) (int64, error) {
	number, err := one(v, "AWS:EpochTime")
	if err != nil {
		return 0, err
	}
	n, ok := epoch(string(number))
	if !ok {
		return 0, errors.New("signed: a time is not a number of seconds")
	}
	return n, nil
}

// readAddress reads an IPv4 address or range. CloudFront supports no others here.
func readAddress(v strictjson.Value) (netip.Prefix, error) {
	value, err := one(v, "AWS:SourceIp")
	if err != nil {
		return netip.Prefix{}, err
	}
	text, err := strictjson.Text(value)
	if err != nil {
		return netip.Prefix{}, err
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if !prefix.Addr().Is4() {
		return netip.Prefix{}, errors.New("signed: not an IPv4 address")
	}
	return prefix, nil
}

// epoch reads seconds of Unix time, up to 2^63-1, in canonical decimal form.
func epoch(s string) (int64, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil && n >= 0 && strconv.FormatInt(n, 10) == s
}

// one returns the value of an object's only member.
func one(v strictjson.Value, name string) (strictjson.Value, error) {
	members, err := strictjson.Members(v)
	if err != nil {
		return nil, err
	}
	value, ok := members[name]
	if !ok {
		return nil, fmt.Errorf("signed: %s is missing", name)
	}
	return value, only(members, name)
}

// only refuses an object with members of other names.
func only(o strictjson.Object, names ...string) error {
	known := 0
	for _, name := range names {
		if _, ok := o[name]; ok {
			known++
		}
	}
	if known != len(o) {
		return errors.New("signed: an unknown member")
	}
	return nil
}

// allows reports whether the statement allows a viewer to request a URL now. Both time limits
// are exclusive, in whole seconds. A restricted address is an IPv4 address, so viewers with
// IPv6 never match.
func (s *statement) allows(url string, viewer netip.Addr, now time.Time) bool {
	seconds := now.Unix()
	if seconds >= s.before || s.later && seconds <= s.after {
		return false
	}
	if s.viewers.IsValid() && !s.viewers.Contains(viewer.Unmap()) {
		return false
	}
	return s.anywhere || matches(s.resource, url)
}
