package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"

	"watertight/internal/gateway/dialect"
	"watertight/internal/gateway/dispatch"
)

// unique matches the parts that differ between two answers with the same content.
var unique = regexp.MustCompile(`<(RequestId|HostId|UploadId|DeleteMarkerVersionId|LastModified|VersionId)>[^<]*</`)

// said returns everything that an answer reveals, with the key replaced.
func said(a answer, key string) string {
	var names []string
	for name := range a.header {
		names = append(names, name)
	}
	slices.Sort(names)
	return fmt.Sprint(a.status, " ", strings.ReplaceAll(unique.ReplaceAllString(a.body, ""), key, "KEY"), " ", names)
}

// TestWithoutListingExistenceIsHidden calls every operation on a key as a user with
// every permission except listing. A key that was deleted and one that never
// existed get the same answer, and so does one that exists, if the request
// cannot succeed.
func TestWithoutListingExistenceIsHidden(t *testing.T) {
	c := newChanging(t)
	name := c.user()
	c.must(c.root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name, PolicyName: aws.String("p"),
		PolicyDocument: aws.String(
			`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},{"Effect":"Deny",` +
				`"Action":"s3:List*","Resource":"*"}]}`)}))
	const there, deleted, never = "object-1", "object-2", "object-3"
	row := 0
	newRoom := func() (bucket, marker string) {
		row++
		bucket = fmt.Sprintf("nothing-%d", row)
		newBucket(t, c.s, bucket)
		send(t, c.s, raw{
			method: "PUT", target: "/" + bucket + "?versioning",
			body: `<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>`,
		})
		for _, key := range []string{there, deleted, "object"} {
			if a := send(t, c.s, raw{method: "PUT", target: "/" + bucket + "/" + key, body: "x"}); a.status != 200 {
				t.Fatal(a.body)
			}
		}
		return bucket, send(t, c.s, raw{method: "DELETE", target: "/" + bucket + "/" + deleted}).header.Get(
			"X-Amz-Version-Id")
	}
	ask := func(r raw, key string) string {
		r.header = r.header.Clone()
		r.target = strings.Replace(r.target, "/object", "/"+key, 1)
		r.body = strings.ReplaceAll(r.body, "<Key>object</Key>", "<Key>"+key+"</Key>")
		if src := r.header.Get("X-Amz-Copy-Source"); src != "" {
			r.header.Set("X-Amz-Copy-Source", strings.Replace(src, "/object", "/"+key, 1))
			r.target = strings.Replace(r.target, "/"+key, "/target", 1)
		}
		r.header.Del("Content-Md5")
		if r.body != "" {
			r.header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md5Of(r.body)))
		}
		r.key, r.secret = c.key.AccessKeyID, c.key.SecretAccessKey
		return said(send(t, c.s, r), key)
	}
	walked := 0
	for _, row := range c.s.Operations("s3") {
		if !strings.Contains(row.Route().String(), "{Key+}") && row.Name() != "DeleteObjects" ||
			row.Route().Sender() == dialect.Preflight {
			continue
		}
		for what, v := range unknowing(row) {
			bucket, marker := newRoom()
			r := request(row, bucket)
			v.change(&r, marker)
			walked++
			a, b := ask(r, deleted), ask(r, never)
			if a != b {
				t.Errorf("%s %s: deleted\n%s\nnever existed\n%s", row.Name(), what, a, b)
			}
			if v.fails {
				if a := ask(r, there); a != b {
					t.Errorf("%s %s: existing\n%s\nnever existed\n%s", row.Name(), what, a, b)
				}
			}
		}
	}
	if walked < 40 {
		t.Errorf("only %d requests were tried", walked)
	}
}

// probe changes a request. fails says that the request fails whether or not the key exists.
type probe struct {
	change func(r *raw, marker string)
	fails  bool
}

// unknowing returns ways to ask about a key without knowing its ETag or versions.
func unknowing(row dispatch.Row) map[string]probe {
	with := func(name, value string) func(*raw, string) {
		return func(r *raw, _ string) { r.header.Set(name, value) }
	}
	all := map[string]probe{"plainly": {change: func(*raw, string) {}}}
	const made = `"00000000000000000000000000000000"`
	switch name := row.Name(); name {
	case "GetObject", "HeadObject", "GetObjectAttributes":
		all["if it is another"] = probe{change: with("If-Match", made)}
		all["in a range"] = probe{change: with("Range", "bytes=0-0")}
	case "DeleteObject":
		all["if it is another"] = probe{with("If-Match", made), true}
	case "DeleteObjects":
		all["if it is another"] = probe{func(r *raw, _ string) {
			r.body = strings.Replace(r.body, "</Object>", "<ETag>"+strings.Trim(made, `"`)+"</ETag></Object>", 1)
		}, true}
	case "CopyObject", "UploadPartCopy":
		all["if it is another"] = probe{change: with("X-Amz-Copy-Source-If-Match", made)}
	case "PutObject":
		all["over another"] = probe{change: with("If-Match", made)}
	}
	for name := range variants[row.Name()] {
		change := variants[row.Name()][name]
		all[name] = probe{change: func(r *raw, _ string) { change(r) }}
	}
	switch row.Name() { // the answer to a deletion says what was deleted
	case "GetObject", "HeadObject", "GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging", "GetObjectAcl",
		"GetObjectAttributes":
		all["the marker"] = probe{change: func(r *raw, marker string) {
			joint := "?"
			if strings.Contains(r.target, "?") {
				joint = "&"
			}
			r.target += joint + "versionId=" + marker
		}}
	}
	return all
}

// TestCopiedTagsAreJudged: a policy's conditions on the tags of a write apply
// to a copy that takes the tags of its source.
func TestCopiedTagsAreJudged(t *testing.T) {
	c := newChanging(t)
	name := c.user()
	newBucket(t, c.s, "tagged")
	for key, tags := range map[string]string{"secret": "class=secret", "public": "class=public", "plain": ""} {
		r := raw{method: "PUT", target: "/tagged/" + key, body: key, header: http.Header{}}
		if tags != "" {
			r.header.Set("X-Amz-Tagging", tags)
		}
		if a := send(t, c.s, r); a.status != 200 {
			t.Fatal(a.body)
		}
	}
	for what, deny := range map[string]string{
		"the value": `"Action":"s3:PutObject","Condition":{"StringEquals":{"s3:RequestObjectTag/class":"secret"}}`,
		"the tagging": `"Action":"s3:PutObjectTagging",` +
			`"Condition":{"StringEquals":{"s3:RequestObjectTag/class":"secret"}}`,
		"the key": `"Action":"s3:PutObject",` +
			`"Condition":{"ForAnyValue:StringEquals":{"s3:RequestObjectTagKeys":"class"}}`,
	} {
		t.Run(what, func(t *testing.T) {
			c.must(c.root.PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{UserName: &name,
				PolicyName: aws.String("p"), PolicyDocument: aws.String(
					`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"},` +
						`{"Effect":"Deny",` + deny + `,"Resource":"*"}]}`)}))
			for key, want := range map[string]int{"secret": 403, "public": 200, "plain": 200} {
				if what == "the key" && key == "public" {
					want = 403
				}
				r := raw{
					method: "PUT", target: "/tagged/copy-of-" + key,
					header: http.Header{"X-Amz-Copy-Source": {"tagged/" + key}}, key: c.key.AccessKeyID,
					secret: c.key.SecretAccessKey,
				}
				if a := send(t, c.s, r); a.status != want {
					t.Errorf("%s, %s: %d %s", what, key, a.status, a.body)
				}
				if a := send(t, c.s, raw{
					method: "GET", target: "/tagged/copy-of-" + key,
				}); (a.status == 200) != (want == 200) {
					t.Errorf("%s, %s: the copy is answered with %d", what, key, a.status)
				}
				send(t, c.s, raw{method: "DELETE", target: "/tagged/copy-of-" + key})
				r.header.Set("X-Amz-Tagging-Directive", "REPLACE")
				if a := send(t, c.s, r); a.status != 200 {
					t.Errorf("%s, %s, without tags: %d %s", what, key, a.status, a.body)
				}
				send(t, c.s, raw{method: "DELETE", target: "/tagged/copy-of-" + key})
			}
		})
	}
}
