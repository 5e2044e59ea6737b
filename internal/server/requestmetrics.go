package server

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"watertight/internal/gateway/dispatch"
)

// requestMetrics counts requests by operation. Operations are the catalogue's and codes those of
// package fault, so nobody can make more series by asking for something.
type requestMetrics struct {
	requests, in, out, refused *prometheus.CounterVec
	took                       *prometheus.HistogramVec

	mu         sync.Mutex // held while an operation is added
	operations atomic.Pointer[map[operationName]*operationMetrics]
}

type operationName struct{ service, name string }

// operationMetrics are those of one operation, found once, so that a request needs no memory.
type operationMetrics struct {
	took    prometheus.Observer
	in, out prometheus.Counter
	usual   [usualStatuses]prometheus.Counter
}

const usualStatuses = 4

// usual returns the place of a status that most requests end with.
func usual(status int) (place int, ok bool) {
	switch status {
	case 200:
		return 0, true
	case 204:
		return 1, true
	case 206:
		return 2, true
	case 304:
		return 3, true
	}
	return 0, false
}

// unrecognized is the label of requests that are for no operation.
const unrecognized = "unrecognized"

func newRequestMetrics(registry *prometheus.Registry) *requestMetrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		registry.MustRegister(v)
		return v
	}
	m := &requestMetrics{
		requests: counter("watertight_requests_total",
			"Requests, by the operation of AWS and the status of the answer.", "service", "operation", "status"),
		in: counter("watertight_received_bytes_total", "Bytes of requests' bodies.", "service", "operation"),
		out: counter("watertight_sent_bytes_total", "Bytes of answers' bodies.", "service",
			"operation"),
		refused: counter("watertight_refusals_total", "Requests that were answered with an error, by its code.",
			"code"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "watertight_request_duration_seconds",
			Help: "Time from a request's headers to the end of its answer, bodies included.",
			Buckets: []float64{
				.00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30,
			},
		}, []string{"service", "operation"}),
	}
	registry.MustRegister(m.took)
	m.operations.Store(&map[operationName]*operationMetrics{})
	return m
}

// observe counts a request.
func (m *requestMetrics) observe(o *dispatch.Observation) {
	name := operationName{o.Service, o.Operation}
	if o.Operation == "" {
		name = operationName{unrecognized, unrecognized}
	}
	op := (*m.operations.Load())[name]
	if op == nil {
		op = m.add(name)
	}
	if i, ok := usual(o.Status); ok {
		op.usual[i].Inc()
	} else {
		m.requests.WithLabelValues(name.service, name.name, strconv.Itoa(o.Status)).Inc()
	}
	if o.Code != "" {
		m.refused.WithLabelValues(string(o.Code)).Inc()
	}
	op.took.Observe(o.Took.Seconds())
	op.in.Add(float64(o.In))
	op.out.Add(float64(o.Out))
}

// add makes the metrics of an operation that was not called before.
func (m *requestMetrics) add(name operationName) *operationMetrics {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := *m.operations.Load()
	if op := old[name]; op != nil {
		return op
	}
	op := &operationMetrics{
		took: m.took.WithLabelValues(name.service, name.name),
		in:   m.in.WithLabelValues(name.service, name.name), out: m.out.WithLabelValues(name.service, name.name),
	}
	for _, status := range []int{200, 204, 206, 304} {
		i, _ := usual(status)
		op.usual[i] = m.requests.WithLabelValues(name.service, name.name, strconv.Itoa(status))
	}
	all := make(map[operationName]*operationMetrics, len(old)+1)
	for k, v := range old {
		all[k] = v
	}
	all[name] = op
	m.operations.Store(&all)
	return op
}
