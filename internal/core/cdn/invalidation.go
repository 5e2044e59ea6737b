package cdn

import (
	"context"
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/core/change"
	"watertight/internal/core/change/record"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// Limits of what is kept of invalidations.
const (
	maxKept       = 100     // of a distribution: the newest ones
	maxKeptLength = 4 << 20 // bytes of their paths, including the newest one's
	maxTold       = 100     // of all that edges are told: the newest ones
	maxToldLength = 1 << 20 // bytes of their paths, unless a single one has more
)

// Invalidation is an invalidation and its state.
type Invalidation struct {
	ID        string
	Created   time.Time
	Completed bool // no edge still serves what it removes
	Batch     distribution.InvalidationBatch
}

// Status returns the API's name of the state.
func (i *Invalidation) Status() string {
	if i.Completed {
		return "Completed"
	}
	return "InProgress"
}

// batch is the record of an invalidation, without its paths.
type batch struct {
	number     uint64
	created    time.Time
	reference  string
	generation uint64
}

// Fields of an invalidation's record, and of its paths. The numbers are stored.
const (
	fieldBatchCreated    = 1
	fieldBatchReference  = 2
	fieldBatchGeneration = 3

	fieldPathsDistribution = 1
	fieldPathsPath         = 2 // repeated
)

// batchKey sorts the newest invalidation first.
func batchKey(id string, number uint64) []byte {
	return record.Big(record.Key(batchPrefix, id, "/"), ^number)
}

func pathsKey(number uint64) []byte { return record.Big([]byte(pathsPrefix), number) }

func (b *batch) encode() []byte {
	r := record.Time(record.Start(nil), fieldBatchCreated, b.created)
	r = record.String(r, fieldBatchReference, b.reference)
	return record.Uint(r, fieldBatchGeneration, b.generation)
}

func decodeBatch(number uint64, value []byte) (*batch, error) {
	b := &batch{number: number}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldBatchCreated:
			b.created = f.Time()
		case fieldBatchReference:
			b.reference = string(f.Bytes)
		case fieldBatchGeneration:
			b.generation = f.Uint
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil || b.reference == "" {
		return nil, record.Malformed("invalidation")
	}
	return b, nil
}

// paths is the record of an invalidation's paths.
type paths struct {
	distribution string
	items        []string
}

func (p *paths) encode() []byte {
	r := record.String(record.Start(nil), fieldPathsDistribution, p.distribution)
	for _, path := range p.items {
		r = record.String(r, fieldPathsPath, path)
	}
	return r
}

func decodePaths(value []byte) (*paths, error) {
	p := &paths{}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldPathsDistribution:
			p.distribution = string(f.Bytes)
		case fieldPathsPath:
			p.items = append(p.items, string(f.Bytes))
		default:
			f.Unknown()
		}
	}
	if f.Err() != nil || p.distribution == "" || len(p.items) == 0 {
		return nil, record.Malformed("paths of an invalidation")
	}
	return p, nil
}

func readPaths(r kv.Reader, number uint64) (*paths, error) {
	v, err := r.Get(pathsKey(number))
	if err != nil {
		return nil, err
	}
	return decodePaths(v)
}

// invalidationID returns the id of an invalidation: its number, in AWS's form.
func invalidationID(number uint64) string {
	s := strings.ToUpper(strconv.FormatUint(number, 36))
	return "I" + strings.Repeat("0", idLength-len(s)) + s
}

func parseInvalidationID(id string) (number uint64, ok bool) {
	if !isID(id, 'I') {
		return 0, false
	}
	number, err := strconv.ParseUint(strings.ToLower(id[1:]), 36, 64)
	return number, err == nil
}

// invalidations returns the stored invalidations of a distribution, newest first.
func invalidations(r kv.Reader, id string) (all []*batch, err error) {
	prefix := record.Key(batchPrefix, id, "/")
	for p, err := range r.Scan(prefix, record.After(prefix)) {
		if err != nil {
			return nil, err
		}
		if len(p.Key) != len(prefix)+8 {
			return nil, record.Malformed("invalidation")
		}
		b, err := decodeBatch(^binary.BigEndian.Uint64(p.Key[len(prefix):]), p.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, b)
	}
	return all, nil
}

// CreateInvalidation removes paths from the caches of a distribution. When it returns, the
// edge of this process no longer serves the cached responses. If the caller reference and the
// paths are those of an earlier batch, that batch is returned. It needs
// cloudfront:CreateInvalidation on the distribution. Errors: NoSuchDistribution,
// InvalidationBatchAlreadyExists, TooManyInvalidationsInProgress, and those of
// distribution.InvalidationBatch.Complete.
func (s *Store) CreateInvalidation(
	ctx context.Context, g authz.Grant, id string, in distribution.InvalidationBatch,
) (out Invalidation, err error) {
	if err := g.Demand("cloudfront:CreateInvalidation", ofDistribution(g, id)); err != nil {
		return out, err
	}
	if err := in.Complete(); err != nil {
		return out, err
	}
	var made *batch
	var owner string
	err = s.commit(ctx, g, func(t *transaction) (err error) {
		owner = t.account
		pending := func(b *batch) bool { return !s.deployed(owner, id, b.generation) }
		if made, err = invalidate(t, id, &in, pending); err == nil {
			g.Note("invalidationId", invalidationID(made.number))
		}
		return err
	})
	if err != nil {
		return out, err
	}
	return s.invalidation(owner, id, made, in), nil
}

func (s *Store) invalidation(owner, of string, b *batch, in distribution.InvalidationBatch) Invalidation {
	return Invalidation{
		ID: invalidationID(b.number), Created: b.created, Completed: s.deployed(owner, of, b.generation), Batch: in,
	}
}

// invalidate stores an invalidation and deletes old ones. pending reports whether an old one is
// in progress; if it is nil, quotas of those do not count.
func invalidate(
	t *transaction, id string, in *distribution.InvalidationBatch, pending func(*batch) bool,
) (*batch, error) {
	if _, err := readItem(t, distributions(), t.account, id); err != nil {
		return nil, err
	}
	old, err := invalidations(t, id)
	if err != nil {
		return nil, err
	}
	for _, b := range old {
		if b.reference != in.CallerReference {
			continue
		}
		p, err := readPaths(t, b.number)
		if err != nil {
			return nil, err
		}
		if !slices.Equal(p.items, in.Paths.Items) {
			return nil, fault.Of(fault.InvalidationBatchAlreadyExists)
		}
		return b, change.ErrUnchanged
	}
	if pending != nil {
		if err := checkInProgress(t, old, in.Paths.Items, pending); err != nil {
			return nil, err
		}
	}
	t.state.number++
	b := &batch{number: t.state.number, created: t.at, reference: in.CallerReference, generation: t.generation}
	t.Set(batchKey(id, b.number), b.encode())
	told := (&paths{id, in.Paths.Items}).encode()
	t.Set(pathsKey(b.number), told)
	kept, err := keptOf(t, old, maxKeptLength-len(told))
	if err != nil {
		return nil, err
	}
	for _, b := range old[kept:] {
		t.Delete(batchKey(id, b.number))
		t.Delete(pathsKey(b.number))
		t.state.oldest = max(t.state.oldest, b.number+1)
	}
	return b, t.tellNewest()
}

// checkInProgress refuses paths that would be too many beside those that are in progress.
func checkInProgress(r kv.Reader, old []*batch, more []string, pending func(*batch) bool) error {
	all := slices.Clone(more)
	for _, b := range old {
		if !pending(b) {
			continue
		}
		p, err := readPaths(r, b.number)
		if err != nil {
			return err
		}
		if all = append(all, p.items...); distribution.CheckInProgress(all) != nil {
			break
		}
	}
	return distribution.CheckInProgress(all)
}

// keptOf returns how many of a distribution's old invalidations, newest first, are kept when a
// new one is stored.
func keptOf(r kv.Reader, old []*batch, length int) (n int, err error) {
	for n < min(len(old), maxKept-1) {
		v, err := r.Get(pathsKey(old[n].number))
		if err != nil {
			return 0, err
		}
		if length -= len(v); length < 0 {
			break
		}
		n++
	}
	return n, nil
}

// tellNewest drops the oldest invalidations from those that edges are told, so that their
// number and length are bounded.
func (t *transaction) tellNewest() error {
	type told struct {
		number uint64
		length int
	}
	var all []told
	length := 0
	for p, err := range t.Scan(pathsKey(t.state.oldest), record.After([]byte(pathsPrefix))) {
		if err != nil {
			return err
		}
		all = append(all, told{binary.BigEndian.Uint64(p.Key[len(pathsPrefix):]), len(p.Value)})
		length += len(p.Value)
	}
	for len(all) > 1 && (len(all) > maxTold || length > maxToldLength) {
		length -= all[0].length
		t.state.oldest = all[0].number + 1
		all = all[1:]
	}
	return nil
}

// dropInvalidations deletes the invalidations of a distribution.
func dropInvalidations(t *transaction, id string) error {
	all, err := invalidations(t, id)
	for _, b := range all {
		t.Delete(batchKey(id, b.number))
		t.Delete(pathsKey(b.number))
	}
	return err
}

// GetInvalidation returns an invalidation. It needs cloudfront:GetInvalidation on the
// distribution. Errors: NoSuchDistribution, NoSuchInvalidation.
func (s *Store) GetInvalidation(
	ctx context.Context, g authz.Grant, id, invalidation string,
) (out Invalidation, err error) {
	if err := g.Demand("cloudfront:GetInvalidation", ofDistribution(g, id)); err != nil {
		return out, err
	}
	owner, err := account(g)
	if err != nil {
		return out, err
	}
	return out, change.View(ctx, s.store, g, func(r kv.Reader) error {
		if _, err := readItem(r, distributions(), owner, id); err != nil {
			return err
		}
		number, ok := parseInvalidationID(invalidation)
		if !ok {
			return fault.Of(fault.NoSuchInvalidation)
		}
		v, err := r.Get(batchKey(id, number))
		if err != nil {
			return err
		}
		if v == nil {
			return fault.Of(fault.NoSuchInvalidation)
		}
		b, err := decodeBatch(number, v)
		if err != nil {
			return err
		}
		p, err := readPaths(r, number)
		if err != nil {
			return err
		}
		out = s.invalidation(owner, id, b, distribution.InvalidationBatch{
			CallerReference: b.reference,
			Paths:           distribution.InvalidationPaths{Quantity: len(p.items), Items: p.items},
		})
		return nil
	})
}

// ListInvalidations returns a page of the invalidations of a distribution, the newest first,
// without their paths, and the marker of the next page. The newest 100 are kept. It needs
// cloudfront:ListInvalidations on the distribution. Errors: NoSuchDistribution,
// InvalidArgument if the marker is not an invalidation's id.
func (s *Store) ListInvalidations(
	ctx context.Context, g authz.Grant, id string, p Page,
) (all []Invalidation, next string, err error) {
	if err := g.Demand("cloudfront:ListInvalidations", ofDistribution(g, id)); err != nil {
		return nil, "", err
	}
	owner, err := account(g)
	if err != nil {
		return nil, "", err
	}
	return all, next, change.View(ctx, s.store, g, func(r kv.Reader) error {
		if _, err := readItem(r, distributions(), owner, id); err != nil {
			return err
		}
		kept, err := invalidations(r, id)
		if err != nil {
			return err
		}
		if p.Marker != "" {
			after, ok := parseInvalidationID(p.Marker)
			if !ok {
				return fault.New(fault.InvalidArgument, "The marker is not an invalidation's id.")
			}
			kept = slices.DeleteFunc(kept, func(b *batch) bool { return b.number >= after })
		}
		if len(kept) > p.Size() {
			kept = kept[:p.Size()]
			next = invalidationID(kept[len(kept)-1].number)
		}
		for _, b := range kept {
			in := distribution.InvalidationBatch{CallerReference: b.reference}
			all = append(all, s.invalidation(owner, id, b, in))
		}
		return nil
	})
}
