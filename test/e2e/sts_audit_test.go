package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"watertight/internal/gateway/audit"
	"watertight/internal/storage/folder"
	"watertight/internal/storage/rootkey"
)

// record is the part of an audit event that these tests read.
type record struct {
	EventName, ErrorCode string
	UserIdentity         struct {
		Type, PrincipalId, Arn, UserName, IdentityProvider string
		SessionContext                                     struct {
			SessionIssuer  struct{ Arn string }
			Attributes     struct{ CreationDate, MfaAuthenticated string }
			SourceIdentity string
		}
	}
	RequestParameters struct{ RoleArn, RoleSessionName, Name string }
	Resources         []struct{ ARN string }
}

// events stops the server and reads its audit log.
func (c cast) events() (all []record, text string) {
	c.Helper()
	c.Stop()
	root, err := rootkey.Open(c.Context(), "file:"+filepath.Join(filepath.Dir(c.Data), "root.key"),
		rootkey.Options{DataDir: c.Data})
	c.ok(err)
	c.ok(audit.Read(folder.OS(), filepath.Join(c.Data, "audit"), root.Ring, func(g audit.Group) error {
		for _, e := range g.Events {
			var r record
			if err := json.Unmarshal(e.JSON, &r); err != nil {
				return err
			}
			all, text = append(all, r), text+string(e.JSON)+"\n"
		}
		return nil
	}))
	return all, text
}

// TestSessionsInTheAuditLog: events say who made which session and how, and whose session a request
// used. Neither the audit log nor the program's log contains a token or a secret.
func TestSessionsInTheAuditLog(t *testing.T) {
	f := newFederation(t, "issuer.example")
	web := f.trusting("web", "")
	token := f.Token("RS256", f.Claims(nil))
	stranger := f.Token("RS256", f.Claims(map[string]any{"aud": "nobody"}))
	out, err := f.assume(web, token)
	f.ok(err)
	f.ok(list(f.cast, f.session(out.Credentials)))
	_, err = f.assume(web, stranger)
	expect(t, err, "InvalidIdentityToken")
	u := f.user("u", may("sts:*", "*"))
	role := f.role(f.root, "r", trust(awsPrincipal(f.account), ""), may("s3:*", "*"))
	s := f.assumed(u,
		assume(*role.Arn, "one", func(in *sts.AssumeRoleInput) { in.SourceIdentity = aws.String("anna") }))
	f.ok(list(f.cast, s))
	_, err = u.sts.AssumeRole(t.Context(), assume("arn:aws:iam::444455556666:role/elsewhere", "two"))
	expect(t, err, "AccessDenied")
	_, err = u.sts.GetFederationToken(t.Context(), &sts.GetFederationTokenInput{Name: aws.String("bob")})
	expect(t, err, "")

	all, text := f.events()
	find := func(name, code string, fits func(r *record) bool) {
		t.Helper()
		for i := range all {
			if all[i].EventName == name && all[i].ErrorCode == code && fits(&all[i]) {
				return
			}
		}
		t.Errorf("no such event of %s %s in\n%s", name, code, text)
	}
	find("AssumeRoleWithWebIdentity", "", func(r *record) bool {
		i := r.UserIdentity
		return i.Type == "WebIdentityUser" && i.UserName == "somebody" && i.IdentityProvider == f.provider &&
			r.RequestParameters.RoleArn == web && r.Resources[0].ARN == web
	})
	// unverified claims are not in the event
	find("AssumeRoleWithWebIdentity", "InvalidIdentityToken", func(r *record) bool {
		return r.UserIdentity.Type == "AWSAccount" && r.RequestParameters.RoleArn == web
	})
	find("AssumeRole", "", func(r *record) bool {
		return r.UserIdentity.UserName == "u" && r.RequestParameters.RoleArn == *role.Arn &&
			r.RequestParameters.RoleSessionName == "one"
	})
	find("AssumeRole", "AccessDenied", func(r *record) bool {
		return r.UserIdentity.UserName == "u" &&
			r.RequestParameters.RoleArn == "arn:aws:iam::444455556666:role/elsewhere"
	})
	find("GetFederationToken", "", func(r *record) bool { return r.RequestParameters.Name == "bob" })
	find("ListBuckets", "", func(r *record) bool {
		c := r.UserIdentity.SessionContext
		return r.UserIdentity.Arn == s.arn && c.SourceIdentity == "anna" && c.Attributes.CreationDate != "" &&
			c.Attributes.MfaAuthenticated == "false" && strings.HasSuffix(c.SessionIssuer.Arn, ":role/r")
	})
	for name, secret := range map[string]string{
		"a token": token, "a token that was refused": stranger, "a session's secret": s.key.SecretAccessKey,
		"a session's token": s.token, "a user's secret": u.key.SecretAccessKey,
	} {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(text, secret) || strings.Contains(f.Logs.String(), secret) {
				t.Errorf("%s is in a log", name)
			}
		})
	}
}
