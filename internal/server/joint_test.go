package server

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"watertight/internal/limit"
)

// A viewer gets the bytes that the handler wrote, however net/http cuts them into writes.
func TestResponsesAreWhole(t *testing.T) {
	all := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	for _, secure := range []bool{false, true} {
		for _, pieces := range [][]int{
			nil, {0}, {1}, {2047}, {2048}, {2049}, {3000}, {3900}, {4095}, {4096}, {4097}, {10 << 10}, {100 << 10},
			{10, 10 << 10}, {5000, 5000}, {4096, 4096, 1}, {1, 1, 70_000, 1},
		} {
			for _, length := range []bool{true, false} {
				t.Run(fmt.Sprint(secure, pieces, length), func(t *testing.T) {
					total := 0
					for _, n := range pieces {
						total += n
					}
					get := served(t, secure, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
						if length {
							w.Header().Set("Content-Length", strconv.Itoa(total))
						}
						at := 0
						for _, n := range pieces {
							if _, err := w.Write(all[at : at+n]); err != nil {
								t.Error(err)
							}
							at += n
						}
					}))
					for range 3 { // on one connection
						if got := get(); !bytes.Equal(got, all[:total]) {
							t.Fatalf("%d bytes of %d came, or others", len(got), total)
						}
					}
				})
			}
		}
	}
}

// served serves a handler behind the door and the guard. get returns the body of a response.
func served(t *testing.T, secure bool, h http.Handler) (get func() []byte) {
	t.Helper()
	s := httptest.NewUnstartedServer(guard{
		next: h, log: slog.New(slog.DiscardHandler), stall: time.Minute, memory: limit.NewMemory(1 << 20),
		fail: brokenPage,
	})
	s.Listener = listener{s.Listener, newDoor(16), nil, nil}
	s.Config.ConnContext = withGuest
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(s.Close)
	return func() []byte {
		resp, err := s.Client().Get(s.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}
