package fresh

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	s := func(n int) Seconds { return Seconds{true, time.Duration(n) * time.Second} }
	for _, c := range []struct {
		lines []string
		want  Directives
	}{
		{nil, Directives{}},
		{[]string{"", " , ,", "\t"}, Directives{}},
		{[]string{"max-age=10"}, Directives{MaxAge: s(10)}},
		{[]string{"MAX-AGE=10 , S-MaxAge=20 "}, Directives{MaxAge: s(10), SMaxAge: s(20)}},
		{[]string{"max-age =10"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age= 10"}, Directives{MaxAge: s(0)}},
		{[]string{`max-age ="10"`}, Directives{MaxAge: s(0)}},
		{[]string{`max-age= "10"`}, Directives{NoStore: true}},
		{[]string{`max-age="10"`}, Directives{MaxAge: s(10)}},
		{[]string{`max-age="\1\0"`}, Directives{MaxAge: s(10)}},
		{[]string{`max-age="10"5`}, Directives{MaxAge: s(0)}},
		{[]string{"max-age=10", "max-age=5", "max-age=20"}, Directives{MaxAge: s(5)}},
		{[]string{"max-age=10, max-age=x"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age=-5"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age=1.5"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age='10'"}, Directives{MaxAge: s(0)}},
		{[]string{"max-age=0010"}, Directives{MaxAge: s(10)}},
		{[]string{"max-age=99999999999999999999"}, Directives{MaxAge: s(1 << 31)}},
		{[]string{"max-age=10;s-maxage=5"}, Directives{MaxAge: s(0)}},
		{[]string{"no-store, no-cache, private"}, Directives{NoStore: true, NoCache: true, Private: true}},
		{[]string{`no-cache="Set-Cookie", private="x,y"`}, Directives{NoCache: true, Private: true}},
		{[]string{`a="no-store", max-age=7`}, Directives{MaxAge: s(7)}},
		{[]string{`a="b\", no-store", max-age=7`}, Directives{MaxAge: s(7)}},
		{[]string{`a="b, max-age=7`}, Directives{NoStore: true}},
		{[]string{`a=b"c, max-age=7`}, Directives{NoStore: true, MaxAge: s(7)}},
		{[]string{"no-store=0"}, Directives{NoStore: true}},
		{[]string{"must-revalidate"}, Directives{MustRevalidate: true}},
		{[]string{"proxy-revalidate, public"}, Directives{MustRevalidate: true, Public: true}},
		{
			[]string{"stale-while-revalidate=1, stale-if-error=2"},
			Directives{StaleWhileRevalidate: s(1), IfErrors: s(2)},
		},
		{[]string{"max-age=5", strings.Repeat("x", maxControl)}, Directives{NoStore: true, MaxAge: s(5)}},
	} {
		t.Run(fmt.Sprint(c.lines), func(t *testing.T) {
			got := Parse(c.lines)
			if got.NoStore && c.want.NoStore {
				got.MaxAge, c.want.MaxAge = Seconds{}, Seconds{} // nothing is stored
			}
			if got != c.want {
				t.Errorf("%+v, want %+v", got, c.want)
			}
		})
	}
}

// FuzzParse: more text never makes a lifetime longer. The directives of two lines are at least
// as strict as those of each line.
func FuzzParse(f *testing.F) {
	f.Add("max-age=10, s-maxage=\"5\"", "no-store")
	f.Add("a=\"b, max-age=7", "max-age=1")
	f.Add("private=\"x\\\", no-cache\"", "stale-if-error=99999999999")
	f.Fuzz(func(t *testing.T, a, b string) {
		both, one := Parse([]string{a, b}), Parse([]string{a})
		if one.NoStore && !both.NoStore || one.NoCache && !both.NoCache || one.Private && !both.Private {
			t.Errorf("a directive is lost: %+v, %+v", one, both)
		}
		for _, s := range [][2]Seconds{{one.MaxAge, both.MaxAge}, {one.SMaxAge, both.SMaxAge}} {
			if s[0].Sent && (!s[1].Sent || s[1].Value > s[0].Value) && !both.NoStore {
				t.Errorf("a lifetime became longer: %v, %v", s[0], s[1])
			}
			if s[0].Value < 0 || s[0].Value > maxAge*time.Second {
				t.Errorf("lifetime %v", s[0])
			}
		}
	})
}

const day = 24 * time.Hour

// TestOf goes through the tables of the CloudFront developer guide and of RFC 9111.
func TestOf(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(d time.Duration) string { return now.Add(d).Format(http.TimeFormat) }
	loose := Rules{DefaultTTL: day, MaxTTL: 365 * day}
	floor := Rules{MinTTL: time.Minute, DefaultTTL: day, MaxTTL: 365 * day}
	short := Rules{DefaultTTL: time.Second, MaxTTL: 5 * time.Second}
	lax := Rules{MinTTL: time.Minute, DefaultTTL: day, MaxTTL: 365 * day, Lax: true}
	errors := Rules{DefaultTTL: day, MaxTTL: 365 * day, ErrorTTL: map[int]time.Duration{404: time.Hour, 500: 0}}
	const never = -1
	for _, c := range []struct {
		name    string
		rules   Rules
		status  int
		headers string // "Name: value|Name: value"
		fresh   time.Duration
		refresh time.Duration // beyond fresh
		onError time.Duration // beyond fresh
	}{
		{"max-age", loose, 200, "Cache-Control: max-age=10", 10 * time.Second, 0, 365*day - 10*time.Second},
		{"s-maxage first", loose, 200, "Cache-Control: max-age=10, s-maxage=0", 0, 0, 365 * day},
		{"max-age before Expires", loose, 200, "Cache-Control: max-age=0|Expires: " + at(time.Hour), 0, 0, 365 * day},
		{"Expires", loose, 200, "Expires: " + at(time.Hour), time.Hour, 0, 365*day - time.Hour},
		{"Expires and Date", loose, 200, "Expires: " + at(time.Hour) + "|Date: " + at(time.Minute), 59 * time.Minute, 0,
			365*day - 59*time.Minute},
		{"Expires is no date", loose, 200, "Expires: 0", 0, 0, 365 * day},
		{"Expires twice", loose, 200, "Expires: " + at(time.Hour) + "|Expires: " + at(time.Hour), 0, 0, 365 * day},
		{"nothing", loose, 200, "", day, 0, 364 * day},
		{"nothing, with MinTTL above", Rules{MinTTL: 2 * day, DefaultTTL: day, MaxTTL: 365 * day}, 200, "", 2 * day, 0,
			363 * day},
		{"Age", loose, 200, "Cache-Control: max-age=10|Age: 4", 6 * time.Second, 0, 365*day - 6*time.Second},
		{"Age twice", loose, 200, "Cache-Control: max-age=10|Age: 0|Age: 0", 0, 0, 365 * day},
		{"Age is unreadable", loose, 200, "Cache-Control: max-age=10|Age: x", 0, 0, 365 * day},
		{"Date", loose, 200, "Cache-Control: max-age=10|Date: " + at(-4*time.Second), 6 * time.Second, 0,
			365*day - 6*time.Second},
		{"MaxTTL", short, 200, "Cache-Control: max-age=10", 5 * time.Second, 0, 0},
		{"MinTTL", floor, 200, "Cache-Control: max-age=10", time.Minute, 0, 365*day - time.Minute},
		{"no-store", loose, 200, "Cache-Control: no-store", never, 0, 0},
		{"no-cache", loose, 200, "Cache-Control: no-cache", never, 0, 0},
		{"private", loose, 200, "Cache-Control: private, max-age=10", never, 0, 0},
		{"private in spite of MinTTL", floor, 200, "Cache-Control: private", never, 0, 0},
		{"private, lax", lax, 200, "Cache-Control: private", time.Minute, 0, 0},
		{"caching disabled", Rules{}, 200, "Cache-Control: max-age=10", never, 0, 0},
		{"Set-Cookie", loose, 200, "Set-Cookie: a=b", never, 0, 0},
		{"Set-Cookie, lax", lax, 200, "Set-Cookie: a=b", never, 0, 0},
		{"Vary: *", loose, 200, "Vary: *", never, 0, 0},
		{"Vary: *, with MinTTL", floor, 200, "Vary: *", never, 0, 0},
		{"Vary: *, lax", lax, 200, "Vary: *", day, 0, 364 * day},
		{"Vary: several", loose, 200, "Vary: accept|Vary: x, *", never, 0, 0},
		{"Vary on headers", loose, 200, "Vary: Accept, User-Agent", day, 0, 364 * day},
		{"stale-while-revalidate", loose, 200, "Cache-Control: max-age=10, stale-while-revalidate=5", 10 * time.Second,
			5 * time.Second, 365*day - 10*time.Second},
		{"stale-if-error", loose, 200, "Cache-Control: max-age=10, stale-if-error=5", 10 * time.Second, 0,
			5 * time.Second},
		{"stale-if-error=0", loose, 200, "Cache-Control: max-age=10, stale-if-error=0", 10 * time.Second, 0, 0},
		{"both are cut by MaxTTL", short, 200, "Cache-Control: max-age=1, stale-while-revalidate=50, stale-if-error=60",
			time.Second, 4 * time.Second, 4 * time.Second},
		{"must-revalidate", loose, 200, "Cache-Control: max-age=10, must-revalidate, stale-while-revalidate=5",
			10 * time.Second, 0, 0},
		{"a part", loose, 206, "Cache-Control: max-age=10", never, 0, 0},
		{"found", loose, 302, "", never, 0, 0},
		{"found, explicitly", loose, 302, "Cache-Control: max-age=10", 10 * time.Second, 0, 365*day - 10*time.Second},
		{"moved", loose, 301, "", day, 0, 364 * day},
		{"404", loose, 404, "", 10 * time.Second, 0, 0},
		{"404 with a time of its own", errors, 404, "Cache-Control: max-age=10", time.Hour, 0, 0},
		{"404 for longer", errors, 404, "Cache-Control: max-age=7200", 2 * time.Hour, 0, 0},
		{"404 private", loose, 404, "Cache-Control: private", never, 0, 0},
		{"500, never", errors, 500, "", never, 0, 0},
		{"403", loose, 403, "", never, 0, 0},
		{"403 with max-age", loose, 403, "Cache-Control: max-age=20", 20 * time.Second, 0, 0},
		{"403 with s-maxage below", loose, 403, "Cache-Control: s-maxage=1, max-age=20", 10 * time.Second, 0, 0},
		{"418", loose, 418, "Cache-Control: max-age=20", never, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			for line := range strings.SplitSeq(c.headers, "|") {
				if name, value, ok := strings.Cut(line, ": "); ok {
					h.Add(name, value)
				}
			}
			l, ok := Of(c.status, h, &c.rules, now, now)
			if !ok || c.fresh == never {
				if ok != (c.fresh != never) {
					t.Errorf("stored: %v", ok)
				}
				return
			}
			got := [3]time.Duration{l.Fresh.Sub(now), l.Refresh.Sub(l.Fresh), l.Error.Sub(l.Fresh)}
			if want := [3]time.Duration{c.fresh, c.refresh, c.onError}; got != want {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}

func header(pairs ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		h.Add(pairs[i], pairs[i+1])
	}
	return h
}

func TestRevalidation(t *testing.T) {
	const then = "Tue, 01 Jan 2030 00:00:00 GMT"
	for _, c := range []struct {
		name           string
		stored, answer http.Header
		asks           http.Header
		selects        bool
	}{
		{"ETag", header("Etag", `"1"`, "Last-Modified", then), header("Etag", `"1"`), header("If-None-Match", `"1"`),
			true},
		{"weak here", header("Etag", `W/"1"`), header("Etag", `"1"`), header("If-None-Match", `W/"1"`), true},
		{"another", header("Etag", `"1"`), header("Etag", `"2"`), header("If-None-Match", `"1"`), false},
		{"date", header("Last-Modified", then, "Date", "Tue, 01 Jan 2030 00:00:01 GMT"), header(),
			header("If-Modified-Since", then), true},
		{"date, made in the same second", header("Last-Modified", then, "Date", then), header(), header(), true},
		{"date, made before", header("Last-Modified", then, "Date", "Mon, 31 Dec 2029 00:00:00 GMT"), header(),
			header(), true},
		{"date, made nobody knows when", header("Last-Modified", then), header(), header(), true},
		{"no date", header("Last-Modified", "yesterday"), header(), header(), true},
		{"another date", header("Last-Modified", then, "Date", "Wed, 02 Jan 2030 00:00:00 GMT"),
			header("Last-Modified", "Wed, 02 Jan 2030 00:00:00 GMT"), header("If-Modified-Since", then), false},
		{"nothing", header("Date", then), header(), header(), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			ask := http.Header{}
			if ok := Condition(ask, c.stored); ok != (len(c.asks) > 0) || fmt.Sprint(ask) != fmt.Sprint(c.asks) {
				t.Errorf("asks %v", ask)
			}
			if Selects(c.answer, c.stored) != c.selects {
				t.Errorf("selects: %v", !c.selects)
			}
		})
	}
	stored := header("Etag", `W/"1"`, "Content-Type", "a", "Cache-Control", "max-age=1", "X-Old", "1")
	got := Refresh(stored, header("Etag", `"1"`, "Content-Type", "b", "Cache-Control", "max-age=2", "X-New", "2",
		"Content-Length", "7", "Connection", "X-Hop", "X-Hop", "3", "Age", "5", "Repr-Digest", "x",
		"X-Amz-Checksum-Crc32", "x"))
	want := header("Etag", `W/"1"`, "Content-Type", "b", "Cache-Control", "max-age=2", "X-Old", "1", "X-New", "2")
	if fmt.Sprint(got) != fmt.Sprint(want) || stored.Get("Cache-Control") != "max-age=1" {
		t.Errorf("%v", got)
	}
}
