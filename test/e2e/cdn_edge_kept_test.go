package e2e

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront"
	"github.com/aws/aws-sdk-go-v2/service/cloudfront/types"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"

	"watertight/internal/operator"
	"watertight/internal/server"
	"watertight/test/harness"
)

// replaced puts the page anew, and invalidates it.
func (s *oacSite) replaced(d *types.Distribution, text string) {
	s.t.Helper()
	s.ok(s.putPage(text))
	_, err := s.cdn.CreateInvalidation(s.t.Context(), &cloudfront.CreateInvalidationInput{
		DistributionId: d.Id, InvalidationBatch: batch(text, "/page"),
	})
	s.ok(err)
}

// back starts the store again at its old address, after Stop.
func (s *oacSite) back() {
	s.t.Helper()
	data, address := s.Data, strings.TrimPrefix(s.Endpoint, "http://")
	s.Server = harness.Start(s.t, func(o *server.Config) {
		o.Data, o.RootKey = data, "file:"+filepath.Join(filepath.Dir(data), "root.key")
		o.Listen, o.CDN.Listen = []string{address}, "127.0.0.1:0"
	})
}

// says expects that the edge's first answer with 200 is text.
func (e *farEdge) says(t *testing.T, d *types.Distribution, text string) {
	t.Helper()
	if got := e.get(t, d, "/page", 200); got != text {
		t.Errorf("the edge answers %q, want %q", got, text)
	}
}

// TestEdgeKeepsWhatItHas: an edge whose key outlives it serves what it has after a restart while
// the store is away, and nothing that was invalidated once it hears from the store.
func TestEdgeKeepsWhatItHas(t *testing.T) {
	s := newOACSite(t)
	cached := s.newCached()
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	config, dir := s.enroll("berlin"), filepath.Join(t.TempDir(), "cache")
	config.CDN.Cache = server.CDNCache{
		Dir: dir, Bytes: 64 << 20, Key: "file:" + filepath.Join(t.TempDir(), "edge", "key"),
	}
	e := s.startEdge(config)
	e.says(t, cached, "private")
	e.stop()

	s.Stop()
	e = s.startEdge(config)
	e.says(t, cached, "private")
	e.get(t, s.own.Distribution, "/page", 502) // which is not cached
	e.stop()
	sealed(t, dir, "private", *cached.Id, *cached.DomainName, config.Store.Credential.AccessKeyID)

	s.back() // the edge missed an invalidation
	s.replaced(cached, "second")
	e = s.startEdge(config)
	e.says(t, cached, "second")
	e.stop()

	s.replaced(cached, "third")
	s.Stop()
	e = s.startEdge(config) // it can't know of the invalidation
	e.says(t, cached, "second")
	s.back()
	e.until(t, cached, "third")
	s.Stop()
	e.says(t, cached, "third")
	e.stop()
	e = s.startEdge(config)
	e.says(t, cached, "third")
	e.stop()

	s.back()
	_, err := operator.Dial(s.Data).RemoveEdge(t.Context(), "berlin")
	s.ok(err)
	e = s.startEdge(config)
	e.get(t, cached, "/page", 403)
	e.stop()
	s.Stop()
	e = s.startEdge(config) // it was refused, and kept nothing
	if text := e.get(t, cached, "/page", 403); strings.Contains(text, "third") {
		t.Error(text)
	}
	e.stop()
}

// sealed expects that no file in a folder has one of the texts, in its name or in its bytes.
func sealed(t *testing.T, dir string, texts ...string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		for _, text := range texts {
			if strings.Contains(path+"\x00"+string(b), text) {
				t.Errorf("%s has %q", path, text)
			}
		}
		return err
	})
	if err != nil || files < 4 {
		t.Errorf("%d files, %v", files, err)
	}
}

// TestSnapshotOfAnotherEdge: an edge that is started on the disk of another one serves nothing
// of it, although it has the same key.
func TestSnapshotOfAnotherEdge(t *testing.T) {
	s := newOACSite(t)
	cached := s.newCached()
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	berlin, paris := s.enroll("berlin"), s.enroll("paris")
	key := "file:" + filepath.Join(t.TempDir(), "edge", "key")
	berlin.CDN.Cache = server.CDNCache{Dir: filepath.Join(t.TempDir(), "cache"), Bytes: 64 << 20, Key: key}
	paris.CDN.Cache = berlin.CDN.Cache
	e := s.startEdge(berlin)
	e.says(t, cached, "private")
	e.stop()
	s.Stop()
	e = s.startEdge(paris)
	e.get(t, cached, "/page", 403)
	e.stop()
}

// key makes a key of KMS that a statement lets the service use, under a condition.
func (s *oacSite) key(client *kms.Client, account, condition string) string {
	s.t.Helper()
	made, err := client.CreateKey(s.t.Context(), &kms.CreateKeyInput{Policy: aws.String(statements(
		fmt.Sprintf(`{"Effect":"Allow","Principal":{"AWS":"%s"},"Action":"kms:*","Resource":"*"}`, account),
		fmt.Sprintf(`{"Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},"Action":`+
			`["kms:Decrypt","kms:GenerateDataKey"],"Resource":"*","Condition":{"StringLike":{%s}}}`, condition),
	))})
	s.ok(err)
	return *made.KeyMetadata.Arn
}

func (s *oacSite) edgeARN(name string) string {
	return "arn:aws:cloudfront::" + s.account + ":edge/" + name
}

// TestEdgeCacheUnderKMS: the cache of an edge on another machine survives a restart under a key
// of the store's KMS. Without its statement in the key's policy, the edge does not start.
func TestEdgeCacheUnderKMS(t *testing.T) {
	s := newOACSite(t)
	cached := s.newCached()
	s.policy("aws:SourceAccount", s.account, "s3:GetObject")
	client := kmsCast{cast: s.cast, t: t, clock: &clock{}}.kmsOf(rootOf(s.Server), "")
	key := s.key(client, s.account, `"aws:SourceArn":"`+s.edgeARN("berlin")+`"`)
	config, dir := s.enroll("berlin"), filepath.Join(t.TempDir(), "cache")
	config.CDN.Cache = server.CDNCache{Dir: dir, Bytes: 64 << 20, Key: "kms:" + key}
	e := s.startEdge(config)
	e.says(t, cached, "private")
	e.stop()
	s.ok(s.putPage("second"))
	e = s.startEdge(config)
	e.says(t, cached, "private") // from the cache: nothing invalidated it
	e.stop()
	sealed(t, dir, "private", *cached.Id)

	_, err := client.DisableKey(t.Context(), &kms.DisableKeyInput{KeyId: &key})
	s.ok(err)
	config.Ready = func(string, string, string) { t.Error("it started") }
	if err := server.RunEdge(t.Context(), config); err == nil || !strings.Contains(err.Error(), "DisabledException") {
		t.Errorf("with a disabled key: %v", err)
	}
	_, err = client.EnableKey(t.Context(), &kms.EnableKeyInput{KeyId: &key})
	s.ok(err)
	e = s.startEdge(config)
	e.says(t, cached, "private") // the refused start did not empty the cache
	e.stop()

	_, err = operator.Dial(s.Data).RemoveEdge(t.Context(), "berlin")
	s.ok(err)
	config.Ready = func(string, string, string) { t.Error("it started") }
	if err := server.RunEdge(t.Context(), config); err == nil {
		t.Error("a removed edge got its key")
	}
	ctx, cancel := context.WithCancel(t.Context())
	s.Stop()
	cancel() // instead of waiting for the store
	if err := server.RunEdge(ctx, config); err == nil {
		t.Error("it opened the key without the store")
	}
}

// TestCacheKeysOfEdges: the credential of an edge gets a key for its cache from a key of KMS
// whose policy allows it, and opens nothing but what it got there.
func TestCacheKeysOfEdges(t *testing.T) {
	s := newOACSite(t)
	cast := kmsCast{cast: s.cast, t: t, clock: &clock{}}
	client := cast.kmsOf(rootOf(s.Server), "")
	berlin, paris := edgeKeyOf(s.enroll("berlin")), edgeKeyOf(s.enroll("paris"))
	both := s.key(client, s.account, `"aws:SourceArn":"`+s.edgeARN("*")+`"`)
	ask := func(key harness.Credentials, name string, more ...string) answer {
		t.Helper()
		r := raw{
			method: "GET", target: "/2020-05-31/edge/cache-key?key=" + url.QueryEscape(name) + strings.Join(more, ""),
			header: http.Header{}, service: "cloudfront",
		}
		by(key)(&r)
		return send(t, s.Server, r)
	}
	type cacheKey struct{ Plain, Wrapped []byte }
	got := func(a answer) (k cacheKey) {
		t.Helper()
		if err := json.Unmarshal([]byte(a.body), &k); a.status != 200 || err != nil || len(k.Plain) != 32 ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%d %s, %v", a.status, a.body, err)
		}
		return k
	}
	wrapped := func(b []byte) string { return "&wrapped=" + base64.RawURLEncoding.EncodeToString(b) }
	mine := got(ask(berlin, both))
	if again := got(ask(berlin, both, wrapped(mine.Wrapped))); string(again.Plain) != string(mine.Plain) {
		t.Error("another key")
	}
	if other := got(ask(paris, both)); string(other.Plain) == string(mine.Plain) {
		t.Error("the key of another edge")
	}
	foreign := s.CreateAccount(t, "strangers")
	strange := cast.kmsOf(foreign, "")
	id, err := s.someone(foreign, "").sts.GetCallerIdentity(t.Context(), nil)
	s.ok(err)
	data, err := client.GenerateDataKey(t.Context(), &kms.GenerateDataKeyInput{
		KeyId: &both, KeySpec: kmstypes.DataKeySpecAes256,
	})
	s.ok(err)
	user := s.user("user", statements(`{"Effect":"Allow","Action":"*","Resource":"*"}`)).key
	only := func(source string) string { return s.key(client, s.account, `"aws:SourceArn":"`+source+`"`) }
	for name, c := range map[string]struct {
		who       harness.Credentials
		key, more string
		status    int
	}{
		"the key of another edge's cache":  {paris, both, wrapped(mine.Wrapped), 400},
		"a data key":                       {berlin, both, wrapped(data.CiphertextBlob), 400},
		"wrapped under another key":        {berlin, only(s.edgeARN("*")), wrapped(mine.Wrapped), 400},
		"nothing wrapped":                  {berlin, both, wrapped(nil), 400},
		"a parameter more":                 {berlin, both, wrapped(mine.Wrapped) + "&x=1", 400},
		"an alias":                         {berlin, strings.Replace(both, ":key/", ":alias/", 1), "", 400},
		"no statement for this edge":       {berlin, only(s.edgeARN("paris")), "", 403},
		"a statement for distributions":    {berlin, only("arn:aws:cloudfront::*:distribution/*"), "", 403},
		"a statement for the store's edge": {berlin, only("arn:aws:cloudfront::*:edge-cache"), "", 403},
		"a key of another account":         {berlin, s.key(strange, *id.Account, `"aws:SourceArn":"*"`), "", 403},
		"no such key":                      {berlin, both[:len(both)-12] + "000000000000", "", 403},
		"a user who may do everything":     {user, both, "", 501},
	} {
		t.Run(name, func(t *testing.T) {
			if a := ask(c.who, c.key, c.more); a.status != c.status || strings.Contains(a.body, "Plain") {
				t.Errorf("%d %s, want %d", a.status, a.body, c.status)
			}
		})
	}
	_, err = operator.Dial(s.Data).RemoveEdge(t.Context(), "berlin")
	s.ok(err)
	if a := ask(berlin, both, wrapped(mine.Wrapped)); a.status != 403 {
		t.Errorf("a removed edge: %d %s", a.status, a.body)
	}
}
