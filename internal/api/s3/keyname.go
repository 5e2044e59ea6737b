package s3

import (
	"context"
	"strings"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/fault"
)

// keyIDKey is the condition key for the KMS key that a write names.
const keyIDKey = "s3:x-amz-server-side-encryption-aws-kms-key-id"

// withDerivedKeys is authz.Ask for a write that may name a key of KMS. Policies compare the
// key's ARN, in whichever form the request names the key (S3 service authorization
// reference; S3 user guide, "Requiring SSE-KMS for specific KMS keys"). The name is
// resolved in the same state in which the decision is made. Of a retention that the write
// asks for, policies compare its days from now on.
func withDerivedKeys[In any](a *API, needs func(*In) ([]authz.Need, error)) authz.Access[In] {
	return authz.AskFor(func(ctx context.Context, c authz.Caller, in *In) ([]authz.Need, error) {
		all, err := needs(in)
		if err != nil {
			return nil, err
		}
		for i := range all {
			addRemainingDays(&all[i], c.At())
			name := all[i].Keys[keyIDKey]
			if len(name) != 1 {
				continue
			}
			if name[0], err = a.keyARN(ctx, c, name[0]); err != nil {
				return nil, err
			}
		}
		return all, nil
	})
}

// keyARN returns the ARN of the key that a caller's request names. For an alias that does
// not exist it returns the alias's ARN, so that no policy about a key's ARN allows it. It
// does not decide whether the caller may use the key.
func (a *API) keyARN(ctx context.Context, c authz.Caller, name string) (string, error) {
	account := c.Principal().Account
	switch {
	case strings.HasPrefix(name, "alias/"), strings.HasPrefix(name, "arn:") && strings.Contains(name, ":alias/"):
		key, err := a.Keys.Subject(ctx, account, name, c.At())
		switch {
		case err == nil:
			return key.ARN.String(), nil
		case !fault.Is(err, fault.NotFoundException) && !fault.Is(err, fault.InvalidArnException):
			return "", err
		case strings.HasPrefix(name, "alias/"):
			return a.Keys.AliasARN(account, name).String(), nil
		}
		return name, nil
	case strings.HasPrefix(name, "arn:"):
		return name, nil
	}
	return keyARNOf(a.Buckets.Region(), account, name).String(), nil
}

func keyARNOf(region, account, id string) arn.ARN {
	return arn.ARN{Partition: "aws", Service: "kms", Region: region, Account: account, Resource: "key/" + id}
}
