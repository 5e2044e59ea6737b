package protocol

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"

	"watertight/internal/fault"
)

// Clients of a whole cloud point everything they have at one endpoint. A
// request for a service that is not here is answered with its name, in its
// client's dialect, whoever sent it: verified as S3's it would be told that its
// signature or its headers are wrong, which sends its user looking for the
// wrong fault.

// foreign returns the service of a request that is for none of those here, or
// "". A credential scope alone does not tell: a request that looks like one for
// S3 stays one, whose scope is wrong.
func (r *Request) foreign() string {
	scope := r.scope()
	if here(scope) || !isServiceName(scope) {
		return ""
	}
	h := r.HTTP.Header
	_, action := r.Param("Action")
	switch {
	case len(h["X-Amz-Target"]) > 0, len(h["Smithy-Protocol"]) > 0, r.RawPath == "/" && action:
		return scope
	case r.RawPath == "/" && r.HTTP.Method == http.MethodPost && r.isForm():
		return scope
	case strings.HasPrefix(h.Get("Content-Type"), "application/x-amz-json-"):
		return scope
	case isREST(scope):
		return scope
	}
	return ""
}

// here reports a service whose words this endpoint knows.
func here(service string) bool {
	_, query := queryService(service)
	return query || service == "s3" || service == Control
}

func isServiceName(s string) bool {
	for i := range len(s) {
		if c := s[i]; ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// isREST names services whose requests have paths of their own, by the name in
// the credential scope.
func isREST(service string) bool {
	switch service {
	case "access-analyzer", "account", "apigateway", "appconfig", "aoss", "backup", "batch", "bedrock", "cloudfront", "detective", "drs", "eks",
		"elasticfilesystem", "es", "glacier", "grafana", "guardduty", "inspector2", "iot", "kafka", "lambda", "macie2", "mq", "ram", "resource-explorer-2",
		"resource-groups", "rolesanywhere", "route53", "s3-outposts", "s3express", "s3files", "s3tables", "s3vectors", "scheduler", "schemas",
		"securityhub", "securitylake", "ses", "signer", "vpc-lattice", "wellarchitected", "xray":
		return true
	}
	return false
}

// NoService is the answer to a request for a service that is not here.
func (r *Request) NoService() *fault.Error {
	return fault.New(fault.NotImplemented, "The service "+r.Service+" is not implemented here.")
}

// writeForeignError writes an error in the dialect of a service that is not
// here: JSON, or XML as EC2 or as everybody else writes it.
func writeForeignError(w http.ResponseWriter, r *Request, f *fault.Error) {
	header := r.HTTP.Header
	_, action := r.Param("Action")
	kind := header.Get("Content-Type")
	isForm := action || strings.HasPrefix(kind, "application/x-www-form-urlencoded")
	var b []byte
	switch {
	case r.Service == "ec2":
		b = append(b, `<?xml version="1.0" encoding="UTF-8"?>`+"\n<Response><Errors><Error>"...)
		b = appendMember(appendMember(b, "Code", string(f.Code)), "Message", f.Message)
		b = append(appendMember(append(b, "</Error></Errors>"...), "RequestID", r.ID), "</Response>"...)
		kind = "text/xml"
	case isForm, r.Service == "cloudfront", r.Service == "route53":
		writeQueryError(w, r, queryAPI{}, f)
		return
	default:
		b, _ = json.Marshal(map[string]string{"__type": string(f.Code), "message": f.Message}) // two texts always have a form
		kind = "application/x-amz-json-1.1"
		w.Header()["x-amzn-ErrorType"] = []string{string(f.Code)}
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(b)))
	w.WriteHeader(f.Kind.Status())
	w.Write(b) // a client that is gone needs no answer
}
