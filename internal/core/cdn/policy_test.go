package cdn

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
)

func caching(name string) distribution.CachePolicyConfig {
	p := distribution.ManagedCachePolicies()[distribution.CachingOptimized]
	p.Name = name
	return p
}

// TestCachePolicies: managed policies exist in every account and never change. Customers'
// policies have unique names. A change of a policy reaches edges that serve with it.
func TestCachePolicies(t *testing.T) {
	e := newEnv(t)
	make := func(account, name string) (CachePolicy, error) {
		g := e.grant(account, "CreateCachePolicy", "cache-policy/*")
		return e.s.CreateCachePolicy(t.Context(), g, caching(name))
	}
	p, err := make(coretest.Account, "mine")
	e.ok(err)
	_, err = make(coretest.Account, "mine")
	e.is(err, fault.CachePolicyAlreadyExists)
	_, err = make(other, "mine")
	e.ok(err)
	second, err := make(coretest.Account, "second")
	e.ok(err)
	c := configOf("a")
	c.DefaultCacheBehavior.CachePolicyId = p.ID
	d := e.made(c)
	before := e.site(d.ID).Changed
	update := func(p *CachePolicy, name string) (CachePolicy, error) {
		g := e.grant(coretest.Account, "UpdateCachePolicy", "cache-policy/"+p.ID)
		in := caching(name)
		in.MinTTL = 7
		return e.s.UpdateCachePolicy(t.Context(), g, p.ID, p.ETag, in)
	}
	_, err = update(&p, "second")
	e.is(err, fault.CachePolicyAlreadyExists)
	changed, err := update(&p, "renamed")
	e.ok(err)
	if site := e.site(d.ID); site.CachePolicies[p.ID].MinTTL != 7 || site.Changed <= before || changed.ETag == p.ETag {
		t.Errorf("updated %+v, served %+v", changed, site)
	}
	_, err = make(coretest.Account, "mine") // the name is free
	e.ok(err)
	del := func(p *CachePolicy) error {
		g := e.grant(coretest.Account, "DeleteCachePolicy", "cache-policy/"+p.ID)
		return e.s.DeleteCachePolicy(t.Context(), g, p.ID, p.ETag)
	}
	e.is(del(&changed), fault.CachePolicyInUse)
	e.ok(del(&second))
	managed := CachePolicy{ID: distribution.CachingOptimized, ETag: managedETag}
	e.is(del(&managed), fault.IllegalDelete)
	_, err = update(&managed, "x")
	e.is(err, fault.IllegalUpdate)
	g := e.grant(other, "GetCachePolicy", "cache-policy/"+managed.ID)
	got, err := e.s.GetCachePolicy(t.Context(), g, managed.ID)
	e.ok(err)
	if !got.Managed || got.Config.Name != "Managed-CachingOptimized" {
		t.Errorf("got %+v", got)
	}
	for typ, want := range map[string]int{"": 7, "managed": 5, "custom": 2} {
		t.Run("list "+typ, func(t *testing.T) {
			g := e.grant(coretest.Account, "ListCachePolicies", "*")
			all, next, err := e.s.ListCachePolicies(t.Context(), g, typ, Page{})
			if err != nil || len(all) != want || next != "" {
				t.Errorf("lists %d, %v", len(all), err)
			}
		})
	}
}

func publicKey(t *testing.T, reference string) distribution.PublicKeyConfig {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return distribution.PublicKeyConfig{
		CallerReference: reference, Name: reference,
		EncodedKey: string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
	}
}

// TestKeys: a key can't be deleted while a group names it, nor a group while a distribution
// names it. A key that is removed from its group is removed from the edge.
func TestKeys(t *testing.T) {
	e := newEnv(t)
	ctx := t.Context()
	key := func(reference string) PublicKey {
		k, err := e.s.CreatePublicKey(ctx, e.grant(coretest.Account, "CreatePublicKey", "*"), publicKey(t, reference))
		e.ok(err)
		return k
	}
	a, b := key("a"), key("b")
	if !isID(a.ID, 'K') {
		t.Errorf("id %s", a.ID)
	}
	group := func(name string, ids ...string) (KeyGroup, error) {
		return e.s.CreateKeyGroup(ctx, e.grant(coretest.Account, "CreateKeyGroup", "*"),
			distribution.KeyGroupConfig{Name: name, Items: ids})
	}
	_, err := group("g", "K0000000000000")
	e.is(err, fault.InvalidArgument)
	g, err := group("g", a.ID, b.ID)
	e.ok(err)
	c := configOf("a")
	c.DefaultCacheBehavior.TrustedKeyGroups = distribution.TrustedKeyGroups{
		Enabled: true, Quantity: 1, Items: []string{g.ID},
	}
	d := e.made(c)
	served := func() (ids []string) {
		for _, k := range e.site(d.ID).KeyGroups[g.ID] {
			ids = append(ids, k.ID)
		}
		return ids
	}
	if got := served(); !slices.Equal(got, []string{a.ID, b.ID}) || !slices.Equal(d.KeyGroups[0].Keys, got) {
		t.Errorf("serves %v", got)
	}
	unkey := func(k PublicKey) error {
		return e.s.DeletePublicKey(ctx, e.grant(coretest.Account, "DeletePublicKey", "*"), k.ID, k.ETag)
	}
	ungroup := func(g KeyGroup) error {
		return e.s.DeleteKeyGroup(ctx, e.grant(coretest.Account, "DeleteKeyGroup", "*"), g.ID, g.ETag)
	}
	e.is(unkey(b), fault.PublicKeyInUse)
	e.is(ungroup(g), fault.ResourceInUse)
	changed, err := e.s.UpdateKeyGroup(ctx, e.grant(coretest.Account, "UpdateKeyGroup", "*"), g.ID, g.ETag,
		distribution.KeyGroupConfig{Name: "g", Items: []string{a.ID}})
	e.ok(err)
	if got := served(); !slices.Equal(got, []string{a.ID}) {
		t.Errorf("serves %v", got)
	}
	e.ok(unkey(b))
	in := a.Config
	in.Comment = "changed"
	rewritten, err := e.s.UpdatePublicKey(ctx, e.grant(coretest.Account, "UpdatePublicKey", "*"), a.ID, a.ETag, in)
	e.ok(err)
	in.EncodedKey = publicKey(t, "x").EncodedKey
	_, err = e.s.UpdatePublicKey(ctx, e.grant(coretest.Account, "UpdatePublicKey", "*"), a.ID, rewritten.ETag, in)
	e.is(err, fault.CannotChangeImmutablePublicKeyFields)
	_, err = e.update(&d, configOf("a"))
	e.ok(err)
	e.ok(ungroup(changed))
	e.ok(unkey(rewritten))
}
