package embedded

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"

	"watertight/internal/storage/kv/embedded/internal/engine"
)

const (
	groupCommits = 256
	groupBytes   = 4 << 20
)

var errConflict = errors.New("kv: conflict") // never leaves the package

// commit is a transaction that was given to the committer.
type commit struct {
	tx     *tx
	status atomic.Int32
	done   chan error // nil: durable; errConflict: run it again
	claim  *claim     // set: this is not a transaction but a claim
}

// A commit is withdrawn by its owner or taken by the committer, not both.
const (
	queued int32 = iota
	taken
	withdrawn
)

// claim holds the committer for one transaction, so that nothing is committed
// between its reads and its own commit and it can't conflict.
type claim struct {
	granted chan struct{}
	turn    chan *commit // receives the transaction, or nil if the claim is given up
	used    bool         // only its owner knows
}

// hand gives the committer the transaction.
func (c *claim) hand(t *commit) {
	c.used = true
	c.turn <- t
}

// giveUp lets the committer go on, unless it has the transaction.
func (c *claim) giveUp() {
	if !c.used {
		c.turn <- nil
	}
}

// group is what goes into one engine batch.
type group struct {
	batch    engine.Batch
	commits  []*commit
	rejected []*commit
	size     int
	state    *state
	next     *claim
	room     [16]*commit // for the usual number of commits
}

// commitLoop decides the order of commits. It validates and numbers them, writes them to the
// engine, and waits until they are durable. Commits that come meanwhile wait in the queue, and
// wake nobody.
func (s *store) commitLoop() {
	defer close(s.synced)
	for {
		var c *commit
		select {
		case c = <-s.queue:
		case <-s.stop:
			return
		case <-s.failed:
			return
		}
		for c != nil {
			claim := c.claim
			if claim == nil {
				claim = s.commitGroup(c)
			}
			c = s.grant(claim)
		}
	}
}

// grant lets the holder of a claim run, and returns its transaction.
func (s *store) grant(c *claim) *commit {
	if c == nil {
		return nil
	}
	close(c.granted)
	select {
	case t := <-c.turn:
		return t
	case <-s.failed:
		return nil
	}
}

// commitGroup commits first and the commits that queued up behind it. If it finds a
// claim in the queue, it returns it.
func (s *store) commitGroup(first *commit) *claim {
	g := &group{batch: s.engine.Batch()}
	g.commits = g.room[:0]
	s.chain.begin()
	s.accept(g, first)
	s.gather(g)
	none := len(g.commits) == 0
	if none {
		g.batch.Close()
	} else if !s.apply(g) {
		return nil
	}
	// A transaction that lost is repeated only now, because only now can it see what it
	// conflicted with.
	for _, c := range g.rejected {
		c.done <- errConflict
	}
	if !none && !s.settle(g) {
		return nil
	}
	return g.next
}

// gather fills g with what is in the queue.
func (s *store) gather(g *group) {
	for g.next == nil && len(g.commits) < groupCommits && g.size < groupBytes {
		select {
		case c := <-s.queue:
			s.accept(g, c)
		default:
			return
		}
	}
}

// accept validates c and puts its writes into g.
func (s *store) accept(g *group, c *commit) {
	if c.claim != nil {
		g.next = c.claim
		return
	}
	if !c.status.CompareAndSwap(queued, taken) {
		return
	}
	t := c.tx
	if s.lost(t) {
		s.conflicts.Add(1)
		g.rejected = append(g.rejected, c)
		return
	}
	s.chain.commit++
	s.window.add(t.ops, t.guards, t.hashes.writes)
	for i, o := range t.ops {
		s.opened.wrote(t.hashes.writes[i], s.chain.commit)
		if o.value == nil {
			g.batch.Delete(o.key)
			s.chain.add(o.key)
			continue
		}
		s.chain.add(o.key, setValue(g.batch, s.chain.commit, o.key, o.value))
	}
	g.size += t.size
	g.commits = append(g.commits, c)
}

// lost reports whether anything that t read or relies on was, or may have been, written since.
func (s *store) lost(t *tx) bool {
	return t.at != nil && (s.window.conflicts(t.at.commit, t.hashes.points, &t.Reads) ||
		t.relied.reads != nil && s.window.conflicts(t.relied.at, t.hashes.relied, t.relied.reads))
}

// apply writes g to the engine and makes it visible to transactions.
func (s *store) apply(g *group) bool {
	s.chain.end(g.batch)
	if err := g.batch.Apply(); err != nil {
		s.fail(err)
		return false
	}
	g.state = newState(&s.chain, s.engine.Snapshot())
	s.replace(&s.applied, g.state)
	return true
}

// settle waits until g is durable, moves the durable state, and wakes the transactions.
func (s *store) settle(g *group) bool {
	if err := g.batch.Wait(); err != nil {
		s.fail(err)
		return false
	}
	s.replace(&s.durable, g.state)
	if moved := s.moved.Swap(nil); moved != nil {
		close(*moved)
	}
	s.commits.Add(uint64(len(g.commits)))
	s.grouped.Add(1)
	g.batch.Close()
	for _, c := range g.commits {
		c.done <- nil
	}
	// Those that commit again immediately are in the next group. Unlike a pause, this costs no time.
	runtime.Gosched()
	return true
}

func (s *store) replace(p *atomic.Pointer[state], st *state) {
	if err := p.Swap(st).release(); err != nil {
		s.log.Warn("kv: closing a snapshot", "err", err)
	}
}

// nextMove returns a channel that is closed when the durable state moves.
func (s *store) nextMove() chan struct{} {
	for {
		if c := s.moved.Load(); c != nil {
			return *c
		}
		c := make(chan struct{})
		s.moved.CompareAndSwap(nil, &c)
	}
}

// waitDurable returns once commit n is durable.
func (s *store) waitDurable(ctx context.Context, n uint64) error {
	for s.Durable() < n {
		moved := s.nextMove()
		if s.Durable() >= n {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.failed:
			return s.failure()
		}
	}
	return nil
}
