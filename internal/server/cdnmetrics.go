package server

import (
	"github.com/prometheus/client_golang/prometheus"

	"watertight/internal/edge"
)

// countCDN adds the metrics of the CDN. No label names a distribution, because users decide
// how many there are.
func (m *metrics) countCDN(c *cdnEdge) {
	counts := c.edge.Counts()
	counter := func(name, help string, value func() uint64) {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	gauge := func(name, help string, value func() int64) {
		m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help},
			func() float64 { return float64(value()) }))
	}
	for i, name := range edge.ResultNames() {
		m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "watertight_cdn_requests_total", Help: "Requests of viewers to the CDN, by the result in X-Cache.",
			ConstLabels: prometheus.Labels{"result": name},
		}, func() float64 { return float64(counts.Results[i].Load()) }))
	}
	counter("watertight_cdn_sent_bytes_total", "Bytes of bodies that the CDN sent to viewers.", counts.SentBytes.Load)
	counter("watertight_cdn_origin_requests_total", "Requests of the CDN to origins.", counts.OriginAsked.Load)
	counter("watertight_cdn_origin_failures_total", "Requests of the CDN to origins that gave no usable answer.",
		counts.OriginFailed.Load)
	counter("watertight_cdn_log_lines_dropped_total",
		"Lines of the CDN's access logs that were dropped because too many waited for delivery.", c.logs.Dropped)
	gauge("watertight_cdn_distributions", "Distributions that the CDN serves.", counts.Distributions.Load)
	gauge("watertight_cdn_cache_bytes", "Bytes that the CDN's cache holds.",
		func() int64 { return c.cache.Stats().Bytes })
	gauge("watertight_cdn_cache_entries", "Responses that the CDN's cache holds.",
		func() int64 { return int64(c.cache.Stats().Entries) })
}
