package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/operator"
)

// TestRollbackOpens: objects that were public become public again only if the caller of the rollback
// may store a public ACL for them. The answer names them.
func TestRollbackOpens(t *testing.T) {
	l := newListed(t, types.ObjectOwnershipObjectWriter)
	c := castOn(t, l.s)
	versioned := &versioned{t: t, s: l.s, bucket: l.bucket}
	versioned.turn(types.BucketVersioningStatusEnabled)
	l.put("one", types.ObjectCannedACLPublicRead)
	l.put("two", types.ObjectCannedACLAuthenticatedRead)
	l.put("private", types.ObjectCannedACLPrivate)
	to := time.Now()
	shut := func() {
		time.Sleep(time.Millisecond)
		for _, key := range []string{"one", "two", "private"} {
			l.put(key, types.ObjectCannedACLPrivate)
		}
	}
	const may = `{"Effect":"Allow","Action":["watertight:RollbackBucket","s3:GetObject"%s],"Resource":"*"}`
	for i, k := range []struct {
		name, statements, bucketPolicy string
		block                          []string
		open                           string // keys that are public again
	}{
		{"a rollback alone", fmt.Sprintf(may, ""), "", nil, ""},
		{"puts and an ACL of buckets", fmt.Sprintf(may, `,"s3:PutObject","s3:PutBucketAcl"`), "", nil, ""},
		{"ACLs", fmt.Sprintf(may, `,"s3:PutObjectAcl"`), "", nil, "one two"},
		{"ACLs of one", fmt.Sprintf(may, "") +
			`,{"Effect":"Allow","Action":"s3:PutObjectAcl","Resource":"arn:aws:s3:::listed/o*"}`, "", nil, "one"},
		{"a denial", fmt.Sprintf(may, `,"s3:*"`) +
			`,{"Effect":"Deny","Action":"s3:PutObjectAcl","Resource":"arn:aws:s3:::listed/one"}`, "", nil, "two"},
		{"ACLs, but private ones only", fmt.Sprintf(may, "") + `,{"Effect":"Allow","Action":"s3:PutObjectAcl",` +
			`"Resource":"*","Condition":{"StringEquals":{"s3:x-amz-acl":"private"}}}`, "", nil, ""},
		{"a denial by the bucket", fmt.Sprintf(may, `,"s3:*"`), `{"Version":"2012-10-17","Statement":[` +
			`{"Effect":"Deny","Principal":"*","Action":"s3:PutObjectAcl","Resource":"arn:aws:s3:::listed/two"}]}`,
			nil, "one"},
		{"public ACLs are blocked", fmt.Sprintf(may, `,"s3:*"`), "", []string{"BlockPublicAcls"}, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			shut()
			l.block("bucket", k.block...)
			if k.bucketPolicy != "" {
				_, err := l.s.S3.PutBucketPolicy(t.Context(), &s3.PutBucketPolicyInput{
					Bucket: l.bucket, Policy: &k.bucketPolicy,
				})
				l.must(err)
				defer l.s.S3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: l.bucket})
			}
			who := c.user(fmt.Sprint("user", i), `{"Version":"2012-10-17","Statement":[`+k.statements+`]}`)
			open := strings.Fields(k.open)
			dry, a := rollbackAs(t, l.s, who.key, *l.bucket, to, "X-Watertight-Dry-Run", "true")
			done, b := rollbackAs(t, l.s, who.key, *l.bucket, to)
			for _, n := range []rolledBack{dry, done} {
				if n.Changed != 3 || n.Public != len(open) || n.Private != 2-len(open) {
					t.Fatalf("%s\n%s", a.body, b.body)
				}
			}
			for _, e := range dry.Key {
				is := strings.Contains(k.open, e.Name)
				if e.Public != is || e.Private != (!is && e.Name != "private") {
					t.Errorf("%+v", e)
				}
			}
			l.opened(k.open)
			if again, a := rollbackAs(t, l.s, who.key, *l.bucket, to); again.Unchanged != 3 || again.Public != 0 {
				t.Errorf("the second time: %s", a.body)
			}
		})
	}
	shut()
	l.block("bucket")
	nobody := c.user("nobody", `{"Version":"2012-10-17","Statement":[`+fmt.Sprintf(may, "")+`]}`)
	all, err := operator.Dial(l.s.Data).Rollback(t.Context(), operator.RollbackCommand{
		Bucket: *l.bucket, To: to.UTC().Format(time.RFC3339Nano),
	}, func(operator.RollbackProgress) error { return nil })
	if err != nil || all.Public != 2 || all.Private != 0 {
		t.Errorf("the operator: %+v, %v", all, err)
	}
	if n, a := rollbackAs(t, l.s, nobody.key, *l.bucket, to); n.Unchanged != 3 {
		t.Errorf("objects in the old state change: %s", a.body)
	}
	l.opened("one two")
	_, text := c.events()
	for _, want := range []string{`"public":"2"`, `"private":"2"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no event has %s", want)
		}
	}
}

// opened fails the test unless exactly these objects are public.
func (l *listed) opened(keys string) {
	l.t.Helper()
	for _, key := range []string{"one", "two", "private"} {
		r := raw{method: "GET", target: "/" + *l.bucket + "/" + key, unsigned: key != "two"}
		r.key, r.secret = l.guest.AccessKeyID, l.guest.SecretAccessKey // "two" is public for signed requests only
		want := 403
		if strings.Contains(keys, key) {
			want = 200
		}
		if a := send(l.t, l.s, r); a.status != want {
			l.t.Errorf("%s: %d, want %d: %s", key, a.status, want, a.body)
		}
	}
}

// TestRollbackIsCounted: the ransom alarm counts objects that a rollback hides as deletions, and those
// that it changes as overwrites, and freezes the caller. It does not count the operator's command.
func TestRollbackIsCounted(t *testing.T) {
	c := newCast(t, freezing)
	for i, k := range []struct {
		name string
		do   func(v *versioned, who [3]someone) // each may do one thing before an alarm
		dry  bool
		want string
	}{
		{"hidden", func(v *versioned, _ [3]someone) {
			v.put("x", "x")
			v.put("y", "y")
		}, false, "deletes"},
		{"hidden one", func(v *versioned, _ [3]someone) { v.put("x", "x") }, false, ""},
		{"changed", func(v *versioned, who [3]someone) {
			c.ok(c.put(who[1].s3, *v.bucket, "a"))
			c.ok(c.put(who[2].s3, *v.bucket, "b"))
		}, false, "overwrites"},
		{"restored", func(v *versioned, who [3]someone) {
			deleteKeys(c, who[1].s3, v.bucket, "a")
			deleteKeys(c, who[2].s3, v.bucket, "b")
		}, false, ""},
		{"a dry run", func(v *versioned, _ [3]someone) {
			v.put("x", "x")
			v.put("y", "y")
		}, true, ""},
	} {
		t.Run(k.name, func(t *testing.T) {
			v := newVersioned(t, c.Server, fmt.Sprint("counted-", i))
			v.turn(types.BucketVersioningStatusEnabled)
			var who [3]someone
			for n := range who {
				who[n] = c.user(fmt.Sprintf("u%d%d", i, n), may("*", "*"))
			}
			v.put("a", "first")
			v.put("b", "first")
			to := time.Now()
			time.Sleep(time.Millisecond)
			k.do(v, who)
			if _, a := rollbackAs(t, c.Server, who[0].key, *v.bucket, to, "X-Watertight-Dry-Run",
				fmt.Sprint(k.dry)); a.status != 200 {
				t.Fatal(a.body)
			}
			frozen := ""
			if got := raisedIn(c, *v.bucket); got != k.want {
				t.Errorf("%q, want %q", got, k.want)
			} else if got != "" {
				frozen = "AccessDenied"
			}
			if _, a := rollbackAs(t, c.Server, who[0].key, *v.bucket, to); a.code != frozen {
				t.Errorf("afterwards: %d %s", a.status, a.body)
			}
		})
	}
	v := newVersioned(t, c.Server, "counted")
	v.turn(types.BucketVersioningStatusEnabled)
	to := time.Now().UTC().Format(time.RFC3339Nano)
	time.Sleep(time.Millisecond)
	for n := range 3 {
		v.put(fmt.Sprint(n), "x")
	}
	done, err := operator.Dial(c.Data).Rollback(t.Context(), operator.RollbackCommand{Bucket: *v.bucket, To: to},
		func(operator.RollbackProgress) error { return nil })
	if err != nil || done.Hidden != 3 || raisedIn(c, *v.bucket) != "" {
		t.Errorf("the operator: %+v, %v; %s", done, err, raisedIn(c, *v.bucket))
	}
}
