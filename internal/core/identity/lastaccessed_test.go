package identity

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"watertight/internal/access/arn"
	"watertight/internal/access/authz"
	"watertight/internal/core/change/coretest"
	"watertight/internal/core/page"
	"watertight/internal/storage/kv"
)

func (h house) reporter(on arn.ARN) authz.Grant {
	h.t.Helper()
	return coretest.GrantAll(h.t, coretest.Root(coretest.Account, nil),
		authz.Need{Action: generateLastAccessed, Resource: on},
		authz.Need{Action: "iam:GetServiceLastAccessedDetails", Resource: arn.Any()})
}

// reports returns the lines of a report: service, second, who, how many.
func (h house) reports(name string) (id, said string) {
	h.t.Helper()
	on, err := arn.Parse(name)
	h.ok(err)
	g := h.reporter(on)
	id, err = h.GenerateLastAccessed(h.t.Context(), g, name)
	h.ok(err)
	report, err := h.GetLastAccessed(h.t.Context(), g, id, page.Request{})
	h.ok(err)
	if len(id) != jobSize || !report.Asked.Equal(Instant(g).Truncate(time.Millisecond)) || report.Next != "" {
		h.t.Errorf("%s %v %q", id, report.Asked, report.Next)
	}
	for _, l := range report.Services {
		at := int64(0)
		if !l.At.IsZero() {
			at = l.At.Unix()
		}
		said += fmt.Sprint(l.Service, " ", at, " ", PolicyName(l.Entity), " ", l.Entities, "; ")
	}
	return id, said
}

// TestLastAccessed: reports on users, roles, groups and policies know a use before it is written,
// while it is written, and from the store. A new entity with an old name has used nothing.
func TestLastAccessed(t *testing.T) {
	h := newHouse(t)
	ctx := t.Context()
	own := h.newPolicy("own",
		`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":["S3:Get*","sts:*"],"Resource":"*"}]}`)
	u, r, g := h.create(User, "u"), h.create(Role, "r"), h.create(Group, "g")
	h.ok(h.attach(User, "u", own))
	h.ok(h.attach(Role, "r", own))
	h.ok(h.attach(Group, "g", own))
	h.ok(h.AddToGroup(ctx, h.may("iam:AddUserToGroup", g.ARN()), "g", "u"))
	uses := NewOperator(h.Store).NewUses()
	for _, n := range []struct {
		id, service string
		at          int64
	}{
		{u.ID, "s3", 100}, {u.ID, "s3", 159}, {u.ID, "iam", 150}, {r.ID, "s3", 200}, {r.ID, "kms", 300},
		{coretest.Account, "s3", 400}, {"", "s3", 400}, {"AIDANOBODYNOBODYNOBOD", "s3", 400},
	} {
		uses.NoteAccess(n.id, n.service, time.Unix(n.at, 0))
		if n.at == 100 {
			h.ok(uses.Flush(ctx))
		}
	}
	for flushes := range 3 {
		for name, want := range map[string]string{
			u.ARN().String(): "s3 100 u 1; sts 0  0; ",
			r.ARN().String(): "s3 200 r 1; sts 0  0; ",
			g.ARN().String(): "s3 100 u 1; sts 0  0; ",
			own:              "s3 200 r 2; sts 0  0; ",
			admin:            "iam 0  0; s3 0  0; sts 0  0; ",
		} {
			t.Run(fmt.Sprintf("%.60s", name), func(t *testing.T) {
				if _, said := h.reports(name); said != want {
					t.Errorf("%s after %d flushes: %q, want %q", name, flushes, said, want)
				}
			})
		}
		h.ok(uses.Flush(ctx))
	}
	h.ok(h.attach(User, "u", admin))
	if _, said := h.reports(u.ARN().String()); said != "iam 150 u 1; s3 100 u 1; sts 0  0; " {
		t.Error(said)
	}
	job, _ := h.reports(u.ARN().String())
	h.ok(h.Detach(ctx, h.may("iam:DetachUserPolicy", u.ARN()), User, "u", admin))
	h.ok(h.Detach(ctx, h.may("iam:DetachUserPolicy", u.ARN()), User, "u", own))
	h.ok(h.RemoveFromGroup(ctx, h.may("iam:RemoveUserFromGroup", g.ARN()), "g", "u"))
	h.ok(h.Delete(ctx, h.may("iam:DeleteUser", u.ARN()), User, "u"))
	h.ok(h.kv.View(ctx, func(r kv.Reader) error {
		v, err := r.Get(accessesKey(u.ID))
		if v != nil {
			t.Error("a deleted user's record still exists")
		}
		return err
	}))
	h.create(User, "u")
	h.ok(h.attach(User, "u", own))
	if _, said := h.reports(u.ARN().String()); said != "s3 0  0; sts 0  0; " {
		t.Error("a new user with an old name:", said)
	}
	_, err := h.GetLastAccessed(ctx, h.reporter(u.ARN()), job, page.Request{})
	h.fails(err, "NoSuchEntity")
}

// TestMadeUpJobs: a job with an id that the server can't have given out is not found.
func TestMadeUpJobs(t *testing.T) {
	h := newHouse(t)
	u := h.create(User, "u")
	good, _ := h.reports(u.ARN().String())
	for _, id := range []string{
		"", strings.Repeat("x", jobSize), good[:jobSize-1], good + "0", strings.Replace(good, "-", "_", 1),
		good[:uniqueIDSize+1] + strings.Repeat("9", 14),
		good[:uniqueIDSize+1] + "+1000000000000", job{u.ID, u.Created.Add(-time.Hour)}.String(),
		job{"AIDA/../\x00CDEFGHIJKLMNO", time.Unix(9, 0)}.String(),
	} {
		_, err := h.GetLastAccessed(t.Context(), h.reporter(u.ARN()), id, page.Request{})
		h.fails(err, "NoSuchEntity")
	}
	_, err := h.GenerateLastAccessed(t.Context(), h.reporter(arn.Root(coretest.Account)),
		arn.Root(coretest.Account).String())
	h.fails(err, "InvalidInput")
	for _, name := range []string{"user/path/u", "user/v", "group/u", "role/u", "policy/u"} {
		on := arn.IAM(coretest.Account, name)
		_, err := h.GenerateLastAccessed(t.Context(), h.reporter(on), on.String())
		h.fails(err, "NoSuchEntity")
	}
	// The id alone does not give access to the report.
	_, err = h.GetLastAccessed(t.Context(), h.may("iam:GetServiceLastAccessedDetails", arn.Any()), good, page.Request{})
	h.fails(err, "AccessDenied")
}
