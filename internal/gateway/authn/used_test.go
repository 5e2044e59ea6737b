package authn

import (
	"fmt"
	"strings"
	"testing"
)

// TestUsed: a use counts when the credentials' own signature proved it; the use of a
// session names its principal.
func TestUsed(t *testing.T) {
	var got []string
	i := New(people(), Options{Region: region, Used: func(u Use) {
		got = append(got, fmt.Sprint(u.AccessKeyID, " ", u.Service, " ", u.Region, " ", u.Temporary, " ", u.Actor))
		if !u.At.Equal(now()) {
			t.Error(u.At)
		}
	}})
	for name, c := range map[string]struct{ text, want string }{
		"right":           {sdk{}.text(t), id + " s3 " + region + " false " + user().ID},
		"presigned":       {sdk{presigned: true}.text(t), id + " s3 " + region + " false " + user().ID},
		"wrong signature": {sdk{key: id, secret: "another"}.text(t), ""},
		"unknown":         {sdk{key: "AKIAUNKNOWNUNKNOWN12", secret: secret}.text(t), ""},
		"inactive":        {sdk{key: "AKIAINACTIVEEXAMPLE0", secret: secret}.text(t), ""},
		"a session": {
			sdk{key: tempID, secret: secret, token: token}.text(t), tempID + " s3 " + region + " true AROAEXAMPLE",
		},
		"a wrong token": {sdk{key: tempID, secret: secret, token: "another"}.text(t), ""},
		"anonymous":     {"GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got = nil
			i.Identify(t.Context(), parsed(t, c.text))
			if strings.Join(got, ", ") != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		})
	}
}
