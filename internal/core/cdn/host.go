package cdn

import (
	"slices"
	"strings"

	"watertight/internal/core/change/record"
	"watertight/internal/fault"
)

// hostKey is the key of a domain name. The labels are in reverse order, so that a scan finds
// all names below a domain.
func hostKey(host string) []byte { return record.Key(hostPrefix, reversed(host)) }

func reversed(host string) string {
	labels := strings.Split(strings.ToLower(host), ".")
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

// takeHosts assigns domain names to a distribution. No other account may have such a name, a
// wildcard that covers it or a name that it covers, because the owner of *.example.com decides
// what is served as a.example.com. Error: CNAMEAlreadyExists.
func takeHosts(t *transaction, i *item, hosts []string) error {
	for _, host := range hosts {
		key := hostKey(host)
		if id, err := target(t, key); err != nil || id != "" {
			return orTaken(err)
		}
		if err := checkCover(t, i, host); err != nil {
			return err
		}
		t.Set(key, pointer(i.id))
	}
	return nil
}

func orTaken(err error) error {
	if err != nil {
		return err
	}
	return fault.Of(fault.CNAMEAlreadyExists)
}

// checkCover refuses a domain name that a wildcard of another account covers, and a wildcard
// that covers a name of another account.
func checkCover(t *transaction, i *item, host string) error {
	below := host
	for {
		_, rest, ok := strings.Cut(below, ".")
		if !ok {
			break
		}
		below = rest
		id, err := target(t, hostKey("*."+below))
		if err := t.own(i, id, err); err != nil {
			return err
		}
	}
	domain, ok := strings.CutPrefix(host, "*.")
	if !ok {
		return nil
	}
	prefix := append(hostKey(domain), '.')
	for p, err := range t.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return err
		}
		id, err := decodePointer(p.Value)
		if err := t.own(i, id, err); err != nil {
			return err
		}
	}
	return nil
}

// own returns an error if id is a distribution of another account than i's. id may be "".
func (t *transaction) own(i *item, id string, err error) error {
	if err != nil || id == "" || id == i.id {
		return err
	}
	_, err = readItem(t, distributions(), i.account, id)
	if fault.Is(err, fault.NoSuchDistribution) {
		return fault.Of(fault.CNAMEAlreadyExists)
	}
	return err
}
