package operator

import (
	"context"
	"net/http"

	"watertight/internal/core/object"
)

// Past is a version of a key, and who wrote it.
type Past = object.Past

// HistoryCommand names the key whose versions are listed.
type HistoryCommand struct{ Bucket, Key string }

// History calls told with each version of a key, newest first, and returns their number.
func (c *Client) History(ctx context.Context, in HistoryCommand, told func(Past) error) (int, error) {
	return follow[Past, int](ctx, c, "/history", in, told)
}

func (c commands) history(m *http.ServeMux) {
	m.HandleFunc("POST /history", stream(c, "GetObjectHistory", c.getHistory))
}

func (c commands) getHistory(
	ctx context.Context, cl *call, in HistoryCommand, tell func(Past, bool) error,
) (n int, err error) {
	cl.record.Event.Bucket = in.Bucket
	cl.param("key", in.Key)
	page := object.HistoryInput{Bucket: in.Bucket, Key: in.Key, Max: object.MaxPage}
	for {
		all, more, err := c.Objects.History(ctx, page)
		if err != nil {
			return n, err
		}
		for _, v := range all {
			if err := tell(v, true); err != nil {
				return n, err
			}
		}
		if n += len(all); !more {
			return n, nil
		}
		page.After = all[len(all)-1].ID
	}
}
