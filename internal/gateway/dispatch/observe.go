package dispatch

import (
	"net/http"
	"time"

	"watertight/internal/fault"
)

// Observation is a request that has ended. Its texts are the program's: no text of the request
// is in it.
type Observation struct {
	Service, Operation string // of the catalogue; both are "" if no operation was recognized
	Status             int    // of HTTP
	Code               fault.Code
	Took               time.Duration
	In, Out            int64 // bytes of the bodies
}

// observe reports a request that has ended, if somebody wants to know.
func (d *Dispatcher) observe(x *exchange, w http.ResponseWriter, sent int64, f *fault.Error) {
	if d.options.Observe == nil {
		return
	}
	o := Observation{
		Service: x.operation.Service, Operation: x.operation.Name, Status: http.StatusOK, Took: time.Since(x.began),
		Out: max(sent, 0),
	}
	if x.record != nil {
		o.In = x.record.Event.BytesIn
	}
	if told, ok := w.(interface{ Status() int }); ok {
		o.Status = told.Status()
	} else if f != nil {
		o.Status = f.Kind.Status()
	}
	if f != nil {
		o.Code = f.Code
	}
	d.options.Observe(&o)
}
