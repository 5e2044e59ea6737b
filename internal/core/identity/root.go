package identity

import "watertight/internal/access/policy"

// rootPolicy returns the policy of root users, which allows everything. They have a policy
// so that their requests are decided like all others.
func rootPolicy() ([]*policy.Document, error) {
	d, err := policy.Parse(policy.Identity,
		[]byte(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}`))
	if err != nil {
		return nil, err
	}
	return []*policy.Document{d}, nil
}
