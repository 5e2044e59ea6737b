package authn

import (
	"crypto/tls"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"watertight/internal/gateway/protocol"
)

// from returns a request whose peer is 192.0.2.1.
func from(t testing.TB, headers string) *protocol.Request {
	t.Helper()
	if headers != "" {
		headers += "\r\n"
	}
	return parsed(t, "GET /b HTTP/1.1\r\nHost: h\r\n"+headers+"\r\n")
}

// TestOrigin: address and protocol of a request are those of its connection, unless a trusted proxy
// reports others. Only the part of a header that this proxy wrote counts.
func TestOrigin(t *testing.T) {
	const f, p, fwd = "X-Forwarded-For: ", "X-Forwarded-Proto: ", "Forwarded: "
	proxies := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8:ffff::/48")}
	for _, test := range []struct {
		headers string
		ip      string
		tls     bool
	}{
		{"", "192.0.2.1", false},
		{f + "203.0.113.9", "203.0.113.9", false},
		{f + "10.0.0.1, 203.0.113.9", "203.0.113.9", false},
		{f + "10.0.0.1\r\n" + f + "203.0.113.9", "203.0.113.9", false},
		{f + "10.0.0.1, 203.0.113.9, 192.0.2.7", "203.0.113.9", false},
		{f + "203.0.113.9, 192.0.2.7,192.0.2.8", "203.0.113.9", false},
		{f + "192.0.2.7", "192.0.2.7", false},
		{f + "::ffff:203.0.113.9", "203.0.113.9", false},
		{f + "203.0.113.9:41234", "203.0.113.9", false},
		{f + "2001:db8::1", "2001:db8::1", false},
		{f + "[2001:db8::1]", "2001:db8::1", false},
		{f + "[2001:db8::1]:41234", "2001:db8::1", false},
		{f + "[::ffff:203.0.113.9]:1", "203.0.113.9", false},
		{f + "2001:db8::1, [2001:db8:ffff::7]:443", "2001:db8::1", false},
		{f + "fe80::1%eth0", "fe80::1", false},
		// An entry that is not an address gives no source address.
		{f + "203.0.113.9, unknown", "invalid IP", false},
		{f + "203.0.113.9:x", "invalid IP", false},
		{f + "203.0.113.9:", "invalid IP", false},
		{f + "203.0.113.9:99999", "invalid IP", false},
		{f + "203.0.113.9:-1", "invalid IP", false},
		{f + "[203.0.113.9]:1", "invalid IP", false},
		{f + "[2001:db8::1", "invalid IP", false},
		{f + "[2001:db8::1]x", "invalid IP", false},
		{f + "2001:db8::1]", "invalid IP", false},
		{f + "[]", "invalid IP", false},
		{f + "203.0.113.9,", "invalid IP", false},
		{f + "client.example", "invalid IP", false},
		{f + "203.0.113.009", "invalid IP", false},
		// The protocol is https if every value says so.
		{p + "https", "192.0.2.1", true},
		{f + "203.0.113.9\r\n" + p + "https", "203.0.113.9", true},
		{p + "HTTPS ", "192.0.2.1", true},
		{p + "http", "192.0.2.1", false},
		{p + "https, http", "192.0.2.1", false},
		{p + "http, https", "192.0.2.1", false},
		{p + "https\r\n" + p + "http", "192.0.2.1", false},
		{p + "https, https", "192.0.2.1", true},
		{p + "https,", "192.0.2.1", false},
		{p, "192.0.2.1", false},
		{p + "wss", "192.0.2.1", false},
		{p + "httpsx", "192.0.2.1", false},
		// RFC 7239.
		{fwd + "for=203.0.113.9", "203.0.113.9", false},
		{fwd + "for=203.0.113.9;proto=https", "203.0.113.9", true},
		{fwd + "For=203.0.113.9; Proto=HTTPS ;by=192.0.2.1", "203.0.113.9", true},
		{fwd + `for="203.0.113.9:47011";proto="https"`, "203.0.113.9", true},
		{fwd + `for="[2001:db8::1]:4711";proto=https;host="a,b;c=d"`, "2001:db8::1", true},
		{fwd + "for=10.0.0.1;proto=https, for=203.0.113.9;proto=http", "203.0.113.9", false},
		{fwd + "for=10.0.0.1;proto=http, for=203.0.113.9;proto=https", "203.0.113.9", true},
		{fwd + "for=10.0.0.1\r\n" + fwd + "for=203.0.113.9;proto=https", "203.0.113.9", true},
		{fwd + "for=203.0.113.9;proto=https, for=192.0.2.7;proto=https", "203.0.113.9", true},
		{fwd + "for=203.0.113.9;proto=https, for=192.0.2.7;proto=http", "203.0.113.9", false},
		{fwd + "for=203.0.113.9;proto=http, for=192.0.2.7;proto=https", "203.0.113.9", false},
		{fwd + "for=203.0.113.9, for=192.0.2.7;proto=https", "203.0.113.9", false},
		{fwd + "proto=https", "invalid IP", true},
		{fwd + "for=unknown;proto=https", "invalid IP", true},
		{fwd + "for=_hidden;proto=https", "invalid IP", true},
		{fwd + `for=10.0.0.1;x=", for=203.0.113.9;proto="https"`, "203.0.113.9", true},
		{fwd + `for=203.0.113.9;proto=https"`, "invalid IP", false},
		{fwd + `for="203.0.113.9\"";proto=https`, "invalid IP", false},
		{fwd + "for=203.0.113.9;for=10.0.0.1;proto=https", "invalid IP", false},
		{fwd + "for=203.0.113.9;proto=https;proto=http", "invalid IP", false},
		{fwd + "https", "invalid IP", false},
		{fwd + `for="203.0.113.9"proto=https`, "invalid IP", false},
		// Both: a client can't add what its proxy did not write.
		{f + "203.0.113.9\r\n" + fwd + "for=10.0.0.1;proto=https", "203.0.113.9", false},
		{f + "203.0.113.9\r\n" + p + "https\r\n" + fwd + "for=10.0.0.1;proto=https", "203.0.113.9", true},
		{f + "203.0.113.9\r\n" + p + "https\r\n" + fwd + "for=10.0.0.1;proto=http", "203.0.113.9", false},
		{f + "203.0.113.9\r\n" + p + "http\r\n" + fwd + "for=10.0.0.1;proto=https", "203.0.113.9", false},
		{f + "203.0.113.9\r\n" + p + "https\r\n" + fwd + "for=10.0.0.1", "203.0.113.9", true},
		// Headers that the server does not use.
		{
			"X-Real-Ip: 10.0.0.1\r\nTrue-Client-Ip: 10.0.0.1\r\nX-Forwarded-Ssl: on\r\nFront-End-Https: " +
				"on\r\nX-Forwarded-Scheme: https",
			"192.0.2.1", false,
		},
	} {
		t.Run(test.headers, func(t *testing.T) {
			i := New(people(), Options{Region: region, TrustedProxies: proxies})
			if o := i.origin(from(t, test.headers)); o.ip.String() != test.ip || o.tls != test.tls ||
				o.secure != test.tls {
				t.Errorf("%q: %+v", test.headers, o)
			}
			for _, others := range [][]netip.Prefix{nil, {netip.MustParsePrefix("10.0.0.0/8")}} {
				if o := New(people(), Options{Region: region, TrustedProxies: others}).origin(from(t,
					test.headers)); o.ip.String() != "192.0.2.1" || o.tls || o.secure || o.forwarded {
					t.Errorf("%q from an untrusted peer: %+v", test.headers, o)
				}
			}
		})
	}
}

// TestSecureChannel: TLS, or loopback at both ends; behind a trusted proxy, the
// client's end.
func TestSecureChannel(t *testing.T) {
	const https, http, silent = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: " +
		"https", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: http", "X-Forwarded-For: 203.0.113.9"
	for _, test := range []struct {
		trusted, tls, loopback bool
		headers                string
		want                   bool
	}{
		{headers: https},
		{tls: true, headers: http, want: true},
		{loopback: true, headers: http, want: true},
		{trusted: true, headers: https, want: true},
		{trusted: true, headers: http},
		{trusted: true, loopback: true, want: true},
		{trusted: true, loopback: true, headers: silent},
		{trusted: true, loopback: true, headers: http},
		{trusted: true, tls: true, want: true},
		{trusted: true, tls: true, headers: silent, want: true},
		{trusted: true, tls: true, headers: http},
	} {
		t.Run(test.headers, func(t *testing.T) {
			o := Options{Region: region}
			if test.trusted {
				o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
			}
			r := from(t, test.headers)
			r.Loopback = test.loopback
			if test.tls {
				r.HTTP.TLS = &tls.ConnectionState{Version: tls.VersionTLS12}
			}
			c, _, err := New(people(), o).Identify(t.Context(), r)
			if err != nil || c.SecureChannel() != test.want {
				t.Errorf("%+v: %v %v", test, c.SecureChannel(), err)
			}
			version := keysOf(t, o, r)["s3:tlsversion"]
			if told := test.trusted && test.headers != ""; (version != nil) != (test.tls && !told) {
				t.Errorf("%+v: TLS version %q", test, version)
			}
		})
	}
}

// TestStrangersAreNoProxies: headers of an untrusted peer have no effect.
func TestStrangersAreNoProxies(t *testing.T) {
	plain := New(people(), Options{Region: region}).origin(from(t, ""))
	name := rapid.SampledFrom([]string{
		"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "X-Real-Ip", "X-Forwarded-Host", "Via",
	})
	value := rapid.SampledFrom([]string{
		"https", "http", "10.0.0.1", "192.0.2.1", "for=10.0.0.1;proto=https", "192.0.2.1, 10.0.0.1", `for="[::1]"`, "",
	})
	rapid.Check(t, func(rt *rapid.T) {
		var lines []string
		for range rapid.IntRange(1, 6).Draw(rt, "headers") {
			lines = append(lines, name.Draw(rt, "name")+": "+value.Draw(rt, "value"))
		}
		i := New(people(), Options{
			Region:         region,
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")},
		})
		if o := i.origin(from(t, strings.Join(lines, "\r\n"))); !reflect.DeepEqual(o, plain) {
			rt.Fatalf("%q: %+v", lines, o)
		}
	})
}

// TestClientsCantLieBehindAProxy: behind a proxy that appends its client's address and protocol, no header
// of a client changes the address, or makes plain HTTP count as TLS.
func TestClientsCantLieBehindAProxy(t *testing.T) {
	values := rapid.StringOfN(rapid.SampledFrom([]rune(`10.2:a[]fort=ph;s,"\ `)), 0, 40, -1)
	known := rapid.SampledFrom([]string{
		"https", "10.0.0.1", "for=10.0.0.1;proto=https", `for="10.0.0.1`, `proto=https;x="`, "192.0.2.7",
	})
	one := rapid.OneOf(values, known)
	i := New(people(), Options{Region: region, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	rapid.Check(t, func(rt *rapid.T) {
		sent := map[string]string{}
		for _, h := range []string{"X-Forwarded-For", "X-Forwarded-Proto", "Forwarded"} {
			sent[h] = strings.TrimSpace(one.Draw(rt, h))
		}
		o := i.origin(from(t,
			"X-Forwarded-For: "+sent["X-Forwarded-For"]+", 203.0.113.9\r\nX-Forwarded-Proto: "+
				sent["X-Forwarded-Proto"]+", http\r\nForwarded: "+sent["Forwarded"]))
		if o.ip.String() != "203.0.113.9" || o.tls || o.secure {
			rt.Fatalf("%q: %+v", sent, o)
		}
	})
}

// FuzzForwarded: no header of a proxy causes a panic, and the result is a valid address or none.
func FuzzForwarded(f *testing.F) {
	for _, s := range []string{"", "for=1.2.3.4", `for="[::1]:1";proto=https,x`, `"`, "=;,", `a="\""`} {
		f.Add(s, s)
	}
	i := New(people(), Options{
		Region:         region,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")},
	})
	f.Fuzz(func(t *testing.T, hops, elements string) {
		peer := netip.MustParseAddr("192.0.2.1")
		if e := i.elements(peer, elements); e.ip.Zone() != "" || e.ip.Is4In6() {
			t.Error(e.ip)
		}
		if ip := i.hops(peer, hops); ip.Zone() != "" || ip.Is4In6() {
			t.Error(ip)
		}
	})
}
