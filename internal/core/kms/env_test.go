package kms

import (
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

// grantOn describes a grant to be made.
type grantOn struct {
	e       *env
	on      arn.ARN
	actions []policy.Action
}

func (g grantOn) grant() authz.Grant {
	g.e.Helper()
	return g.e.may(g.on, g.actions...)
}

// mayAll returns a grant for one action on several resources.
func (e *env) mayAll(a policy.Action, on ...arn.ARN) authz.Grant {
	e.Helper()
	var needs []authz.Need
	for _, r := range on {
		needs = append(needs, authz.Need{Action: a, Resource: r})
	}
	return coretest.GrantAll(e.T, coretest.RootAt(coretest.Account, e.at), needs...)
}

// mayBoth returns a grant to re-encrypt ciphertext from one key to another.
func (e *env) mayBoth(from, to Metadata) authz.Grant {
	e.Helper()
	return coretest.GrantAll(e.T, coretest.RootAt(coretest.Account, e.at),
		authz.Need{Action: "kms:ReEncryptFrom", Resource: from.ARN},
		authz.Need{Action: "kms:ReEncryptTo", Resource: to.ARN})
}

// sweep runs the background work.
func (e *env) sweep() Done {
	e.Helper()
	n, err := NewOperator(e.Store).Sweep(e.Context(), e.at, nil)
	if err != nil {
		e.Fatal(err)
	}
	return n
}

// records returns the keys of all records that contain a text in their key or their value.
func (e *env) records(text string) (all []string) {
	e.Helper()
	err := e.store.View(e.Context(), func(r kv.Reader) error {
		for p, err := range r.Scan(nil, nil) {
			if err != nil {
				return err
			}
			if strings.Contains(string(p.Key), text) || strings.Contains(string(p.Value), text) {
				all = append(all, string(p.Key))
			}
		}
		return nil
	})
	if err != nil {
		e.Fatal(err)
	}
	return all
}

func pageOne() page.Request { return page.Request{} }

// key reads a key as uses do.
func (e *env) key(id string) (k *keyRecord) {
	e.Helper()
	if err := e.store.View(e.Context(), func(r kv.Reader) (err error) {
		k, err = e.decoded.key(r, id)
		return err
	}); err != nil {
		e.Fatal(err)
	}
	return k
}
