package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/server"
	"watertight/test/harness"
)

// mfaCast is a server whose clock a test can move, with devices of the root user and of a user who may
// do everything.
type mfaCast struct {
	cast
	t      *testing.T
	clock  *clock
	first  token // of root
	second token // of root
	users  token
	admin  someone
	kmsKey string
}

// token is an enrolled device.
type token struct{ serial, seed string }

func newMFACast(t *testing.T, change ...func(*server.Config)) *mfaCast {
	moved := &clock{}
	c := &mfaCast{t: t, clock: moved}
	c.cast = newCast(t, append(change, func(o *server.Config) { o.Now = moved.now })...)
	c.admin = c.user("admin", anything)
	device := func(by *iam.Client, name, owner string) (d token) {
		d.serial, d.seed = enrol(t, by, name, owner)
		return d
	}
	c.first, c.users = device(c.root, "first", "root"), device(c.root, "admins", "admin")
	c.second = device(c.withCode(c.code(c.first, 1)).iam, "second", "root")
	c.later()
	return c
}

// withCode returns a session of the root user that was made with a code of the first device.
func (c *mfaCast) withCode(code string) someone {
	c.t.Helper()
	out, err := c.someone(rootOf(c.Server), "").sts.GetSessionToken(c.t.Context(), &sts.GetSessionTokenInput{
		SerialNumber: &c.first.serial, TokenCode: &code,
	})
	c.ok(err)
	return c.session(out.Credentials)
}

// later moves the clock so far that all earlier codes are invalid, and no present one is used.
func (c *mfaCast) later() { c.clock.ahead.Add(int64(5 * 30 * time.Second)) }

// code returns the code of a device a number of steps from now.
func (c *mfaCast) code(d token, steps int) string {
	return totp(c.t, d.seed, c.clock.now().Add(time.Duration(steps)*30*time.Second))
}

// header returns x-amz-mfa with a valid code of a device.
func (c *mfaCast) header(d token) string { return d.serial + " " + c.code(d, 0) }

// send sends a request at the server's time, without the header if mfa is "".
func (c *mfaCast) send(r raw, mfa string) answer {
	c.t.Helper()
	r.at = c.clock.now()
	r.header = r.header.Clone()
	if r.header == nil {
		r.header = http.Header{}
	}
	if mfa != "" {
		r.header["X-Amz-Mfa"] = []string{mfa}
	}
	return send(c.t, c.Server, r)
}

func versioningDocument(status, mfaDelete string) string {
	if mfaDelete != "" {
		mfaDelete = "<MfaDelete>" + mfaDelete + "</MfaDelete>"
	}
	return "<VersioningConfiguration>" + "<Status>" + status + "</Status>" + mfaDelete + "</VersioningConfiguration>"
}

// set sets the versioning of a bucket with a code, which must succeed.
func (c *mfaCast) set(bucket, status, mfaDelete string) {
	c.t.Helper()
	c.later()
	a := c.send(raw{method: "PUT", target: "/" + bucket + "?versioning", body: versioningDocument(status, mfaDelete)},
		c.header(c.second))
	if a.status != 200 {
		c.t.Fatalf("%s, %s, MfaDelete %s: %d %s", bucket, status, mfaDelete, a.status, a.body)
	}
	c.later()
}

// cell is one request of the matrix, and the versions that it may destroy.
type cell struct {
	bucket, state, mfaDelete, key string // state is that of versioning
	version, marker, uploadID     string
	part                          string // its ETag
	at                            time.Time
	header                        string // x-amz-mfa
	who                           harness.Credentials
	cast                          *mfaCast
}

// destroyer is a request that could destroy a version.
type destroyer struct {
	name string
	do   func(c *cell) raw
}

func (c *cell) object(query string) string { return "/" + c.bucket + "/" + c.key + query }

func (c *cell) remove(query string) raw { return raw{method: "DELETE", target: c.object(query)} }

// batch is a DeleteObjects request; "" stands for the key without a version.
func (c *cell) batch(versions ...string) raw {
	var b strings.Builder
	for _, v := range versions {
		b.WriteString("<Object><Key>" + c.key + "</Key>")
		if v != "" {
			b.WriteString("<VersionId>" + v + "</VersionId>")
		}
		b.WriteString("</Object>")
	}
	body := "<Delete>" + b.String() + "</Delete>"
	return raw{
		method: "POST", target: "/" + c.bucket + "?delete", body: body,
		header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))}},
	}
}

func (c *cell) versioning(status, mfaDelete string) raw {
	return raw{method: "PUT", target: "/" + c.bucket + "?versioning", body: versioningDocument(status, mfaDelete)}
}

func (c *cell) other() string {
	if c.state == "Enabled" {
		return "Suspended"
	}
	return "Enabled"
}

// destroyers returns all requests that could destroy a version, or remove its protection.
func destroyers() []destroyer {
	return []destroyer{
		{"delete a version", func(c *cell) raw { return c.remove("?versionId=" + c.version) }},
		{"delete the null version", func(c *cell) raw { return c.remove("?versionId=null") }},
		{"delete a marker", func(c *cell) raw { return c.remove("?versionId=" + c.marker) }},
		{"delete a version that is absent", func(c *cell) raw {
			return raw{method: "DELETE", target: "/" + c.bucket + "/absent?versionId=null"}
		}},
		{"delete the key", func(c *cell) raw { return c.remove("") }},
		{"batch: a version", func(c *cell) raw { return c.batch(c.version) }},
		{"batch: the null version", func(c *cell) raw { return c.batch("null") }},
		{"batch: a marker", func(c *cell) raw { return c.batch(c.marker) }},
		{"batch: a version and a key", func(c *cell) raw { return c.batch(c.version, "") }},
		{"batch: a key", func(c *cell) raw { return c.batch("") }},
		{"put", func(c *cell) raw { return raw{method: "PUT", target: c.object(""), body: "new"} }},
		{"copy", func(c *cell) raw {
			source := http.Header{"X-Amz-Copy-Source": {c.bucket + "/source"}}
			return raw{method: "PUT", target: c.object(""), header: source}
		}},
		{"complete an upload", func(c *cell) raw {
			return raw{
				method: "POST", target: c.object("?uploadId=" + c.uploadID),
				body: "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>" + c.part +
					"</ETag></Part></CompleteMultipartUpload>",
			}
		}},
		{"post a form", func(c *cell) raw {
			fields := map[string]string{"key": c.key}
			if c.header != "" {
				fields["x-amz-mfa"] = c.header
			}
			p := post{bucket: c.bucket, fields: fields, file: "new", at: c.at, key: c.who}
			p.expires = c.at.Add(time.Hour)
			return p.build(c.cast.t, c.cast.Server)
		}},
		{nullMarker, func(c *cell) raw { return raw{method: "PUT", target: c.object(""), body: "new"} }},
		{"move a version under another key", func(c *cell) raw {
			body := "<ObjectEncryption><SSE-KMS><KMSKeyArn>" + c.cast.kmsKey +
				"</KMSKeyArn></SSE-KMS></ObjectEncryption>"
			return raw{
				method: "PUT", target: c.object("?encryption&versionId=" + c.version), body: body,
				header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))}},
			}
		}},
		{"change the state", func(c *cell) raw { return c.versioning(c.other(), "") }},
		{"put the same state", func(c *cell) raw { return c.versioning(c.state, "") }},
		{"disable MFA Delete", func(c *cell) raw { return c.versioning(c.state, "Disabled") }},
		{"put a lifecycle rule", func(c *cell) raw {
			body := "<LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status><NoncurrentVersionExpiration>" +
				"<NoncurrentDays>1000</NoncurrentDays></NoncurrentVersionExpiration></Rule></LifecycleConfiguration>"
			return raw{
				method: "PUT", target: "/" + c.bucket + "?lifecycle", body: body,
				header: http.Header{"Content-Md5": {base64.StdEncoding.EncodeToString(md5Of(body))}},
			}
		}},
		{"delete the bucket", func(c *cell) raw { return raw{method: "DELETE", target: "/" + c.bucket} }},
	}
}

// nullMarker is the row whose null version is a delete marker, if versioning was suspended.
const nullMarker = "put over a null marker"

// attempt says who tries a request, and with which code.
type attempt struct {
	name  string
	admin bool // a user who may do everything, not the root user
	mfa   func(c *mfaCast) string
}

func attempts() []attempt {
	return []attempt{
		{"no code", false, func(*mfaCast) string { return "" }},
		{"wrong", false, func(c *mfaCast) string { return c.first.serial + " " + wrong(c.code(c.first, 0)) }},
		{"old", false, func(c *mfaCast) string { return c.first.serial + " " + c.code(c.first, -2) }},
		{"reused", false, func(c *mfaCast) string {
			used := c.header(c.first)
			if a := c.send(raw{method: "DELETE", target: "/spare/absent"}, used); a.status != 204 {
				c.t.Fatalf("the first use of the code: %d %s", a.status, a.body)
			}
			return used
		}},
		{"other device's", false, func(c *mfaCast) string { return c.first.serial + " " + c.code(c.second, 0) }},
		{"a user's", false, func(c *mfaCast) string { return c.header(c.users) }},
		{"admin", true, func(*mfaCast) string { return "" }},
		{"admin, own code", true, func(c *mfaCast) string { return c.header(c.users) }},
		{"admin, root's code", true, func(c *mfaCast) string { return c.header(c.first) }},
		{"right", false, func(c *mfaCast) string { return c.header(c.first) }},
		{"right, second device", false, func(c *mfaCast) string { return c.header(c.second) }},
	}
}

// fingerprint lists the versions of a key, and the bucket's versioning.
func (c *mfaCast) fingerprint(bucket, key string) (versions []string, versioning string) {
	c.t.Helper()
	a := c.send(raw{method: "GET", target: "/" + bucket + "?versions&prefix=" + key}, "")
	var l struct {
		Version, DeleteMarker []struct{ VersionId, LastModified, ETag string }
	}
	if err := xml.Unmarshal([]byte(a.body), &l); err != nil {
		c.t.Fatal(err, a.body)
	}
	for _, v := range slices.Concat(l.Version, l.DeleteMarker) {
		versions = append(versions, fmt.Sprint(v))
	}
	return versions, c.send(raw{method: "GET", target: "/" + bucket + "?versioning"}, "").body
}

// populate gives each key a null version, a version, a delete marker and a version.
func (c *mfaCast) populate(bucket, state string, cells []*cell) {
	c.t.Helper()
	ctx, name := c.t.Context(), newBucket(c.t, c.Server, bucket)
	put := func(key string) *string {
		out, err := c.S3.PutObject(ctx, &s3.PutObjectInput{Bucket: name, Key: &key, Body: strings.NewReader(key)})
		if err != nil {
			c.t.Error(err)
			return aws.String("")
		}
		return out.VersionId
	}
	remove := func(key string) string {
		out, err := c.S3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: name, Key: &key})
		if err != nil {
			c.t.Error(err)
			return ""
		}
		return *out.VersionId
	}
	turn := func(status types.BucketVersioningStatus) {
		_, err := c.S3.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
			Bucket: name, VersioningConfiguration: &types.VersioningConfiguration{Status: status},
		})
		c.ok(err)
	}
	put("source")
	inParallel(cells, func(e *cell) { put(e.key) })
	turn("Enabled")
	inParallel(cells, func(e *cell) {
		e.version, e.marker = *put(e.key), remove(e.key)
		put(e.key)
	})
	turn(types.BucketVersioningStatus(state))
}

func inParallel(cells []*cell, do func(*cell)) {
	var wg sync.WaitGroup
	todo := make(chan *cell)
	for range 8 {
		wg.Go(func() {
			for e := range todo {
				do(e)
			}
		})
	}
	for _, e := range cells {
		todo <- e
	}
	close(todo)
	wg.Wait()
}

// upload begins an upload with one part.
func (c *mfaCast) upload(e *cell) {
	c.t.Helper()
	made := c.send(raw{method: "POST", target: e.object("?uploads")}, "")
	_, id, _ := strings.Cut(made.body, "<UploadId>")
	e.uploadID, _, _ = strings.Cut(id, "<")
	part := c.send(raw{method: "PUT", target: e.object("?partNumber=1&uploadId=" + e.uploadID), body: "new"}, "")
	e.part = part.header.Get("ETag")
}

// TestMFADeleteMatrix (Ceph PR#69987, where the guard of multi-delete was inverted) tries
// each way to destroy a version, or to remove its protection, with each kind of code, in both states
// of versioning, and without MFA Delete, where each way succeeds. Reviewers read the golden file: it
// has the status, and whether a version is gone.
func TestMFADeleteMatrix(t *testing.T) {
	c := newMFACast(t)
	newBucket(t, c.Server, "spare")
	keys := kmsCast{cast: c.cast, t: t, clock: c.clock}
	keys.kms = keys.kmsOf(rootOf(c.Server), "")
	c.kmsKey = keys.newKey()
	rows, columns := destroyers(), attempts()
	states := [][2]string{{"Enabled", "Enabled"}, {"Suspended", "Enabled"}, {"Suspended", "Disabled"}}
	cells := make([][]*cell, len(states))
	for n, s := range states { // while the SDK's clock agrees with the server's
		bucket := strings.ToLower("versioning-" + s[0] + "-mfa-" + s[1])
		for r := range rows {
			for col := range columns {
				key := fmt.Sprintf("%02d-%02d", r, col)
				cells[n] = append(cells[n], &cell{bucket: bucket, state: s[0], mfaDelete: s[1], key: key, cast: c})
			}
		}
		c.populate(bucket, s[0], cells[n])
	}
	var out bytes.Buffer
	for n, s := range states {
		for i, e := range cells[n] {
			switch rows[i/len(columns)].name {
			case "complete an upload":
				c.upload(e)
			case nullMarker:
				c.send(raw{method: "DELETE", target: e.object("")}, "")
			}
		}
		c.set(cells[n][0].bucket, s[0], s[1])
		fmt.Fprintf(&out, "# versioning %s, MFA Delete %s\n\n", s[0], s[1])
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', 0)
		for _, col := range columns {
			fmt.Fprint(w, "\t", col.name)
		}
		fmt.Fprintln(w)
		for r, row := range rows {
			fmt.Fprint(w, row.name)
			for i, col := range columns {
				fmt.Fprint(w, "\t", c.try(row, col, cells[n][r*len(columns)+i]))
			}
			fmt.Fprintln(w)
		}
		w.Flush()
		out.WriteString("\n")
	}
	var text strings.Builder
	for line := range strings.Lines(out.String()) {
		text.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	golden(t, "mfa-delete-matrix.golden", []byte(text.String()))
}

// try makes one request and returns its status and the versions that are gone.
func (c *mfaCast) try(row destroyer, how attempt, e *cell) string {
	c.t.Helper()
	c.later()
	before, versioning := c.fingerprint(e.bucket, e.key)
	e.header, e.at, e.who = how.mfa(c), c.clock.now(), rootOf(c.Server)
	if how.admin {
		e.who = c.admin.key
	}
	r := row.do(e)
	r.key, r.secret = e.who.AccessKeyID, e.who.SecretAccessKey
	header := e.header
	if r.unsigned { // a form has the code as a field
		header = ""
	}
	a := c.send(r, header)
	after, now := c.fingerprint(e.bucket, e.key)
	gone := 0
	for _, v := range before {
		if !slices.Contains(after, v) {
			gone++
		}
	}
	result := fmt.Sprint(a.status)
	if a.status >= 400 && a.code != "AccessDenied" {
		result += " " + a.code
	}
	if a.status == 200 && strings.Contains(a.body, "<Error>") {
		result += " with errors"
	}
	if gone > 0 {
		result += fmt.Sprintf(" %d gone", gone)
	}
	if now != versioning {
		result += " changed"
		c.set(e.bucket, e.state, e.mfaDelete)
	}
	return result
}
