package operator

import (
	"context"
	"net/http"
	"strconv"

	"watertight/internal/core/object"
)

// ScrubCommand asks for a scrub.
type ScrubCommand struct {
	Rate       int64 // bytes per second; 0 is no limit
	Quarantine bool
}

// ScrubProgress is one line of the response while a scrub runs: a finding, or the progress.
type ScrubProgress struct {
	Finding *Finding `json:",omitempty"`
	Done    Scrubbed
}

// Finding is one bad item, and Scrubbed what a scrub examined.
type (
	Finding  = object.Finding
	Scrubbed = object.Scrubbed
)

// Scrub checks that everything that is stored is complete and undamaged. told is called
// with each finding, and about once a second.
func (c *Client) Scrub(ctx context.Context, in ScrubCommand, told func(ScrubProgress) error) (Scrubbed, error) {
	return follow[ScrubProgress, Scrubbed](ctx, c, "/scrub", in, told)
}

func (c commands) scrubbing(m *http.ServeMux) {
	m.HandleFunc("POST /scrub", stream(c, "ScrubStore", c.scrub))
}

func (c commands) scrub(
	ctx context.Context, cl *call, in ScrubCommand, tell func(ScrubProgress, bool) error,
) (object.Scrubbed, error) {
	cl.param("quarantine", strconv.FormatBool(in.Quarantine))
	done, err := c.Objects.Scrub(ctx, object.ScrubInput{
		Rate: in.Rate, Quarantine: in.Quarantine, Files: c.Files(),
		Tell: func(f *object.Finding, done object.Scrubbed) error {
			return tell(ScrubProgress{f, done}, f != nil)
		},
	})
	cl.param("findings", strconv.Itoa(done.Findings))
	cl.param("quarantined", strconv.Itoa(done.Quarantined))
	return done, err
}
