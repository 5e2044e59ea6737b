package sigv4

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
)

// authParams returns the parameters of a presigned URL in a raw query. Names are
// case-sensitive, as SDKs send them. A name in another case counts as a trace of
// authentication whose other parameters are missing.
func authParams(query string) (map[string]string, bool, error) {
	if query == "" {
		return nil, false, nil
	}
	params := map[string]string{}
	trace := false
	for part := range strings.SplitSeq(query, "&") {
		rawName, rawValue, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(rawName)
		if err != nil {
			return nil, false, invalidURI()
		}
		switch lower := strings.ToLower(name); lower {
		case "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-expires", "x-amz-signedheaders",
			"x-amz-signature", "x-amz-security-token":
		case "awsaccesskeyid", "signature":
			return nil, false, signatureV2()
		default:
			continue
		}
		value, err := url.QueryUnescape(rawValue)
		if err != nil {
			return nil, false, invalidURI()
		}
		if _, twice := params[name]; twice {
			return nil, false, queryMalformed("A parameter of the signature is repeated.")
		}
		trace = true
		params[name] = value
	}
	return params, trace, nil
}

func (c *Claim) parseQuery(params map[string]string, t *Target, now time.Time) error {
	for _, name := range []string{
		"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", "X-Amz-Expires",
	} {
		if params[name] == "" {
			return queryMalformed("Query-string authentication version 4 requires the X-Amz-Algorithm, " +
				"X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	if params["X-Amz-Algorithm"] != algorithm {
		return queryMalformed(`X-Amz-Algorithm only supports "AWS4-HMAC-SHA256"`)
	}
	c.Mode, c.signedList = Query, params["X-Amz-SignedHeaders"]
	c.Signature, c.Token = params["X-Amz-Signature"], params["X-Amz-Security-Token"]
	signed, err := parseInstant(params["X-Amz-Date"])
	if err != nil {
		return queryMalformed(`X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	c.at(signed)
	if c.Expires, err = lifetime(params["X-Amz-Expires"]); err != nil {
		return err
	}
	if err := c.payload(); err != nil {
		return err
	}
	if err := c.parseScope(params["X-Amz-Credential"], t, credentialMalformed); err != nil {
		return err
	}
	if !c.sameDay() {
		return queryMalformed(fmt.Sprintf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.",
			c.Date, c.Time.UTC().Format(dateFormat)))
	}
	if err := c.checkSigned(); err != nil {
		return err
	}
	switch end := c.Time.Add(c.Expires); {
	case now.Before(c.Time.Add(-MaxSkew)):
		return fault.New(fault.AccessDenied, "Request is not yet valid").
			With("ServerTime", now.UTC().Format(time.RFC3339))
	case now.After(end):
		return fault.New(fault.AccessDenied, "Request has expired").With("X-Amz-Expires", params["X-Amz-Expires"]).
			With("Expires", end.UTC().Format(time.RFC3339)).With("ServerTime", now.UTC().Format(time.RFC3339))
	}
	return nil
}

// lifetime parses X-Amz-Expires, 1 to 604,800 seconds (S3 API reference, "Authenticating
// requests: using query parameters").
func lifetime(s string) (time.Duration, error) {
	seconds, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), s[0] == '+':
		return 0, queryMalformed("X-Amz-Expires should be a number")
	case seconds < 0:
		return 0, queryMalformed("X-Amz-Expires must be non-negative")
	case seconds == 0:
		return 0, queryMalformed("X-Amz-Expires must be at least 1 second")
	case seconds > int64(MaxExpires/time.Second):
		return 0, queryMalformed("X-Amz-Expires must be less than a week (in seconds); that is, the given " +
			"X-Amz-Expires must be less than 604800 seconds")
	}
	return time.Duration(seconds) * time.Second, nil
}
