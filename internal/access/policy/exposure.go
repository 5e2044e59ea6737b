package policy

import "slices"

// Exposure says who may use a resource besides its owner's account.
type Exposure struct {
	// Witness shows why a document is public; nil if none is.
	Witness *Witness
	// Open means that principals that no document names are allowed something now: a
	// document is public, and RestrictPublicBuckets is off.
	Open bool
	// Accounts are the other accounts, by id or canonical id, that documents name in an
	// Allow and that Block Public Access does not exclude; sorted.
	Accounts []string
	// Services are the AWS services that documents name, by DNS name; sorted.
	Services []string
	// Deputies are statements by which any account can make a service get in.
	Deputies []Deputy
}

// Exposed returns the exposure of a resource under its laws: its documents, its Block
// Public Access setting, and its owner.
func Exposed(l Laws) Exposure {
	var e Exposure
	for _, d := range l.Resource {
		if d != nil && d.kind == AccessList && l.Public.IgnorePublicACLs {
			e.name(d, l.ResourceOwner)
			continue
		}
		public, w := Public(d, l.Peers)
		if public && (e.Witness == nil || e.Witness.Request == nil && w.Request != nil) {
			e.Witness = w
		}
		if d != nil {
			e.name(d, l.ResourceOwner)
			e.Deputies = append(e.Deputies, d.Deputies()...)
		}
	}
	stranger := Principal{Kind: Anonymous}
	e.Open = e.Witness != nil && !restricted(&l, &stranger)
	if e.Witness != nil && !e.Open {
		e.Accounts = nil
	}
	slices.Sort(e.Accounts)
	slices.Sort(e.Services)
	e.Accounts, e.Services = slices.Compact(e.Accounts), slices.Compact(e.Services)
	return e
}

// name adds the accounts and services that a document names in an Allow.
func (e *Exposure) name(d *Document, owner string) {
	for i := range d.statements {
		for j := range d.statements[i].principals {
			p := &d.statements[i].principals[j]
			switch {
			case !d.statements[i].allow:
			case p.kind == ofService:
				e.Services = append(e.Services, p.Value)
			case p.kind == ofCanonical:
				e.Accounts = append(e.Accounts, p.Value)
			case p.accountOf() != "" && p.accountOf() != owner:
				e.Accounts = append(e.Accounts, p.accountOf())
			}
		}
	}
}

// accountOf returns the account that an entry names, or the account of the principal that it names.
func (p *principal) accountOf() string {
	if p.account != "" {
		return p.account
	}
	return p.arn.Account
}
