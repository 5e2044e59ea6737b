package edge

import (
	"bytes"
	"maps"
	"net/http"
	"strconv"
	"time"

	"watertight/internal/edge/cache"
)

// lineWriter is a ResponseWriter that also sends header lines as they are, each of which ends
// with CRLF. They are not changed any more. AddLines reports false if it can't for this response.
type lineWriter interface {
	AddLines(shared, own []byte) bool
}

// ready sends most of a hit's header as lines that were made once for all viewers. It reports
// false if the header depends on the viewer, or the response is not of the kind that is asked for
// most.
func (x *exchange) ready(w *meter, a *reply) bool {
	to, ok := w.ResponseWriter.(lineWriter)
	if !ok || a.of == nil || a.memo == nil || a.own || a.result != resultHit || a.status != http.StatusOK ||
		a.body == nil || a.size <= 0 || x.r.Method != http.MethodGet {
		return false
	}
	if p := x.behavior.headers; p != nil && (p.cors != nil || p.timings > 0 || w.now != nil) {
		return false
	}
	m := a.memo.Load()
	if m == nil || m.For != x.behavior {
		m = x.memorize(a)
		a.memo.Store(m)
	}
	own := append(x.text[:0], "Age: "...)
	own = strconv.AppendInt(own, int64(a.age/time.Second), 10)
	own = append(append(append(own, "\r\nX-Amz-Cf-Id: "...), x.id...), "\r\n"...)
	if !to.AddLines(m.Lines, own) {
		return false
	}
	w.lines = len(m.Lines) + len(own)
	clear(x.sent)
	x.sent["Content-Length"] = x.line(0, strconv.FormatInt(a.size, 10))
	x.sent["Content-Type"] = nil // it is one of the lines, or there is none
	if m.Dated {
		x.sent["Date"] = nil
	}
	return true
}

// memorize makes the lines of a hit's header: what dress adds, without what is of one viewer.
func (x *exchange) memorize(a *reply) *cache.Memo {
	h := maps.Clone(a.header)
	a.of.withhold(h)
	if p := x.behavior.headers; p != nil {
		p.apply(h, x.r)
	}
	for _, name := range []string{"Content-Length", "Age", "X-Amz-Cf-Id"} {
		delete(h, name)
	}
	x.e.sign(h, a.result)
	spell(h)
	_, dated := h["Date"]
	var b bytes.Buffer
	h.Write(&b) // never fails
	return &cache.Memo{For: x.behavior, Lines: b.Bytes(), Dated: dated}
}
