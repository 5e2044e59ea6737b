package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"watertight/internal/datadir"
	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// moored is a data directory with an anchor.
type moored struct {
	t         *testing.T
	dir, data string
	config    server.Config // what every start has
}

func newMoored(t *testing.T, anchor string) *moored {
	dir := t.TempDir()
	return &moored{t: t, dir: dir, data: filepath.Join(dir, "data"), config: server.Config{
		Anchor: anchor, RootKey: "file:" + filepath.Join(dir, "key"), AnchorInterval: 100 * time.Millisecond,
	}}
}

func (m *moored) try(change ...func(*server.Config)) (*harness.Server, error) {
	return harness.Try(m.t, append([]func(*server.Config){func(c *server.Config) {
		c.Data, c.RootKey, c.Anchor = m.data, m.config.RootKey, m.config.Anchor
		c.AnchorInterval, c.Getenv = m.config.AnchorInterval, m.config.Getenv
	}}, change...)...)
}

// put serves the directory, and puts an object.
func (m *moored) put(key string, change ...func(*server.Config)) {
	m.t.Helper()
	s, err := m.try(change...)
	if err != nil {
		m.t.Fatal(err)
	}
	defer s.Stop()
	s.S3.CreateBucket(m.t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bkt")}) // it may be there
	if _, err := s.S3.PutObject(m.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String("bkt"), Key: &key, Body: strings.NewReader(key),
	}); err != nil {
		m.t.Fatal(err)
	}
}

// refused fails the test unless a start is refused, with these words.
func (m *moored) refused(words []string, change ...func(*server.Config)) {
	m.t.Helper()
	s, err := m.try(change...)
	if err == nil {
		s.Stop()
		m.t.Fatalf("the data is served, and should be refused with %q", words)
	}
	for _, w := range append(words, "Nothing was changed") {
		if !strings.Contains(err.Error(), w) {
			m.t.Errorf("the refusal does not say %q: %v", w, err)
		}
	}
}

// copyOf keeps a copy of the stopped directory, and back puts it in its place.
func (m *moored) copyOf(name string) { m.copyTree(m.data, filepath.Join(m.dir, name)) }

func (m *moored) back(name string) {
	m.t.Helper()
	if err := os.RemoveAll(m.data); err != nil {
		m.t.Fatal(err)
	}
	m.copyTree(filepath.Join(m.dir, name), m.data)
}

func (m *moored) copyTree(from, to string) {
	m.t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(from, path)
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *moored) options() datadir.Options {
	return datadir.Options{
		Data: m.data, RootKey: m.config.RootKey, Region: harness.Region, Getenv: m.config.Getenv,
	}
}

func (m *moored) accept() (datadir.AnchorAccepted, error) {
	return datadir.AcceptAnchor(m.t.Context(), m.options(), m.config.Anchor, "a drill")
}

// checked fails the test unless check says this of the anchor, and has this finding or none.
func (m *moored) checked(anchor, says, finding string) {
	m.t.Helper()
	o := m.options()
	o.Anchor = anchor
	found, err := datadir.Check(m.t.Context(), o, false)
	if err != nil {
		m.t.Fatal(err)
	}
	all := strings.Join(found.Findings, "\n")
	if !strings.Contains(found.Anchor, says) || says == "" && found.Anchor != "" ||
		!strings.Contains(all, finding) || finding == "" && all != "" {
		m.t.Errorf("with the anchor %q check says %q and finds %q", anchor, found.Anchor, all)
	}
}

// recorded fails the test unless the audit log has events with these names, in order.
func (m *moored) recorded(names ...string) {
	m.t.Helper()
	var all []string
	_, err := datadir.ReadAudit(m.t.Context(), m.options(), "", func(json []byte) error {
		_, rest, _ := strings.Cut(string(json), `"eventName":"`)
		name, _, _ := strings.Cut(rest, `"`)
		all = append(all, name)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	rest := all
	for _, n := range names {
		i := slices.Index(rest, n)
		if i < 0 {
			m.t.Fatalf("the audit log does not say %q: %q", names, all)
		}
		rest = rest[i+1:]
	}
}

// TestAnchorInAFile: an older copy of a whole data directory is refused, until an operator
// accepts it. Then the copy that was newer is refused.
func TestAnchorInAFile(t *testing.T) {
	t.Parallel()
	m := newMoored(t, filepath.Join(t.TempDir(), "anchor"))
	m.put("one")
	m.copyOf("old")
	m.put("two")
	m.copyOf("newer")
	if _, err := m.accept(); err == nil || !strings.Contains(err.Error(), "nothing to accept") {
		t.Errorf("the newest store is accepted: %v", err)
	}
	m.checked(m.config.Anchor, "the one that the anchor "+m.config.Anchor+" knows", "")
	m.checked("", "--anchor "+m.config.Anchor, "")
	m.back("old")
	m.refused([]string{"older than its anchor", "old copy was put back", "watertight anchor accept"})
	m.checked(m.config.Anchor, "", "older than its anchor")
	m.checked("", "--anchor "+m.config.Anchor, "")
	done, err := m.accept()
	if err != nil || done.Commit == 0 || !strings.Contains(done.Cause, "older than its anchor") {
		t.Fatalf("%+v, %v", done, err)
	}
	m.put("three")
	m.recorded("AnchorSet", "AnchorAccepted", "PutObject")
	m.back("newer")
	m.refused([]string{"before another one was accepted", "watertight anchor accept"})
	shown, err := datadir.ReadAnchor(t.Context(), m.options(), m.config.Anchor)
	if err != nil || shown.Round != 1 || shown.Commit <= done.Commit {
		t.Errorf("%+v, %v", shown, err)
	}
}

// TestAnchorIsNotForgotten: what a start says if the anchor, its place, its flag or the data is
// missing.
func TestAnchorIsNotForgotten(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	m := newMoored(t, filepath.Join(disk, "anchor"))
	without := func(c *server.Config) { c.Anchor = "" }
	optional := func(c *server.Config) { c.AnchorOptional = true }
	m.put("one")
	m.refused([]string{"anchored at " + m.config.Anchor, "--anchor none"}, without)
	text, err := os.ReadFile(m.config.Anchor)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(m.config.Anchor); err != nil {
		t.Fatal(err)
	}
	m.refused([]string{"there is no anchor at", "watertight anchor accept"})
	m.refused([]string{"there is no anchor at"}, optional)
	if err := os.Rename(disk, disk+"-away"); err != nil {
		t.Fatal(err)
	}
	m.refused([]string{"can't be read", "--anchor-optional"})
	m.put("two", optional)
	if err := os.Rename(disk+"-away", disk); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(m.config.Anchor, text, 0o600); err != nil {
		t.Fatal(err)
	}
	m.put("three")
	m.recorded("AnchorSet", "AnchorSkipped", "PutObject")
	if err := os.WriteFile(m.config.Anchor, bytes.Repeat([]byte{0}, len(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.refused([]string{"is damaged", "watertight anchor accept"})
	if _, err := m.accept(); err != nil {
		t.Fatal(err)
	}
	m.put("four")
	m.copyOf("kept")
	if err := os.RemoveAll(m.data); err != nil {
		t.Fatal(err)
	}
	m.refused([]string{"there is no store", "tells of one", "mounted"})
	m.back("kept")
	m.put("five", func(c *server.Config) { c.Anchor = "none" })
	m.put("six", without)
	m.recorded("AnchorRemoved")
	m.back("kept")
	m.put("seven") // with the anchor, it goes on
}

// TestAnchorAfterAKill: whatever a kill leaves is accepted by the next start.
func TestAnchorAfterAKill(t *testing.T) {
	t.Parallel()
	p := harness.StartProcess(t, "--anchor", filepath.Join(t.TempDir(), "anchor"), "--anchor-interval", "1ms")
	if _, err := p.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bkt")}); err != nil {
		t.Fatal(err)
	}
	for round := range 8 {
		for i := range 10 + round {
			if _, err := p.S3.PutObject(t.Context(), &s3.PutObjectInput{
				Bucket: aws.String("bkt"), Key: aws.String(fmt.Sprint(round, "/", i)), Body: strings.NewReader("x"),
			}); err != nil {
				t.Fatal(err)
			}
		}
		p.Kill()
		p.Restart()
	}
}

// anchorStore is another store, with a bucket whose objects can't be removed, and a user who
// may only add and read anchors.
func anchorStore(t *testing.T) (s *harness.Server, env func(string) string, user *s3.Client) {
	s = harness.Start(t)
	if _, err := s.S3.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String("anchors"), ObjectLockEnabledForBucket: aws.Bool(true),
	}); err != nil {
		t.Fatal(err)
	}
	_, user, _ = newUser(t, s, "anchor")
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["s3:PutObject",`+
		`"s3:PutObjectRetention","s3:GetObjectVersion"],"Resource":%q},{"Effect":"Allow",`+
		`"Action":"s3:ListBucketVersions","Resource":%q}]}`, "arn:aws:s3:::anchors/store/*", "arn:aws:s3:::anchors")
	if _, err := rootIAM(s).PutUserPolicy(t.Context(), &iam.PutUserPolicyInput{
		UserName: aws.String("anchor"), PolicyName: aws.String("anchors"), PolicyDocument: &policy,
	}); err != nil {
		t.Fatal(err)
	}
	k, err := user.Options().Credentials.Retrieve(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s, func(name string) string {
		return map[string]string{
			"WATERTIGHT_ANCHOR_ACCESS_KEY_ID":     k.AccessKeyID,
			"WATERTIGHT_ANCHOR_SECRET_ACCESS_KEY": k.SecretAccessKey,
		}[name]
	}, user
}

// TestAnchorInAnotherStore: anchors lie as locked objects in a second server. Whoever has the
// data directory and the root credentials of that server can neither remove nor hide them.
func TestAnchorInAnotherStore(t *testing.T) {
	t.Parallel()
	other, env, user := anchorStore(t)
	m := newMoored(t, "s3://anchors/store/?endpoint="+other.Endpoint+"&mode=COMPLIANCE&retain=24h")
	m.config.Getenv = env
	m.put("one")
	m.copyOf("old")
	m.put("two")
	ctx, bucket := t.Context(), aws.String("anchors")
	all, err := other.S3.ListObjectVersions(ctx, &s3.ListObjectVersionsInput{Bucket: bucket})
	if err != nil || len(all.Versions) < 2 {
		t.Fatalf("%d anchors, %v", len(all.Versions), err)
	}
	until := time.Now().Add(23 * time.Hour)
	for _, v := range all.Versions {
		r, err := other.S3.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{
			Bucket: bucket, Key: v.Key, VersionId: v.VersionId,
		})
		if err != nil || r.Retention.Mode != types.ObjectLockRetentionModeCompliance ||
			r.Retention.RetainUntilDate.Before(until) {
			t.Fatalf("%s is not locked: %+v, %v", *v.Key, r, err)
		}
		in := &s3.DeleteObjectInput{Bucket: bucket, Key: v.Key, VersionId: v.VersionId}
		_, err = other.S3.DeleteObject(ctx, in)
		expect(t, err, "AccessDenied")
		in.VersionId, in.BypassGovernanceRetention = nil, nil
		_, err = user.DeleteObject(ctx, in)
		expect(t, err, "AccessDenied")
		_, err = other.S3.DeleteObject(ctx, in) // a delete marker hides it from listings of objects
		expect(t, err, "")
	}
	// The oldest anchor as a version of each, garbage over each, and in front of all.
	oldest := all.Versions[len(all.Versions)-1]
	got, err := other.S3.GetObject(ctx, &s3.GetObjectInput{
		Bucket: bucket, Key: oldest.Key, VersionId: oldest.VersionId,
	})
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	text.ReadFrom(got.Body)
	got.Body.Close()
	keys := []string{"store/", "store/0", "store/" + strings.Repeat("0", 16) + "-" + strings.Repeat("0", 16)}
	for _, v := range all.Versions {
		keys = append(keys, *v.Key)
	}
	for _, key := range keys {
		for _, b := range [][]byte{text.Bytes(), bytes.Repeat([]byte{7}, text.Len()), {}} {
			_, err := user.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader(b)})
			expect(t, err, "")
		}
	}
	m.copyOf("new")
	m.back("old")
	m.refused([]string{"older than its anchor", "watertight anchor accept"})
	m.back("new")
	m.put("three")
	m.back("old")
	if done, err := m.accept(); err != nil {
		t.Fatalf("%+v, %v", done, err)
	}
	m.put("four")
	m.recorded("AnchorAccepted", "PutObject")
	other.Stop()
	m.refused([]string{"can't be read", "--anchor-optional"})
	m.put("five", func(c *server.Config) { c.AnchorOptional = true })
	m.recorded("AnchorSkipped")
}

// TestAnchorIsReportedBehind: while the other store does not answer, requests go on and the
// health says how far the anchor is behind.
func TestAnchorIsReportedBehind(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.Mkdir(disk, 0o700); err != nil {
		t.Fatal(err)
	}
	m := newMoored(t, filepath.Join(disk, "anchor"))
	s, err := m.try()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(disk, disk+"-away"); err != nil {
		t.Fatal(err)
	}
	newBucket(t, s, "goes-on")
	behind := func() bool {
		h, err := operator.Dial(s.Data).Health(t.Context())
		if err != nil || h.Anchor == nil || !h.Writes {
			t.Fatalf("%+v, %v", h, err)
		}
		return h.Anchor.Behind > 0
	}
	await := func(ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("nothing is reported")
			}
		}
	}
	await(behind)
	if err := os.Rename(disk+"-away", disk); err != nil {
		t.Fatal(err)
	}
	await(func() bool { return !behind() })
}
