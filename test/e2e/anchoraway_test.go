package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// anchorPlace is a place of anchors that can be away.
type anchorPlace struct {
	name string
	env  func(string) string
	away func(bool)
	// kept returns everything that lies there.
	kept func() string
}

// anchorPlaces returns a file and another store, each with its name.
func anchorPlaces(t *testing.T) map[string]func(*testing.T) anchorPlace {
	return map[string]func(*testing.T) anchorPlace{
		"a file": func(t *testing.T) anchorPlace {
			disk := filepath.Join(t.TempDir(), "disk")
			if err := os.Mkdir(disk, 0o700); err != nil {
				t.Fatal(err)
			}
			name := filepath.Join(disk, "anchor")
			return anchorPlace{name: name, away: func(away bool) {
				from, to := disk+"-away", disk
				if away {
					from, to = to, from
				}
				if err := os.Rename(from, to); err != nil {
					t.Fatal(err)
				}
			}, kept: func() string {
				b, err := os.ReadFile(name)
				if err != nil {
					t.Fatal(err)
				}
				return string(b)
			}}
		},
		"another store": func(t *testing.T) anchorPlace {
			other, env, _ := anchorStore(t)
			to, err := url.Parse(other.Endpoint)
			if err != nil {
				t.Fatal(err)
			}
			var away atomic.Bool
			forward := httputil.NewSingleHostReverseProxy(to)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if away.Load() {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			return anchorPlace{
				name: "s3://anchors/store/?endpoint=" + front.URL + "&mode=COMPLIANCE&retain=24h", env: env,
				away: away.Store,
				kept: func() string {
					bucket := "anchors"
					all, err := other.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket})
					if err != nil {
						t.Fatal(err)
					}
					text := ""
					for _, v := range all.Versions {
						text += fmt.Sprintln(*v.Key, *v.VersionId)
					}
					return text
				},
			}
		},
	}
}

// await fails the test if something is not so within a minute.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it never happens: ", what)
		}
	}
}

func anchorBehind(t *testing.T, s *harness.Server) bool {
	t.Helper()
	h, err := operator.Dial(s.Data).Health(t.Context())
	if err != nil || h.Anchor == nil {
		t.Fatalf("%+v, %v", h, err)
	}
	return h.Anchor.Behind > 0
}

// TestAnUnreadAnchorIsKept: a start with --anchor-optional on an old copy, while the anchor is
// away, does not replace the anchor once it is back, however far the old copy goes on. So the
// copy is still refused, and the newest data is still accepted.
func TestAnUnreadAnchorIsKept(t *testing.T) {
	t.Parallel()
	for name, newPlace := range anchorPlaces(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := newPlace(t)
			m := newMoored(t, at.name)
			m.config.Getenv = at.env
			optional := func(c *server.Config) { c.AnchorOptional = true }
			m.put("one")
			m.copyOf("old")
			m.put("two")
			m.copyOf("newest")
			before := at.kept()

			m.back("old")
			at.away(true)
			s, err := m.try(optional)
			if err != nil {
				t.Fatal(err)
			}
			at.away(false)
			for i := range 40 { // beyond the commit that the anchor knows
				newBucket(t, s, fmt.Sprint("goes-on-", i))
			}
			await(t, "the difference is told", func() bool {
				return strings.Contains(s.Logs.String(), "the store is not the one that it knows")
			})
			if !anchorBehind(t, s) {
				t.Error("the health says that the anchor is up to date")
			}
			s.Stop()
			if at.kept() != before {
				t.Error("an old copy replaced the anchor of the newest state")
			}
			m.recorded("AnchorSkipped", "AnchorDiffers")
			m.refused([]string{"watertight anchor accept"})

			m.back("newest")
			at.away(true)
			if s, err = m.try(optional); err != nil {
				t.Fatal(err)
			}
			at.away(false)
			newBucket(t, s, "goes-on")
			await(t, "the newest state is anchored", func() bool { return !anchorBehind(t, s) })
			s.Stop()
			m.put("three")
		})
	}
}

// TestFirstAnchorLater: a store whose anchor is away at its first start remembers the anchor
// when there is one, not before.
func TestFirstAnchorLater(t *testing.T) {
	t.Parallel()
	for name, newPlace := range anchorPlaces(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := newPlace(t)
			m := newMoored(t, at.name)
			m.config.Getenv = at.env
			at.away(true)
			m.put("one", func(c *server.Config) { c.AnchorOptional = true })
			at.away(false)
			m.put("two")
			m.recorded("AnchorSkipped", "AnchorSet")
			m.refused([]string{"--anchor none"}, func(c *server.Config) { c.Anchor = "" })
		})
	}
}

// TestRotationWaitsForTheAnchor: no generation of the root key is dropped that the anchor
// needs.
func TestRotationWaitsForTheAnchor(t *testing.T) {
	t.Parallel()
	for name, newPlace := range anchorPlaces(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			at := newPlace(t)
			m := newMoored(t, at.name)
			m.config.Getenv = at.env
			m.put("one")
			s, err := m.try()
			if err != nil {
				t.Fatal(err)
			}
			at.away(true)
			o := operator.Dial(s.Data)
			if _, err := o.RotateRootKey(t.Context(), ""); err != nil {
				t.Fatal(err)
			}
			await(t, "the rotation names the anchor", func() bool {
				r, err := o.RotationReport(t.Context())
				if err == nil && !r.Ended.IsZero() {
					t.Fatal("the rotation ends without the anchor")
				}
				return err == nil && strings.Contains(r.Error, "the anchor")
			})
			s.Stop()
			at.away(false)
			if s, err = m.try(); err != nil {
				t.Fatal(err)
			}
			await(t, "the rotation ends", func() bool {
				r, err := o.RotationReport(t.Context())
				return err == nil && !r.Ended.IsZero()
			})
			s.Stop()
			m.put("two")
		})
	}
}
