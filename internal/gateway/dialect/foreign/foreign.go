// Package foreign answers requests for services that this server does not have. Clients
// often use one endpoint for all of AWS. The answer names the service, in the dialect of
// its clients. It is sent before the signature is verified, because S3 would refuse the
// signature or a header, and so hide the real cause. It must never know a service that has
// a table.
package foreign

import (
	"errors"
	"net/http"
	"strings"

	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/json"
	"watertight/internal/gateway/dialect/query"
	"watertight/internal/gateway/dialect/xmldoc"
	"watertight/internal/gateway/protocol"
	"watertight/internal/gateway/sigv4"
)

// Named returns the service of a request whose credential scope names no service of this
// server, or "". The scope alone is not enough: a request that looks like one for S3 is
// treated as one with a wrong scope.
func Named(r *protocol.Request) string {
	scope := r.Scope()
	if !isServiceName(scope) {
		return ""
	}
	h := r.HTTP.Header
	_, action := r.Param("Action")
	switch {
	case len(h["X-Amz-Target"]) > 0, len(h["Smithy-Protocol"]) > 0, r.RawPath == "/" && action:
		return scope
	case query.IsForm(r):
		return scope
	case strings.HasPrefix(h.Get("Content-Type"), "application/x-amz-json-"):
		return scope
	case isREST(scope):
		return scope
	}
	return ""
}

func isServiceName(s string) bool {
	for i := range len(s) {
		if c := s[i]; ('a' > c || c > 'z') && ('0' > c || c > '9') && c != '-' {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// isREST reports whether the operations of a service, by its name in credential scopes, are
// found by path.
func isREST(service string) bool {
	switch service {
	case "access-analyzer", "account", "apigateway", "appconfig", "aoss", "backup", "batch", "bedrock",
		"detective", "drs", "eks",
		"elasticfilesystem", "es", "glacier", "grafana", "guardduty", "inspector2", "iot", "kafka", "lambda", "macie2",
		"mq", "ram", "resource-explorer-2",
		"resource-groups", "rolesanywhere", "route53", "s3-outposts", "s3express", "s3files", "s3tables", "s3vectors",
		"scheduler", "schemas",
		"securityhub", "securitylake", "ses", "signer", "vpc-lattice", "wellarchitected", "xray":
		return true
	}
	return false
}

// Dialect is the dialect of every service that this server does not have. It has no operations.
type Dialect struct{}

// Recognizes implements dialect.Dialect: Named finds these services.
func (Dialect) Recognizes(*protocol.Request) bool { return false }

// Read implements dialect.Dialect.
func (Dialect) Read(*protocol.Request) error { return nil }

// Match implements dialect.Dialect: it always refuses.
func (Dialect) Match(r *protocol.Request) (int, error) {
	return 0, fault.New(fault.NotImplemented, "The service "+r.Service.Name+" is not implemented here.")
}

// Streams implements dialect.Dialect.
func (Dialect) Streams(int) bool { return false }

// Decode implements dialect.Dialect. It is never called, because Match always refuses.
func (Dialect) Decode(int, *protocol.Request, sigv4.Body, any) error { return errNoOperation }

// Encode implements dialect.Dialect. It is never called, because Match always refuses.
func (Dialect) Encode(int, http.ResponseWriter, *protocol.Request, any) (int64, error) {
	return 0, errNoOperation
}

var errNoOperation = errors.New("foreign: a service that is not here has no operations")

// WriteError implements dialect.Dialect: JSON, or XML in the form of EC2 or of
// other services.
func (Dialect) WriteError(w http.ResponseWriter, r *protocol.Request, f *fault.Error) {
	_, action := r.Param("Action")
	isForm := action || strings.HasPrefix(r.HTTP.Header.Get("Content-Type"), "application/x-www-form-urlencoded")
	status := f.Kind.Status()
	switch name := r.Service.Name; {
	case name == "ec2":
		b := []byte(xmldoc.Declaration + "<Response><Errors><Error>")
		b = xmldoc.AppendMember(xmldoc.AppendMember(b, "Code", string(f.Code)), "Message", f.Message)
		b = append(xmldoc.AppendMember(append(b, "</Error></Errors>"...), "RequestID", r.ID), "</Response>"...)
		protocol.WritePage(w, status, "text/xml", b)
	case isForm, name == "route53":
		query.WriteError(w, r, "", f)
	default:
		w.Header()["x-amzn-ErrorType"] = []string{string(f.Code)}
		json.WriteError(w, f)
	}
}
