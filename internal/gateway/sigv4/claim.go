// Package sigv4 verifies AWS Signature Version 4: requests, chunks and trailers. It exists
// so that one parser yields both the credential and the signature, and so that a body can't
// be used before it was verified. It is pure; it must never know who owns a key or what a
// request asks for.
package sigv4

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"watertight/internal/fault"
)

// Mode says where in the request the signature is.
type Mode uint8

// The modes. None means that the request has no trace of authentication.
const (
	None Mode = iota
	Header
	Query
	Form // a field of a POST form, whose policy is signed
)

// Time limits (S3 user guide, "Authenticating requests").
const (
	MaxSkew    = 15 * time.Minute
	MaxExpires = 604800 * time.Second
)

const (
	algorithm  = "AWS4-HMAC-SHA256"
	terminator = "aws4_request"
	timeFormat = "20060102T150405Z"
	dateFormat = "20060102"
)

// Claim is the sender according to the request: a credential and a signature that were read
// from the same place.
type Claim struct {
	Mode                  Mode
	AccessKeyID           string
	Date, Region, Service string // of the credential scope
	Signature             string
	Time                  time.Time     // see at
	Expires               time.Duration // of a presigned URL
	Token                 string        // session token, "" if there is none
	Payload               string        // x-amz-content-sha256, or UNSIGNED-PAYLOAD
	hashed                bool          // Payload is a hash
	signed                []string      // lower case, in the order of the request
	names                 [8]string     // memory for it
	signedList            string
	request               *http.Request
	path, query           string // raw
	host                  string // as it is taken to be signed
	document              []byte // read already, to compute its hash
	rules                 Rules
	policy                string // policy of a form, in base64 as it was sent
	stringToSign          []byte
	room                  [192]byte // memory for it
	stamp                 []byte    // Time in timeFormat
	stampRoom             [len(timeFormat)]byte
	lacks                 bool  // a signed header is missing
	body                  plain // memory for Body
}

// at sets the time of the claim.
func (c *Claim) at(t time.Time) {
	c.Time, c.stamp = t, appendInstant(c.stampRoom[:0], t)
}

// Target is where a request is sent to.
type Target struct {
	Path, Query string // raw, as received
	Service     string // the service that the scope must name
	Rules       Rules
	Region      string
	Elsewhere   string // another region that the scope may name, or ""
	Document    []byte // the body, if the rules require its hash
}

// Rules say which parts of a request a signature must cover, the order of the checks, and
// the error messages.
type Rules uint8

// The rules. For all services but S3, a front end of AWS checks signatures, in another
// order and with other messages (IAM user guide, "Troubleshoot Signature Version 4 signing
// for AWS API requests"). It signs the hash of the document itself, and accepts a presigned
// URL for as long as any other signature.
const (
	S3Rules Rules = iota // x-amz-content-sha256 says how the signature covers the body
	APIRules
	// FormRules are APIRules for services whose operations are forms. Only the headers of
	// the signature itself are ever read, so unsigned headers can't change a request.
	FormRules
)

// takes reports whether the scope may name a region.
func (t *Target) takes(region string) bool {
	return region == t.Region || region != "" && region == t.Elsewhere
}

// Parse is Claim.Parse into memory of its own.
func Parse(r *http.Request, t Target, now time.Time) (*Claim, error) {
	c := new(Claim)
	return c, c.Parse(r, &t, now)
}

// Parse parses the claim of a request into c, a zero claim. now is the request's time. The
// checks are in the order of S3. After an error, c has what was read before.
func (c *Claim) Parse(r *http.Request, t *Target, now time.Time) error {
	c.request, c.path, c.query, c.document, c.rules = r, t.Path, t.Query, t.Document, t.Rules
	auth := r.Header["Authorization"]
	params, trace, err := authParams(t.Query)
	if err != nil {
		return err
	}
	if (len(auth) > 0 || trace) && emptyToken(r.Header, params) {
		return fault.Of(fault.InvalidToken)
	}
	switch {
	case len(auth) > 0 && trace || len(auth) > 1:
		return fault.New(fault.InvalidArgument,
			"Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string "+
				"parameter or the Authorization header should be specified").
			With("ArgumentName", "Authorization").With("ArgumentValue", schemeOf(auth))
	case len(auth) == 1 && t.Rules != S3Rules:
		return c.serviceHeader(auth[0], t, now)
	case len(auth) == 1:
		return c.parseHeader(auth[0], t, now)
	case trace && t.Rules != S3Rules:
		return c.serviceQuery(params, t, now)
	case trace:
		return c.parseQuery(params, t, now)
	case len(r.Header["X-Amz-Security-Token"]) > 0:
		return fault.New(fault.AccessDenied, "A security token without a signature.")
	}
	if all := r.Header["X-Amz-Content-Sha256"]; t.Rules == S3Rules && len(all) > 0 {
		c.Payload = all[0]
		return c.check(all)
	}
	return nil
}

// token returns the session token in the headers, or "".
func token(h http.Header) string {
	if sent := h["X-Amz-Security-Token"]; len(sent) > 0 {
		return sent[0]
	}
	return ""
}

// emptyToken reports whether an empty session token was sent: the sender intended to use a session.
func emptyToken(h http.Header, params map[string]string) bool {
	sent := h["X-Amz-Security-Token"]
	param, ok := params["X-Amz-Security-Token"]
	return len(sent) > 0 && sent[0] == "" || ok && param == ""
}

// schemeOf returns only the scheme, because the response must not contain credentials.
func schemeOf(auth []string) string {
	if len(auth) == 0 {
		return ""
	}
	scheme, _, _ := strings.Cut(auth[0], " ")
	return scheme
}

func (c *Claim) parseHeader(auth string, t *Target, now time.Time) error {
	scheme, rest, ok := strings.Cut(auth, " ")
	switch {
	case !ok:
		return fault.New(fault.InvalidArgument,
			"Authorization header is invalid -- one and only one ' ' (space) required").
			With("ArgumentName", "Authorization").With("ArgumentValue", auth)
	case scheme == "AWS":
		return signatureV2()
	case scheme != algorithm:
		return fault.New(fault.InvalidArgument, "Unsupported Authorization Type").With("ArgumentName", "Authorization").
			With("ArgumentValue", scheme)
	}
	c.Mode = Header
	h := c.request.Header
	if err := c.payload(); err != nil {
		return err
	}
	signed, err := requestTime(h)
	if err != nil {
		return fault.New(fault.AccessDenied, "AWS authentication requires a valid Date or x-amz-date header")
	}
	c.at(signed)
	if d := now.Sub(c.Time); d > MaxSkew || d < -MaxSkew {
		return fault.Of(fault.RequestTimeTooSkewed).
			With("RequestTime", c.Time.UTC().Format(timeFormat)).With("ServerTime", now.UTC().Format(time.RFC3339)).
			With("MaxAllowedSkewMilliseconds", strconv.FormatInt(MaxSkew.Milliseconds(), 10))
	}
	if strings.Count(rest, ",") != 2 {
		return headerMalformed(
			"the authorization header requires three components: Credential, SignedHeaders, and Signature.")
	}
	credential, wrong, part := c.components(rest, false)
	switch wrong {
	case oddComponent:
		return headerMalformed("the authorization component " + strconv.Quote(part) + " is malformed.")
	case noComponent:
		return headerMalformed("missing " + part + ".")
	}
	c.Token = token(h)
	if err := c.parseScope(credential, t, headerMalformed); err != nil {
		return err
	}
	if !c.sameDay() {
		return headerMalformed("Invalid credential date. Date is not the same as X-Amz-Date.")
	}
	return c.checkSigned()
}

// flaw is an error in a part of a signature. Each set of rules has its own message for it.
type flaw uint8

const (
	noFlaw flaw = iota

	oddComponent // in the header: not a pair, or repeated
	noComponent  // in the header: one of the three is missing or empty
	oddScope
	oddTerminator
	oddService
	oddRegion
	oddDate
)

// components splits the Authorization header, sets the signed headers and the signature,
// and returns the credential. once refuses a repeated component; without it, the last one
// counts. part is the component that is wrong, or the name of the missing one.
func (c *Claim) components(list string, once bool) (credential string, wrong flaw, part string) {
	fields := [...]*string{&credential, &c.signedList, &c.Signature}
	const most = 5 // maximum number of components; the last one is the rest of the list
	for n, more := 1, true; more; n++ {
		var part string
		if part, list, more = strings.Cut(list, ","); more && n == most {
			part, more = part+","+list, false
		}
		part = strings.TrimSpace(part)
		name, value, ok := strings.Cut(part, "=")
		i := component(name)
		if !ok || once && i >= 0 && *fields[i] != "" {
			return "", oddComponent, part
		}
		if i >= 0 {
			*fields[i] = value
		}
	}
	for i, name := range [...]string{"Credential", "SignedHeaders", "Signature"} {
		if *fields[i] == "" {
			return "", noComponent, name
		}
	}
	return credential, noFlaw, ""
}

// component returns the place of a component of the Authorization header, or -1.
func component(name string) int {
	switch name {
	case "Credential":
		return 0
	case "SignedHeaders":
		return 1
	case "Signature":
		return 2
	}
	return -1
}

func headerMalformed(message string) *fault.Error {
	return fault.New(fault.AuthorizationHeaderMalformed, "The authorization header is malformed; "+message)
}

func credentialMalformed(message string) *fault.Error {
	return queryMalformed("Error parsing the X-Amz-Credential parameter; " + message)
}

func queryMalformed(message string) *fault.Error {
	return fault.New(fault.AuthorizationQueryParametersError, message)
}

func signatureV2() *fault.Error {
	return fault.New(fault.InvalidRequest,
		"The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

// requestTime returns x-amz-date, or else Date, whose zone may be a number (RFC 5322, 3.3;
// mail libraries write -0000).
func requestTime(h http.Header) (time.Time, error) {
	if all := h["X-Amz-Date"]; len(all) > 0 {
		return parseInstant(all[0])
	}
	date := h.Get("Date")
	if t, err := http.ParseTime(date); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.RFC1123Z, date); err == nil {
		return t, nil
	}
	return time.Parse(timeFormat, date)
}

// readScope splits akid/yyyymmdd/region/service/aws4_request. If there are five parts, it
// returns them even if one of them is wrong.
func readScope(credential string, t *Target) (p [5]string, wrong flaw) {
	if strings.Count(credential, "/") != len(p)-1 {
		return p, oddScope
	}
	for i := range p {
		p[i], credential, _ = strings.Cut(credential, "/")
	}
	switch {
	case p[0] == "" || len(p[0]) > 128:
		return [5]string{}, oddScope
	case p[4] != terminator:
		return p, oddTerminator
	case p[3] != t.Service:
		return p, oddService
	case !t.takes(p[2]):
		return p, oddRegion
	case len(p[1]) != 8 || !isDigits(p[1]):
		return p, oddDate
	}
	return p, noFlaw
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// parseScope parses the scope, with the messages of S3.
func (c *Claim) parseScope(credential string, t *Target, malformed func(string) *fault.Error) error {
	p, wrong := readScope(credential, t)
	switch wrong {
	case oddScope:
		return malformed(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	case oddTerminator:
		return malformed("incorrect terminal " + strconv.Quote(p[4]) + `. This endpoint uses "aws4_request".`)
	case oddService:
		return malformed("incorrect service " + strconv.Quote(p[3]) + `. This endpoint belongs to "` + t.Service + `".`)
	case oddRegion:
		return malformed("the region '"+p[2]+"' is wrong; expecting '"+t.Region+"'").With("Region", t.Region)
	case oddDate:
		return malformed("incorrect date format " + strconv.Quote(p[1]) +
			`. This date in the credential must be in the format "yyyyMMdd".`)
	}
	c.AccessKeyID, c.Date, c.Region, c.Service = p[0], p[1], p[2], p[3]
	return nil
}

// sameDay reports whether the scope is of the day of the request.
func (c *Claim) sameDay() bool {
	return len(c.stamp) >= len(dateFormat) && c.Date == string(c.stamp[:len(dateFormat)])
}

// IsExtension reports, in any case, the name of a header of this server's own, which must be
// signed like those of AWS.
func IsExtension(name string) bool {
	const prefix = "x-watertight-"
	return len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix)
}

// checkSigned refuses headers that mean something and were not signed.
func (c *Claim) checkSigned() error {
	c.signed = c.names[:0]
	for list, more := c.signedList, true; more; {
		var name string
		name, list, more = strings.Cut(list, ";")
		c.signed = append(c.signed, name)
	}
	if len(c.signed) > 100 || !slices.Contains(c.signed, "host") {
		return fault.New(fault.AccessDenied, "There were headers present in the request which were not signed").
			With("HeadersNotSigned", "host")
	}
	var missing []string
	for name := range c.request.Header {
		if mustSign(name) && !c.signs(name) {
			missing = append(missing, strings.ToLower(name))
		}
	}
	if missing == nil {
		return nil
	}
	slices.Sort(missing)
	return fault.New(fault.AccessDenied, "There were headers present in the request which were not signed").
		With("HeadersNotSigned", strings.Join(missing, ", "))
}

// mustSign reports, in any case, the name of a header that a signature must cover.
func mustSign(name string) bool {
	if name == "" {
		return false
	}
	switch name[0] {
	case 'C', 'c':
		return isLower("content-md5", name)
	case 'X', 'x':
		isAmz := len(name) >= len("x-amz-") && isLower("x-amz-", name[:len("x-amz-")])
		return isAmz && !isLower("x-amz-content-sha256", name) || IsExtension(name)
	}
	return false
}

// signs is SignedHeader for a name in any case.
func (c *Claim) signs(name string) bool {
	for _, s := range c.signed {
		if isLower(s, name) {
			return true
		}
	}
	return false
}

// isLower reports whether lower is name in lower case. Names of headers are ASCII.
func isLower(lower, name string) bool {
	if len(lower) != len(name) {
		return false
	}
	for i := range len(name) {
		ch := name[i]
		if ch >= 'A' && ch <= 'Z' {
			ch += 'a' - 'A'
		}
		if ch != lower[i] {
			return false
		}
	}
	return true
}

// SignedHeader reports whether a header, named in lower case, was signed.
func (c *Claim) SignedHeader(name string) bool { return slices.Contains(c.signed, name) }

func invalidURI() *fault.Error {
	return fault.Of(fault.InvalidURI)
}
