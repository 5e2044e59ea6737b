package remote

import (
	"context"
	"encoding/json"
	"errors"
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
			s.Begin(ctx, e, nil).Follow(ctx)
			if !slices.Equal(e.all, c.want) {
				t.Errorf("told %q, want %q", e.all, c.want)
			}
		})
	}
}

// keeps is a Keeper that records its calls among those of the edge.
type keeps struct {
	edge   *told
	kept   *distribution.Snapshot
	broken bool
}

func (k *keeps) Load() *distribution.Snapshot { return k.kept }

func (k *keeps) Keep(s *distribution.Snapshot) error {
	k.kept = s
	if s == nil {
		k.edge.all = append(k.edge.all, "keep nothing")
	} else {
		k.edge.all = append(k.edge.all, fmt.Sprint("keep ", s.Generation))
	}
	if k.broken {
		return errors.New("the disk is broken")
	}
	return nil
}

// TestBegin: an edge that kept a snapshot asks its store before it serves that one. What it serves,
// it has kept before.
func TestBegin(t *testing.T) {
	const away = 1000 // more are statuses
	for _, c := range []struct {
		name       string
		kept, says uint64
		broken     bool
		want       []string
		confirms   string
	}{
		{"nothing kept", 0, 9, false, []string{"keep 9", "9"}, "9"},
		{"a change while it was down", 7, 9, false, []string{"keep 9", "9"}, "9"},
		{"no change", 9, 9, false, []string{"keep 9", "9"}, "9"},
		{"the store is away", 7, away + 503, false, []string{"7"}, "7"},
		{"the store was restored", 9, 5, false, []string{"clear", "keep nothing", "keep 5", "5"}, "5"},
		{"the store is new", 9, 0, false, []string{"clear", "keep nothing"}, "0"},
		{"removed", 9, away + 403, false, []string{"clear", "keep nothing"}, "0"},
		{"it can't be kept", 7, 9, true, []string{"keep 9", "9"}, "0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			confirmed, first := "", true
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !first {
					confirmed = r.FormValue("after")
					cancel()
				} else if first = false; c.says >= away {
					w.WriteHeader(int(c.says - away))
				} else {
					json.NewEncoder(w).Encode(&distribution.Snapshot{Generation: c.says})
				}
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
			e := &told{}
			k := &keeps{edge: e, broken: c.broken}
			if c.kept > 0 {
				k.kept = &distribution.Snapshot{Generation: c.kept}
			}
			s.Begin(ctx, e, k).Follow(ctx)
			if srv.Close(); !slices.Equal(e.all, c.want) || confirmed != c.confirms {
				t.Errorf("told %q, want %q; confirmed %s, want %s", e.all, c.want, confirmed, c.confirms)
			}
		})
	}
}
