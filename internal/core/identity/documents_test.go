package identity

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"watertight/internal/access/policy"
	"watertight/internal/core/change/coretest"
	"watertight/internal/storage/kv"
)

// TestStrangersFillNoCache: the session policy of a request for a session is
// kept by nobody, whether the request is refused or not; that of a session that
// is stored is, once it is used.
func TestStrangersFillNoCache(t *testing.T) {
	h := newHouse(t)
	before := h.documents.sessions.Len() + h.documents.stored.Len()
	for i := range 20 {
		text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::%d%s"}}`, i, strings.Repeat("?", 1800))
		in := WebInput{RoleARN: "arn:aws:iam::" + coretest.Account + ":role/none", SessionName: "xx", Token: "not.a.token", Pass: Passed{Policy: text}}
		if _, err := h.WebNeeds(t.Context(), in); err == nil {
			t.Fatal("a made-up token has needs")
		}
		if _, err := h.pass(&Session{}, Passed{Policy: text}); err != nil {
			t.Fatal(err)
		}
	}
	if n := h.documents.sessions.Len() + h.documents.stored.Len(); n != before {
		t.Errorf("%d policies were kept", n-before)
	}
	n := &Session{Restricted: true, Policies: []string{`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}`}}
	err := h.kv.View(context.Background(), func(r kv.Reader) error {
		_, err := h.sessionPolicies(r, n)
		return err
	})
	if err != nil || h.documents.sessions.Len() != 1 {
		t.Errorf("%d policies of sessions are kept, %v", h.documents.sessions.Len(), err)
	}
}

// TestCachedPoliciesAreCounted: what the worst policy of its size costs is known
// to the cache, so that no number of them is more than its part.
func TestCachedPoliciesAreCounted(t *testing.T) {
	d := newDocuments()
	for i := range 500 {
		text := fmt.Sprintf(`{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::%d%s"}}`, i, strings.Repeat("?", 1900))
		if _, err := d.get(policy.Session, text); err != nil {
			t.Fatal(err)
		}
	}
	if d.sessions.Bytes() > maxSessions || d.sessions.Bytes() < int64(d.sessions.Len())*2000 {
		t.Errorf("%d policies, %d bytes", d.sessions.Len(), d.sessions.Bytes())
	}
}
