package remote

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"watertight/internal/core/distribution"
)

// told records the calls that an edge gets.
type told struct {
	all  []string
	last func()
}

func (e *told) Clear() { e.all = append(e.all, "clear") }

func (e *told) Apply(_ context.Context, s *distribution.Snapshot) error {
	e.all = append(e.all, fmt.Sprint(s.Generation))
	if s.Generation == 100 {
		e.last()
	}
	return nil
}

// TestFollow: an edge starts again from nothing when its store was restored, or refuses its
// credential.
func TestFollow(t *testing.T) {
	const refused = 0
	for _, c := range []struct {
		name    string
		answers []uint64 // generations
		want    []string
	}{
		{"a change", []uint64{8, 9, 9, 100}, []string{"8", "9", "100"}},
		{"restored", []uint64{9, 5, 6, 100}, []string{"9", "clear", "5", "6", "100"}},
		{"removed", []uint64{9, refused, 3, 100}, []string{"9", "clear", "3", "100"}},
		{"removed and as before", []uint64{9, refused, 9, 100}, []string{"9", "clear", "9", "100"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			next := 0
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				n := c.answers[min(next, len(c.answers)-1)]
				if next++; n == refused {
					w.WriteHeader(http.StatusForbidden)
					return
				}
				json.NewEncoder(w).Encode(&distribution.Snapshot{Generation: n})
			}))
			defer srv.Close()
			s, err := Open(Options{
				Address: srv.URL, Credential: Credential{AccessKeyID: "A", SecretAccessKey: "s", Region: "us-east-1"},
				Now: time.Now, Logger: slog.New(slog.DiscardHandler),
			})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			ctx, cancel := context.WithCancel(t.Context())
			e := &told{last: cancel}
			s.Follow(ctx, e)
			if !slices.Equal(e.all, c.want) {
				t.Errorf("told %q, want %q", e.all, c.want)
			}
		})
	}
}
