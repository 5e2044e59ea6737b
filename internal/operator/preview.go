package operator

import (
	"context"
	"net/http"

	"watertight/internal/access/policy"
)

// PreviewCommand asks what a bucket policy would change.
type PreviewCommand struct{ Bucket, Policy string }

// Preview says what a bucket policy would change.
type Preview struct {
	Public, Refused, Cut bool
	Changes              []policy.Change
	Deputies             []Deputy `json:",omitempty"` // see BucketPublic
}

// maxSubjects bounds the users and roles that a preview compares.
const maxSubjects = 2_000

// PreviewPolicy reports who would gain or lose which access through a bucket policy.
func (c *Client) PreviewPolicy(ctx context.Context, bucket, policy string) (out Preview, err error) {
	return out, c.do(ctx, http.MethodPost, "/policy-preview", PreviewCommand{bucket, policy}, &out)
}

func (c commands) policyPreview(m *http.ServeMux) {
	m.HandleFunc("POST /policy-preview", handle(c, "GetPolicyPreview", c.previewPolicy))
}

func (c commands) previewPolicy(ctx context.Context, cl *call, in PreviewCommand) (Preview, error) {
	cl.record.Event.Bucket = in.Bucket
	find := func(owner string, names []policy.PrincipalName) ([]policy.Subject, bool, error) {
		return c.Simulator.Subjects(ctx, owner, names, maxSubjects)
	}
	p, err := c.Buckets.Preview(ctx, in.Bucket, in.Policy, cl.at, find)
	return Preview{p.Public, p.Refused, p.Cut, p.Changes, p.Deputies}, err
}
