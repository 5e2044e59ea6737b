package sim

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/core/bucket"
	"watertight/internal/operator"
	"watertight/test/harness"
)

var (
	steps = flag.Int("steps", 400, "random operations of TestSim")
	seed  = flag.Uint64("seed", 0, "seed of TestSim; 0 draws one")
)

// sim is a server, its clients, and the plan of events for the server.
type sim struct {
	t       *testing.T
	p       *harness.Process
	rng     *mathrand.Rand
	writers []*writer
	keys    *keys
	device  *device
	turned  int // how often a KMS key was rotated
	buckets map[string]bucket.Versioning

	done    atomic.Int64 // operations
	dying   atomic.Bool  // answers may be lost
	stopped atomic.Bool
}

func newSim(t *testing.T, seed uint64) *sim {
	s := &sim{
		t: t, p: harness.StartProcess(t, "--lifecycle-interval", "50ms"), rng: mathrand.New(mathrand.NewPCG(seed, 0)),
		buckets: map[string]bucket.Versioning{},
	}
	lib := newLibrary(seed)
	s.keys = newKeys(t, s.p.Endpoint)
	// The first bucket is never versioned; in the second, several write at once.
	for i, name := range []string{"sim-off", "sim-on", "sim-on", "sim-more", lockBucket, mfaBucket} {
		w := newWriter(fmt.Sprint("w", i), name, lib, s.keys, mathrand.New(mathrand.NewPCG(seed, uint64(i+1))))
		s.writers = append(s.writers, w)
		if _, ok := s.buckets[name]; ok {
			continue
		}
		s.buckets[name] = bucket.Off
		newBucket(t, s.p.S3, name)
	}
	s.protect()
	return s
}

// turn changes the versioning of some buckets, and sometimes lets objects expire, or disables a key until the
// phase has ended. No client writes meanwhile.
func (s *sim) turn() {
	s.t.Helper()
	if s.rng.IntN(4) == 0 {
		s.expire()
	}
	if s.rng.IntN(3) == 0 {
		if err := s.keys.disable(s.t.Context(), s.p.Endpoint, draw(s.rng, s.keys.arns...)); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, name := range []string{"sim-on", "sim-more"} {
		if s.rng.IntN(3) == 0 {
			continue
		}
		to := bucket.Enabled
		if s.rng.IntN(3) == 0 {
			to = bucket.Suspended
		}
		s.setVersioning(name, to, nil)
	}
	if mfa := s.device.next(); mfa != nil && s.rng.IntN(3) > 0 {
		s.setVersioning(mfaBucket, draw(s.rng, bucket.Enabled, bucket.Suspended), mfa)
	}
}

// setVersioning changes the versioning of a bucket. A bucket with MFA Delete needs a code.
func (s *sim) setVersioning(name string, to bucket.Versioning, mfa *string) {
	s.t.Helper()
	c := &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}
	if to == bucket.Suspended {
		c.Status = types.BucketVersioningStatusSuspended
	}
	if mfa != nil {
		c.MFADelete = types.MFADeleteEnabled
	}
	in := &s3.PutBucketVersioningInput{Bucket: &name, VersioningConfiguration: c, MFA: mfa}
	if _, err := s.p.S3.PutBucketVersioning(s.t.Context(), in); err != nil {
		s.t.Fatal(err)
	}
	s.buckets[name] = to
	for _, w := range s.writers {
		if w.bucket == name {
			w.state.State, w.state.MFADelete = to, mfa != nil
		}
	}
}

// crew is all writers at work.
type crew struct {
	*sim
	wg     sync.WaitGroup
	mu     sync.Mutex
	failed error
	awake  chan struct{} // holds one when there is something to see
}

// work starts the writers.
func (s *sim) work() *crew {
	c := &crew{sim: s, awake: make(chan struct{}, 1)}
	s.dying.Store(false)
	s.stopped.Store(false)
	for _, w := range s.writers {
		w.client = s.p.S3
		c.wg.Go(func() {
			for !s.stopped.Load() {
				err := w.step(s.t.Context())
				if errors.Is(err, errLost) && s.dying.Load() {
					return
				}
				if err != nil {
					c.fail(fmt.Errorf("%s in %s: %w\nafter:\n%s", w.name, w.bucket, err, w.log()))
					return
				}
				s.done.Add(1)
				c.wake()
			}
		})
	}
	return c
}

func (c *crew) wake() {
	select {
	case c.awake <- struct{}{}:
	default:
	}
}

func (c *crew) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = errors.Join(c.failed, err)
	c.stopped.Store(true)
	c.wake()
}

// until waits for that many more operations, or a failure.
func (c *crew) until(more int) {
	for goal := c.done.Load() + int64(more); c.done.Load() < goal && !c.stopped.Load(); {
		<-c.awake
	}
}

// end waits for the writers.
func (c *crew) end() {
	c.t.Helper()
	c.stopped.Store(true)
	c.wg.Wait()
	if c.failed != nil {
		c.t.Fatal(c.failed)
	}
}

// moment holds the certain and the uncertain state of a writer at one instant.
type moment struct {
	w       *writer
	certain *state
	maybe   func(*state)
}

func (s *sim) moments() (all []moment) {
	for _, w := range s.writers {
		certain, maybe := w.snapshot()
		all = append(all, moment{w, certain, maybe})
	}
	return all
}

// verify compares everything that a server returns with the acknowledged state. It returns the writers' states
// with all uncertain requests decided.
func verify(ctx context.Context, client *s3.Client, all []moment) ([]*state, error) {
	out, errs, rows := make([]*state, len(all)), make([]error, len(all)), make([]int, len(all))
	var wg sync.WaitGroup
	for i, m := range all {
		wg.Go(func() {
			seen, err := observe(ctx, client, m.w.bucket, m.w.name)
			if err == nil {
				rows[i] = seen.rows()
				out[i], err = seen.settle(ctx, m.certain, m.maybe)
			}
			if err != nil {
				errs[i] = fmt.Errorf("%s in %s: %w\nafter:\n%s", m.w.name, m.w.bucket, err, m.w.log())
			}
		})
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	total := map[string]int{}
	for i, m := range all {
		total[m.w.bucket] += rows[i]
	}
	for name, want := range total {
		if n, err := count(ctx, client, name); err != nil || n != want {
			return nil, fmt.Errorf("%s has %d versions, want %d: %w", name, n, want, err)
		}
	}
	return out, nil
}

// settle verifies the server itself; the writers go on from there.
func (s *sim) settle() {
	s.t.Helper()
	all := s.moments()
	err := s.keys.locked(s.t.Context(), s.p.S3, s.p.Endpoint, all)
	if err != nil {
		s.t.Fatal(err)
	}
	s.keys.off = ""
	out, err := verify(s.t.Context(), s.p.S3, all)
	if err != nil {
		s.t.Fatal(err)
	}
	for i, w := range s.writers {
		w.state, w.maybe = out[i], nil
	}
}

// rotate sometimes begins a rotation of the root key, which continues in the background, or rotates a KMS
// key. KMS rotates a key on demand 25 times.
func (s *sim) rotate() error {
	switch s.rng.IntN(6) {
	case 0, 1:
		_, err := operator.Dial(s.p.Data).RotateRootKey(s.t.Context(), "")
		return err
	case 2, 3:
		if s.turned++; s.turned > 20 {
			return nil
		}
		key := s.keys.arns[0]
		if key == s.keys.off {
			key = s.keys.arns[1]
		}
		_, err := kmsClient(s.p.Endpoint).RotateKeyOnDemand(s.t.Context(), &kms.RotateKeyOnDemandInput{KeyId: &key})
		return err
	default:
		return nil
	}
}

// phase lets the writers work and does something to the server meanwhile.
func (s *sim) phase() (event string) {
	s.t.Helper()
	s.turn()
	c := s.work()
	c.until(20 + s.rng.IntN(300))
	if err := s.rotate(); err != nil {
		c.fail(err)
	}
	switch event = draw(s.rng, "kill", "kill", "terminate", "clone", "clone"); event {
	case "kill":
		s.dying.Store(true)
		s.p.Kill()
		c.end()
		s.p.Restart()
	case "terminate":
		s.dying.Store(true)
		err := s.p.Terminate()
		c.end()
		if err != nil {
			s.t.Fatal(err)
		}
		s.p.Restart()
	case "clone":
		var then []moment
		clone := s.p.Clone(func() { then = s.moments() })
		clone.Restart()
		err := s.keys.locked(s.t.Context(), clone.S3, clone.Endpoint, then)
		if err == nil {
			_, err = verify(s.t.Context(), clone.S3, then)
		}
		if err != nil {
			c.fail(fmt.Errorf("the clone: %w", err))
		}
		clone.Kill()
		if err := os.RemoveAll(clone.Data); err != nil {
			c.fail(err)
		}
		c.end()
	}
	s.settle()
	return event
}

// TestSim compares the server with the model through crashes. Everything acknowledged exists afterwards, and a
// request without an answer had all of its effects or none.
func TestSim(t *testing.T) {
	from := *seed
	for from == 0 {
		var b [8]byte
		rand.Read(b[:])
		from = binary.LittleEndian.Uint64(b[:])
	}
	// Printed at once, so that the test can be repeated however it ends.
	fmt.Printf("go test ./test/sim -run TestSim -steps %d -seed %d\n", *steps, from)
	s := newSim(t, from)
	events := map[string]int{}
	for s.done.Load() < int64(*steps) {
		events[s.phase()]++
	}
	answers := map[string]int{}
	for _, w := range s.writers {
		for what, n := range w.answers {
			answers[what] += n
		}
	}
	t.Logf("%d operations, %v; answers: %v", s.done.Load(), events, answers)
}
