package e2e

import (
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/access/action"
	"watertight/internal/gateway/dialect"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// alarmed is a server whose alarm is raised by the second overwrite, deletion or change of
// key in an hour.
func alarmed(c *server.Config) {
	c.AlarmWindow, c.AlarmOverwrites, c.AlarmDeletes, c.AlarmKeyChanges = time.Hour, 1, 1, 1
	c.MetricsListen = "127.0.0.1:0"
}

func freezing(c *server.Config) {
	alarmed(c)
	c.FreezeOnAlarm = true
}

func (c cast) put(who *s3.Client, bucket, key string, change ...func(*s3.PutObjectInput)) error {
	in := &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}
	for _, f := range change {
		f(in)
	}
	_, err := who.PutObject(c.Context(), in)
	return err
}

// attack overwrites objects as someone until the alarm is raised. If the server freezes, that freezes
// someone.
func (c cast) attack(who *s3.Client, bucket string) {
	c.Helper()
	for _, key := range []string{"bait", "lure", "bait", "lure"} {
		c.ok(c.put(who, bucket, key))
	}
}

// metric returns the value of a line of the metrics.
func metric(t testing.TB, s *harness.Server, name string) float64 {
	t.Helper()
	res, err := http.Get("http://" + s.MetricsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	_, rest, found := strings.Cut(string(text), "\n"+name+" ")
	line, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		t.Fatalf("no metric %s: %v\n%s", name, err, text)
	}
	return v
}

// TestWhatRaisesAnAlarm: each case begins with three objects in a new bucket, and names the alarm that
// it raises, if any.
func TestWhatRaisesAnAlarm(t *testing.T) {
	k := kmsCast{cast: newCast(t, alarmed, allowingSSEC), t: t, clock: &clock{}}
	c := k.cast
	k.kms = k.kmsOf(rootOf(c.Server), "")
	admin, key, mine := c.user("admin", may("*", "*")), k.newKey(), newOwnKey("k")
	under := func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId = types.ServerSideEncryptionAwsKms, &key
	}
	n := 0
	for _, k := range []struct {
		name string
		do   func(s *s3.Client, bucket *string)
		want string
	}{
		{"new keys", func(s *s3.Client, b *string) {
			for i := range 5 {
				c.ok(c.put(s, *b, fmt.Sprint("new", i)))
			}
		}, ""},
		{"one overwrite", func(s *s3.Client, b *string) { c.ok(c.put(s, *b, "a")) }, ""},
		{"the same object again and again", func(s *s3.Client, b *string) {
			for range 5 {
				c.ok(c.put(s, *b, "a"))
			}
		}, ""},
		{"overwrites", func(s *s3.Client, b *string) {
			c.ok(c.put(s, *b, "a"))
			c.ok(c.put(s, *b, "b"))
		}, "overwrites"},
		{"copies over objects", func(s *s3.Client, b *string) {
			for _, key := range []string{"b", "c"} {
				_, err := s.CopyObject(t.Context(), &s3.CopyObjectInput{
					Bucket: b, Key: &key, CopySource: aws.String(*b + "/a"),
				})
				c.ok(err)
			}
		}, "overwrites"},
		{"uploads over objects", func(s *s3.Client, b *string) {
			for _, key := range []string{"a", "b"} {
				up, err := s.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: b, Key: &key})
				c.ok(err)
				p, err := s.UploadPart(t.Context(), &s3.UploadPartInput{
					Bucket: b, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: strings.NewReader("x"),
				})
				c.ok(err)
				_, err = s.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{
					Bucket: b, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{
						Parts: []types.CompletedPart{{ETag: p.ETag, PartNumber: aws.Int32(1)}},
					},
				})
				c.ok(err)
			}
		}, "overwrites"},
		{"a batch counts each key", func(s *s3.Client, b *string) { deleteKeys(c, s, b, "a", "b") }, "deletes"},
		{"missing keys do not count", func(s *s3.Client, b *string) {
			deleteKeys(c, s, b, "a", "a", "x", "y")
			deleteKeys(c, s, b, "a")
		}, ""},
		{"versions count, markers do not", func(s *s3.Client, b *string) {
			list, err := c.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: b})
			c.ok(err)
			deleteKeys(c, s, b, "a")
			after, err := c.S3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: b})
			c.ok(err)
			for _, m := range after.DeleteMarkers {
				deleteVersion(c, s, b, m.Key, m.VersionId)
			}
			if got := raisedIn(c, *b); got != "" {
				t.Errorf("an alarm for a delete marker: %s", got)
			}
			deleteVersion(c, s, b, list.Versions[0].Key, list.Versions[0].VersionId)
		}, "deletes"},
		{"another key", func(s *s3.Client, b *string) {
			c.ok(c.put(s, *b, "a", under))
			c.ok(c.put(s, *b, "n", under)) // no object was there
			_, err := s.UpdateObjectEncryption(t.Context(), &s3.UpdateObjectEncryptionInput{
				Bucket: b, Key: aws.String("b"), ObjectEncryption: &types.ObjectEncryptionMemberSSEKMS{
					Value: types.SSEKMSEncryption{KMSKeyArn: &key},
				},
			})
			c.ok(err)
		}, "key_changes"},
		{"a customer's key", func(s *s3.Client, b *string) {
			for _, key := range []string{"a", "b"} {
				_, err := s.CopyObject(t.Context(), &s3.CopyObjectInput{
					Bucket: b, Key: &key, CopySource: aws.String(*b + "/" + key),
					SSECustomerAlgorithm: mine.algorithm, SSECustomerKey: mine.key, SSECustomerKeyMD5: mine.md5,
				})
				c.ok(err)
			}
		}, "overwrites"}, // and key_changes; the event names the first kind
	} {
		t.Run(k.name, func(t *testing.T) {
			n++
			bucket := fmt.Sprintf("alarm-%d", n)
			newBucket(t, c.Server, bucket)
			if !strings.Contains(k.name, "over objects") {
				_, err := c.S3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
					Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{
						Status: types.BucketVersioningStatusEnabled,
					},
				})
				c.ok(err)
			}
			for _, key := range []string{"a", "b", "c"} {
				c.ok(c.put(admin.s3, bucket, key))
			}
			k.do(admin.s3, &bucket)
			if got := raisedIn(c, bucket); got != k.want {
				t.Errorf("%q, want %q", got, k.want)
			}
		})
	}
}

// raisedIn returns the kinds of the alarms that the log has about a bucket.
func raisedIn(c cast, bucket string) (kind string) {
	for line := range strings.SplitSeq(c.Logs.String(), "\n") {
		if strings.Contains(line, "look like ransomware") && strings.Contains(line, "bucket="+bucket+" ") {
			_, rest, _ := strings.Cut(line, " kind=")
			k, _, _ := strings.Cut(rest, " ")
			kind += k
		}
	}
	return kind
}

func deleteKeys(c cast, who *s3.Client, bucket *string, keys ...string) {
	c.Helper()
	var all []types.ObjectIdentifier
	for _, k := range keys {
		all = append(all, types.ObjectIdentifier{Key: aws.String(k)})
	}
	_, err := who.DeleteObjects(c.Context(), &s3.DeleteObjectsInput{
		Bucket: bucket, Delete: &types.Delete{Objects: all},
	})
	c.ok(err)
}

func deleteVersion(c cast, who *s3.Client, bucket, key, version *string) {
	c.Helper()
	_, err := who.DeleteObject(c.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: key, VersionId: version})
	c.ok(err)
}

// TestAnAlarmIsTold: an alarm is one line of the log, one event and one count, even if the principal
// continues. Nobody is frozen without the flag.
func TestAnAlarmIsTold(t *testing.T) {
	c := newCast(t, alarmed)
	admin := c.user("admin", may("*", "*"))
	newBucket(t, c.Server, "told")
	for range 3 {
		c.attack(admin.s3, "told")
	}
	if n := strings.Count(c.Logs.String(), "look like ransomware"); n != 1 {
		t.Errorf("%d lines of the log", n)
	}
	if v := metric(t, c.Server, `watertight_ransom_alarms_total{kind="overwrites"}`); v != 1 {
		t.Errorf("the metric counts %v alarms", v)
	}
	if v := metric(t, c.Server, `watertight_frozen_principals`); v != 0 {
		t.Errorf("%v principals are frozen", v)
	}
	metric(t, c.Server, "go_goroutines")
	metric(t, c.Server, "process_open_fds")
	_, text := c.events()
	events := 0
	for line := range strings.SplitSeq(text, "\n") {
		if !strings.Contains(line, `"eventName":"RaiseRansomAlarm"`) {
			continue
		}
		events++
		for _, want := range []string{
			`"bucketName":"told"`, `"principalId":"` + admin.id + `"`, `"accessKeyId":"` + admin.key.AccessKeyID + `"`,
			`"principalArn":"` + admin.arn + `"`, `2 overwrites`, `"sourceIPAddress":"127.0.0.1"`,
		} {
			if !strings.Contains(line, want) {
				t.Errorf("the event does not say %s: %s", want, line)
			}
		}
	}
	if events != 1 || strings.Contains(text, "FreezePrincipal") {
		t.Errorf("%d events", events)
	}
}

// TestMetricsTellNoNames: no metric contains a name that a client chose, and the listener serves
// nothing but metrics.
func TestMetricsTellNoNames(t *testing.T) {
	c := newCast(t, freezing)
	admin := c.user("secretname", may("*", "*"))
	newBucket(t, c.Server, "secretname")
	c.attack(admin.s3, "secretname")
	for path, want := range map[string]int{"/metrics": 200, "/": 404, "/debug/pprof/": 404, "/health/live": 404} {
		t.Run(path, func(t *testing.T) {
			res, err := http.Get("http://" + c.MetricsAddr() + path)
			if err != nil {
				t.Fatal(err)
			}
			text, _ := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode != want || strings.Contains(string(text), "secretname") ||
				strings.Contains(string(text), admin.id) {
				t.Errorf("%s\n%s", res.Status, text)
			}
		})
	}
}

// TestFrozenMatrix calls every operation of S3 as a frozen user, and as the frozen root user of the
// bucket's owner. Operations that change something are refused and change nothing; reads are served.
func TestFrozenMatrix(t *testing.T) {
	c := &changing{T: t, clock: &clock{}}
	c.s = harness.Start(t, freezing)
	c.root = rootIAM(c.s)
	all := castOn(t, c.s)
	admin := all.user("admin", may("*", "*"))
	for who, of := range map[string]someone{
		"user": admin, "root": all.someone(harness.Credentials{
			AccessKeyID: c.s.AccessKeyID, SecretAccessKey: c.s.SecretAccessKey,
		}, ""),
	} {
		t.Run(who, func(t *testing.T) {
			writes := 0
			for i, row := range c.s.Operations("s3") {
				name := row.Name()
				if name == "CreateBucket" || name == "ListBuckets" {
					continue
				}
				bucket := fmt.Sprintf("frozen-%s-%d", who, i)
				newBucket(t, c.s, bucket)
				all.ok(all.put(c.s.S3, bucket, "object"))
				c.key = of.key
				r := request(row, bucket)
				if row.Route().Sender() == dialect.SignedForm {
					r = post{bucket: bucket, key: of.key, fields: map[string]string{"key": "object"}}.build(t, c.s)
				}
				all.attack(of.s3, bucket)
				before := c.fingerprint(bucket)
				r.key, r.secret = of.key.AccessKeyID, of.key.SecretAccessKey
				if row.Route().Sender() == dialect.SignedForm {
					r.unsigned = true
				}
				a := send(t, c.s, r)
				if action.OperationOf("s3", name).Reads {
					if refused(a) {
						t.Errorf("%s is refused: %s", name, a.body)
					}
					continue
				}
				writes++
				if !refused(a) || r.method != "HEAD" && !strings.Contains(a.body, "AccessDenied") {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
				if now := c.fingerprint(bucket); now != before {
					t.Errorf("%s has changed\n%s\nbefore\n%s", name, now, before)
				}
			}
			if writes < 25 {
				t.Errorf("only %d operations change something", writes)
			}
		})
	}
}

// TestWhoIsFrozen: a freeze applies to the holder of the permissions that were used, in one bucket,
// until it is lifted. It does not affect others.
func TestWhoIsFrozen(t *testing.T) {
	c := newCast(t, freezing)
	commands := operator.Dial(c.Data)
	admin, other := c.user("admin", may("*", "*")), c.user("other", may("*", "*"))
	worker := c.role(c.root, "worker", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	reader := c.role(c.root, "reader", trust(awsPrincipal(c.account), ""), may("s3:*", "*"))
	session := func(role, name string) someone { return c.assumed(admin, assume(role, name)) }
	federated := func(who someone) someone {
		out, err := who.sts.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{
			Name: aws.String("bob"), Policy: aws.String(may("s3:*", "*")),
		})
		c.ok(err)
		return c.session(out.Credentials)
	}
	root := c.someone(harness.Credentials{AccessKeyID: c.AccessKeyID, SecretAccessKey: c.SecretAccessKey}, "")
	n := 0
	for _, k := range []struct {
		name          string
		attacker      someone
		id            string
		refused, free []someone
	}{
		{
			"a user", admin, admin.id, []someone{admin, federated(admin)},
			[]someone{other, root, session(*worker.Arn, "one")},
		},
		{"a session of a user", federated(admin), admin.id, []someone{admin, federated(admin)}, []someone{other, root}},
		{
			"a role", session(*worker.Arn, "one"), *worker.RoleId,
			[]someone{session(*worker.Arn, "one"), session(*worker.Arn, "two")},
			[]someone{admin, other, root, session(*reader.Arn, "one")},
		},
		{
			"the root user", root, c.account, []someone{root, federated(root)},
			[]someone{admin, session(*worker.Arn, "one")},
		},
	} {
		t.Run(k.name, func(t *testing.T) {
			n++
			bucket, elsewhere := fmt.Sprintf("who-%d", n), fmt.Sprintf("who-%d-elsewhere", n)
			newBucket(t, c.Server, bucket)
			newBucket(t, c.Server, elsewhere)
			c.attack(k.attacker.s3, bucket)
			for i, p := range k.refused {
				err := c.put(p.s3, bucket, "new")
				if err == nil || !strings.Contains(err.Error(), "with an explicit deny in a resource-based policy") {
					t.Errorf("%d writes: %v", i, err)
				}
				c.ok(c.put(p.s3, elsewhere, fmt.Sprint("new", i)))
				_, err = p.s3.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: aws.String("bait")})
				c.ok(err)
				expect(t, putPolicy(t, p.s3, &bucket, `{"Effect":"Deny","Principal":"*","Action":"s3:GetObject",`+
					`"Resource":"arn:aws:s3:::%s/*"}`, bucket), "AccessDenied")
				_, err = p.s3.DeleteBucketPolicy(t.Context(), &s3.DeleteBucketPolicyInput{Bucket: &bucket})
				expect(t, err, "AccessDenied")
			}
			for i, p := range k.free {
				c.ok(c.put(p.s3, bucket, fmt.Sprint("free", i)))
			}
			frozen, err := commands.Freezes(t.Context(), bucket)
			c.ok(err)
			if len(frozen) != 1 || frozen[0].PrincipalID != k.id || frozen[0].Bucket != bucket ||
				!strings.Contains(frozen[0].Reason, "2 overwrites") {
				t.Fatalf("%+v", frozen)
			}
			by := []string{frozen[0].PrincipalID, frozen[0].Principal}[n%2]
			if _, err := commands.LiftFreeze(t.Context(), elsewhere, by); err == nil {
				t.Error("lifting a missing freeze succeeds")
			}
			_, err = commands.LiftFreeze(t.Context(), bucket, by)
			c.ok(err)
			for i, p := range k.refused {
				c.ok(c.put(p.s3, bucket, fmt.Sprint("again", i)))
			}
			// Changes from before the freeze no longer count.
			c.ok(c.put(k.attacker.s3, bucket, "bait"))
			c.ok(c.put(k.attacker.s3, bucket, "again-new"))
			expect(t, c.put(k.attacker.s3, bucket, "lure"), "")
			expect(t, c.put(k.attacker.s3, bucket, "bait"), "AccessDenied")
		})
	}
	if v := metric(t, c.Server, "watertight_frozen_principals"); v != 4 {
		t.Errorf("%v principals are frozen", v)
	}
	_, text := c.events()
	for _, name := range []string{"FreezePrincipal", "LiftFreeze", "ListFreezes"} {
		if !strings.Contains(text, `"eventName":"`+name+`"`) {
			t.Errorf("no event %s", name)
		}
	}
}

// TestAFreezeLasts: a freeze survives a restart, even without the flag, and ends with the bucket.
func TestAFreezeLasts(t *testing.T) {
	c := newCast(t, freezing)
	admin := c.user("admin", may("*", "*"))
	newBucket(t, c.Server, "lasts")
	c.attack(admin.s3, "lasts")
	config := *c.Server
	c.Stop()
	c.Server = harness.Start(t, func(o *server.Config) {
		o.Data, o.RootKey = config.Data, "file:"+filepath.Join(filepath.Dir(config.Data), "root.key")
	})
	admin = c.someone(admin.key, "")
	expect(t, c.put(admin.s3, "lasts", "new"), "AccessDenied")
	deleteKeys(c, c.S3, aws.String("lasts"), "bait", "lure")
	_, err := c.S3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("lasts")})
	c.ok(err)
	newBucket(t, c.Server, "lasts")
	expect(t, c.put(admin.s3, "lasts", "new"), "")
	if all, err := operator.Dial(c.Data).Freezes(t.Context(), ""); err != nil || len(all) != 0 {
		t.Errorf("%v %v", all, err)
	}
}

// TestFrozenUnderWay: a request that began before the freeze is refused when it ends.
func TestFrozenUnderWay(t *testing.T) {
	c := &changing{T: t, clock: &clock{}}
	c.s = harness.Start(t, freezing)
	c.root = rootIAM(c.s)
	all := castOn(t, c.s)
	walked := 0
	for i, row := range c.s.Operations("s3") {
		bucket := fmt.Sprintf("way-%d", i)
		if r := request(row, bucket); r.body == "" && row.Route().Sender() != dialect.SignedForm &&
			row.Name() != "PutObject" && row.Name() != "UploadPart" {
			continue
		}
		newBucket(t, c.s, bucket)
		if a := send(t, c.s, raw{method: "PUT", target: "/" + bucket + "/object", body: "old"}); a.status != 200 {
			t.Fatal(a.body)
		}
		c.user()
		r, ok := c.request(row, bucket)
		if !ok {
			continue
		}
		walked++
		who := all.someone(c.key, "")
		a := slow(t, c.s, r, func() { all.attack(who.s3, bucket) })
		if !refused(a) {
			t.Errorf("%s: %d %s", row.Name(), a.status, a.body)
		}
		if a := send(t, c.s, raw{method: "GET", target: "/" + bucket + "/object"}); a.body != "old" {
			t.Errorf("%s: the object is %q", row.Name(), a.body)
		}
	}
	if walked < 12 {
		t.Errorf("only %d operations were called", walked)
	}
}

// TestTooManyFrozen: if one new user after another is frozen, the bucket is frozen for all in the end.
func TestTooManyFrozen(t *testing.T) {
	c := newCast(t, freezing)
	newBucket(t, c.Server, "many")
	for i := range 65 {
		u := c.user(fmt.Sprint("u", i), may("*", "*"))
		for range 2 {
			c.ok(c.put(u.s3, "many", fmt.Sprint("bait", i)))
			c.ok(c.put(u.s3, "many", fmt.Sprint("lure", i)))
		}
	}
	next := c.user("next", may("*", "*"))
	expect(t, c.put(next.s3, "many", "new"), "AccessDenied")
	expect(t, c.put(c.S3, "many", "new"), "AccessDenied")
	_, err := operator.Dial(c.Data).LiftFreeze(t.Context(), "many", "*")
	c.ok(err)
	expect(t, c.put(next.s3, "many", "new"), "")
}
