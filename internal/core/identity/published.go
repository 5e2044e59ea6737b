package identity

import (
	"embed"
	"encoding/json"
	"fmt"
	"time"

	"watertight/internal/access/policy"
)

// published holds the managed policies of AWS that speak of the services here,
// a file each. Documents that AWS writes for hundreds of services say what they
// say of these.
//
//go:embed awsmanaged/*.json
var published embed.FS

// publishedPolicies returns AWS's managed policies, by ARN.
func publishedPolicies() (map[string]*ManagedPolicy, error) {
	files, err := published.ReadDir("awsmanaged")
	if err != nil {
		return nil, err
	}
	all := map[string]*ManagedPolicy{}
	for _, f := range files {
		b, err := published.ReadFile("awsmanaged/" + f.Name())
		if err != nil {
			return nil, err
		}
		var in struct {
			PolicyName, PolicyId, Path, Description string
			Version                                 int
			CreateDate, UpdateDate                  time.Time
			Document                                json.RawMessage
		}
		if err := json.Unmarshal(b, &in); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if _, err := policy.Parse(policy.Identity, in.Document); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), err)
		}
		p := &ManagedPolicy{
			Account: awsAccount, ID: in.PolicyId, Name: in.PolicyName, Path: in.Path, Description: in.Description,
			Created: in.CreateDate, Updated: in.UpdateDate, Default: in.Version, Newest: in.Version,
			Versions: []PolicyVersion{{in.Version, in.UpdateDate, string(in.Document)}},
		}
		all[p.ARN().String()] = p
	}
	return all, nil
}
