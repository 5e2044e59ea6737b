package signed

import (
	"encoding/base64"
	"net/url"
	"strings"
)

// maxEncoded bounds an encoded policy or signature, in bytes. It is also the limit of a whole
// URL.
const maxEncoded = 8192

// params are the reserved parameters of a query, or those of the cookies, by their names
// without the prefix of cookies.
type params struct{ values map[string]string }

func (p *params) empty() bool { return len(p.values) == 0 }

// set takes a parameter, which may occur once.
func (p *params) set(name, value string) error {
	if _, twice := p.values[name]; twice {
		return denied()
	}
	if p.values == nil {
		p.values = make(map[string]string, 4)
	}
	p.values[name] = value
	return nil
}

// split divides a query into the viewer's own parameters, which keep their bytes and their
// order, and the reserved ones, decoded. Names are compared after they are unescaped, because
// an origin unescapes them.
func split(query string) (own string, p *params, err error) {
	p = &params{}
	kept := make([]string, 0, 8)
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		if !isReserved(name) {
			kept = append(kept, part)
			continue
		}
		value, err := url.PathUnescape(value) // a plus sign does not mean a space
		if err != nil {
			return "", nil, denied()
		}
		if err := p.set(name, value); err != nil {
			return "", nil, err
		}
	}
	return strings.Join(kept, "&"), p, nil
}

// readCookies returns the reserved parameters among cookies. A browser sends two cookies of
// one name if they were set for two paths. They are refused, because CloudFront does not
// document which one it uses.
func readCookies(headers []string) (*params, error) {
	p := &params{}
	for _, header := range headers {
		for header != "" {
			var part string
			part, header, _ = strings.Cut(header, ";")
			name, value, _ := strings.Cut(strings.Trim(part, " \t"), "=")
			if !ReservedCookie(name) {
				continue
			}
			if err := p.set(strings.TrimPrefix(name, cookiePrefix), value); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

// decode reads CloudFront's form of base64, which replaces the characters that have a meaning
// in a URL: + by -, = by _ and / by ~. The padding may be missing. All other characters, and
// other encodings of the same bytes, are refused.
func decode(s string) ([]byte, bool) {
	if len(s) > maxEncoded {
		return nil, false
	}
	data := strings.TrimRight(s, "_")
	if pad := len(s) - len(data); pad > 2 || pad > 0 && len(s)%4 != 0 {
		return nil, false
	}
	if strings.ContainsAny(data, "+/\r\n") { // the decoder would take them
		return nil, false
	}
	data = strings.NewReplacer("-", "+", "~", "/").Replace(data)
	out, err := base64.RawStdEncoding.Strict().DecodeString(data)
	return out, err == nil
}
