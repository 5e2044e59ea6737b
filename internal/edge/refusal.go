package edge

import (
	"errors"
	"fmt"
	"html"
	"net/http"
	"strings"

	"watertight/internal/edge/origin"
	"watertight/internal/fault"
)

// refusal is an answer of the edge itself instead of one of the origin.
type refusal struct {
	status   int
	sentence string // what the viewer reads
	detail   string // x-edge-detailed-result-type of the access log
	code     string // for signed access, whose errors are XML
	location string // of a redirect
	close    bool   // the connection ends
	mapped   bool   // custom error responses apply
	err      error  // for the log
}

func (r *refusal) Error() string { return r.sentence }
func (r *refusal) Unwrap() error { return r.err }

func refuse(status int, detail, sentence string) *refusal {
	return &refusal{status: status, detail: detail, sentence: sentence}
}

// badRequest refuses a request that is malformed or ambiguous.
func badRequest(sentence string) *refusal {
	r := refuse(http.StatusBadRequest, "ClientRequestInvalid", sentence)
	r.close = true
	return r
}

// unsigned is the refusal of a request without the right signature.
func unsigned(err error) *refusal {
	r := refuse(http.StatusForbidden, "AccessDenied", "Access denied")
	r.code, r.mapped = "AccessDenied", true
	if f := (*fault.Error)(nil); errors.As(err, &f) {
		r.code, r.sentence = string(f.Code), f.Message
	}
	return r
}

// unreached is the refusal for an origin that gave no answer.
func unreached(err error) *refusal {
	if errors.Is(err, origin.ErrBody) {
		return badRequest("The body of the request can't be read.")
	}
	status, detail := http.StatusBadGateway, "OriginConnectError"
	if f := (*origin.Failure)(nil); errors.As(err, &f) && f.Status == http.StatusGatewayTimeout {
		status, detail = f.Status, "OriginTimeout"
	}
	r := refuse(status, detail, "The origin of this content gave no answer that can be used.")
	r.mapped, r.err = true, err
	return r
}

// refused makes the answer of a refusal.
func (x *exchange) refused(r *refusal) *reply {
	h := http.Header{}
	body, contentType := page(r, x.id), "text/html; charset=utf-8"
	if r.code != "" {
		contentType = "text/xml"
		body = fmt.Sprintf(
			"<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>%s</Code><Message>%s</Message></Error>",
			html.EscapeString(r.code), html.EscapeString(r.sentence))
	}
	if r.location != "" {
		h["Location"] = []string{r.location}
	}
	if r.close {
		h["Connection"] = []string{"close"}
	}
	h["Content-Type"] = []string{contentType}
	out := textReply(r.status, h, body)
	out.result, out.detail = resultError, r.detail
	if r.location != "" {
		out.result = resultRedirect
	}
	return out
}

// page returns the page that a viewer reads. It contains nothing of the request, only the id
// that the edge made.
func page(r *refusal, id string) string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">" +
		"<title>ERROR: The request could not be satisfied</title></head>\n<body>\n")
	fmt.Fprintf(&b, "<h1>%d %s</h1>\n<h2>The request could not be satisfied.</h2>\n<p>%s</p>\n", r.status,
		html.EscapeString(http.StatusText(r.status)), html.EscapeString(r.sentence))
	fmt.Fprintf(&b, "<p>Request ID: %s</p>\n</body></html>\n", html.EscapeString(id))
	return b.String()
}
