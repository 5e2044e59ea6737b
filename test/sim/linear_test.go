package sim

import (
	"context"
	"crypto/md5"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"math"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"watertight/test/harness"
)

// call is a request for one key.
type call struct {
	kind, key string
	tag       string // ETag of what is put
	match     string // of If-Match, "" for none
	absent    bool   // If-None-Match: *
}

// result is an answer: the code of a refusal, and the ETag of what was read.
type result struct {
	code, tag string
	lost      bool // no answer; the request may have been served at any time, or never
}

// register models S3's guarantees for one key: a register, with conditions. Its
// state is the ETag of the object, "" for none (S3 user guide, "Amazon S3 data
// consistency model" and "Conditional requests").
func register() porcupine.Model {
	m := porcupine.NondeterministicModel{
		Partition: byKey,
		Init:      func() []any { return []any{""} },
		Step: func(state, input, output any) (next []any) {
			is, in, out := state.(string), input.(call), output.(result)
			code, to := in.apply(is)
			switch {
			case out.lost && code == "" && to != is:
				return []any{is, to}
			case out.lost:
				return []any{is}
			case out.code != code, in.kind == "get" && code == "" && out.tag != is:
				return nil
			default:
				return []any{to}
			}
		},
	}
	return m.ToModel()
}

// apply returns the code of the expected refusal and the state afterwards.
func (c call) apply(is string) (code, to string) {
	switch {
	case c.kind == "get" && is == "", c.match != "" && is == "":
		return "NoSuchKey", is
	case c.absent && is != "", c.match != "" && c.match != is:
		return "PreconditionFailed", is
	case c.kind == "put":
		return "", c.tag
	case c.kind == "delete":
		return "", ""
	default:
		return "", is
	}
}

func byKey(history []porcupine.Operation) [][]porcupine.Operation {
	keys := map[string][]porcupine.Operation{}
	var order []string
	for _, op := range history {
		key := op.Input.(call).key
		if keys[key] == nil {
			order = append(order, key)
		}
		keys[key] = append(keys[key], op)
	}
	var out [][]porcupine.Operation
	for _, key := range order {
		out = append(out, keys[key])
	}
	return out
}

// patience bounds the search for an order; histories of this size take
// milliseconds.
const patience = time.Minute

// linearizable is the verdict on a history.
func linearizable(t *testing.T, history []porcupine.Operation) bool {
	t.Helper()
	switch porcupine.CheckOperationsTimeout(register(), history, patience) {
	case porcupine.Ok:
		return true
	case porcupine.Illegal:
		return false
	default:
		t.Skipf("no verdict on %d operations within %v: this machine is too slow today", len(history), patience)
		return false
	}
}

// historian records what several clients do to several keys.
type historian struct {
	bucket  string
	begun   time.Time
	mu      sync.Mutex
	history []porcupine.Operation
	// then is called once, after that many operations.
	at   int
	then func()
}

const (
	clients     = 6
	contested   = 4  // keys
	each        = 70 // operations of each client
	shortBodies = 8  // bytes at random, at least
)

// work lets clients work until they have done their share or lose an answer.
func (h *historian) work(t *testing.T, client *s3.Client) {
	var wg sync.WaitGroup
	for id := range clients {
		wg.Go(func() {
			var seed [32]byte
			rand.Read(seed[:])
			rng := mathrand.New(mathrand.NewChaCha8(seed))
			seen := map[string]string{} // the ETag this client believes in, by key
			for range each {
				if !h.one(t, client, id, rng, seen) {
					return
				}
			}
		})
	}
	wg.Wait()
}

// one sends a request and records it. It returns false if the answer was lost.
func (h *historian) one(t *testing.T, client *s3.Client, id int, rng *mathrand.Rand, seen map[string]string) bool {
	c := call{kind: draw(rng, "get", "get", "put", "put", "delete"), key: fmt.Sprint("key ", rng.IntN(contested))}
	body := ""
	if c.kind == "put" {
		body = strings.Repeat("x", draw(rng, 0, 100, 20_000)) + fmt.Sprintf("%0*x", shortBodies*2, rng.Uint64())
		c.tag = fmt.Sprintf("%x", md5.Sum([]byte(body)))
		c.absent = rng.IntN(3) == 0
	}
	if c.kind != "get" && !c.absent && rng.IntN(4) > 0 {
		c.match = seen[c.key]
	}
	start := time.Since(h.begun)
	r, err := c.send(t.Context(), client, h.bucket, body)
	op := porcupine.Operation{ClientId: id, Input: c, Call: int64(start), Output: r, Return: int64(time.Since(h.begun))}
	if err != nil {
		t.Error(err)
	}
	if r.lost {
		op.Return = math.MaxInt64
	} else if seen[c.key] = r.tag; c.kind == "put" && r.code == "" {
		seen[c.key] = c.tag
	}
	h.mu.Lock()
	h.history = append(h.history, op)
	now := len(h.history) == h.at
	h.mu.Unlock()
	if now {
		h.then()
	}
	return !r.lost
}

// send returns an error for an answer that no order can explain.
func (c call) send(ctx context.Context, client *s3.Client, bucket, body string) (r result, err error) {
	var match, none *string
	if c.match != "" {
		match = aws.String(`"` + c.match + `"`)
	}
	if c.absent {
		none = aws.String("*")
	}
	switch c.kind {
	case "put":
		_, err = client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &bucket, Key: &c.key, Body: strings.NewReader(body), IfMatch: match, IfNoneMatch: none,
		})
	case "delete":
		_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &bucket, Key: &c.key, IfMatch: match})
	default:
		var out *s3.GetObjectOutput
		if out, err = client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &c.key}); err == nil {
			var b []byte
			b, err = io.ReadAll(out.Body)
			err = errors.Join(err, out.Body.Close())
			if r.tag = trim(out.ETag); err == nil && r.tag != fmt.Sprintf("%x", md5.Sum(b)) {
				return r, fmt.Errorf("%s: the bytes do not match the ETag", c.key)
			}
		}
	}
	if refusal := smithy.APIError(nil); errors.As(err, &refusal) {
		r.code = refusal.ErrorCode()
	} else if err != nil {
		r.lost = true
	}
	return r, nil
}

// newHistorian makes a bucket.
func newHistorian(t *testing.T, client *s3.Client, bucket string, status types.BucketVersioningStatus) *historian {
	t.Helper()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket})
	if err == nil && status != "" {
		_, err = client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
			Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	return &historian{bucket: bucket, begun: time.Now()}
}

// judge checks that a history is linearizable, that it contains conflicts, and that a
// slightly different history would not be linearizable.
func (h *historian) judge(t *testing.T) {
	t.Helper()
	codes := map[string]int{}
	for _, op := range h.history {
		codes[op.Input.(call).kind+" "+op.Output.(result).code]++
	}
	t.Logf("%d operations: %v", len(h.history), codes)
	if codes["put "] == 0 || codes["get "] == 0 || codes["delete "] == 0 || codes["put PreconditionFailed"] == 0 {
		t.Errorf("there were no conflicts: %v", codes)
	}
	if !linearizable(t, h.history) {
		t.Errorf("not linearizable: %+v", h.history)
	}
	for name, broken := range map[string]func(porcupine.Operation) (porcupine.Operation, bool){
		"a read of what was never written": func(op porcupine.Operation) (porcupine.Operation, bool) {
			out := op.Output.(result)
			hit := op.Input.(call).kind == "get" && out.tag != ""
			out.tag = "never written"
			op.Output = out
			return op, hit
		},
		"a refusal that was not due": func(op porcupine.Operation) (porcupine.Operation, bool) {
			c, out := op.Input.(call), op.Output.(result)
			hit := c.kind == "put" && c.match == "" && !c.absent && out.code == "" && !out.lost
			op.Output = result{code: "PreconditionFailed"}
			return op, hit
		},
	} {
		changed := slices.Clone(h.history)
		for i, op := range changed {
			if other, hit := broken(op); hit {
				changed[i] = other
				break
			}
		}
		if linearizable(t, changed) {
			t.Errorf("%s counts as linearizable", name)
		}
	}
}

func TestLinearizable(t *testing.T) {
	for name, status := range map[string]types.BucketVersioningStatus{
		"off": "", "enabled": types.BucketVersioningStatusEnabled, "suspended": types.BucketVersioningStatusSuspended,
	} {
		t.Run(name, func(t *testing.T) {
			s := harness.Start(t)
			h := newHistorian(t, s.S3, "linear-"+name, status)
			h.work(t, s.S3)
			if len(h.history) != clients*each {
				t.Errorf("%d operations, want %d: an answer was lost", len(h.history), clients*each)
			}
			h.judge(t)
		})
	}
}

// TestLinearizableCrashes: the same with kill -9. A request in progress takes effect at one instant, or
// never.
func TestLinearizableCrashes(t *testing.T) {
	p := harness.StartProcess(t)
	h := newHistorian(t, p.S3, "linear", "")
	h.then = p.Kill
	for range 2 {
		h.at = len(h.history) + clients*each/3
		h.work(t, p.S3)
		p.Restart()
	}
	h.at = 0
	h.work(t, p.S3)
	h.judge(t)
}

// TestBrokenHistories: a history that no order explains is not linearizable.
func TestBrokenHistories(t *testing.T) {
	put := func(tag string) call { return call{kind: "put", key: "k", tag: tag} }
	first := func(tag string) call { return call{kind: "put", key: "k", tag: tag, absent: true} }
	over := func(tag, match string) call { return call{kind: "put", key: "k", tag: tag, match: match} }
	get, gone := call{kind: "get", key: "k"}, call{kind: "delete", key: "k"}
	type op struct {
		in         call
		out        result
		call, back int64
	}
	ok, lost := result{}, result{lost: true}
	read := func(tag string) result { return result{tag: tag} }
	none := result{code: "NoSuchKey"}
	const never = math.MaxInt64
	for _, c := range []struct {
		name string
		ops  []op
		fine bool
	}{
		{"in order", []op{{put("a"), ok, 1, 2}, {get, read("a"), 3, 4}, {gone, ok, 5, 6}, {get, none, 7, 8}}, true},
		{"two are the first", []op{{first("a"), ok, 1, 4}, {first("b"), ok, 2, 3}}, false},
		{
			"two are the first, one deleted", []op{{first("a"), ok, 1, 6}, {first("b"), ok, 2, 5}, {gone, ok, 3, 4}},
			true,
		},
		{
			"two replace the same", []op{{put("a"), ok, 1, 2}, {over("b", "a"), ok, 3, 6}, {over("c", "a"), ok, 4, 5}},
			false,
		},
		{
			"two delete the same",
			[]op{
				{put("a"), ok, 1, 2}, {call{kind: "delete", key: "k", match: "a"}, ok, 3, 6},
				{call{kind: "delete", key: "k", match: "a"}, ok, 4, 5},
			},
			false,
		},
		{"an old read", []op{{put("a"), ok, 1, 2}, {put("b"), ok, 3, 4}, {get, read("a"), 5, 6}}, false},
		{
			"an old read at the same time", []op{{put("a"), ok, 1, 2}, {put("b"), ok, 3, 6}, {get, read("a"), 4, 5}},
			true,
		},
		{
			"reads that go back",
			[]op{{put("a"), ok, 1, 2}, {put("b"), ok, 3, 10}, {get, read("b"), 4, 5}, {get, read("a"), 6, 7}}, false,
		},
		{"acknowledged and gone", []op{{put("a"), ok, 1, 2}, {get, none, 3, 4}}, false},
		{"deleted and back", []op{{put("a"), ok, 1, 2}, {gone, ok, 3, 4}, {get, read("a"), 5, 6}}, false},
		{"lost and there", []op{{put("a"), lost, 1, never}, {get, read("a"), 3, 4}}, true},
		{"lost and not there", []op{{put("a"), lost, 1, never}, {get, none, 3, 4}}, true},
		{"lost and read before", []op{{get, read("a"), 1, 2}, {put("a"), lost, 3, never}}, false},
		{"lost, there and gone", []op{{put("a"), lost, 1, never}, {get, read("a"), 3, 4}, {get, none, 5, 6}}, false},
		{
			"refused and done",
			[]op{{put("a"), ok, 1, 2}, {first("b"), result{code: "PreconditionFailed"}, 3, 4}, {get, read("b"), 5, 6}},
			false,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			var history []porcupine.Operation
			for i, o := range c.ops {
				history = append(history, porcupine.Operation{
					ClientId: i, Input: o.in, Call: o.call, Output: o.out, Return: o.back,
				})
			}
			if linearizable(t, history) != c.fine {
				t.Errorf("%s: linearizable: %v", c.name, !c.fine)
			}
		})
	}
}
