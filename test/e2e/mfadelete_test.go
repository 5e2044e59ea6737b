package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/server"
)

// newGuarded makes a bucket with a version v1 of "k" under MFA Delete, by the SDK.
func (c *mfaCast) newGuarded(bucket string) (version string) {
	c.t.Helper()
	ctx, name := c.t.Context(), newBucket(c.t, c.Server, bucket)
	c.later()
	_, err := c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: name, MFA: aws.String(c.header(c.first)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled", MFADelete: "Enabled"},
	})
	c.ok(err)
	got, err := c.S3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name})
	if err != nil || got.Status != "Enabled" || got.MFADelete != "Enabled" {
		c.t.Fatalf("%+v, %v", got, err)
	}
	out, err := c.S3.PutObject(ctx, &s3.PutObjectInput{
		Bucket: name, Key: aws.String("k"), Body: strings.NewReader("x"),
	})
	c.ok(err)
	c.later()
	return *out.VersionId
}

// TestMFADeleteBySDK uses a bucket under MFA Delete with the SDK.
func TestMFADeleteBySDK(t *testing.T) {
	c := newMFACast(t)
	ctx, k := t.Context(), aws.String("k")
	version := c.newGuarded("life")
	name := aws.String("life")
	marker, err := c.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: k})
	c.ok(err)
	undelete := &s3.DeleteObjectInput{Bucket: name, Key: k, VersionId: marker.VersionId}
	_, err = c.S3.DeleteObject(ctx, undelete)
	refusal(t, err, "AccessDenied", "Mfa Authentication must be used for this request")
	undelete.MFA = aws.String(c.header(c.first))
	_, err = c.S3.DeleteObject(ctx, undelete)
	c.ok(err)
	_, err = c.S3.DeleteObject(ctx, undelete) // the same code
	refusal(t, err, "AccessDenied", "MultiFactorAuthentication failed with invalid MFA one time pass code.")
	batch := &s3.DeleteObjectsInput{Bucket: name, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: k, VersionId: &version}, {Key: aws.String("other")},
	}}}
	_, err = c.S3.DeleteObjects(ctx, batch)
	refusal(t, err, "AccessDenied", "Mfa Authentication must be used for this request")
	batch.MFA = aws.String(c.header(c.second))
	gone, err := c.S3.DeleteObjects(ctx, batch)
	if err != nil || len(gone.Deleted) != 2 || len(gone.Errors) != 0 {
		t.Fatalf("%+v, %v", gone, err)
	}
	// A session of the root user counts as the root user.
	c.later()
	session, err := c.someone(rootOf(c.Server), "").sts.GetSessionToken(ctx, &sts.GetSessionTokenInput{})
	c.ok(err)
	_, err = c.session(session.Credentials).s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: name, MFA: aws.String(c.header(c.first)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"},
	})
	c.ok(err)
	// The code of a user who may do everything does not count.
	_, err = c.admin.s3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: name, MFA: aws.String(c.header(c.users)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Suspended"},
	})
	refusal(t, err, "AccessDenied", "Only an account's root user can use x-amz-mfa.")
	c.later()
	_, err = c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: name, MFA: aws.String(c.header(c.first)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled", MFADelete: "Disabled"},
	})
	c.ok(err)
	got, err := c.S3.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: name})
	if err != nil || got.Status != "Enabled" || got.MFADelete != "Disabled" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMFADeleteExcludesLifecycle: a bucket can't have both, whichever comes first.
func TestMFADeleteExcludesLifecycle(t *testing.T) {
	c := newMFACast(t)
	ctx := t.Context()
	rule := func(bucket string) error {
		_, err := c.S3.PutBucketLifecycleConfiguration(ctx, &s3.PutBucketLifecycleConfigurationInput{
			Bucket: &bucket, LifecycleConfiguration: &types.BucketLifecycleConfiguration{
				Rules: []types.LifecycleRule{{
					Status: "Enabled", Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")},
					NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(1000)},
				}},
			},
		})
		return err
	}
	const why = "MFA Delete and a lifecycle configuration can't be used on the same bucket."
	c.newGuarded("first-mfa")
	refusal(t, rule("first-mfa"), "InvalidRequest", why)
	newBucket(t, c.Server, "first-rule")
	c.ok(rule("first-rule"))
	enable := func() error {
		c.later()
		_, err := c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: aws.String("first-rule"), MFA: aws.String(c.header(c.first)),
			VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled", MFADelete: "Enabled"},
		})
		return err
	}
	refusal(t, enable(), "InvalidRequest", why)
	_, err := c.S3.DeleteBucketLifecycle(ctx, &s3.DeleteBucketLifecycleInput{Bucket: aws.String("first-rule")})
	c.ok(err)
	c.ok(enable())
	refusal(t, rule("first-rule"), "InvalidRequest", why)
}

// TestObjectLockBesideMFADelete: a code does not replace the permission to bypass a lock, nor the
// other way round.
func TestObjectLockBesideMFADelete(t *testing.T) {
	c := newMFACast(t)
	ctx, name := t.Context(), aws.String("locked-too")
	_, err := c.S3.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: name, ObjectLockEnabledForBucket: aws.Bool(true)})
	c.ok(err)
	c.later()
	_, err = c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: name, MFA: aws.String(c.header(c.first)),
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled", MFADelete: "Enabled"},
	})
	c.ok(err)
	put := func(mode types.ObjectLockMode) *string {
		out, err := c.S3.PutObject(ctx, &s3.PutObjectInput{
			Bucket: name, Key: aws.String("k"), Body: strings.NewReader("x"), ObjectLockMode: mode,
			ObjectLockRetainUntilDate: aws.Time(c.clock.now().Add(time.Hour)), ChecksumAlgorithm: "CRC32",
		})
		c.ok(err)
		return out.VersionId
	}
	const locked = "Access Denied because object protected by object lock."
	compliance, governance := put(types.ObjectLockModeCompliance), put(types.ObjectLockModeGovernance)
	for _, d := range []struct {
		version      *string
		bypass, code bool
		want         string
	}{
		{compliance, true, true, locked}, {compliance, false, true, locked}, {governance, false, true, locked},
		{governance, true, false, "Mfa Authentication must be used for this request"}, {governance, true, true, ""},
	} {
		in := &s3.DeleteObjectInput{Bucket: name, Key: aws.String("k"), VersionId: d.version}
		if d.bypass {
			in.BypassGovernanceRetention = aws.Bool(true)
		}
		if d.code {
			c.clock.ahead.Add(int64(time.Minute)) // the SDK signs at the true time
			in.MFA = aws.String(c.header(c.first))
		}
		if _, err := c.S3.DeleteObject(ctx, in); d.want == "" {
			c.ok(err)
		} else {
			refusal(t, err, "AccessDenied", d.want)
		}
	}
}

// TestMFAHeaders: a valid header is a serial number, one space and six digits. Others don't count as
// wrong codes.
func TestMFAHeaders(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("headers")
	serial, code := c.first.serial, c.code(c.first, 0)
	remove := raw{method: "DELETE", target: "/headers/k?versionId=" + version}
	for _, header := range []string{
		serial + "  " + code, serial + " " + code + " 1", serial + "\t" + code, serial + code,
		serial, serial + " ", code, " " + code, serial + " " + code[1:], serial + " " + code + "0",
		serial + " " + code[:5] + "a", serial + " +" + code[1:], serial + "," + code, serial + " " + code + "," + code,
		serial + "x " + code, strings.ToUpper(serial) + " " + code, `"` + serial + " " + code + `"`, " ",
	} {
		t.Run(header, func(t *testing.T) {
			if a := c.send(remove, header); a.status != 403 && a.status != 400 {
				t.Errorf("%q: %d %s", header, a.status, a.body)
			}
		})
	}
	empty := remove
	empty.header = http.Header{"X-Amz-Mfa": {""}}
	if a := c.send(empty, ""); a.status != 403 && a.status != 400 {
		t.Errorf("an empty header: %d %s", a.status, a.body)
	}
	twice := remove
	twice.header = http.Header{"X-Amz-Mfa": {serial + " " + code, serial + " " + code}}
	if a := c.send(twice, ""); a.status != 403 && a.status != 400 {
		t.Errorf("two headers: %d %s", a.status, a.body)
	}
	if a := c.send(raw{method: "DELETE", target: remove.target + "&x-amz-mfa=" + url.QueryEscape(serial+" "+code)},
		""); a.status/100 == 2 {
		t.Errorf("as a parameter of the query: %d %s", a.status, a.body)
	}
	unsigned := sendChanged(t, c.Server, raw{method: "DELETE", target: remove.target, at: c.clock.now()},
		func(r *http.Request) { r.Header["X-Amz-Mfa"] = []string{serial + " " + code} })
	if unsigned.status != 403 {
		t.Errorf("a header that is not signed: %d %s", unsigned.status, unsigned.body)
	}
	if a := c.send(remove, serial+" "+code); a.status != 204 {
		t.Errorf("the code was used up: %d %s", a.status, a.body)
	}
}

// TestPresignedMFA: a presigned URL may be for a request with a code; then the header is signed.
func TestPresignedMFA(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("presigned-mfa")
	p, err := s3.NewPresignClient(c.S3).PresignDeleteObject(t.Context(), &s3.DeleteObjectInput{
		Bucket: aws.String("presigned-mfa"), Key: aws.String("k"), VersionId: &version,
		MFA: aws.String(c.header(c.first)),
	})
	c.ok(err)
	if p.SignedHeader.Get("X-Amz-Mfa") == "" || strings.Contains(strings.ToLower(p.URL), "mfa=") {
		t.Fatalf("%v %s", p.SignedHeader, p.URL)
	}
	without := func(r *http.Request) { r.Header.Del("X-Amz-Mfa") }
	if a := follow(t, c.Server, p, "", without); a.status != 403 {
		t.Errorf("without the header: %d %s", a.status, a.body)
	}
	if a := follow(t, c.Server, p, ""); a.status != 204 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := follow(t, c.Server, p, ""); a.status != 403 {
		t.Errorf("the same code again: %d %s", a.status, a.body)
	}
}

// TestOneCodeOneRequest: of concurrent requests with the same code, one succeeds, and the others do
// not lock the device.
func TestOneCodeOneRequest(t *testing.T) {
	c := newMFACast(t)
	c.newGuarded("races")
	const n = 12
	var ids [n]string
	for i := range n {
		out, err := c.S3.PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: aws.String("races"), Key: aws.String("k"), Body: strings.NewReader("x"),
		})
		c.ok(err)
		ids[i] = *out.VersionId
	}
	header := c.header(c.first)
	var statuses [n]int
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			statuses[i] = c.send(raw{method: "DELETE", target: "/races/k?versionId=" + ids[i]}, header).status
		})
	}
	wg.Wait()
	won, next := 0, ""
	for i, status := range statuses {
		left := c.send(raw{method: "GET", target: "/races/k?versionId=" + ids[i]}, "").status
		switch {
		case status == 204 && left == 404:
			won++
		case status != 403 || left != 200:
			t.Errorf("request %d: %d, and the version is %d", i, status, left)
		default:
			next = ids[i]
		}
	}
	if won != 1 {
		t.Errorf("%d requests used one code", won)
	}
	c.later()
	a := c.send(raw{method: "DELETE", target: "/races/k?versionId=" + next}, c.header(c.first))
	if a.status != 204 {
		t.Errorf("the next code: %d %s", a.status, a.body)
	}
}

// TestRefusedRequestsUseNoCode: a request that a policy refuses does not use up its code, and wrong
// codes in such requests don't lock the device.
func TestRefusedRequestsUseNoCode(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("denied")
	free := c.newGuarded("free")
	document := `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*",
		"Action":["s3:DeleteObjectVersion","s3:PutBucketVersioning"],
		"Resource":["arn:aws:s3:::denied","arn:aws:s3:::denied/*"]}]}`
	if a := c.send(raw{method: "PUT", target: "/denied?policy", body: document}, ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	header := c.header(c.first)
	denied := &cell{bucket: "denied", key: "k"}
	for range 15 {
		bad := c.first.serial + " " + wrong(c.code(c.first, 0))
		if a := c.send(denied.remove("?versionId="+version), bad); a.status != 403 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	for name, r := range map[string]raw{
		"single": denied.remove("?versionId=" + version), "batch": denied.batch(version),
		"versioning": denied.versioning("Suspended", ""),
		"expected owner": {
			method: "DELETE", target: "/free/k?versionId=" + free,
			header: http.Header{"X-Amz-Expected-Bucket-Owner": {"123456789012"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if a := c.send(r, header); a.status != 403 && !strings.Contains(a.body, "<Code>AccessDenied</Code>") {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
	if a := c.send(raw{method: "DELETE", target: "/free/k?versionId=" + free}, header); a.status != 204 {
		t.Errorf("the code was used up: %d %s", a.status, a.body)
	}
}

// TestWrongCodesLockRootsDevice: wrong codes in S3 requests lock the device, as in requests for a
// session.
func TestWrongCodesLockRootsDevice(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("locked-out")
	remove := raw{method: "DELETE", target: "/locked-out/k?versionId=" + version}
	for range 10 {
		if a := c.send(remove, c.first.serial+" "+wrong(c.code(c.first, 0))); a.status != 403 {
			t.Fatalf("%d %s", a.status, a.body)
		}
	}
	if a := c.send(remove, c.header(c.first)); a.status != 403 || !strings.Contains(a.body, "too many wrong codes") {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := c.send(remove, c.header(c.second)); a.status != 204 {
		t.Errorf("the other device: %d %s", a.status, a.body)
	}
}

// TestForeignRootHasNoCode: the code of another account's root user does not count, even if the
// bucket's policy allows that user.
func TestForeignRootHasNoCode(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("owned")
	other := c.CreateAccount(t, "other")
	iam := iamClient(c.Server, other.AccessKeyID, other.SecretAccessKey, "")
	serial, seed := enrolAt(t, iam, "phone", "root", c.clock.now())
	document := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"%s"},
		"Action":"s3:*","Resource":["arn:aws:s3:::owned","arn:aws:s3:::owned/*"]}]}`, strings.Split(serial, ":")[4])
	if a := c.send(raw{method: "PUT", target: "/owned?policy", body: document}, ""); a.status != 204 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	c.later()
	r := raw{
		method: "DELETE", target: "/owned/k?versionId=" + version, key: other.AccessKeyID,
		secret: other.SecretAccessKey,
	}
	if a := c.send(r, serial+" "+totp(t, seed, c.clock.now())); a.status != 403 ||
		!strings.Contains(a.body, "Mfa Authentication must be used for this request") {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// TestMFAInsecure: a code that was sent over plain HTTP is refused, and the error says why.
func TestMFAInsecure(t *testing.T) {
	address := ownAddress(t)
	c := newMFACast(t, func(o *server.Config) {
		o.Listen, o.AllowPlainHTTP = []string{net.JoinHostPort(address, "0")}, true
	})
	newBucket(t, c.Server, "plain-http")
	if a := c.send(raw{method: "PUT", target: "/plain-http/k", body: "x"}, ""); a.status != 200 {
		t.Fatalf("without a code: %d %s", a.status, a.body)
	}
	e := &cell{bucket: "plain-http", key: "k"}
	for name, r := range map[string]raw{
		"enable": e.versioning("Enabled", "Enabled"), "delete a key": e.remove(""), "batch": e.batch(""),
		"delete a version": e.remove("?versionId=null"),
	} {
		t.Run(name, func(t *testing.T) {
			a := c.send(r, c.header(c.first))
			if a.status != 400 || a.code != "InvalidRequest" ||
				!strings.Contains(a.body, "must be made over a secure connection.") {
				t.Errorf("%d %s", a.status, a.body)
			}
		})
	}
}

// TestCodesAreNotTold: no log and no event contains a code, wherever it was sent and whether or not
// the request succeeded. The event says that there was one.
func TestCodesAreNotTold(t *testing.T) {
	c := newMFACast(t)
	version := c.newGuarded("told")
	e := &cell{bucket: "told", key: "k"}
	var codes []string
	say := func(r raw, steps int) {
		c.later()
		codes = append(codes, c.code(c.first, steps))
		c.send(r, c.first.serial+" "+codes[len(codes)-1])
	}
	say(e.remove("?versionId="+version), 4) // wrong
	say(e.versioning("Suspended", ""), 4)
	say(e.batch(version), 4)
	say(e.versioning("Enabled", "On"), 0) // MalformedXML
	say(raw{method: "DELETE", target: "/absent/k?versionId=null"}, 0)
	say(e.remove("?versionId="+version), 0)
	c.later()
	codes = append(codes, c.code(c.first, 0))
	inQuery := url.Values{"versionId": {"null"}, "x-amz-mfa": {c.first.serial + " " + c.code(c.first, 0)}}
	c.send(raw{method: "DELETE", target: "/told/k?" + inQuery.Encode()}, "")
	c.later()
	codes = append(codes, c.code(c.first, 0))
	inQuery.Set("x-amz-mfa", c.header(c.first))
	if a := c.send(raw{method: "DELETE", target: "/told/k?" + inQuery.Encode(), presign: true}, ""); a.status != 204 {
		t.Errorf("a presigned URL with the code as a parameter: %d %s", a.status, a.body)
	}
	say(raw{method: "PUT", target: "/told/k", body: "x"}, 0) // an operation without codes
	all, text := c.told()
	for _, code := range codes {
		word := regexp.MustCompile(`\b` + code + `\b`)
		if word.MatchString(text) {
			t.Errorf("an event has the code: %s", word.FindString(text))
		}
		if word.MatchString(c.Logs.String()) {
			t.Error("the log has the code")
		}
	}
	said := 0
	for _, event := range all {
		if event.RequestParameters["x-amz-mfa"] == "present" {
			said++
		}
	}
	if said != len(codes)+1 { // and the one that enabled MFA Delete
		t.Errorf("%d events say that there was a code, not %d", said, len(codes)+1)
	}
}
