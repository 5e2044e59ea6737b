package protocol

import (
	"net/http"
	"strconv"
	"strings"
)

// Sharing has the CORS headers of a response to a script of another origin. They let the
// script read what its user could fetch anyway; they grant no access.
type Sharing struct {
	Any     bool // scripts of any origin may read it, without credentials
	Methods []string
	Expose  []string
	MaxAge  *int32 // seconds
}

// CrossOrigin returns the origin of a request, the method and, for a preflight, the headers
// that the actual request will have. The origin is "" if the request comes from no other
// origin.
func (r *Request) CrossOrigin() (origin, method string, headers []string) {
	h := r.HTTP.Header
	if len(h["Origin"]) != 1 {
		return "", "", nil
	}
	if r.HTTP.Method != http.MethodOptions {
		return h["Origin"][0], r.HTTP.Method, nil
	}
	for name := range strings.SplitSeq(strings.Join(h["Access-Control-Request-Headers"], ","), ",") {
		if name = strings.TrimSpace(name); name != "" {
			headers = append(headers, name)
		}
	}
	return h["Origin"][0], h.Get("Access-Control-Request-Method"), headers
}

// Write sets the headers (Fetch standard, 3.3; S3 user guide, "Using CORS"). origin and
// asked are the results of CrossOrigin.
func (s *Sharing) Write(h http.Header, origin string, asked []string) {
	if s.Any {
		h.Set("Access-Control-Allow-Origin", "*")
	} else {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
	h.Set("Access-Control-Allow-Methods", strings.Join(s.Methods, ", "))
	if len(asked) > 0 {
		h.Set("Access-Control-Allow-Headers", strings.ToLower(strings.Join(asked, ", ")))
	}
	if len(s.Expose) > 0 {
		h.Set("Access-Control-Expose-Headers", strings.Join(s.Expose, ", "))
	}
	if s.MaxAge != nil {
		h.Set("Access-Control-Max-Age", strconv.Itoa(int(*s.MaxAge)))
	}
	h.Set("Vary", "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
}
