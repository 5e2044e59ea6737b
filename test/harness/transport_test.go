package harness

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// closedBody is the SDK's body after Close: WriteTo answers io.EOF as an error.
type closedBody struct{ *strings.Reader }

func (closedBody) WriteTo(io.Writer) (int64, error) { return 0, io.EOF }
func (closedBody) Close() error                     { return nil }

func TestSDKBodiesAreOnlyRead(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Write(body)
	}))
	defer s.Close()
	client := SDK(s.Client().Transport)
	defer client.CloseIdleConnections()
	for range 3 { // on one connection, which stays good
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, closedBody{strings.NewReader("body")})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = 4
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || string(got) != "body" {
			t.Fatalf("%q, %v", got, err)
		}
	}
}
