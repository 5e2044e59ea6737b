package edge

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"watertight/internal/edge/cache"
)

// reply is an answer before it is sent. Its header may be changed, unless of is set; see
// exchange.open.
type reply struct {
	status int
	header http.Header
	of     *behavior // by which the cache answered; its header is still shared
	memo   *atomic.Pointer[cache.Memo]
	body   io.ReadCloser // or nil
	size   int64         // of body; -1 if it is not known
	age    time.Duration
	stored bool // it has an Age header
	result result
	detail string
	// final says that the origin answered the viewer's conditions and ranges.
	final bool
	taken bool // header is the one that is sent
	own   bool // a page for errors: the viewer's conditions are not about it
}

// textReply is an answer of the edge itself.
func textReply(status int, h http.Header, body string) *reply {
	h["Server"] = []string{"CloudFront"}
	return &reply{
		status: status, header: h, body: io.NopCloser(strings.NewReader(body)), size: int64(len(body)), final: true,
	}
}

func (a *reply) close() {
	if a.body != nil {
		a.body.Close()
	}
}

// drop removes the body of an answer and sets its status.
func (a *reply) drop(status int) {
	a.close()
	a.status, a.body, a.size = status, nil, 0
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Range", "Content-Type"} {
		delete(a.header, name)
	}
}

// custom replaces an error by the distribution's own error page. If that page can't be
// fetched, the viewer gets the error of that request.
func (x *exchange) custom(a *reply) *reply {
	if a.status < http.StatusBadRequest || x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return a
	}
	for _, c := range x.site.Config.CustomErrorResponses.Items {
		if c.ErrorCode != a.status || c.ResponsePagePath == "" {
			continue
		}
		page, err := x.page(c.ResponsePagePath)
		if err == errRestricted {
			return a
		}
		a.close()
		if err != nil {
			return x.plain(err)
		}
		page.result = resultError
		if status, err := strconv.Atoi(c.ResponseCode); err == nil && page.status == http.StatusOK {
			page.status = status
		}
		return page
	}
	return a
}

// plain answers an error with the edge's own page.
func (x *exchange) plain(err error) *reply {
	if r, ok := err.(*refusal); ok {
		return x.refused(r)
	}
	return x.refused(unreached(err))
}

// conditions answers the viewer's conditions.
func (x *exchange) conditions(a *reply) {
	if a.final || a.own || a.status != http.StatusOK || !isConditional(x.r.Header) ||
		x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		return
	}
	switch judge(x.r.Header, a.header) {
	case notModified:
		x.open(a)
		a.drop(http.StatusNotModified)
	case failed:
		x.open(a)
		a.drop(http.StatusPreconditionFailed)
		a.result = resultError
	}
}

// dress adds the headers that every answer of the edge has.
func (x *exchange) dress(a *reply) {
	x.open(a)
	h := a.header
	if x.behavior != nil && x.behavior.headers != nil {
		x.behavior.headers.apply(h, x.r)
		if x.sampled(x.behavior.headers.timings) {
			h["Server-Timing"] = append(h["Server-Timing"], x.timing(a))
		}
	}
	if a.status >= http.StatusBadRequest && a.result != resultLimitExceeded {
		a.result = resultError
	}
	if a.stored {
		h["Age"] = x.line(0, strconv.FormatInt(int64(a.age/time.Second), 10))
	}
	x.e.sign(h, a.result)
	h["X-Amz-Cf-Id"] = x.line(1, x.id)
	switch {
	case a.status == http.StatusNotModified || a.status == http.StatusNoContent:
		delete(h, "Content-Length")
	case a.size >= 0:
		h["Content-Length"] = x.line(2, strconv.FormatInt(a.size, 10))
	default:
		delete(h, "Content-Length")
	}
}

// sign adds the headers by which the edge names itself.
func (e *Edge) sign(h http.Header, r result) {
	said := &e.said
	if v := h["Via"]; len(v) > 0 {
		h["Via"] = []string{strings.Join(v, ", ") + ", " + said.via[0]}
	} else {
		h["Via"] = said.via
	}
	h["X-Cache"], h["X-Amz-Cf-Pop"] = said.results[r], said.pop
}

// line returns a header's only value without an allocation.
func (x *exchange) line(at int, value string) []string {
	x.lines[at] = value
	return x.lines[at : at+1 : at+1]
}

// sampled uses the random id to decide whether an answer is in a sample of some percent.
func (x *exchange) sampled(percent float64) bool {
	if percent <= 0 {
		return false
	}
	n := 0
	for _, c := range []byte(x.id[:4]) { // four characters of 64
		n = n*64 + strings.IndexByte(idCharacters, c)
	}
	return float64(n) < percent/100*(1<<24)
}

const idCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// timing is the value of Server-Timing.
func (x *exchange) timing(a *reply) string {
	first := "cdn-cache-miss"
	switch a.result {
	case resultHit:
		first = "cdn-cache-hit"
	case resultRefreshHit:
		first = "cdn-cache-refresh"
	}
	return first + `,cdn-pop;desc="` + x.e.options.Pop + `",cdn-rid;desc="` + x.id + `"`
}

// send writes an answer. cut says that it could not be completed.
func (x *exchange) send(w *meter, a *reply) (cut bool) {
	x.conditions(a)
	if x.logged() {
		w.began, w.now = x.began, x.e.options.Now
	}
	if !x.ready(w, a) {
		x.dress(a)
		if !a.taken {
			x.take(a.header)
		}
		spell(x.sent)
	}
	w.WriteHeader(a.status)
	if a.body == nil || x.r.Method == http.MethodHead || a.status == http.StatusNotModified ||
		a.status == http.StatusNoContent {
		return false
	}
	if a.size < 0 {
		return x.stream(w, a)
	}
	buffer := x.e.buffers.Get().(*[copySize]byte)
	defer x.e.buffers.Put(buffer)
	n, err := io.CopyBuffer(w, a.body, buffer[:])
	return err != nil || a.size >= 0 && n != a.size
}

// spell names the ETag as CloudFront and S3 do; some clients look for that spelling.
func spell(h http.Header) {
	if tag, ok := h["Etag"]; ok {
		delete(h, "Etag")
		h["ETag"] = tag
	}
}

// stream sends each piece of a body as soon as it is there.
func (x *exchange) stream(w *meter, a *reply) (cut bool) {
	rc := http.NewResponseController(w)
	buffer := x.e.buffers.Get().(*[copySize]byte)
	defer x.e.buffers.Put(buffer)
	for {
		n, err := a.body.Read(buffer[:])
		if n > 0 {
			if _, werr := w.Write(buffer[:n]); werr != nil {
				return true
			}
			rc.Flush()
		}
		if err != nil {
			return err != io.EOF
		}
	}
}

const copySize = 32 << 10

// meter counts what is sent.
type meter struct {
	http.ResponseWriter
	began  time.Time
	now    func() time.Time // nil: the exchange is not logged
	status int
	lines  int // bytes of the header that are not in Header
	header int64
	body   int64
	first  time.Duration
}

func (m *meter) WriteHeader(status int) {
	m.status = status
	if m.now != nil {
		m.header = int64(m.lines)
		for name, values := range m.Header() {
			for _, v := range values {
				m.header += int64(len(name) + len(v) + 4)
			}
		}
		m.first = m.now().Sub(m.began)
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *meter) Write(p []byte) (int, error) {
	n, err := m.ResponseWriter.Write(p)
	m.body += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (m *meter) Unwrap() http.ResponseWriter { return m.ResponseWriter }
