package dispatch

import (
	"net/http"

	"watertight/internal/fault"
	"watertight/internal/gateway/authn"
)

// InProcess says whose request ServeInProcess serves.
type InProcess struct {
	Bucket  string        // the bucket; the path of the request has only the key
	Service authn.Service // the service that makes the request
	// Signs means that the service is the caller. Otherwise the caller is whoever signed
	// the request, and nobody if it has no trace of a signature.
	Signs bool
	// Secure means that a request without Signs counts as sent over TLS.
	Secure bool
}

// signs reports whether the service is the caller; it may be nil.
func (i *InProcess) signs() bool { return i != nil && i.Signs }

// ServeInProcess serves a request to a bucket that a service of this server makes itself.
// It is decided and recorded like one from the network; only the caller is found in another
// way. The request has no connection: its TLS and RemoteAddr are not read. test/arch lists
// the packages that may call it.
func (d *Dispatcher) ServeInProcess(w http.ResponseWriter, hr *http.Request, in InProcess) {
	own := hr.WithContext(hr.Context())
	own.RemoteAddr, own.TLS = "", nil
	d.serve(w, own, &in)
}

// read gives a parsed request, or the error of parsing it, to the first service.
func (i *InProcess) read(x *exchange, err error) error {
	r := &x.request
	if err != nil {
		return err
	}
	if i.Bucket == "" {
		return fault.Of(fault.InvalidBucketName)
	}
	r.InProcess, r.Secure, r.Subdomain = true, i.Secure || i.Signs, i.Bucket
	x.service.take(r)
	return x.service.Read(r)
}

// errServiceForm is the error for a POST form that a service would send: a form is
// authenticated by its own fields.
func errServiceForm() error {
	return fault.New(fault.InvalidArgument,
		"Only one auth mechanism allowed; a POST form is authenticated by its fields alone").
		With("ArgumentName", "Authorization").With("ArgumentValue", "")
}
