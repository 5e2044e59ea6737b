package operator

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"watertight/internal/core/object"
)

// KeyCommand names a key of KMS by its id or ARN.
type KeyCommand struct{ Key string }

// The results of the commands about keys.
type (
	KeyUsage  = object.KeyUsage
	UnderKey  = object.UnderKey
	Rewrapped = object.RewrappedUnderKMS
)

// RewrapCommand says which versions to move to the newest material of their keys.
type RewrapCommand struct{ Bucket, Prefix string }

// Rewrap moves versions under keys of KMS to the newest material of their keys.
func (c *Client) Rewrap(ctx context.Context, in RewrapCommand, told func(Rewrapped) error) (Rewrapped, error) {
	return follow[Rewrapped, Rewrapped](ctx, c, "/rewrap", in, told)
}

// KeyUsage returns what needs a key, by bucket. told is called with how many versions
// were looked at. Error: NotFoundException for a key that does not exist, unless something
// was sealed under it before it was destroyed.
func (c *Client) KeyUsage(ctx context.Context, key string, told func(seen int) error) ([]KeyUsage, error) {
	return follow[int, []KeyUsage](ctx, c, "/keys/usage", KeyCommand{key}, told)
}

// Shredded calls told with each version that became unreadable with a key's material,
// and returns how many they are. Error: NotFoundException for a key that does not exist,
// unless something was sealed under it before it was destroyed.
func (c *Client) Shredded(ctx context.Context, key string, told func(UnderKey) error) (int, error) {
	return follow[UnderKey, int](ctx, c, "/keys/shredded", KeyCommand{key}, told)
}

// DeletionCommand schedules the deletion of a key; 0 days are 30.
type DeletionCommand struct {
	Key  string
	Days int
}

// Scheduled is a key whose deletion is scheduled.
type Scheduled struct {
	KeyARN       string `json:"KeyArn"`
	State        string
	DeletionDate time.Time
}

// ScheduleDeletion starts the waiting period after which a key is destroyed.
func (c *Client) ScheduleDeletion(ctx context.Context, in DeletionCommand) (out Scheduled, err error) {
	return out, c.do(ctx, http.MethodPost, "/keys/deletion", in, &out)
}

func (c commands) scheduleDeletion(ctx context.Context, cl *call, in DeletionCommand) (Scheduled, error) {
	cl.param("keyId", in.Key)
	cl.param("pendingWindowInDays", strconv.Itoa(in.Days))
	m, err := c.Keys.ScheduleDeletion(ctx, cl.record, in.Key, in.Days)
	return Scheduled{m.ARN.String(), m.State.String(), m.DeletionDate}, err
}

func (c commands) customersKeys(m *http.ServeMux) {
	m.HandleFunc("POST /rewrap", stream(c, "RewrapObjects", c.rewrap))
	m.HandleFunc("POST /keys/usage", stream(c, "GetKeyUsage", c.keyUsage))
	m.HandleFunc("POST /keys/deletion", handle(c, "ScheduleKeyDeletion", c.scheduleDeletion))
	m.HandleFunc("POST /keys/shredded", stream(c, "GetShredReport", c.shredded))
}

func (c commands) rewrap(
	ctx context.Context, cl *call, in RewrapCommand, tell func(Rewrapped, bool) error,
) (Rewrapped, error) {
	cl.record.Event.Bucket = in.Bucket
	cl.param("prefix", in.Prefix)
	return c.Objects.RewrapUnderKMS(ctx, object.RewrapInput{
		Bucket: in.Bucket, Prefix: in.Prefix, Tell: func(n Rewrapped) error { return tell(n, false) },
	}, c.Keys)
}

func (c commands) keyUsage(
	ctx context.Context, cl *call, in KeyCommand, tell func(int, bool) error,
) ([]KeyUsage, error) {
	cl.param("keyId", in.Key)
	all, err := c.Objects.KeyUsage(ctx, in.Key, func(seen int) error { return tell(seen, false) })
	if all == nil && err == nil {
		all, err = []KeyUsage{}, c.known(ctx, cl, in.Key)
	}
	return all, err
}

// known refuses a key that does not exist. Only versions that name it show that a key
// existed and was destroyed.
func (c commands) known(ctx context.Context, cl *call, key string) error {
	_, err := c.Keys.Report(ctx, key, cl.at)
	return err
}

func (c commands) shredded(
	ctx context.Context, cl *call, in KeyCommand, tell func(UnderKey, bool) error,
) (n int, err error) {
	cl.param("keyId", in.Key)
	err = c.Objects.Shredded(ctx, in.Key, func(u UnderKey) error {
		n++
		return tell(u, true)
	})
	if n == 0 && err == nil {
		err = c.known(ctx, cl, in.Key)
	}
	return n, err
}
