package e2e

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"watertight/test/harness"
)

// resident is what a process holds, in MB.
func resident(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Fatal("the process does not say what it holds")
	}
	kb, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kb / 1000
}

// TestThousandsOfStrangers measures what 4,096 connections of strangers cost:
// under 512 MB, and root is answered within a second beside them. Each says the
// beginning of something and then, now and again, a byte more.
func TestThousandsOfStrangers(t *testing.T) {
	if os.Getenv("WATERTIGHT_MEASURE") == "" {
		t.Skip("it measures, and takes a machine of its own; set WATERTIGHT_MEASURE")
	}
	const many = 4096
	texts := hostile()
	form := "POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000\r\n"
	texts["60 KB of a form"] = form + "\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&a=" + strings.Repeat("x", 60_000)
	texts["1 MB of a form in the root user's name"] = form + claim(harness.AccessKeyID, "iam") + "\r\nAction=ListUsers&Version=2010-05-08&a=" + strings.Repeat("x", 990_000)
	kinds := slices.Sorted(maps.Keys(texts))
	p := harness.StartProcess(t)
	before := resident(t, p.PID())
	most := before
	look := func(what string) {
		most = max(most, resident(t, p.PID()))
		began := time.Now()
		if _, err := p.S3.ListBuckets(t.Context(), nil); err != nil {
			t.Fatalf("%s: root: %v", what, err)
		}
		took := time.Since(began)
		t.Logf("%s: %d MB, root answered after %v", what, resident(t, p.PID()), took.Round(time.Millisecond))
		if took > time.Second {
			t.Errorf("%s: root waited for %v", what, took)
		}
	}
	for round, only := range append([]string{""}, kinds...) {
		n := many
		if round > 0 {
			n = many / 4 // of one kind, beside those of before
		}
		for i := range n {
			text := texts[kinds[i%len(kinds)]]
			if only != "" {
				text = texts[only]
			}
			c := connect(t, p.Endpoint, "")
			c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
			fmt.Fprint(c, text)
			go func() { // a byte more, now and again
				for range 20 {
					time.Sleep(2 * time.Second)
					c.SetWriteDeadline(time.Now().Add(time.Second))
					if _, err := c.Write([]byte("x")); err != nil {
						return
					}
				}
			}()
			if i%512 == 0 {
				most = max(most, resident(t, p.PID()))
			}
		}
		look(fmt.Sprintf("%d of %q", n, only))
	}
	if most > 512 {
		t.Errorf("%d MB at the most, %d before", most, before)
	}
}
