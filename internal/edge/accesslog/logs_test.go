package accesslog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"watertight/internal/core/distribution"
)

func at(hour, minute int) time.Time { return time.Date(2026, 5, 1, hour, minute, 2, 0, time.UTC) }

func entry(id string, began time.Time) Entry {
	return Entry{
		Site: &distribution.Site{
			ID: id, DomainName: "d1.cloudfront.net",
			Config: distribution.Config{Logging: distribution.Logging{Bucket: "logs.s3.amazonaws.com", Prefix: "p/"}},
		},
		Began: began, Location: "WTR50-P1", ID: "req==", Viewer: netip.MustParseAddrPort("192.0.2.7:1234"),
		Host: "www.example.com", Method: "GET", Path: "/a%20b", Query: "x=1", UserAgent: "curl/8 (x)\t%41\n",
		Protocol: "https", Version: "HTTP/2.0", TLS: "TLSv1.3", Cipher: "TLS_AES_128_GCM_SHA256", Received: 40,
		Status: 200, Sent: 1234, Result: "Hit", Answered: "Hit", Detail: "Hit", First: time.Millisecond,
		Taken: 1500 * time.Millisecond, Type: "text/html", Length: "10",
	}
}

func TestLine(t *testing.T) {
	e := entry("E1", at(12, 1))
	const want = "2026-05-01\t12:01:02\tWTR50-P1\t1234\t192.0.2.7\tGET\td1.cloudfront.net\t/a%20b\t200\t-\t" +
		"curl/8%20(x)%09%2541%0A\tx=1\t-\tHit\treq==\twww.example.com\thttps\t40\t1.500\t-\tTLSv1.3\t" +
		"TLS_AES_128_GCM_SHA256\tHit\tHTTP/2.0\t-\t-\t1234\t0.001\tHit\ttext/html\t10\t-\t-\n"
	if got := e.line(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if n := strings.Count(e.line(), "\t"); n != 32 || strings.Count(header, " ")-2 != n {
		t.Errorf("%d tabs, and %d fields are named", n, strings.Count(header, " ")-1)
	}
}

// collector takes the files that are delivered.
type collector struct {
	files []File
	err   error
}

func (c *collector) deliver(_ context.Context, f File) error {
	c.files = append(c.files, f)
	return c.err
}

func (c *collector) logs(out io.Writer, now func() time.Time) *Logs {
	return New(Options{Deliver: c.deliver, Now: now, Logger: slog.New(slog.NewTextHandler(out, nil))})
}

func TestFiles(t *testing.T) {
	c := &collector{}
	l := c.logs(io.Discard, func() time.Time { return at(13, 0) })
	l.Add(entry("E1", at(12, 1)))
	l.Add(entry("E1", at(12, 59)))
	l.Add(entry("E2", at(12, 59)))
	l.Add(entry("E1", at(13, 0)))
	l.Flush(t.Context())
	lines := map[string]int{}
	for _, f := range c.files {
		if !regexp.MustCompile(`^p/E[12]\.2026-05-01-1[23]\.[0-9a-f]{8}\.gz$`).MatchString(f.Name) {
			t.Errorf("the name %q", f.Name)
		}
		if !IsName(f.Site, f.Name) || IsName(f.Site, f.Name+"x") || IsName(f.Site, f.Name[1:]) {
			t.Errorf("IsName is wrong about %q", f.Name)
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil || !strings.HasPrefix(string(text), header) {
			t.Fatalf("%q, %v", text, err)
		}
		lines[f.Name[:len("p/E1.2026-05-01-12")]] += strings.Count(string(text), "\n") - 2
	}
	if want := map[string]int{
		"p/E1.2026-05-01-12": 2, "p/E1.2026-05-01-13": 1, "p/E2.2026-05-01-12": 1,
	}; fmt.Sprint(lines) != fmt.Sprint(want) {
		t.Errorf("%v", lines)
	}
	if l.held != 0 {
		t.Errorf("%d bytes are still counted", l.held)
	}
}

func TestFullFilesAreDelivered(t *testing.T) {
	c := &collector{}
	l := c.logs(io.Discard, func() time.Time { return at(12, 0) })
	for i := 0; len(l.waiting) == 0; i++ {
		if i > 1_000_000 {
			t.Fatal("no file is full")
		}
		e := entry("E1", at(12, 1))
		e.Path = fmt.Sprintf("/%x", i*2654435761)
		l.Add(e)
	}
	l.deliver(t.Context())
	if n := len(c.files[0].Data); n < fullFile || n > fullFile+fullFile/2 {
		t.Errorf("a file of %d bytes", n)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	c := &collector{}
	l := c.logs(io.Discard, func() time.Time { return at(12, 0) })
	const sites = 2 * maxHeld / perOpen
	for i := range sites {
		l.Add(entry(fmt.Sprintf("E%d", i), at(12, 1)))
	}
	if l.held > maxHeld+perOpen+fullFile || l.Dropped() == 0 {
		t.Errorf("%d bytes are held, and %d lines were dropped", l.held, l.Dropped())
	}
	l.Flush(t.Context())
	if l.held != 0 {
		t.Errorf("%d bytes are still counted", l.held)
	}
}

// TestNoAccountTakesTheOthersLogs: an account that fills the memory with its logs loses lines,
// whether its files are being written or wait. Other accounts lose none.
func TestNoAccountTakesTheOthersLogs(t *testing.T) {
	for _, waiting := range []bool{false, true} {
		t.Run(fmt.Sprint("waiting ", waiting), func(t *testing.T) { fillLogs(t, waiting) })
	}
}

func fillLogs(t *testing.T, waiting bool) {
	t.Helper()
	c := &collector{}
	l := c.logs(io.Discard, func() time.Time { return at(12, 0) })
	add := func(account, id string) {
		e := entry(id, at(12, 1))
		e.Site.Account = account
		l.Add(e)
	}
	const lines = 100
	if waiting {
		for i := 0; l.held < maxHeld; i++ {
			l.waiting = append(l.waiting, File{
				Site: &distribution.Site{ID: fmt.Sprint("W", i), Account: "greedy"},
				Data: make([]byte, fullFile), lines: 1,
			})
			l.hold("greedy", fullFile)
		}
	}
	for i := range lines {
		for n := 0; !waiting && n < 4*maxHeld/perOpen/lines; n++ {
			add("greedy", fmt.Sprintf("G%d-%d", i, n))
		}
		add("modest", fmt.Sprintf("M%d", i%10))
	}
	if l.held > maxHeld+perOpen || l.Dropped() == 0 {
		t.Errorf("%d bytes are held, and %d lines were dropped", l.held, l.Dropped())
	}
	l.Flush(t.Context())
	got := 0
	for _, f := range c.files {
		if f.Site.Account != "modest" {
			continue
		}
		z, err := gzip.NewReader(bytes.NewReader(f.Data))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		got += strings.Count(string(text), "\n") - 2
	}
	if got != lines {
		t.Errorf("%d of %d lines of the other account were delivered", got, lines)
	}
	if l.held != 0 || len(l.holders) != 0 {
		t.Errorf("%d bytes of %d accounts are still counted", l.held, len(l.holders))
	}
}

func TestRefusedDeliveriesAreToldOnceAnHour(t *testing.T) {
	var told bytes.Buffer
	now := at(12, 0)
	c := &collector{err: errors.New("refused")}
	l := c.logs(&told, func() time.Time { return now })
	for range 5 {
		l.Add(entry("E1", now))
		l.Flush(t.Context())
	}
	if n := strings.Count(told.String(), "could not be delivered"); n != 1 {
		t.Errorf("told %d times in an hour", n)
	}
	now = now.Add(time.Hour)
	l.Add(entry("E1", now))
	l.Flush(t.Context())
	if n := strings.Count(told.String(), "could not be delivered"); n != 2 {
		t.Errorf("told %d times in two hours", n)
	}
	if len(c.files) != 6 || l.held != 0 {
		t.Errorf("%d deliveries were tried, and %d bytes are held", len(c.files), l.held)
	}
}
