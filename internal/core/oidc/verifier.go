package oidc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"watertight/internal/fault"
	"watertight/internal/strictjson"
)

// Fetcher fetches https URLs. Its errors of kind fault.Unavailable may be temporary.
// thumbprints are those of authorities to trust in addition to the system's.
type Fetcher interface {
	Get(ctx context.Context, address string, thumbprints []string) ([]byte, error)
}

const (
	maxIssuers = 256
	maxKeys    = 100
	maxHeld    = 128 << 10 // bytes of one issuer's keys
	minRSA     = 2048      // bits
	maxRSA     = 8192

	fresh = time.Hour        // how long fetched keys are used
	again = time.Minute      // minimum time between two fetches because of an unknown key
	retry = 10 * time.Second // minimum time between two attempts to reach an issuer
)

// Verifier verifies tokens. It caches the keys of their issuers for an hour.
type Verifier struct {
	fetch   Fetcher
	mu      sync.Mutex
	issuers map[string]*issuer
}

// issuer caches the keys of an issuer for one set of thumbprints.
type issuer struct {
	mu    sync.Mutex // held while the keys are fetched
	tried time.Time
	have  time.Time // when keys was fetched; zero if it never was
	keys  []key
	err   error // error of the last attempt
	used  time.Time
}

// New returns a Verifier. Without a fetcher it accepts no token.
func New(f Fetcher) *Verifier { return &Verifier{fetch: f, issuers: map[string]*issuer{}} }

// Verify verifies a token's signature with its issuer's keys, and that the token is valid
// at a time. The caller must have checked that the issuer is trusted. Errors:
// InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError, IDPRejectedClaim.
func (v *Verifier) Verify(ctx context.Context, t *Token, thumbprints []string, at time.Time) error {
	k, err := v.key(ctx, t, thumbprints, at)
	if err != nil {
		return err
	}
	if !t.signedBy(k) {
		return Rejected().Because(errors.New("oidc: the signature does not match"))
	}
	return t.checkTimes(at)
}

// key returns the key that signed the token, according to the token.
func (v *Verifier) key(ctx context.Context, t *Token, thumbprints []string, at time.Time) (*key, error) {
	if v == nil || v.fetch == nil {
		return nil, unreachable(errors.New("oidc: there is no way to reach issuers"))
	}
	i := v.issuer(t.Issuer, thumbprints, at)
	i.mu.Lock()
	defer i.mu.Unlock()
	if k := i.find(t, at); k != nil {
		return k, nil
	}
	wait := retry
	if i.current(at) {
		wait = again
	}
	if since := at.Sub(i.tried); i.tried.IsZero() || since >= wait || since < -wait {
		i.tried = at
		// The fetch continues if this caller disconnects, because other callers wait for
		// its result.
		keys, err := v.keys(context.WithoutCancel(ctx), t.Issuer, thumbprints)
		if i.err = err; err == nil {
			i.keys, i.have = keys, at
		}
	}
	if k := i.find(t, at); k != nil {
		return k, nil
	}
	if i.err != nil {
		return nil, i.err
	}
	return nil, Rejected().Because(errors.New("oidc: the issuer has no such key"))
}

// current reports whether the keys may still be used.
func (i *issuer) current(at time.Time) bool { return !i.have.IsZero() && at.Sub(i.have) < fresh }

func (i *issuer) find(t *Token, at time.Time) *key {
	if !i.current(at) {
		return nil
	}
	for n := range i.keys {
		if t.fits(&i.keys[n]) {
			return &i.keys[n]
		}
	}
	return nil
}

// issuer returns the cache entry of an issuer. Keys that were fetched with other
// thumbprints have another entry.
func (v *Verifier) issuer(name string, thumbprints []string, at time.Time) *issuer {
	pins := slices.Sorted(slices.Values(thumbprints))
	at = at.Round(0)
	id := strings.ToLower(strings.Join(pins, " ")) + " " + name
	v.mu.Lock()
	defer v.mu.Unlock()
	i := v.issuers[id]
	if i == nil {
		if len(v.issuers) >= maxIssuers {
			v.forget()
		}
		i = &issuer{}
		v.issuers[id] = i
	}
	i.used = at
	return i
}

// forget drops the least recently used issuer.
func (v *Verifier) forget() {
	oldest := ""
	for id, i := range v.issuers {
		if oldest == "" || i.used.Before(v.issuers[oldest].used) {
			oldest = id
		}
	}
	delete(v.issuers, oldest)
}

// keys fetches an issuer's keys (OpenID Connect Discovery 1.0, section 4).
func (v *Verifier) keys(ctx context.Context, name string, thumbprints []string) ([]key, error) {
	b, err := v.fetch.Get(ctx, strings.TrimSuffix(name, "/")+"/.well-known/openid-configuration", thumbprints)
	if err != nil {
		return nil, unreachable(err)
	}
	about, err := strictjson.Read(b, maxDepth)
	if err != nil {
		return nil, unreachable(fmt.Errorf("oidc: configuration of %s: %w", name, err))
	}
	itself, err := about.Text("issuer")
	if err != nil || itself != name {
		return nil, unreachable(fmt.Errorf("oidc: %s calls itself %.256q", name, itself))
	}
	keys, err := about.Text("jwks_uri")
	if err != nil || keys == "" {
		return nil, unreachable(fmt.Errorf("oidc: %s does not say where its keys are: %w", name, err))
	}
	if b, err = v.fetch.Get(ctx, keys, thumbprints); err != nil {
		return nil, unreachable(err)
	}
	return parseKeys(b)
}

// unreachable is the error for keys that could not be fetched. If the network failed, its
// code tells clients to try again.
func unreachable(err error) error {
	if fault.From(err).Kind == fault.KindUnavailable {
		return fault.Of(fault.IDPCommunicationError).Because(err)
	}
	return fault.New(fault.InvalidIdentityToken,
		"Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "+
			"documentation for requirements").Because(err)
}
