package operator

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// Health says whether the store accepts reads and writes.
type Health struct {
	Reads, Writes bool
	// RootKey reports whether the source of the root key answered when it was last asked.
	// Requests do not need it, but the next start does.
	RootKey bool
	// Keyring reports whether the keyring and its copies were complete when they were last
	// read, or could be written again.
	Keyring bool
	Anchor  *AnchorHealth `json:",omitempty"` // nil if the store is not anchored
}

// AnchorHealth says how far the store's anchor is behind.
type AnchorHealth struct {
	// Behind is how long the oldest change that is not anchored has waited.
	Behind time.Duration
}

// String returns one line for reads and one for writes, as probes and the command print them.
func (h Health) String() string {
	word := map[bool]string{true: "yes", false: "no"}
	return "reads: " + word[h.Reads] + "\nwrites: " + word[h.Writes] + "\n"
}

// Health asks whether the store accepts reads and writes.
func (c *Client) Health(ctx context.Context) (out Health, err error) {
	return out, c.do(ctx, http.MethodGet, "/health", nil, &out)
}

// health answers probes of containers. It leaves no audit event.
func (c commands) health(m *http.ServeMux) {
	m.HandleFunc("GET /health", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(c.Health(r.Context())) // a client that disconnected needs no answer
	})
}
