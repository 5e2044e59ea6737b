package server

import (
	"strings"
	"testing"
	"time"
)

// TestAlarmSettings: contradicting settings of the alarm are refused.
func TestAlarmSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		want   string // in the error; "" for no error
	}{
		{"off", Config{}, ""},
		{"on", Config{AlarmWindow: time.Minute, AlarmDeletes: 1}, ""},
		{"without a window", Config{AlarmDeletes: 1}, "--alarm-window"},
		{"a window of a moment", Config{AlarmWindow: time.Millisecond, AlarmDeletes: 1}, "--alarm-window"},
		{"a negative limit", Config{AlarmWindow: time.Minute, AlarmKeyChanges: -1}, "negative"},
		{"freezing without a limit", Config{AlarmWindow: time.Minute, FreezeOnAlarm: true}, "--freeze-on-alarm"},
		{"freezing", Config{AlarmWindow: time.Minute, AlarmOverwrites: 1, FreezeOnAlarm: true}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.config.checkAlarm()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestWhereMetricsListen: the listener for metrics has neither TLS nor signatures, so its address has to
// name one interface.
func TestWhereMetricsListen(t *testing.T) {
	for address, allowed := range map[string]bool{
		"": true, "127.0.0.1:9100": true, "[::1]:9100": true, "localhost:9100": true, "10.0.0.7:9100": true,
		":9100": false, "0.0.0.0:9100": false, "[::]:9100": false, "127.0.0.1": false,
	} {
		t.Run(address, func(t *testing.T) {
			c := Config{MetricsListen: address}
			if err := c.checkMetrics(); (err == nil) != allowed {
				t.Errorf("%v", err)
			}
		})
	}
}
