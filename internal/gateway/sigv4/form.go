package sigv4

import (
	"time"

	"watertight/internal/fault"
)

// ParseForm parses the claim of a POST form. field returns the value of a field by its
// lower-case name, "" if there is none. Only the service and the region of the target
// matter. A form without any trace of a signature is anonymous (S3 API reference,
// "Authenticating requests in browser-based uploads").
func ParseForm(field func(name string) string, t Target, now time.Time) (*Claim, error) {
	if field("awsaccesskeyid")+field("signature") != "" {
		return nil, signatureV2()
	}
	trace := ""
	required := [...]string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"}
	for _, name := range required {
		trace += field(name)
	}
	if trace+field("x-amz-security-token") == "" {
		return &Claim{}, nil
	}
	for _, name := range required {
		if field(name) == "" {
			return nil, badField(name,
				"Bucket POST must contain a field named '"+name+
					"'.  If it is specified, please check the order of the fields.", "")
		}
	}
	if v := field("x-amz-algorithm"); v != algorithm {
		return nil, badField("X-Amz-Algorithm", "Only AWS4-HMAC-SHA256 is supported", v)
	}
	c := &Claim{
		Mode: Form, Signature: field("x-amz-signature"), Token: field("x-amz-security-token"), policy: field("policy"),
	}
	date, credential := field("x-amz-date"), field("x-amz-credential")
	signed, err := parseInstant(date)
	if err != nil {
		return nil, badField("X-Amz-Date", "X-Amz-Date must be formated via ISO8601 Long format", date)
	}
	c.at(signed)
	malformed := func(message string) *fault.Error { return badField("x-amz-credential", message, credential) }
	if err := c.parseScope(credential, &t, malformed); err != nil {
		return nil, err
	}
	if now.Before(c.Time.Add(-MaxSkew)) {
		return nil, fault.New(fault.AccessDenied, "Request is not yet valid").
			With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return c, nil
}

func badField(name, message, value string) *fault.Error {
	return fault.New(fault.InvalidArgument, message).With("ArgumentName", name).With("ArgumentValue", value)
}

// verifyPolicy is Verify for a form: the string to sign is the policy as it was sent.
func (c *Claim) verifyPolicy(key Key) error {
	c.stringToSign = []byte(c.policy)
	if c.matches(key) {
		return nil
	}
	return c.mismatch()
}
