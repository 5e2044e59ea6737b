package server

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"watertight/internal/core/payload"
	"watertight/internal/gateway/audit"
	"watertight/internal/limit"
	"watertight/internal/storage/kv/embedded"
	"watertight/internal/storage/space"
)

// The metrics below are read when somebody scrapes them, so that requests pay nothing for them.

// countStore adds the metrics of what the server stores and holds.
func (s *Server) countStore() {
	m, disk := s.metrics, s.disk
	m.countRecords(s.store)
	m.counter("watertight_fsyncs_total", "Times that files were made durable.", "files", "objects", s.payloads.Syncs)
	m.counter("watertight_fsyncs_total", "Times that files were made durable.", "files", "audit", s.auditSyncs.Load)
	m.hits("signing_keys", s.who.SigningKeys)
	m.countSegments(s.payloads)
	m.countAudit(s.trail)
	m.countMemory(s.memory)
	m.countConnections(s.door, s.config.MaxConnections)
	m.gauge("watertight_disk_free_bytes", "Free bytes of the data directory's disk.", "", "",
		func() float64 { return float64(disk.Left()) })
	m.gauge("watertight_disk_accepts_writes", "1 if the disk has room for writes.", "", "",
		func() float64 { return truth(disk.Room(0) == space.Ample) })
	m.gauge("watertight_anchor_behind_seconds", "How long the oldest change that is not anchored has waited.", "", "",
		func() float64 {
			behind, _ := s.anchor.Behind()
			return behind.Seconds()
		})
	for what, is := range map[string]func(ctx context.Context) bool{
		"reads":    func(ctx context.Context) bool { return s.health(ctx).Reads },
		"writes":   func(ctx context.Context) bool { return s.health(ctx).Writes },
		"root_key": func(context.Context) bool { return !s.sourceLost.Load() },
		"keyring":  func(context.Context) bool { return !s.ringLost.Load() },
	} {
		m.gauge("watertight_healthy", "1 if this works: reads, writes, the root key's source, the keyring's file.",
			"what", what, func() float64 {
				ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
				defer cancel()
				return truth(is(ctx))
			})
	}
}

// countRecords adds the metrics of the store of records.
func (m *metrics) countRecords(store any) {
	metered, ok := store.(embedded.Metered)
	if !ok {
		return
	}
	for _, c := range []struct {
		name, help string
		value      func(embedded.Stats) uint64
	}{
		{"watertight_commits_total", "Transactions that wrote.", func(s embedded.Stats) uint64 { return s.Commits }},
		{
			"watertight_commit_groups_total", "Groups of transactions that were made durable together.",
			func(s embedded.Stats) uint64 { return s.Groups },
		},
		{
			"watertight_commit_conflicts_total", "Transactions that had to be run again because of another one.",
			func(s embedded.Stats) uint64 { return s.Conflicts },
		},
		{
			"watertight_store_delayed_writes_total", "Writes that were slowed down because the disk is behind.",
			func(s embedded.Stats) uint64 { return s.Delayed },
		},
		{
			"watertight_store_refused_writes_total", "Writes refused with SlowDown because the disk is behind.",
			func(s embedded.Stats) uint64 { return s.Refused },
		},
	} {
		m.counter(c.name, c.help, "", "", func() uint64 { return c.value(metered.Stats()) })
	}
	m.counter("watertight_fsyncs_total", "Times that files were made durable.", "files", "records",
		func() uint64 { return metered.Stats().Syncs })
	m.gauge("watertight_store_pressure",
		"How much writes are slowed down because the disk is behind: 0 is not at all, from 1 on they wait.", "", "",
		func() float64 { return metered.Stats().Pressure })
	m.hits("records", func() limit.Count { return metered.Stats().Opened })
}

// countSegments adds the room that segments take.
func (m *metrics) countSegments(payloads *payload.Store) {
	for _, g := range []struct {
		name, help string
		value      func(payload.Segments) float64
	}{
		{
			"watertight_segments", "Files that objects share.",
			func(s payload.Segments) float64 { return float64(s.Segments) },
		},
		{"watertight_segment_bytes", "Their size.", func(s payload.Segments) float64 { return float64(s.Bytes) }},
		{
			"watertight_segment_dead_bytes", "Of it, what no object needs; compaction gives it back.",
			func(s payload.Segments) float64 { return float64(s.Dead) },
		},
	} {
		m.gauge(g.name, g.help, "", "", func() float64 { return g.value(payloads.Segments()) })
	}
	m.counter("watertight_segment_moved_bytes_total", "Bytes that compaction copied into other segments.", "", "",
		func() uint64 { return payloads.Segments().MovedBytes })
	m.counter("watertight_segments_removed_total", "Segments that compaction removed.", "", "",
		func() uint64 { return payloads.Segments().Removed })
}

// countAudit adds how far the audit log is behind.
func (m *metrics) countAudit(trail *audit.Log) {
	m.gauge("watertight_audit_waiting_events", "Events that are not written to the audit log yet.", "", "",
		func() float64 { return float64(trail.Stats().Waiting) })
	m.gauge("watertight_audit_waiting_bytes", "Bytes of them in memory.", "", "",
		func() float64 { return float64(trail.Stats().Bytes) })
	m.gauge("watertight_audit_capacity_bytes", "Bytes that may wait; beyond it, reads are refused.", "", "",
		func() float64 { return float64(trail.Stats().Capacity) })
	m.gauge("watertight_audit_write_seconds", "How long the current write to the audit log takes.", "", "",
		func() float64 { return trail.Stats().Writing.Seconds() })
	m.gauge("watertight_audit_lost_events", "Events without room that the log will only count.", "", "",
		func() float64 { return float64(trail.Stats().Lost) })
	m.gauge("watertight_audit_failing", "1 if the audit log can't be written.", "", "",
		func() float64 { return truth(trail.Stats().Failing) })
}

// countMemory adds the budgets of memory: of strangers, of callers and of root users.
func (m *metrics) countMemory(memory *limit.Memory) {
	for c, name := range map[limit.Class]string{
		limit.Stranger: "strangers", limit.Caller: "callers", limit.Root: "root",
	} {
		m.gauge("watertight_document_memory_bytes", "Memory that documents of requests hold, by who sends them.",
			"who", name, func() float64 { return float64(memory.Use(c).Held) })
		m.gauge("watertight_document_memory_limit_bytes", "How much of it they may hold.", "who", name,
			func() float64 { return float64(memory.Use(c).Most) })
		m.counter("watertight_document_memory_refusals_total", "Requests that found no room in it.", "who", name,
			func() uint64 { return memory.Use(c).Refused })
	}
}

// countConnections adds connections by what is known about their senders.
func (m *metrics) countConnections(d *door, most int) {
	for p, name := range phaseNames() {
		m.gauge("watertight_connections", "Connections, by what is known about their senders.", "phase", name,
			func() float64 {
				now, _ := d.count(phase(p))
				return float64(now)
			})
		m.counter("watertight_connections_displaced_total", "Connections that were closed because others came.",
			"phase", name, func() uint64 {
				_, displaced := d.count(phase(p))
				return displaced
			})
	}
	m.gauge("watertight_connections_parked", "Connections that wait for a request and take little memory.", "", "",
		func() float64 { return float64(d.parked.Load()) })
	m.counter("watertight_connections_parkings_total", "How often a connection was parked.", "", "", d.parkings.Load)
	m.gauge("watertight_connections_limit", "Connections that are served at once.", "", "",
		func() float64 { return float64(most) })
}

// phaseNames are the phases' names in labels.
func phaseNames() [phases]string {
	return [phases]string{
		idleStranger: "idle_stranger", longHeader: "long_header", newStranger: "new_stranger",
		bodyStranger: "body_of_stranger", servedStranger: "served_stranger", idleCaller: "idle_caller",
		comingCaller: "coming_caller", activeCaller: "active_caller", activeRoot: "active_root",
	}
}

// hits adds how many reads a cache answered, and how many it did not.
func (m *metrics) hits(cache string, count func() limit.Count) {
	m.counter("watertight_cache_hits_total", "Values that a cache had.", "cache", cache,
		func() uint64 { return count().Hits })
	m.counter("watertight_cache_misses_total", "Values that a cache did not have.", "cache", cache,
		func() uint64 { return count().Misses })
}

// counter adds a counter that is read when somebody scrapes, with one label, or none if it is "".
func (m *metrics) counter(name, help, label, value string, count func() uint64) {
	m.registry.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: name, Help: help, ConstLabels: labelled(label, value),
	}, func() float64 { return float64(count()) }))
}

// gauge is like counter, for values that can also decrease.
func (m *metrics) gauge(name, help, label, value string, now func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: name, Help: help, ConstLabels: labelled(label, value),
	}, now))
}

func labelled(label, value string) prometheus.Labels {
	if label == "" {
		return nil
	}
	return prometheus.Labels{label: value}
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
