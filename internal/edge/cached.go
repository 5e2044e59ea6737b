package edge

import (
	"net/http"

	"watertight/internal/edge/cache"
	"watertight/internal/edge/origin"
)

// cached gets an answer through the cache, and the part of it that the viewer asked for.
// viewer has the viewer's conditions and range; nil is none.
func (x *exchange) cached(q *question, viewer http.Header) (*reply, error) {
	b, a := q.b, &q.asked
	var part *span
	var rng *cache.Range
	if s, ok := parseRange(viewer["Range"]); ok && a.method == http.MethodGet {
		part = &s
		rng = &cache.Range{Header: s.String(), IfRange: viewer.Get("If-Range"), First: s.first}
		if s.suffix > 0 {
			rng.First = -1
		}
	}
	answer, err := x.e.options.Cache.Get(x.r.Context(), &cache.Request{
		Distribution: b.site.ID, Path: a.target.String(), Key: b.key(a), Head: a.method == http.MethodHead,
		Rules: b.rules,
	}, rng, q.fetch)
	if err != nil {
		return nil, unreached(err)
	}
	if _, ok := answer.Header[failedHeader]; ok {
		answer.Body.Close()
		return nil, unreached(&origin.Failure{Status: answer.Status, Reason: "the origin gave no answer"})
	}
	out := &reply{
		status: answer.Status, header: answer.Header, of: b, memo: answer.Memo, body: answer.Body, size: answer.Size,
		age: answer.Age, stored: answer.Result != cache.Miss || answer.Age > 0, result: resultOf(answer.Result),
		own: viewer == nil,
	}
	if part != nil && answer.Status == http.StatusOK && judge(viewer, answer.Header) == holds &&
		rangeHolds(viewer, answer.Header) {
		x.open(out)
		return out, out.cut(*part, answer.Body)
	}
	return out, nil
}

// cut makes an answer the part that the viewer asked for. The whole is sent if its size is
// not known yet, which RFC 9110, section 14.2, allows.
func (a *reply) cut(part span, body cache.Body) error {
	if a.size < 0 {
		return nil
	}
	whole := a.size
	offset, length, ok := part.within(whole)
	if !ok {
		a.drop(http.StatusRequestedRangeNotSatisfiable)
		a.header["Content-Range"] = []string{unsatisfied(whole)}
		a.final = true
		return nil
	}
	if err := body.Select(offset, length); err != nil {
		body.Close()
		return unreached(err)
	}
	a.status, a.size, a.final = http.StatusPartialContent, length, true
	a.header["Content-Range"] = []string{contentRange(offset, length, whole)}
	return nil
}

// open gives an answer of the cache a header that may be changed. The cache's is shared.
func (x *exchange) open(a *reply) {
	if a.of != nil {
		a.header, a.taken = x.take(a.header), true
		a.of.withhold(a.header)
		a.of = nil
	}
}

// take copies a header into the one that is sent. Its values are never changed in place.
func (x *exchange) take(h http.Header) http.Header {
	clear(x.sent)
	for name, values := range h {
		x.sent[name] = values
	}
	return x.sent
}
