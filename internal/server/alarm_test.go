package server

import (
	"net/http"
	"net/http/httptest"
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

// TestLocalNames: on a loopback address, a page under another name reads nothing.
func TestLocalNames(t *testing.T) {
	for _, c := range []struct {
		listen, host string
		answered     bool
	}{
		{"127.0.0.1:9100", "127.0.0.1:9100", true}, {"127.0.0.1:9100", "localhost:9100", true},
		{"[::1]:9100", "[::1]:9100", true}, {"[::1]:9100", "[::1]", true}, {"127.0.0.1:9100", "localhost", true},
		{"127.0.0.1:9100", "rebound.example:9100", false}, {"127.0.0.1:9100", "rebound.example", false},
		{"127.0.0.1:9100", "localhost.rebound.example:9100", false}, {"127.0.0.1:9100", "", false},
		{"[::1]:9100", "rebound.example:9100", false}, {"10.0.0.7:9100", "node7:9100", true},
	} {
		t.Run(c.listen+" "+c.host, func(t *testing.T) {
			ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
			r, w := httptest.NewRequest("GET", "/metrics", nil), httptest.NewRecorder()
			r.Host = c.host
			localNames(c.listen, ok).ServeHTTP(w, r)
			if (w.Code == http.StatusOK) != c.answered {
				t.Errorf("status %d", w.Code)
			}
		})
	}
}
