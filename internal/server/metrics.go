package server

import (
	"context"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"watertight/internal/core/alarm"
	"watertight/internal/core/bucket"
	"watertight/internal/gateway/dispatch"
)

// metricsPath is the only path that the listener for metrics answers.
const metricsPath = "/metrics"

const (
	// maxScrapers is how many connections for metrics are served at once.
	maxScrapers    = 16
	metricsTimeout = 10 * time.Second
)

// metrics are the server's metrics. The values of labels are known to the program and never
// come from requests: no bucket, no key, no principal. So their number is bounded, and
// metrics disclose no user's data.
type metrics struct {
	registry *prometheus.Registry
	alarms   *prometheus.CounterVec // by kind
	requests *requestMetrics

	swept, sweepFailures prometheus.Counter
	lastSweep            prometheus.Gauge
}

// newMetrics returns the metrics. frozen counts the frozen principals.
func newMetrics(frozen func(context.Context) (int, error)) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		alarms: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "watertight_ransom_alarms_total",
			Help: "Alarms about a principal whose changes in a bucket look like ransomware, by what went over its limit.",
		}, []string{"kind"}),
	}
	m.requests = newRequestMetrics(m.registry)
	m.swept = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "watertight_swept_total", Help: "What sweeps removed or moved: orphans, parts, uploads, sessions.",
	})
	m.sweepFailures = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "watertight_sweep_failures_total", Help: "Sweeps that failed.",
	})
	m.lastSweep = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "watertight_last_sweep_timestamp_seconds", Help: "When the last round of sweeps ended.",
	})
	for k := range alarm.Kinds {
		m.alarms.WithLabelValues(k.String())
	}
	m.registry.MustRegister(
		m.alarms, m.swept, m.sweepFailures, m.lastSweep,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "watertight_frozen_principals",
			Help: "Principals that may change nothing in a bucket until the operator lifts the freeze, by bucket.",
		}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
			defer cancel()
			n, err := frozen(ctx)
			if err != nil {
				return math.NaN()
			}
			return float64(n)
		}),
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// newEdgeMetrics returns the metrics of a process that is an edge alone.
func newEdgeMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return m
}

// sweep counts the result of a sweep.
func (m *metrics) sweep(n int, failed bool) {
	m.swept.Add(float64(n))
	if failed {
		m.sweepFailures.Inc()
	}
}

// countFrozen counts the frozen principals of all buckets.
func (s *Server) countFrozen(ctx context.Context) (int, error) {
	all, err := bucket.NewOperator(s.buckets).Freezes(ctx, "")
	return len(all), err
}

// checkMetrics refuses an address for metrics that does not name an interface: the
// listener has neither TLS nor signatures.
func (c *Config) checkMetrics() error {
	if c.MetricsListen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(c.MetricsListen)
	if err != nil {
		return fmt.Errorf("--metrics-listen %s: %w", c.MetricsListen, err)
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		return fmt.Errorf("--metrics-listen %s would answer on every address of this machine, without TLS and without "+
			"signatures: name a loopback address, or the address of the network that reads the metrics",
			c.MetricsListen)
	}
	return nil
}

// observer returns the function that counts requests, nil without a listener for metrics.
func (s *Server) observer() func(*dispatch.Observation) {
	if s.config.MetricsListen == "" {
		return nil
	}
	return s.metrics.requests.observe
}

// listenMetrics binds the listener for metrics, if one is configured.
func (s *Server) listenMetrics(ctx context.Context) error {
	if err := s.bindMetrics(ctx); err != nil || s.scrapes == nil {
		return err
	}
	s.countStore()
	return nil
}

func (s *Server) bindMetrics(ctx context.Context) error {
	if s.config.MetricsListen == "" {
		return nil
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", s.config.MetricsListen)
	if err != nil {
		return fmt.Errorf("listening on %s for metrics: %w; is another server running there?", s.config.MetricsListen,
			err)
	}
	s.scrapes = l
	return nil
}

// MetricsAddr returns the address of the listener for metrics, or "" if there is none.
func (s *Server) MetricsAddr() string {
	if s.scrapes == nil {
		return ""
	}
	return s.scrapes.Addr().String()
}

// serveMetrics answers scrapes until the server is shut down.
func (s *Server) serveMetrics() (h *http.Server, serve func() error) {
	m := http.NewServeMux()
	m.Handle("GET "+metricsPath, promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: maxScrapers, Timeout: metricsTimeout, ErrorLog: s.httpLog(),
	}))
	h = &http.Server{
		Handler: localNames(s.MetricsAddr(), m), ReadHeaderTimeout: probeTimeout, ReadTimeout: probeTimeout,
		WriteTimeout: 2 * metricsTimeout, IdleTimeout: time.Minute, MaxHeaderBytes: 4 << 10, ErrorLog: s.httpLog(),
	}
	return h, func() error { return h.Serve(netutil.LimitListener(s.scrapes, maxScrapers)) }
}
