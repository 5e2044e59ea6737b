package sim

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"watertight/test/s3model"
)

// writer is one client. No other client touches the keys that begin with its
// prefix, so their content follows from its requests only.
type writer struct {
	name   string // its prefix
	bucket string
	lib    *library
	keys   *keys
	device *device // the root user's, where the bucket has MFA Delete
	locks  bool    // the bucket has Object Lock
	rng    *rand.Rand

	mu     sync.Mutex
	state  *state
	maybe  func(*state) // what the request on its way changes, if it does
	recent []string     // the last requests, for debugging
	gone   []string     // ids of versions that were deleted
	past   []past

	answers map[string]int // how many of which

	client *s3.Client
}

func newWriter(name, bucket string, lib *library, keys *keys, rng *rand.Rand) *writer {
	return &writer{
		name: name, bucket: bucket, lib: lib, keys: keys, rng: rng, state: &state{s3model.New(), map[string]*upload{}},
		answers: map[string]int{},
	}
}

// answer gives the id of what a request made of a key, and its ETag.
type answer struct {
	id   func(key string) string
	etag string
}

func one(id *string) answer {
	return answer{id: func(string) string {
		if id == nil {
			return s3model.Null
		}
		return *id
	}}
}

// request is one request and its effect on the model.
type request struct {
	what string
	code string // of the refusal that is due, "" for none
	do   func(context.Context, *s3.Client) (answer, error)
	then func(*state, answer) // nil changes nothing
}

var (
	errLost  = errors.New("no answer")
	errWrong = errors.New("not what the model says")
)

func wrong(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errWrong}, args...)...)
}

const rememberedRequests = 30

// run sends a request, compares the answer with the model and changes the model
// as the request changed the store. errLost: it may have done so.
func (w *writer) run(ctx context.Context, r request) error {
	w.mu.Lock()
	if w.maybe = nil; r.code == "" && r.then != nil {
		w.maybe = func(s *state) { r.then(s, answer{func(string) string { return unknown }, unknown}) }
	}
	w.recent = append(w.recent[max(0, len(w.recent)-rememberedRequests):], r.what)
	w.mu.Unlock()
	ids, err := r.do(ctx, w.client)
	code := codeOf(err)
	if code != "" {
		// compared below
	} else if errors.Is(err, errWrong) {
		return fmt.Errorf("%s: %w", r.what, err)
	} else if err != nil {
		return fmt.Errorf("%w: %s: %w", errLost, r.what, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.maybe = nil
	if code != r.code {
		return fmt.Errorf("%s: %w: %q, want %q: %v", r.what, errWrong, code, r.code, err)
	}
	if code == "" && r.then != nil {
		r.then(w.state, ids)
	}
	kind, _, _ := strings.Cut(r.what, " ")
	w.answers[strings.TrimSpace(kind+" "+code)]++
	return nil
}

// codeOf is the code of a refusal, or "".
func codeOf(err error) string {
	if refusal := smithy.APIError(nil); errors.As(err, &refusal) {
		return refusal.ErrorCode()
	}
	return ""
}

// log returns the last requests, for messages.
func (w *writer) log() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.recent, "\n")
}

// snapshot returns the certain state, and the one if the request in progress was served.
func (w *writer) snapshot() (*state, func(*state)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state.clone(), w.maybe
}

// step does one thing, drawn by weight.
func (w *writer) step(ctx context.Context) error {
	kinds := []struct {
		weight int
		do     func(context.Context) error
	}{
		{24, w.put}, {8, w.copy}, {10, w.delete}, {8, w.deleteVersion}, {4, w.deleteMany}, {1, w.purge},
		{6, w.tag}, {14, w.get}, {6, w.listObjects}, {6, w.listVersions},
		{3, w.begin}, {4, w.part}, {3, w.copyPart}, {3, w.complete}, {1, w.abort}, {1, w.listParts},
		{6, w.lock}, {3, w.remember}, {2, w.rollback},
	}
	total := 0
	for _, k := range kinds {
		total += k.weight
	}
	at := w.rng.IntN(total)
	for _, k := range kinds {
		if at -= k.weight; at < 0 {
			return k.do(ctx)
		}
	}
	return nil
}

func draw[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }

// in returns true with a chance of 1 in n.
func (w *writer) in(n int) bool { return w.rng.IntN(n) == 0 }

// key draws one of a few keys, with characters that have to be escaped in requests.
func (w *writer) key() string {
	return w.name + w.part12() + draw(w.rng, "", "a", "b c", "+%é")
}

func (w *writer) part12() string { return draw(w.rng, "", "a", "/", "é/", "\U0010FFFF&<") }

// existing usually draws a key with versions.
func (w *writer) existing() string {
	if all := slices.Sorted(maps.Keys(w.state.Keys)); len(all) > 0 && !w.in(10) {
		return draw(w.rng, all...)
	}
	return w.key()
}

// version draws the id of a version of a key, sometimes of one that is gone,
// and nil, which is the current one.
func (w *writer) version(key string) *string {
	v := w.state.Keys[key]
	switch {
	case w.in(2):
		return nil
	case len(w.gone) > 0 && w.in(10):
		return aws.String(draw(w.rng, w.gone...))
	case len(v) > 0:
		return aws.String(v[w.rng.IntN(len(v))].ID) // the model's own may move
	default:
		return nil
	}
}

// forget notes versions that are going to be deleted.
func (w *writer) forget(ids ...string) {
	for _, id := range ids {
		if id != s3model.Null {
			w.gone = append(w.gone[max(0, len(w.gone)-20):], id)
		}
	}
}

func (w *writer) size() int {
	return draw(w.rng, 0, 1, 100, 1000, 1000, 5000, 16<<10, 16<<10+1, 70_000, 200_000)
}

func (w *writer) tags() string { return draw(w.rng, "", "", "", "k=v", "a=1&b=2", "a=1&b=x y") }

// condition draws conditions of a write.
func (w *writer) condition(key string) (ifMatch, ifNoneMatch *string) {
	star, other := "*", "00000000000000000000000000000000"
	switch w.rng.IntN(8) {
	case 0:
		return nil, &star
	case 1:
		if v := w.state.Current(key); v != nil {
			return aws.String(v.ETag), nil
		}
		return &other, nil
	case 2:
		return &other, nil
	default:
		return nil, nil
	}
}

func show(s *string) string {
	if s == nil {
		return "-"
	}
	return *s
}

// missing returns the code for a version that can't be read, or "" if it can.
func (w *writer) missing(key string, id *string) string {
	switch v := w.state.Version(key, id); {
	case v == nil && id == nil:
		return "NoSuchKey"
	case v == nil:
		return "NoSuchVersion"
	case v.Marker:
		return "MethodNotAllowed"
	default:
		return ""
	}
}

func trim(etag *string) string {
	if etag == nil {
		return ""
	}
	return strings.Trim(*etag, `"`)
}

// sorted returns tags in the form that the model keeps.
func sorted(pairs []string) string {
	slices.SortFunc(pairs, cmp.Compare[string])
	return strings.Join(pairs, "&")
}
