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

// Fetcher fetches https addresses. Its errors of kind fault.Unavailable may be
// temporary. thumbprints are those of authorities to trust besides the system's.
type Fetcher interface {
	Get(ctx context.Context, address string, thumbprints []string) ([]byte, error)
}

const (
	maxIssuers = 256
	maxKeys    = 100
	maxHeld    = 128 << 10 // bytes of one issuer's keys
	minRSA     = 2048      // bits
	maxRSA     = 8192

	fresh = time.Hour        // how long keys count that an issuer had
	again = time.Minute      // between two looks for a key that was not there
	retry = 10 * time.Second // between two tries to reach an issuer
)

// Verifier verifies tokens, and keeps the keys of their issuers for an hour.
type Verifier struct {
	fetch   Fetcher
	mu      sync.Mutex
	issuers map[string]*issuer
}

// issuer is an issuer's keys, reached in one way.
type issuer struct {
	mu    sync.Mutex // held while they are fetched
	tried time.Time
	have  time.Time // when keys was fetched; zero where there are none
	keys  []key
	err   error // of the last try
	used  time.Time
}

// New returns a verifier; without a fetcher it verifies nothing.
func New(f Fetcher) *Verifier { return &Verifier{fetch: f, issuers: map[string]*issuer{}} }

// Verify verifies a token's signature with its issuer's keys, and that it holds
// at an instant. The caller has checked that the issuer is trusted.
// Errors: InvalidIdentityToken, ExpiredTokenException, IDPCommunicationError,
// IDPRejectedClaim.
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

// key finds the key that the token says signed it.
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
		// A caller who hangs up must not be why others find no keys.
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

// current reports whether the keys count.
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

// issuer returns an issuer's place. Keys that were reached by trusting another
// authority are another's.
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

// forget drops the issuer that was not used for longest.
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

// unreachable is the refusal where an issuer's keys could not be had. Clients
// try again where the network failed.
func unreachable(err error) error {
	if fault.From(err).Kind == fault.KindUnavailable {
		return fault.Of(fault.IDPCommunicationError).Because(err)
	}
	return fault.New(fault.InvalidIdentityToken,
		"Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "+
			"documentation for requirements").Because(err)
}
