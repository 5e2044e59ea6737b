package load

import (
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
)

// echo answers by what the path says.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("ETag", `"tag"`)
	switch r.URL.Path {
	case "/length":
		w.Header().Set("X-Body", strconv.Itoa(len(body)))
		w.Write(make([]byte, 1000))
	case "/chunked":
		for range 100 {
			w.Write(make([]byte, 1000))
			w.(http.Flusher).Flush()
		}
	case "/none":
		w.WriteHeader(http.StatusNoContent)
	case "/close":
		w.Header().Set("Connection", "close")
	case "/refused":
		http.Error(w, "AccessDenied", http.StatusForbidden)
	case "/echo":
		w.Write(body)
	}
}

// TestAnswers: one connection serves all kinds of answers, one after the other.
func TestAnswers(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(echo))
	defer s.Close()
	c := NewClient(Target{Address: strings.TrimPrefix(s.URL, "http://")})
	defer c.Close()
	big := make([]byte, 1<<20)
	var kept []byte
	for _, test := range []struct {
		name   string
		r      Request
		length int64
		fails  string
	}{
		{"length", Request{Method: "GET", Path: "/length", Want: 1000}, 1000, ""},
		{"chunked", Request{Method: "GET", Path: "/chunked", Want: 100000}, 100000, ""},
		{"HEAD", Request{Method: "HEAD", Path: "/length"}, 0, ""},
		{"no content", Request{Method: "DELETE", Path: "/none"}, 0, ""},
		{"small body", Request{Method: "PUT", Path: "/echo", Payload: NewPayload(big[:100]), Want: 100}, 100, ""},
		{"large body", Request{Method: "PUT", Path: "/echo", Payload: NewPayload(big), Want: 1 << 20}, 1 << 20, ""},
		{"kept", Request{Method: "PUT", Path: "/echo", Payload: NewPayload([]byte("kept")), Keep: &kept}, 4, ""},
		{"closes", Request{Method: "GET", Path: "/close"}, 0, ""},
		{"after it", Request{Method: "GET", Path: "/length"}, 1000, ""},
		{"another length", Request{Method: "GET", Path: "/length", Want: 999}, 0, "1000 bytes, want 999"},
		{"refused", Request{Method: "GET", Path: "/refused"}, 0, "status 403: AccessDenied"},
		{"after a refusal", Request{Method: "GET", Path: "/length"}, 1000, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			a, err := c.Do(&test.r)
			switch {
			case test.fails != "":
				if err == nil || !strings.Contains(err.Error(), test.fails) {
					t.Errorf("%v, want %q", err, test.fails)
				}
			case err != nil:
				t.Error(err)
			case a.Length != test.length:
				t.Errorf("%d bytes, want %d", a.Length, test.length)
			case test.r.Payload != nil && a.ETag != `"tag"`:
				t.Errorf("ETag %q", a.ETag)
			}
		})
	}
	if string(kept) != "kept" {
		t.Errorf("kept %q", kept)
	}
}

// TestRedial: a connection that the server closed after an answer is opened again, and counted.
func TestRedial(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(echo))
	defer s.Close()
	c := NewClient(Target{Address: strings.TrimPrefix(s.URL, "http://")})
	defer c.Close()
	for range 2 {
		if _, err := c.Do(&Request{Method: "GET", Path: "/length"}); err != nil {
			t.Fatal(err)
		}
		s.CloseClientConnections()
	}
	if c.Redial != 1 {
		t.Errorf("dialled again %d times, want once", c.Redial)
	}
}

func TestQuantile(t *testing.T) {
	hundred := func() (s Sample) {
		for i := 100; i > 0; i-- {
			s.Took = append(s.Took, time.Duration(i))
		}
		return s
	}
	for _, test := range []struct {
		name string
		s    Sample
		q    float64
		want time.Duration
	}{
		{"none", Sample{}, .5, 0},
		{"one", Sample{Took: []time.Duration{7}}, .99, 7},
		{"median", hundred(), .5, 50},
		{"p99", hundred(), .99, 99},
		{"all", hundred(), 1, 100},
		{"least", hundred(), 0, 1},
		{"two", Sample{Took: []time.Duration{9, 3}}, .5, 3},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := test.s.Quantile(test.q); got != test.want {
				t.Errorf("%d, want %d", got, test.want)
			}
		})
	}
}

// TestRate: clients that end early don't wait for the others.
func TestRate(t *testing.T) {
	s := Sample{Took: make([]time.Duration, 30), Busy: time.Second}
	s.Add(Sample{Took: make([]time.Duration, 10), Busy: 3 * time.Second})
	if got := s.Rate(2); got != 20 {
		t.Errorf("%v operations a second, want 20", got)
	}
}

// TestTurn: each number is used once, and the next turn goes on where this one ended.
func TestTurn(t *testing.T) {
	clients := []*Client{{}, {}, {}}
	seen := make(chan int, 100)
	op := func(_ *Client, n int) error {
		seen <- n
		return nil
	}
	s, next, err := Turn(clients, time.Hour, 10, 30, op)
	if err != nil || next != 30 || len(s.Took) != 20 {
		t.Fatalf("%d operations, next %d, %v", len(s.Took), next, err)
	}
	sum := 0
	for range 20 {
		sum += <-seen
	}
	if sum != 390 {
		t.Errorf("the sum of the numbers is %d, want 390", sum)
	}
	s, next, err = Turn(clients, 0, 30, math.MaxInt, op)
	if err != nil || len(s.Took) != 3 || next != 33 {
		t.Errorf("a turn without time: %d operations, next %d, %v; want one of each client", len(s.Took), next, err)
	}
	failed := errors.New("refused")
	if _, _, err := Turn(clients, time.Hour, 0, 30, func(*Client, int) error { return failed }); err != failed {
		t.Errorf("%v, want %v", err, failed)
	}
}
