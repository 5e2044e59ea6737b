package identity

import (
	"context"
	"crypto/rand"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/core/change/record"
	"watertight/internal/core/page"
	"watertight/internal/core/tag"
	"watertight/internal/storage/kv"
)

// Provider is an OpenID Connect identity provider that roles may trust.
type Provider struct {
	Account     string
	ID          string // unique: a provider that is created again for the same URL has another id
	URL         string // without https://
	ClientIDs   []string
	Thumbprints []string
	Created     time.Time
	Tags        []tag.Tag
}

// ARN returns the provider's ARN.
func (p *Provider) ARN() arn.ARN { return ProviderARN(p.Account, p.URL) }

// ProviderARN returns the ARN of the provider for a URL, with or without https://.
func ProviderARN(account, address string) arn.ARN {
	return arn.IAM(account, "oidc-provider/"+strings.TrimPrefix(address, "https://"))
}

// ProvidersARN returns the resource on which a listing of providers needs permission.
func ProvidersARN(account string) arn.ARN { return arn.IAM(account, "oidc-provider/*") }

// A provider is stored under:
//
//	i/o/ACCOUNT/URL
const providerPrefix = "i/o/"

func providersOf(account string) []byte { return record.Key(providerPrefix, account, "/") }
func providerKey(account, address string) []byte {
	return record.Key(providerPrefix, account, "/", address)
}

// Fields of a provider's record.
const (
	fieldProviderClient     = 1 // repeated
	fieldProviderThumbprint = 2 // repeated
	fieldProviderCreated    = 3
	fieldProviderTag        = 4 // repeated
	fieldProviderID         = 5 // missing in records of the first releases
)

func (p *Provider) encode() []byte {
	r := record.Start(make([]byte, 0, 128))
	for _, c := range p.ClientIDs {
		r = record.String(r, fieldProviderClient, c)
	}
	for _, t := range p.Thumbprints {
		r = record.String(r, fieldProviderThumbprint, t)
	}
	r = record.Time(r, fieldProviderCreated, p.Created)
	r = record.String(r, fieldProviderID, p.ID)
	for _, t := range p.Tags {
		r = record.Pair(r, fieldProviderTag, t.Key, t.Value)
	}
	return r
}

func decodeProvider(account, address string, value []byte) (*Provider, error) {
	p := &Provider{Account: account, URL: address}
	f := record.Read(value)
	for f.Next() {
		switch f.Number {
		case fieldProviderClient:
			p.ClientIDs = append(p.ClientIDs, string(f.Bytes))
		case fieldProviderThumbprint:
			p.Thumbprints = append(p.Thumbprints, string(f.Bytes))
		case fieldProviderID:
			p.ID = string(f.Bytes)
		case fieldProviderCreated:
			p.Created = f.Time()
		case fieldProviderTag:
			k, v, ok := f.Pair()
			if !ok {
				return nil, record.Malformed("provider " + address)
			}
			p.Tags = append(p.Tags, tag.Tag{Key: k, Value: v})
		default:
			return nil, record.Malformed("provider " + address)
		}
	}
	if f.Err() != nil {
		return nil, record.Malformed("provider " + address)
	}
	return p, nil
}

// checkProviderURL checks a provider's URL (API reference, CreateOpenIDConnectProvider):
// https, a host, no query and no port. A slash at its end is significant, as in the issuer
// of a token.
func checkProviderURL(address string) (string, error) {
	const hostChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-.[]:"
	u, err := url.Parse(address)
	switch {
	case err != nil, u.Scheme == "", u.Host == "", len(address) > 255:
		return "", validation("Invalid Open ID Connect Provider URL")
	case u.Scheme != "https":
		return "", invalidInput("Invalid Open ID Connect Provider URL. The URL must begin with https://.")
	case u.Port() != "", strings.HasSuffix(u.Host, ":"), u.User != nil, u.RawQuery != "", u.ForceQuery,
		u.Fragment != "", strings.Trim(u.Host, hostChars) != "",
		strings.ContainsFunc(address, func(r rune) bool { return r <= ' ' || r > '~' }):
		return "", invalidInput("Invalid Open ID Connect Provider URL.")
	}
	return strings.TrimPrefix(address, "https://"), nil
}

func checkProviderLists(clients, thumbprints []string) error {
	if len(clients) > maxClientIDs {
		return LimitExceeded("ClientIdsPerOpenIdConnectProvider", maxClientIDs)
	}
	for _, c := range clients {
		if c == "" || len(c) > 255 {
			return validation("1 validation error detected: Value at 'clientID' failed to satisfy constraint: Member " +
				"must have length less than or equal to 255")
		}
	}
	if len(thumbprints) > maxThumbprints {
		return invalidInput("Thumbprint list must contain fewer than %d entries.", maxThumbprints)
	}
	for _, t := range thumbprints {
		if utf8.RuneCountInString(t) != 40 {
			return invalidInput("Thumbprint must be exactly 40 characters.")
		}
	}
	return nil
}

// providerTags returns the rules for the tags of providers.
func providerTags() tag.IAM { return tag.IAM{CaseSensitive: true} }

func lowered(thumbprints []string) []string {
	out := make([]string, 0, len(thumbprints))
	for _, t := range thumbprints {
		out = append(out, strings.ToLower(t))
	}
	return out
}

// CreateProvider makes an OIDC provider. It needs iam:CreateOpenIDConnectProvider
// on ProviderARN.
// Errors: EntityAlreadyExists, ValidationError, InvalidInput, LimitExceeded.
func (s *Store) CreateProvider(
	ctx context.Context, g authz.Grant, address string, clients, thumbprints []string, tags []tag.Tag,
) (*Provider, error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, err
	}
	if err := g.Demand("iam:CreateOpenIDConnectProvider", ProviderARN(account, address)); err != nil {
		return nil, err
	}
	host, err := checkProviderURL(address)
	if err != nil {
		return nil, err
	}
	if err := providerTags().Check(tags); err != nil {
		return nil, err
	}
	if err := checkProviderLists(clients, thumbprints); err != nil {
		return nil, err
	}
	p := &Provider{
		Account: account, ID: rand.Text(), URL: host, ClientIDs: clients, Thumbprints: lowered(thumbprints),
		Created: Instant(g), Tags: tags,
	}
	return p, Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		taken, err := tx.Get(providerKey(account, host))
		if err != nil {
			return err
		}
		if taken != nil {
			return alreadyExists("Provider with url https://%s already exists.", host)
		}
		n, err := record.Count(tx, providersOf(account))
		if err != nil {
			return err
		}
		if n >= maxProviders {
			return LimitExceeded("OpenIDConnectProvidersPerAccount", maxProviders)
		}
		tx.Set(providerKey(account, host), p.encode())
		return nil
	})
}

// providerTarget returns the ARN on which an operation on a provider is demanded.
func providerTarget(name string) (arn.ARN, error) {
	a, err := arn.Parse(name)
	if err != nil || a.Service != "iam" || !strings.HasPrefix(a.Resource, "oidc-provider/") {
		if err == nil && a.Service == "iam" {
			return arn.ARN{}, validation("Invalid resource type in ARN")
		}
		return arn.ARN{}, validation("Invalid ARN: %s", name)
	}
	return a, nil
}

// FindProvider returns the provider of an account with an ARN, or nil if there is none.
func FindProvider(r kv.Reader, account, name string) (*Provider, error) {
	a, err := arn.Parse(name)
	address, ok := strings.CutPrefix(a.Resource, "oidc-provider/")
	if err != nil || !ok || a.Service != "iam" || a.Account != account || address == "" {
		return nil, nil
	}
	v, err := r.Get(providerKey(account, address))
	if err != nil || v == nil {
		return nil, err
	}
	p, err := decodeProvider(account, address, v)
	if err != nil || p.ARN() != a { // a policy about its own ARN must not be passed by another partition or region
		return nil, err
	}
	return p, nil
}

// demandProvider demands action on a provider and returns the provider.
func demandProvider(r kv.Reader, g authz.Grant, account string, action policy.Action, name string) (*Provider, error) {
	a, err := providerTarget(name)
	if err != nil {
		return nil, err
	}
	if err := g.Demand(action, a); err != nil {
		return nil, err
	}
	p, err := FindProvider(r, account, name)
	if err == nil && p == nil {
		err = noSuchProvider(action, name)
	}
	return p, err
}

// noSuchProvider is the error for a missing provider. AWS has two wordings.
func noSuchProvider(action policy.Action, name string) error {
	switch action {
	case "iam:DeleteOpenIDConnectProvider", "iam:TagOpenIDConnectProvider", "iam:UntagOpenIDConnectProvider",
		"iam:ListOpenIDConnectProviderTags":
		return noSuch("OpenId connect Provider %s cannot be found.", name)
	}
	return noSuch("OpenIDConnect Provider not found for arn %s", name)
}

// GetProvider returns a provider. It needs iam:GetOpenIDConnectProvider.
// Errors: NoSuchEntity, ValidationError.
func (s *Store) GetProvider(ctx context.Context, g authz.Grant, name string) (*Provider, error) {
	return s.inspectProvider(ctx, g, "iam:GetOpenIDConnectProvider", name)
}

// ProviderTags returns a page of a provider's tags. It needs
// iam:ListOpenIDConnectProviderTags. Errors: NoSuchEntity, ValidationError.
func (s *Store) ProviderTags(
	ctx context.Context, g authz.Grant, name string, in page.Request,
) ([]tag.Tag, string, error) {
	p, err := s.inspectProvider(ctx, g, "iam:ListOpenIDConnectProviderTags", name)
	if err != nil {
		return nil, "", err
	}
	return tag.Page(p.Tags, in, name)
}

func (s *Store) inspectProvider(
	ctx context.Context, g authz.Grant, action policy.Action, name string,
) (p *Provider, err error) {
	err = View(ctx, s.store, g, func(r kv.Reader, account string) error {
		p, err = demandProvider(r, g, account, action, name)
		return err
	})
	return p, err
}

// ProviderSubject returns a provider as the subject of an authorization, by its ARN.
// Errors: ValidationError.
func (s *Store) ProviderSubject(ctx context.Context, account, name string) (out Subject, err error) {
	if out.ARN, err = providerTarget(name); err != nil {
		return out, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		p, err := FindProvider(r, account, name)
		if err == nil && p != nil {
			out.Tags = p.Tags
		}
		return err
	})
	return out, err
}

// Providers returns the ARNs of the account's providers. It needs
// iam:ListOpenIDConnectProviders on ProvidersARN.
func (s *Store) Providers(ctx context.Context, g authz.Grant) (all []string, err error) {
	account, err := CallerAccount(g)
	if err != nil {
		return nil, err
	}
	if err := g.Demand("iam:ListOpenIDConnectProviders", ProvidersARN(account)); err != nil {
		return nil, err
	}
	err = s.store.View(ctx, func(r kv.Reader) error {
		addresses, err := record.Names(r, providersOf(account))
		for _, address := range addresses {
			all = append(all, ProviderARN(account, address).String())
		}
		return err
	})
	return all, err
}

// DeleteProvider removes a provider. It needs iam:DeleteOpenIDConnectProvider.
// Errors: NoSuchEntity, ValidationError.
func (s *Store) DeleteProvider(ctx context.Context, g authz.Grant, name string) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		p, err := demandProvider(tx, g, account, "iam:DeleteOpenIDConnectProvider", name)
		if err != nil {
			return err
		}
		tx.Delete(providerKey(account, p.URL))
		return nil
	})
}

// AddClientID adds a client id to a provider. If the provider has it already, nothing
// changes (API reference). It needs iam:AddClientIDToOpenIDConnectProvider. Errors:
// NoSuchEntity, ValidationError, LimitExceeded.
func (s *Store) AddClientID(ctx context.Context, g authz.Grant, name, id string) error {
	return s.modifyProvider(ctx, g, "iam:AddClientIDToOpenIDConnectProvider", name, func(p *Provider) error {
		if !slices.Contains(p.ClientIDs, id) {
			p.ClientIDs = append(p.ClientIDs, id)
		}
		return nil
	})
}

// RemoveClientID removes a client id from a provider. If the provider does not have it,
// nothing changes. It needs iam:RemoveClientIDFromOpenIDConnectProvider. Errors:
// NoSuchEntity, ValidationError.
func (s *Store) RemoveClientID(ctx context.Context, g authz.Grant, name, id string) error {
	return s.modifyProvider(ctx, g, "iam:RemoveClientIDFromOpenIDConnectProvider", name, func(p *Provider) error {
		p.ClientIDs = slices.DeleteFunc(p.ClientIDs, func(other string) bool { return other == id })
		return nil
	})
}

// UpdateThumbprints replaces a provider's thumbprints. It needs
// iam:UpdateOpenIDConnectProviderThumbprint.
// Errors: NoSuchEntity, ValidationError, InvalidInput.
func (s *Store) UpdateThumbprints(ctx context.Context, g authz.Grant, name string, thumbprints []string) error {
	return s.modifyProvider(ctx, g, "iam:UpdateOpenIDConnectProviderThumbprint", name, func(p *Provider) error {
		if len(thumbprints) == 0 {
			return invalidInput("Thumbprint list must contain at least one entry.")
		}
		p.Thumbprints = lowered(thumbprints)
		return nil
	})
}

// TagProvider adds tags to a provider. It needs iam:TagOpenIDConnectProvider.
// Errors: NoSuchEntity, ValidationError, InvalidInput, LimitExceeded.
func (s *Store) TagProvider(ctx context.Context, g authz.Grant, name string, tags []tag.Tag) error {
	return s.modifyProvider(ctx, g, "iam:TagOpenIDConnectProvider", name, func(p *Provider) (err error) {
		p.Tags, err = providerTags().Add(p.Tags, tags)
		return err
	})
}

// UntagProvider removes tags from a provider. It needs
// iam:UntagOpenIDConnectProvider. Errors: NoSuchEntity, ValidationError.
func (s *Store) UntagProvider(ctx context.Context, g authz.Grant, name string, keys []string) error {
	return s.modifyProvider(ctx, g, "iam:UntagOpenIDConnectProvider", name, func(p *Provider) error {
		p.Tags = providerTags().Remove(p.Tags, keys)
		return nil
	})
}

// modifyProvider changes one provider.
func (s *Store) modifyProvider(
	ctx context.Context, g authz.Grant, action policy.Action, name string, fn func(*Provider) error,
) error {
	return Commit(ctx, s.store, g, func(tx kv.Tx, account string) error {
		p, err := demandProvider(tx, g, account, action, name)
		if err != nil {
			return err
		}
		if err := fn(p); err != nil {
			return err
		}
		if err := checkProviderLists(p.ClientIDs, p.Thumbprints); err != nil {
			return err
		}
		tx.Set(providerKey(account, p.URL), p.encode())
		return nil
	})
}
