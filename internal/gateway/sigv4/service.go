package sigv4

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
)

func incompleteSignature(message string) *fault.Error {
	return fault.New(fault.IncompleteSignature, message)
}

func wrongSignature(kind fault.Kind, message string) *fault.Error {
	return fault.New(fault.SignatureDoesNotMatch, message).WithKind(kind)
}

func noToken(message string) *fault.Error {
	return fault.New(fault.MissingAuthenticationToken, message)
}

// serviceHeader parses the Authorization header of a request to another service than S3.
func (c *Claim) serviceHeader(auth string, t *Target, now time.Time) error {
	scheme, rest, _ := strings.Cut(auth, " ")
	switch scheme {
	case algorithm:
	case "AWS":
		return incompleteSignature("AWS Signature Version 2 is not supported.")
	default:
		return noToken("Request is missing Authentication Token")
	}
	c.Mode = Header
	h := c.request.Header
	credential, wrong, part := c.components(rest, true)
	switch wrong {
	case oddComponent:
		return incompleteSignature("Authorization component " + strconv.Quote(part) + " is malformed.")
	case noComponent:
		return incompleteSignature("Authorization header requires '" + part + "' parameter." + hashed(auth))
	}
	date := h.Get("Date")
	if all := h["X-Amz-Date"]; len(all) > 0 {
		date = all[0]
	}
	if date == "" {
		return incompleteSignature("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' " +
			"header." + hashed(auth))
	}
	signed, err := requestTime(h)
	if err != nil {
		return notBasic(date)
	}
	c.at(signed)
	c.Token = token(h)
	return c.serviceRest(credential, t, now, MaxSkew)
}

func notBasic(date string) *fault.Error {
	return incompleteSignature(fmt.Sprintf(
		"Date must be in ISO-8601 'basic format'. Got '%.64s'. See http://en.wikipedia.org/wiki/ISO_8601", date,
	))
}

// hashed returns the form in which a message repeats a header that must not be repeated itself.
func hashed(auth string) string {
	sum := sha256.Sum256([]byte(auth))
	return " (Hashed with SHA-256 and encoded with Base64) Authorization=" + base64.StdEncoding.EncodeToString(sum[:])
}

// serviceQuery parses a presigned URL of another service than S3. It may be valid for a
// shorter time than other signatures, but not for a longer one.
func (c *Claim) serviceQuery(params map[string]string, t *Target, now time.Time) error {
	switch params["X-Amz-Algorithm"] {
	case algorithm:
	case "":
		return noToken("Request is missing Authentication Token")
	default:
		return noToken("Missing Authentication Token")
	}
	for _, name := range []string{"X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Signature", "X-Amz-Date"} {
		if params[name] == "" {
			return incompleteSignature("AWS query-string parameters must include '" + name +
				"'. Re-examine the query-string parameters.")
		}
	}
	c.Mode, c.signedList = Query, params["X-Amz-SignedHeaders"]
	c.Signature, c.Token = params["X-Amz-Signature"], params["X-Amz-Security-Token"]
	signed, err := parseInstant(params["X-Amz-Date"])
	if err != nil {
		return notBasic(params["X-Amz-Date"])
	}
	c.at(signed)
	c.Expires = MaxSkew
	if s, ok := params["X-Amz-Expires"]; ok {
		if c.Expires, err = lifetime(s); err != nil {
			return err
		}
		c.Expires = min(c.Expires, MaxSkew)
	}
	return c.serviceRest(params["X-Amz-Credential"], t, now, c.Expires)
}

// serviceRest checks what headers and URLs have in common: the scope, the signed headers
// and the time. A signature is valid for the time that life says.
func (c *Claim) serviceRest(credential string, t *Target, now time.Time, life time.Duration) error {
	if err := c.payload(); err != nil {
		return err
	}
	p, wrong := readScope(credential, t)
	switch wrong {
	case oddScope:
		return incompleteSignature(fmt.Sprintf(
			"Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got "+
				"'%.256s'",
			credential,
		))
	case oddTerminator:
		return wrongSignature(fault.KindDenied,
			"Credential should be scoped with a valid terminator: '"+terminator+"'.")
	case oddService:
		return wrongSignature(fault.KindInvalid, "Credential should be scoped to correct service: '"+t.Service+"'.")
	case oddRegion:
		return wrongSignature(fault.KindDenied, "Credential should be scoped to a valid region. ")
	}
	c.AccessKeyID, c.Date, c.Region, c.Service = p[0], p[1], p[2], p[3]
	if !c.sameDay() { // also if the date does not exist
		return wrongSignature(fault.KindInvalid,
			"Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	c.signed = strings.Split(c.signedList, ";")
	if len(c.signed) > 100 || !slices.Contains(c.signed, "host") {
		return wrongSignature(fault.KindDenied,
			"'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	if c.rules != FormRules {
		if err := c.checkSigned(); err != nil {
			return err
		}
	}
	return c.serviceTime(now, life)
}

func (c *Claim) serviceTime(now time.Time, life time.Duration) error {
	span := func(d time.Duration) string {
		if d%time.Minute != 0 {
			return fmt.Sprintf("%d sec.", d/time.Second)
		}
		return fmt.Sprintf("%d min.", d/time.Minute)
	}
	text := func(t time.Time) string { return t.UTC().Format(timeFormat) }
	switch {
	case c.Time.After(now.Add(MaxSkew)):
		return wrongSignature(fault.KindDenied,
			fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + %s)", text(c.Time),
				text(now.Add(MaxSkew)), text(now), span(MaxSkew)))
	case c.Time.Before(now.Add(-life)):
		return wrongSignature(fault.KindDenied,
			fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - %s)", text(c.Time), text(now.Add(-life)),
				text(now), span(life)))
	}
	return nil
}
