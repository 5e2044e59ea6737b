package operator

import (
	"context"
	"net/http"
	"time"

	"watertight/internal/core/object"
)

// LifecyclePreviewCommand asks what the lifecycle of a bucket is going to do: what is due
// at an instant or, if that is zero, the next action on every version and upload.
type LifecyclePreviewCommand struct {
	Bucket string
	At     time.Time
}

// LifecyclePreview is what the lifecycle of a bucket is going to do.
type LifecyclePreview = object.Preview

// maxUpcoming is how many items a preview lists at most.
const maxUpcoming = 1000

// PreviewLifecycle reports what the lifecycle of a bucket is going to do.
func (c *Client) PreviewLifecycle(ctx context.Context, in LifecyclePreviewCommand) (out LifecyclePreview, err error) {
	return out, c.do(ctx, http.MethodPost, "/lifecycle-preview", in, &out)
}

func (c commands) lifecyclePreview(m *http.ServeMux) {
	m.HandleFunc("POST /lifecycle-preview", handle(c, "GetLifecyclePreview", c.previewLifecycle))
}

func (c commands) previewLifecycle(
	ctx context.Context, cl *call, in LifecyclePreviewCommand,
) (LifecyclePreview, error) {
	cl.record.Event.Bucket = in.Bucket
	at, later := in.At, in.At.IsZero()
	if later {
		at = cl.at
	}
	return c.Lifecycle.Preview(ctx, in.Bucket, at, later, maxUpcoming)
}
