package identity

import "watertight/internal/access/policy"

// rootPolicy is what an account's root user may do: everything, in a policy like any
// other, so that its requests are decided like any other.
func rootPolicy() ([]*policy.Document, error) {
	d, err := policy.Parse(policy.Identity,
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		return nil, err
	}
	return []*policy.Document{d}, nil
}
