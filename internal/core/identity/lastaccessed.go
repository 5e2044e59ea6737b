package identity

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// LastAccessed is when a service was last used by the entities that a report covers. An
// attempt counts even if it failed.
type LastAccessed struct {
	Service  string    // "s3"
	At       time.Time // zero if never
	Entity   string    // ARN of the user or role that used it last
	Entities int       // how many entities have used it
}

// job is the request for a report. The job id contains all of it, so that no job has to be stored.
type job struct {
	id string // unique id of an entity or a managed policy
	at time.Time
}

const (
	jobSize      = 36 // IAM API reference, jobIDType
	uniqueIDSize = 21
)

func (j job) String() string { return fmt.Sprintf("%s-%014d", j.id, j.at.UnixMilli()) }

// parseJob decodes a job id. It returns false if no report has this id at the time now.
func parseJob(text string, now time.Time) (job, bool) {
	const word = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if len(text) != jobSize || text[uniqueIDSize] != '-' || strings.Trim(text[:uniqueIDSize], word) != "" {
		return job{}, false
	}
	ms, err := strconv.ParseUint(text[uniqueIDSize+1:], 10, 63)
	j := job{text[:uniqueIDSize], time.UnixMilli(int64(ms)).UTC()}
	return j, err == nil && !j.at.After(now)
}

func noSuchJob(text string) error { return noSuch("The job with ID %s cannot be found.", text) }

// accessTarget is the subject of a report: an entity or a managed policy.
type accessTarget struct {
	Subject
	entity *Entity
	policy *ManagedPolicy
}

func entityTarget(e *Entity) *accessTarget {
	return &accessTarget{Subject: Subject{e.ARN(), e.Tags, e.Boundary}, entity: e}
}

func policyTargetOf(p *ManagedPolicy) *accessTarget {
	return &accessTarget{Subject: Subject{ARN: p.ARN(), Tags: p.Tags}, policy: p}
}

func (t *accessTarget) id() string {
	if t.entity != nil {
		return t.entity.ID
	}
	return t.policy.ID
}

// targetNamed returns the user, group, role or policy with an ARN, or nil if there is none.
func (s *Store) targetNamed(r kv.Reader, account string, a arn.ARN) (*accessTarget, error) {
	if strings.HasPrefix(a.Resource, "policy/") {
		p, err := s.FindPolicy(r, account, a.String())
		if err != nil || p == nil {
			return nil, err
		}
		return policyTargetOf(p), nil
	}
	e, err := FindARN(r, a)
	if err != nil || e == nil || e.Account != account {
		return nil, err
	}
	return entityTarget(e), nil
}

// targetOf returns the subject of a job, or nil if there is none.
func (s *Store) targetOf(r kv.Reader, account, text string, now time.Time) (*accessTarget, job, error) {
	j, ok := parseJob(text, now)
	if !ok {
		return nil, job{}, nil
	}
	e, err := ReadEntity(r, j.id)
	if err != nil {
		return nil, job{}, err
	}
	if e != nil && e.Account == account && !j.at.Before(e.Created.Truncate(time.Millisecond)) {
		return entityTarget(e), j, nil
	}
	p, err := readPolicy(r, j.id)
	if err != nil {
		return nil, job{}, err
	}
	if p != nil && p.Account == account {
		return policyTargetOf(p), j, nil
	}
	for _, p := range s.published {
		if p.ID == j.id {
			return policyTargetOf(p), j, nil
		}
	}
	return nil, job{}, nil
}

// LastAccessedARN parses the ARN of a report's subject. Errors: InvalidInput.
func LastAccessedARN(name string) (arn.ARN, error) {
	a, err := arn.Parse(name)
	kind, _, ok := strings.Cut(a.Resource, "/")
	if err != nil || !ok || a.Service != "iam" || !slices.Contains([]string{"user", "group", "role", "policy"}, kind) {
		return arn.ARN{}, invalidInput("Invalid ARN: %s names no user, group, role or policy.", name)
	}
	return a, nil
}

// LastAccessedSubject returns the subject of a report by its ARN, for the needs of the request.
func (s *Store) LastAccessedSubject(ctx context.Context, account, name string) (out Subject, err error) {
	if out.ARN, err = LastAccessedARN(name); err != nil {
		return out, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		t, err := s.targetNamed(r, account, out.ARN)
		if t != nil {
			out = t.Subject
		}
		return err
	})
	return out, err
}

// JobSubject returns the subject of a report by the job id. It returns false if there is none.
func (s *Store) JobSubject(
	ctx context.Context, account, text string, now time.Time,
) (out Subject, found bool, err error) {
	err = s.store.View(ctx, func(r kv.Reader) error {
		t, _, err := s.targetOf(r, account, text, now)
		if found = t != nil; found {
			out = t.Subject
		}
		return err
	})
	return out, found, err
}

const generateLastAccessed = policy.Action("iam:GenerateServiceLastAccessedDetails")

// GenerateLastAccessed returns the id of a report on a user, group, role or
// managed policy. It needs iam:GenerateServiceLastAccessedDetails on it.
// Errors: InvalidInput, NoSuchEntity.
func (s *Store) GenerateLastAccessed(ctx context.Context, g authz.Grant, name string) (id string, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		a, err := LastAccessedARN(name)
		if err != nil {
			return err
		}
		if err := g.Demand(generateLastAccessed, a); err != nil {
			return err
		}
		t, err := s.targetNamed(r, account, a)
		if err != nil {
			return err
		}
		if t == nil {
			return noSuch("The entity with ARN %s cannot be found.", name)
		}
		id = job{t.id(), Instant(g)}.String()
		return nil
	})
	return id, err
}

// AccessReport is a page of the report with a job id.
type AccessReport struct {
	Services []LastAccessed
	Asked    time.Time // when the report was requested
	Next     string    // marker of the next page
}

// GetLastAccessed returns the report with a job id, with the current data: the services of
// which the policies of its subject allow something. It needs
// iam:GetServiceLastAccessedDetails on "*". It also needs
// iam:GenerateServiceLastAccessedDetails on the subject, because anyone can make up a job
// id. Errors: NoSuchEntity.
func (s *Store) GetLastAccessed(
	ctx context.Context, g authz.Grant, id string, p page.Request,
) (out AccessReport, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		if err := g.Demand("iam:GetServiceLastAccessedDetails", arn.Any()); err != nil {
			return err
		}
		t, j, err := s.targetOf(r, account, id, g.Caller().At())
		if err != nil {
			return err
		}
		if t == nil {
			return noSuchJob(id)
		}
		if err := g.Demand(generateLastAccessed, t.ARN); err != nil {
			return err
		}
		all, err := s.reportAccesses(r, account, t)
		if err != nil {
			return err
		}
		out.Asked = j.at
		out.Services, out.Next, err = page.Cut(all, func(l *LastAccessed) string { return l.Service }, p,
			"accessed\x00"+t.id())
		return err
	})
	return out, err
}

func (s *Store) reportAccesses(r kv.Reader, account string, t *accessTarget) (all []LastAccessed, err error) {
	laws, actors, err := s.accessesOf(r, account, t)
	if err != nil {
		return nil, err
	}
	used := make([]accesses, len(actors))
	for i, e := range actors {
		if used[i], err = s.lastAccesses(r, e.ID); err != nil {
			return nil, err
		}
	}
	for n, service := range services() {
		if !policy.AllowsSome(laws, service) {
			continue
		}
		l := LastAccessed{Service: service}
		for i, e := range actors {
			at := used[i][n]
			if at.IsZero() {
				continue
			}
			l.Entities++
			if at.After(l.At) {
				l.At, l.Entity = at, e.ARN().String()
			}
		}
		all = append(all, l)
	}
	return all, nil
}

// accessesOf returns the policies of a report's subject, and the users and roles that these
// policies apply to.
func (s *Store) accessesOf(
	r kv.Reader, account string, t *accessTarget,
) (laws []*policy.Document, actors []*Entity, err error) {
	sources := []*Entity{t.entity}
	if t.policy != nil {
		d, err := s.Document(t.policy.InForce().Document)
		if err != nil {
			return nil, nil, err
		}
		laws = []*policy.Document{d}
		ids, err := record.Names(r, useKey(account, attached, t.policy.ID, ""))
		if err != nil {
			return nil, nil, err
		}
		if sources, err = EntitiesByName(r, ids); err != nil {
			return nil, nil, err
		}
	} else {
		of, err := s.LawsOf(r, t.entity)
		if err != nil {
			return nil, nil, err
		}
		laws = of.Identity
	}
	for _, e := range sources {
		if e.Kind != Group {
			actors = append(actors, e)
			continue
		}
		ids, err := record.Names(r, membersKey(e.ID))
		if err != nil {
			return nil, nil, err
		}
		members, err := EntitiesByName(r, ids)
		if err != nil {
			return nil, nil, err
		}
		actors = append(actors, members...)
	}
	slices.SortFunc(actors, func(a, b *Entity) int { return strings.Compare(a.ID, b.ID) })
	return laws, slices.CompactFunc(actors, func(a, b *Entity) bool { return a.ID == b.ID }), nil
}

// access is the use of one service by a user or role.
type access struct {
	id      string
	service int
}

// accesses are the times when a user or role last used each service.
type accesses [3]time.Time

// services returns the services whose uses are recorded, in the order of their names. Their
// positions, from 1, are the field numbers in records.
func services() [len(accesses{})]string { return [...]string{"iam", "s3", "sts"} }

// accessesPrefix begins the keys of the last uses of services by a user or role:
//
//	i/u/ID
const accessesPrefix = "i/u/"

func accessesKey(id string) []byte { return record.Key(accessesPrefix, id) }

func (a *accesses) encode() []byte {
	return record.Time(record.Time(record.Time(record.Start(nil), 1, a[0]), 2, a[1]), 3, a[2])
}

func readAccesses(r kv.Reader, id string) (a accesses, err error) {
	v, err := r.Get(accessesKey(id))
	if err != nil || v == nil {
		return accesses{}, err
	}
	f := record.Read(v)
	for f.Next() {
		if f.Number < 1 || int(f.Number) > len(a) {
			f.Unknown()
			continue
		}
		a[f.Number-1] = f.Time()
	}
	if f.Err() != nil {
		return accesses{}, record.Malformed("last uses of services by " + id)
	}
	return a, nil
}

// NoteAccess records that a user or role used a service in a request with a valid
// signature. Reports do not cover root users and other services.
func (u *Uses) NoteAccess(id, service string, at time.Time) {
	known := services()
	if n := slices.Index(known[:], service); n >= 0 && len(id) == uniqueIDSize {
		u.accesses.Note(access{id, n}, at, at)
	}
}

// writeAccesses updates the records of entities that still exist.
func writeAccesses(tx kv.Tx, batch map[access]time.Time) error {
	for k, at := range batch {
		e, err := ReadEntity(tx, k.id)
		if err != nil {
			return err
		}
		if e == nil {
			continue
		}
		a, err := readAccesses(tx, k.id)
		if err != nil {
			return err
		}
		a[k.service] = at
		tx.Set(accessesKey(k.id), a.encode())
	}
	return nil
}

// lastAccesses returns when a user or role last used each service.
func (s *Store) lastAccesses(r kv.Reader, id string) (accesses, error) {
	a, err := readAccesses(r, id)
	if err != nil || s.uses == nil {
		return a, err
	}
	for n := range a {
		if at, ok := s.uses.accesses.Known(access{id, n}); ok && at.After(a[n]) {
			a[n] = at
		}
	}
	return a, nil
}
