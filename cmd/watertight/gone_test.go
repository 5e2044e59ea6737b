package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"watertight/internal/operator"
)

// dying answers a command with the first lines of a response and closes the connection, like a
// process that is killed. It answers nothing else.
func dying(t *testing.T, lines string) (data string) {
	t.Helper()
	data = t.TempDir()
	l, err := operator.Listen(data)
	if err != nil {
		t.Fatal(err)
	}
	var answered atomic.Bool
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		if lines != "" && !answered.Swap(true) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(lines), lines)
		}
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Serve(l)
	}()
	t.Cleanup(func() {
		s.Close()
		<-done
	})
	return data
}

// TestServerGone: whenever the server dies under a command, the message says so, and what to
// do: never only that a connection has ended.
func TestServerGone(t *testing.T) {
	const (
		stopping = `{"Refused":{"Code":"InternalError","Message":"context canceled","Stopping":true}}` + "\n"
		moment   = `{"Progress":{"Done":{"To":"2026-11-30T07:00:00Z"}}}` + "\n"
		from     = `{"Progress":{"Done":{"To":"2026-11-30T07:00:00Z","Next":"a"}}}` + "\n"
		page     = `{"Progress":{"Done":{"To":"2026-11-30T07:00:00Z","Hidden":7,"Next":"k"}}}` + "\n"
		goOn     = `to go on: watertight rollback "s3://box" --to `
	)
	out := filepath.Join(t.TempDir(), "backups")
	for _, c := range []struct {
		name  string
		lines string // before the server dies
		args  []string
		want  string
	}{
		{"rollback", "", []string{"rollback", "s3://box", "--to", "2h"}, goOn + "2h\n"},
		{"rollback, moment", moment, []string{"rollback", "s3://box", "--to", "2h"}, goOn + "2026-11-30T07:00:00Z\n"},
		{"rollback, page", moment + page, []string{"rollback", "s3://box", "--to", "2h", "--dry-run"},
			goOn + `2026-11-30T07:00:00Z --after "k" --dry-run`},
		{"rollback, half a line", from + page[:30], []string{"rollback", "s3://box", "--to", "2h", "--after", "a"},
			goOn + `2026-11-30T07:00:00Z --after "a"`},
		{"rollback, stopping", moment + stopping, []string{"rollback", "s3://box", "--to", "2h"}, goOn + "2026-"},
		{"rewrap", "", []string{"rewrap", "s3://box"}, "it continues with what was not moved yet"},
		{"rewrap, stopping", stopping, []string{"rewrap", "s3://box"}, "it continues with what was not moved yet"},
		{"backup", "", []string{"backup", out}, "since the last complete backup"},
		{"scrub", `{"Progress":{}}` + "\n", []string{"scrub"}, "it begins at the start"},
		{"rotation", "", []string{"rootkey", "rotate"}, "continues when the server runs again"},
		{"rotation to another key", "", []string{"rootkey", "rotate", "--to", "file:/new"}, "with file:/new. A rot"},
		{"rotation, under way", "{}\n", []string{"rootkey", "rotate"}, "continues when the server runs again"},
		{"lifecycle preview", "", []string{"lifecycle", "preview", "box"}, ""},
		{"policy preview", `{"Pub`, []string{"policy", "preview", "box", "/dev/null"}, ""},
		{"history", "", []string{"history", "s3://box/k"}, ""},
		{"key usage", "", []string{"key", "usage", "k"}, ""},
		{"lifting a freeze", "", []string{"freeze", "lift", "box", "p"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := append(c.args, "--data", dying(t, c.lines))
			code, out, errs := ran(t, args...)
			gone := strings.Contains(errs, operator.ErrGone.Error())
			if code != exitFailure || !gone || !strings.Contains(errs, c.want) {
				t.Errorf("%d %s%s", code, out, errs)
			}
			if strings.Contains(errs, "EOF") || strings.Contains(errs, "reset") {
				t.Error(errs)
			}
		})
	}
}
