package accesslog

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// header is what a file begins with.
const header = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem " +
	"sc-status cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header " +
	"cs-protocol cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type " +
	"cs-protocol-version fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type " +
	"sc-content-type sc-content-len sc-range-start sc-range-end\n"

// line is an entry's line: 33 fields with tabs between them. Source: "Standard logging
// reference" in the CloudFront developer guide.
func (e *Entry) line() string {
	began := e.Began.UTC()
	port := "-"
	if e.Viewer.Port() != 0 {
		port = strconv.Itoa(int(e.Viewer.Port()))
	}
	return strings.Join([]string{
		began.Format(time.DateOnly), began.Format(time.TimeOnly), field(e.Location), strconv.FormatInt(e.Sent, 10),
		field(e.Viewer.Addr().String()), field(e.Method), field(e.Site.DomainName), escaped(e.Path),
		fmt.Sprintf("%03d", e.Status), field(e.Referer), field(e.UserAgent), escaped(e.Query), field(e.Cookies),
		field(e.Result), field(e.ID), field(e.Host), field(e.Protocol), strconv.FormatInt(e.Received, 10),
		duration(e.Taken), field(e.Forwarded), field(e.TLS), field(e.Cipher), field(e.Answered), field(e.Version),
		"-", "-", port, duration(e.First), field(e.Detail), field(e.Type), field(e.Length), field(e.RangeFrom),
		field(e.RangeTo),
	}, "\t") + "\n"
}

// duration is a number of seconds with three decimals.
func duration(d time.Duration) string { return strconv.FormatFloat(max(d, 0).Seconds(), 'f', 3, 64) }

// maxField bounds a field, in bytes.
const maxField = 4096

// field is a value as CloudFront writes it: characters that could end a field or a line, or
// that mean something to readers of logs, are escaped. Nothing is a dash.
func field(s string) string { return escape(s, true) }

// escaped is a value that has its escapes already.
func escaped(s string) string { return escape(s, false) }

func escape(s string, percent bool) string {
	if s == "" {
		return "-"
	}
	s = s[:min(len(s), maxField)]
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte("<>\"#{|}\\^~[]`'", c) >= 0 || c == '%' && percent {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
