package authn

import (
	"strings"
	"testing"
	"time"
)

// TestUsed: a use counts when a long-lived key's own signature proved it.
func TestUsed(t *testing.T) {
	var got []string
	i := New(people(), Options{Region: region, Used: func(key, service, where string, at time.Time) {
		got = append(got, key+" "+service+" "+where)
		if !at.Equal(now()) {
			t.Error(at)
		}
	}})
	for name, c := range map[string]struct{ text, want string }{
		"right":           {sdk{}.text(t), id + " s3 " + region},
		"presigned":       {sdk{presigned: true}.text(t), id + " s3 " + region},
		"wrong signature": {sdk{key: id, secret: "another"}.text(t), ""},
		"unknown":         {sdk{key: "AKIAUNKNOWNUNKNOWN12", secret: secret}.text(t), ""},
		"inactive":        {sdk{key: "AKIAINACTIVEEXAMPLE0", secret: secret}.text(t), ""},
		"a session":       {sdk{key: tempID, secret: secret, token: token}.text(t), ""},
		"anonymous":       {"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	} {
		got = nil
		i.Identify(t.Context(), parsed(t, c.text))
		if strings.Join(got, ", ") != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
