package audit

import (
	"bytes"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"watertight/internal/access/arn"
	"watertight/internal/access/policy"
)

// Limits of a record ("CloudTrail record contents", AWS CloudTrail User Guide), in bytes
// before escaping; the limits of single members count escaped bytes.
const (
	textLimit     = 1024
	keyLimit      = 1024
	valueLimit    = 24 << 10
	membersLimit  = 100 << 10
	responseLimit = 8 << 20 // enough for 1,000 deleted keys of any length and characters
	membersCount  = 2048
	detailText    = 256

	// Limits for refused requests, in bytes after escaping. They are small because such
	// requests cost the sender nothing.
	briefText    = 128
	briefKey     = 256
	briefMessage = 384
	briefMembers = 512
)

// appendJSON appends the event with an id. The event of a refused request is shortened, and
// has no value twice.
func (e *Event) appendJSON(dst []byte, id [16]byte, region string) []byte {
	w := object{b: append(dst, '{'), text: textLimit, key: keyLimit, value: valueLimit, members: membersLimit}
	if e.brief {
		w.text, w.key, w.value, w.members, w.brief = briefText, briefKey, briefText, briefMembers, true
	}
	w.add(`"eventVersion":"1.11",`)
	w.identity(&e.Identity)
	w.add(`,"eventTime":"`)
	w.b = e.Time.UTC().AppendFormat(w.b, time.RFC3339)
	w.add(`","eventSource":"`)
	w.cut(e.Operation.Service, w.text)
	if !strings.Contains(e.Operation.Service, ".") {
		w.add(".amazonaws.com")
	}
	w.put(`","eventName":"`, e.Operation.Event, w.text)
	w.put(`,"awsRegion":"`, e.region(region), w.text)
	w.source(e)
	if e.UserAgent != "" {
		w.add(`,"userAgent":"[`)
		w.cut(e.UserAgent, w.text-2)
		w.add(`]"`)
	}
	w.maybe(`,"errorCode":"`, e.ErrorCode)
	if e.ErrorMessage != "" && w.brief {
		w.put(`,"errorMessage":"`, e.ErrorMessage, briefMessage)
	} else {
		w.maybe(`,"errorMessage":"`, e.ErrorMessage)
	}
	w.parameters(e)
	if !w.brief {
		w.members = responseLimit
	}
	w.response(e.Response)
	w.additional(e)
	w.put(`,"requestID":"`, e.RequestID, w.text)
	w.add(`,"eventID":`)
	w.b = appendUUID(w.b, id)
	w.add(`,"readOnly":`)
	w.b = strconv.AppendBool(w.b, e.Operation.Reads)
	if !w.brief {
		w.resources(e)
	}
	w.kind(e)
	w.maybe(`,"recipientAccountId":"`, e.recipient())
	if e.TLSVersion != "" {
		w.put(`,"tlsDetails":{"tlsVersion":"`, e.TLSVersion, w.text)
		w.maybe(`,"cipherSuite":"`, e.CipherSuite)
		if !w.brief {
			w.maybe(`,"clientProvidedHostHeader":"`, e.Host)
		}
		w.end()
	}
	return append(w.b, '}')
}

// size estimates how many bytes the event takes; it is seldom too low.
func (e *Event) size() int {
	n := eventHeader + 1536 + 2*len(e.Identity.who().ARN.Resource) + escaped(e.UserAgent) + 2*escaped(e.Key) +
		2*escaped(e.Bucket) + 2*escaped(e.Host)
	for _, p := range e.Parameters {
		n += len(p.Name) + escaped(p.Value) + 6
	}
	return n
}

// region returns the region of the event; some services are global.
func (e *Event) region(home string) string {
	switch {
	case e.Operation.Global:
		return "us-east-1"
	case e.Region != "":
		return e.Region
	}
	return home
}

// object writes JSON members into b. The names of members need no escaping.
type object struct {
	b                         []byte
	text, key, value, members int
	brief                     bool // limits count escaped bytes
}

// cut writes a text, shortened to a limit.
func (w *object) cut(s string, limit int) {
	start := len(w.b)
	w.b = appendText(w.b, s, limit)
	if w.brief {
		w.b = cutEscaped(w.b, start, limit)
	}
}

// add writes a constant part.
func (w *object) add(s string) { w.b = append(w.b, s...) }

// put writes a text after a constant part, which begins its quotes, and ends them.
func (w *object) put(before, s string, limit int) {
	w.b = append(w.b, before...)
	w.cut(s, limit)
	w.b = append(w.b, '"')
}

// maybe is put for a text that may be missing.
func (w *object) maybe(before, s string) {
	if s != "" {
		w.put(before, s, w.text)
	}
}

// lead is maybe for a member before others: a comma follows.
func (w *object) lead(before, s string, limit int) {
	if s != "" {
		w.put(before, s, limit)
		w.b = append(w.b, ',')
	}
}

func (w *object) member(name string) {
	if c := w.b[len(w.b)-1]; c != '{' && c != '[' {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *object) begin(name string) { w.member(name); w.b = append(w.b, '{') }
func (w *object) end()              { w.b = append(w.b, '}') }

// constant writes a value that needs no escaping.
func (w *object) constant(name, value string) {
	w.member(name)
	w.b = append(w.b, '"')
	w.b = append(w.b, value...)
	w.b = append(w.b, '"')
}

func (w *object) string(name, value string) { w.limited(name, value, w.text) }

func (w *object) with(name, value string) *object {
	w.string(name, value)
	return w
}

func (w *object) optional(name, value string) {
	if value != "" {
		w.string(name, value)
	}
}

func (w *object) limited(name, value string, limit int) {
	w.member(name)
	w.quote(value, limit)
}

func (w *object) number(name string, n int64) {
	w.member(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

func (w *object) instant(name string, t time.Time) {
	w.member(name)
	w.b = append(w.b, '"')
	w.b = t.UTC().AppendFormat(w.b, time.RFC3339)
	w.b = append(w.b, '"')
}

func (w *object) arn(name string, a arn.ARN) {
	if a == arn.Any() {
		w.constant(name, "*")
		return
	}
	w.member(name)
	w.b = append(w.b, `"arn:`...)
	for _, s := range [...]string{a.Partition, a.Service, a.Region, a.Account} {
		w.b = appendText(w.b, s, textLimit)
		w.b = append(w.b, ':')
	}
	w.b = appendText(w.b, a.Section(), 2*keyLimit)
	w.b = append(w.b, '"')
}

// source writes where the request came from: an address or a service.
func (w *object) source(e *Event) {
	switch {
	case e.SourceIP.IsValid():
		w.add(`,"sourceIPAddress":"`)
		w.b = append(e.SourceIP.WithZone("").AppendTo(w.b), '"')
	case e.Identity.who().Kind == policy.Service:
		w.string("sourceIPAddress", e.Identity.who().Name)
	default:
		w.constant("sourceIPAddress", "AWS Internal")
	}
}

// identity writes userIdentity ("CloudTrail userIdentity element").
func (w *object) identity(i *Identity) {
	w.add(`"userIdentity":{`)
	w.caller(i)
	w.end()
}

func (w *object) caller(i *Identity) {
	p := i.who()
	switch p.Kind {
	case policy.Anonymous:
		w.add(`"type":"AWSAccount","principalId":"","accountId":"ANONYMOUS_PRINCIPAL"`)
		return
	case policy.Service:
		w.constant("type", "AWSService")
		w.string("invokedBy", p.Name)
		return
	case policy.AccountRoot:
		w.add(`"type":"Root"`)
	case policy.User:
		w.add(`"type":"IAMUser"`)
	case policy.RoleSession:
		w.add(`"type":"AssumedRole"`)
	case policy.FederatedUser:
		w.add(`"type":"FederatedUser"`)
	case policy.WebIdentity:
		w.constant("type", "WebIdentityUser")
		w.string("principalId", p.ID)
		w.string("userName", p.Name)
		w.string("identityProvider", p.Provider)
		return
	default:
		w.constant("type", "Unknown")
		w.optional("accessKeyId", i.AccessKeyID)
		return
	}
	w.put(`,"principalId":"`, p.ID, w.text)
	w.arn("arn", p.ARN)
	w.put(`,"accountId":"`, p.Account, w.text)
	w.maybe(`,"accessKeyId":"`, i.AccessKeyID)
	if p.Kind == policy.User {
		w.put(`,"userName":"`, p.Name, w.text)
	}
	w.session(i)
}

func (w *object) session(i *Identity) {
	p := i.who()
	if i.Created.IsZero() && p.Kind != policy.RoleSession {
		return
	}
	w.begin("sessionContext")
	if p.Kind == policy.RoleSession {
		id, _, _ := strings.Cut(p.ID, ":")
		w.begin("sessionIssuer")
		w.constant("type", "Role")
		w.string("principalId", id)
		w.arn("arn", p.Role)
		w.string("accountId", p.Account)
		w.string("userName", p.Role.Resource[strings.LastIndexByte(p.Role.Resource, '/')+1:])
		w.end()
	}
	w.begin("attributes")
	if !i.Created.IsZero() {
		w.instant("creationDate", i.Created)
	}
	w.constant("mfaAuthenticated", strconv.FormatBool(i.MFA))
	w.end()
	w.optional("sourceIdentity", i.SourceIdentity)
	w.end()
}

// parameters writes requestParameters; null if there are none.
func (w *object) parameters(e *Event) {
	if e.Bucket == "" && e.Key == "" && e.Host == "" && !e.MFA && len(e.Parameters) == 0 {
		w.add(`,"requestParameters":null`)
		return
	}
	w.add(`,"requestParameters":{`)
	w.lead(`"bucketName":"`, e.Bucket, w.text)
	w.lead(`"key":"`, e.Key, w.key)
	w.lead(`"Host":"`, e.Host, w.text)
	if e.MFA {
		w.add(`"x-amz-mfa":"present",`)
	}
	w.b = bytes.TrimSuffix(w.b, []byte{','})
	w.list(e.Parameters)
	w.end()
}

// response writes responseElements; null if there are none.
func (w *object) response(ps []Param) {
	if len(ps) == 0 {
		w.add(`,"responseElements":null`)
		return
	}
	w.add(`,"responseElements":{`)
	w.list(ps)
	w.end()
}

// list writes parameters up to the limit of members; it counts those that it leaves out.
func (w *object) list(ps []Param) {
	start, left := len(w.b), 0
	for i, p := range ps {
		if i >= membersCount {
			left += len(ps) - i
			break
		}
		if !utf8.ValidString(p.Name) || !p.Harmless && Secret(p.Name) || reserved(p.Name) || at(ps[:i], p.Name) >= 0 {
			continue
		}
		before := len(w.b)
		w.param(p, ps[i+1:min(len(ps), membersCount)])
		if len(w.b)-start > w.members {
			w.b = w.b[:before]
			left++
		}
	}
	if left > 0 {
		w.number("omittedParameters", int64(left))
	}
}

// param writes one parameter. If rest has more with the same name, it writes an array.
func (w *object) param(p Param, rest []Param) {
	if c := w.b[len(w.b)-1]; c != '{' {
		w.b = append(w.b, ',')
	}
	w.quote(p.Name, w.text)
	w.b = append(w.b, ':')
	next := at(rest, p.Name)
	if next < 0 {
		w.quote(p.Value, w.value)
		return
	}
	w.b = append(w.b, '[')
	w.quote(p.Value, w.value)
	for next >= 0 {
		w.b = append(w.b, ',')
		w.quote(rest[next].Value, w.value)
		rest = rest[next+1:]
		next = at(rest, p.Name)
	}
	w.b = append(w.b, ']')
}

func (w *object) quote(s string, limit int) {
	w.b = append(w.b, '"')
	w.cut(s, limit)
	w.b = append(w.b, '"')
}

// reserved reports whether a member is written from a field of the event.
func reserved(name string) bool {
	return name == "bucketName" || name == "key" || name == "Host" || name == "omittedParameters"
}

// at returns the index of the first parameter with this name, or -1.
func at(ps []Param, name string) int {
	for i := range ps {
		if ps[i].Name == name {
			return i
		}
	}
	return -1
}

func (w *object) additional(e *Event) {
	if e.details != nil {
		return
	}
	w.add(`,"additionalEventData":{`)
	w.lead(`"SignatureVersion":"`, e.SignatureVersion, w.text)
	w.lead(`"CipherSuite":"`, e.CipherSuite, w.text)
	w.add(`"bytesTransferredIn":`)
	w.b = strconv.AppendInt(w.b, e.BytesIn, 10)
	w.maybe(`,"SSEApplied":"`, e.SSEApplied)
	w.maybe(`,"AuthenticationMethod":"`, e.AuthenticationMethod)
	w.maybe(`,"x-amz-id-2":"`, e.HostID)
	w.add(`,"bytesTransferredOut":`)
	w.b = strconv.AppendInt(w.b, e.BytesOut, 10)
	w.maybe(`,"sourceArn":"`, e.Source)
	w.end()
}

func (w *object) resources(e *Event) {
	if e.Bucket == "" && len(e.Resources) == 0 {
		return
	}
	w.add(`,"resources":[`)
	if e.Bucket != "" && e.Key != "" {
		w.add(`{"type":"AWS::S3::Object","ARN":"arn:aws:s3:::`)
		w.b = appendText(w.b, e.Bucket, w.text)
		w.b = append(w.b, '/')
		w.b = appendText(w.b, e.Key, keyLimit)
		w.add(`"},`)
	}
	if e.Bucket != "" {
		w.b = append(w.b, '{')
		w.lead(`"accountId":"`, e.Owner, w.text)
		w.add(`"type":"AWS::S3::Bucket","ARN":"arn:aws:s3:::`)
		w.b = appendText(w.b, e.Bucket, w.text)
		w.add(`"}`)
	}
	for i, r := range e.Resources {
		if i >= membersCount {
			break
		}
		if w.b[len(w.b)-1] != '[' {
			w.b = append(w.b, ',')
		}
		w.b = append(w.b, '{')
		w.optional("accountId", r.Account)
		w.string("type", r.Type)
		w.arn("ARN", r.ARN)
		w.b = append(w.b, '}')
	}
	w.b = append(w.b, ']')
}

// kind writes the category and type of the event.
func (w *object) kind(e *Event) {
	if e.details != nil {
		w.add(`,"eventType":"AwsServiceEvent","serviceEventDetails":`)
		w.b = append(w.b, e.details...)
	} else {
		w.add(`,"eventType":"AwsApiCall"`)
	}
	if e.Operation.Data {
		w.add(`,"managementEvent":false,"eventCategory":"Data"`)
	} else {
		w.add(`,"managementEvent":true,"eventCategory":"Management"`)
	}
}
