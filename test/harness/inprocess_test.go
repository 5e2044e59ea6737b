package harness

import (
	"errors"
	"io"
	"net/http"
	"testing"
)

// TestInProcess: a response that is broken off is an error of the client; any other panic is one of the test.
func TestInProcess(t *testing.T) {
	do := func(end any) (status int, body string, panicked any, err error) {
		defer func() { panicked = recover() }()
		h := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, "part")
			if end != nil {
				panic(end)
			}
		})
		r, err := http.NewRequestWithContext(t.Context(), "GET", "https://127.0.0.1:9000/", nil)
		if err != nil {
			t.Fatal(err)
		}
		out, err := InProcess{h}.Do(r)
		if err != nil {
			return 0, "", nil, err
		}
		b, err := io.ReadAll(out.Body)
		return out.StatusCode, string(b), nil, err
	}
	for name, c := range map[string]struct {
		end, panicked any
		status        int
		err           error
	}{
		"ended":      {status: 200},
		"broken off": {end: http.ErrAbortHandler, err: ErrCut},
		"panicked":   {end: "oops", panicked: "oops"},
	} {
		t.Run(name, func(t *testing.T) {
			status, body, panicked, err := do(c.end)
			if status != c.status || !errors.Is(err, c.err) || panicked != c.panicked ||
				(body == "part") != (status == 200) {
				t.Errorf("status %d, body %q, error %v, panic %v", status, body, err, panicked)
			}
		})
	}
}
