package cdn

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

const other = "444455556666"

// env is a store, and an edge that it serves.
type env struct {
	*testing.T
	kv     kv.Store
	s      *Store
	edge   *distribution.Snapshot // what the edge serves
	refuse bool                   // the edge refuses every snapshot
}

func newEnv(t *testing.T) *env {
	e := &env{T: t, kv: coretest.Store(t)}
	e.s = New(e.kv, Options{Domains: []string{"store.example"}})
	e.s.Serve(func(_ context.Context, s *distribution.Snapshot) error {
		if e.refuse {
			return errors.New("refused")
		}
		if e.edge != nil && s.Generation < e.edge.Generation {
			t.Errorf("generation %d after %d", s.Generation, e.edge.Generation)
		}
		e.edge = s
		return nil
	})
	return e
}

// grant returns a grant of an action for the root user of an account.
func (e *env) grant(account, action, resource string) authz.Grant {
	e.Helper()
	r := arn.Any()
	if resource != "*" {
		r = arn.CloudFront(account, resource)
	}
	return coretest.Grant(e.T, coretest.RootAt(account, time.UnixMicro(1_700_000_000_000_001)), r,
		policy.Action("cloudfront:"+action))
}

func (e *env) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatal(err)
	}
}

func (e *env) is(err error, code fault.Code) {
	e.Helper()
	if !fault.Is(err, code) {
		e.Errorf("got %v, want %s", err, code)
	}
}

// site returns what the edge serves of a distribution, or nil.
func (e *env) site(id string) *distribution.Site {
	if e.edge == nil {
		return nil
	}
	for i := range e.edge.Sites {
		if e.edge.Sites[i].ID == id {
			return &e.edge.Sites[i]
		}
	}
	return nil
}

// config returns a valid configuration with a bucket and these aliases.
func configOf(reference string, aliases ...string) distribution.Config {
	return distribution.Config{
		CallerReference: reference, Enabled: true,
		Aliases: distribution.Aliases{Quantity: len(aliases), Items: aliases},
		Origins: distribution.Origins{Quantity: 1, Items: []distribution.Origin{{
			Id: "o", DomainName: "bkt.store.example", S3OriginConfig: &distribution.S3OriginConfig{},
		}}},
		DefaultCacheBehavior: distribution.CacheBehavior{
			TargetOriginId: "o", ViewerProtocolPolicy: "allow-all", CachePolicyId: distribution.CachingOptimized,
		},
	}
}

func (e *env) create(account string, c distribution.Config) (Distribution, error) {
	e.Helper()
	return e.s.CreateDistribution(e.Context(), e.grant(account, "CreateDistribution", "distribution/*"), c, nil)
}

func (e *env) made(c distribution.Config) Distribution {
	e.Helper()
	d, err := e.create(coretest.Account, c)
	e.ok(err)
	return d
}

func (e *env) update(d *Distribution, c distribution.Config) (Distribution, error) {
	e.Helper()
	g := e.grant(coretest.Account, "UpdateDistribution", "distribution/"+d.ID)
	return e.s.UpdateDistribution(e.Context(), g, d.ID, d.ETag, c)
}

func (e *env) delete(d *Distribution) error {
	e.Helper()
	g := e.grant(coretest.Account, "DeleteDistribution", "distribution/"+d.ID)
	return e.s.DeleteDistribution(e.Context(), g, d.ID, d.ETag)
}

func (e *env) get(account, id string) (Distribution, error) {
	e.Helper()
	return e.s.GetDistribution(e.Context(), e.grant(account, "GetDistribution", "distribution/"+id), id)
}

func (e *env) accessControl(name string) OriginAccessControl {
	e.Helper()
	c, err := e.s.CreateOriginAccessControl(e.Context(),
		e.grant(coretest.Account, "CreateOriginAccessControl", "origin-access-control/*"),
		distribution.OriginAccessControlConfig{
			Name: name, SigningProtocol: "sigv4", SigningBehavior: "always", OriginAccessControlOriginType: "s3",
		})
	e.ok(err)
	return c
}

func (e *env) invalidate(id, reference string, paths ...string) (Invalidation, error) {
	e.Helper()
	g := e.grant(coretest.Account, "CreateInvalidation", "distribution/"+id)
	return e.s.CreateInvalidation(e.Context(), g, id, distribution.InvalidationBatch{
		CallerReference: reference, Paths: distribution.InvalidationPaths{Quantity: len(paths), Items: paths},
	})
}

// dump returns all keys that are stored.
func (e *env) dump() (keys []string) {
	e.Helper()
	e.ok(e.kv.View(e.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan([]byte("x/"), []byte("x0")) {
			if err != nil {
				return err
			}
			keys = append(keys, string(p.Key))
		}
		return nil
	}))
	return slices.DeleteFunc(keys, func(k string) bool { return k == statePrefix })
}
