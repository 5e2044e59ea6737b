package operator

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Snapshot is one state of the data directory: a folder in it, and the blobs that the state
// refers to. Both stay until the command ends.
type Snapshot struct {
	Folder   string // in the data directory
	Commit   uint64 // newest commit that is in it
	EachBlob func(ctx context.Context, fn func(names []string) error) error
}

// BackupProgress is one line of the response while a backup runs. One of the fields is set.
type BackupProgress struct {
	Snapshot *BackupSnapshot `json:",omitempty"` // first
	Blobs    []string        `json:",omitempty"` // names, in order
	Listed   bool            `json:",omitempty"` // set in the last line: all blobs were named
}

// BackupSnapshot names the snapshot to copy.
type BackupSnapshot struct {
	Folder string // in the data directory
	Commit uint64
	At     time.Time
}

// BackupDone is sent by the client after it has copied everything.
type BackupDone struct{ Blobs, Bytes int64 }

// Backup holds a snapshot of the data directory while it calls told, which copies what it
// is given. After Listed, told returns what it copied, or an error.
func (c *Client) Backup(
	ctx context.Context, told func(BackupProgress) (BackupDone, error),
) error {
	from, to := io.Pipe()
	defer from.Close()
	c = dialWith(c.data, func() { from.Close() }) // ends the body, for which only the client has an end
	_, err := converse[BackupProgress, struct{}](ctx, c, "/backup",
		io.MultiReader(bytes.NewReader([]byte("{}\n")), from), func(p BackupProgress) error {
			done, err := told(p)
			if err != nil || !p.Listed {
				return err
			}
			if err := json.NewEncoder(to).Encode(done); err != nil {
				return err
			}
			return to.Close()
		})
	return err
}

func (c commands) backups(m *http.ServeMux) {
	m.HandleFunc("POST /backup", stream(c, "BackupStore", c.backup))
}

func (c commands) backup(
	ctx context.Context, cl *call, _ struct{}, tell func(BackupProgress, bool) error,
) (struct{}, error) {
	return struct{}{}, c.Snapshot(ctx, func(s Snapshot) error {
		cl.param("commit", strconv.FormatUint(s.Commit, 10))
		if err := tell(BackupProgress{Snapshot: &BackupSnapshot{s.Folder, s.Commit, cl.at}}, true); err != nil {
			return err
		}
		err := s.EachBlob(ctx, func(names []string) error { return tell(BackupProgress{Blobs: names}, true) })
		if err != nil {
			return err
		}
		if err := tell(BackupProgress{Listed: true}, true); err != nil {
			return err
		}
		var done BackupDone
		if err := cl.next(&done); err != nil {
			return err
		}
		cl.param("blobs", strconv.FormatInt(done.Blobs, 10))
		return nil
	})
}
