package cdn

import (
	"sort"

	"watertight/internal/core/change/record"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// draft is a document that is about to be stored.
type draft[C any] struct {
	config C
	links
	tags  []tag.Tag
	check func(t *transaction) error // checks it against other records; may be nil
}

// links are the properties, besides its id, by which the store finds a resource. They follow
// from its document.
type links struct {
	name      string   // "" for kinds without names
	reference string   // caller reference, "" for kinds without
	uses      []string // ids of customers' resources that it names
	hosts     []string // alternate domain names
}

// add stores a new resource. Errors: those of the kind and of in.check, CNAMEAlreadyExists.
func add[C any](t *transaction, k kind, in *draft[C]) (*item, error) {
	n, err := record.Count(t, ownedKey(k, t.account, ""))
	if err != nil {
		return nil, err
	}
	if n >= k.limit {
		return nil, fault.Of(k.tooMany)
	}
	i := &item{id: k.newID(), account: t.account, created: t.at, tags: in.tags}
	if in.reference != "" {
		key := referenceKey(k, t.account, in.reference)
		if v, err := t.Get(key); err != nil || v != nil {
			return nil, orExists(err, k)
		}
		t.Set(key, pointer(i.id))
	}
	if k.letter == distributions().letter {
		i.domainName = newDomainName()
		t.Set(hostKey(i.domainName), pointer(i.id))
	}
	t.Set(ownedKey(k, t.account, i.id), record.Start(nil))
	return i, put(t, k, i, in)
}

// replace stores a new document of a resource.
func replace[C any](t *transaction, k kind, i *item, in *draft[C]) error {
	old, err := linksOf(k, i)
	if err != nil {
		return err
	}
	old.cut(t, k, i)
	return put(t, k, i, in)
}

// put stores a resource's document, and the records that lead to it.
func put[C any](t *transaction, k kind, i *item, in *draft[C]) error {
	if in.check != nil {
		if err := in.check(t); err != nil {
			return err
		}
	}
	if in.name != "" {
		key := nameKey(k, t.account, in.name)
		if v, err := t.Get(key); err != nil || v != nil {
			return orExists(err, k)
		}
		t.Set(key, pointer(i.id))
	}
	for _, id := range in.uses {
		t.Set(useKey(id, i.id), record.Start(nil))
	}
	if err := takeHosts(t, i, in.hosts); err != nil {
		return err
	}
	if err := i.set(in.config, t.generation, t.at); err != nil {
		return err
	}
	i.write(t, k)
	return nil
}

// drop deletes a resource and the records that lead to it.
func drop(t *transaction, k kind, i *item) error {
	l, err := linksOf(k, i)
	if err != nil {
		return err
	}
	l.cut(t, k, i)
	if l.reference != "" {
		t.Delete(referenceKey(k, i.account, l.reference))
	}
	if i.domainName != "" {
		t.Delete(hostKey(i.domainName))
	}
	t.Delete(ownedKey(k, i.account, i.id))
	t.Delete(itemKey(k, i.id))
	return nil
}

// cut deletes the records that lead to a resource by the contents of its document.
func (l *links) cut(t *transaction, k kind, i *item) {
	if l.name != "" {
		t.Delete(nameKey(k, i.account, l.name))
	}
	for _, id := range l.uses {
		t.Delete(useKey(id, i.id))
	}
	for _, host := range l.hosts {
		t.Delete(hostKey(host))
	}
}

// linksOf returns the links of a stored resource.
func linksOf(k kind, i *item) (links, error) {
	switch k.letter {
	case distributions().letter:
		return linksFrom(i, distributionLinks)
	case accessControls().letter:
		return linksFrom(i, accessControlLinks)
	case cachePolicies().letter:
		return linksFrom(i, cachePolicyLinks)
	case originRequestPolicies().letter:
		return linksFrom(i, originRequestPolicyLinks)
	case responseHeadersPolicies().letter:
		return linksFrom(i, responseHeadersPolicyLinks)
	case publicKeys().letter:
		return linksFrom(i, publicKeyLinks)
	}
	return linksFrom(i, keyGroupLinks)
}

func linksFrom[C any](i *item, of func(*C) links) (links, error) {
	c, err := config[C](i)
	if err != nil {
		return links{}, err
	}
	return of(&c), nil
}

func orExists(err error, k kind) error {
	if err != nil {
		return err
	}
	return fault.Of(k.exists)
}

// isUsed reports whether something uses a resource.
func isUsed(r kv.Reader, id string) (bool, error) {
	prefix := useKey(id, "")
	for _, err := range r.Scan(prefix, record.After(prefix)) {
		return err == nil, err
	}
	return false, nil
}

const fieldPointer = 1 // in records that lead to a resource: its id

func pointer(id string) []byte { return record.String(record.Start(nil), fieldPointer, id) }

// target returns the id that a record leads to, or "" if there is no record.
func target(r kv.Reader, key []byte) (id string, err error) {
	v, err := r.Get(key)
	if err != nil || v == nil {
		return "", err
	}
	return decodePointer(v)
}

func decodePointer(v []byte) (id string, err error) {
	f := record.Read(v)
	for f.Next() {
		if f.Number == fieldPointer {
			id = string(f.Bytes)
		} else {
			f.Unknown()
		}
	}
	if f.Err() != nil || id == "" {
		return "", record.Malformed("pointer to a CDN resource")
	}
	return id, nil
}

// pageOf returns a page of the ids of an account's resources, and the marker of the next page.
func pageOf(r kv.Reader, k kind, account string, p Page) (ids []string, next string, err error) {
	all, err := record.Names(r, ownedKey(k, account, ""))
	if err != nil {
		return nil, "", err
	}
	ids, next = cut(all, func(id *string) string { return *id }, p)
	return ids, next, nil
}

// cut returns the page of items, which are sorted by id, and the marker of the next page.
func cut[T any](all []T, id func(*T) string, p Page) (page []T, next string) {
	from := sort.Search(len(all), func(i int) bool { return id(&all[i]) > p.Marker })
	if p.Marker == "" {
		from = 0
	}
	all = all[from:]
	if len(all) <= p.Size() {
		return all, ""
	}
	all = all[:p.Size()]
	return all, id(&all[len(all)-1])
}
