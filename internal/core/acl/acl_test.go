package acl

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"watertight/internal/core/change/record"
	"watertight/internal/fault"
)

const (
	owner, bucketOwner, friend, other = "111111111111", "222222222222", "333333333333", "444444444444"
)

// canonical is the canonical id of a test's account.
func canonical(account string) string { return strings.Repeat(account[:1], 64) }

func find(id string) (string, bool, error) {
	for _, a := range []string{owner, bucketOwner, friend} {
		if id == canonical(a) {
			return a, true, nil
		}
	}
	return "", false, nil
}

// spell formats a list as account-or-group:permission.
func spell(l List) string {
	var all []string
	for _, g := range l {
		all = append(all, g.Account+string(g.Group)+":"+string(g.Permission))
	}
	return strings.Join(all, " ")
}

func TestCanned(t *testing.T) {
	me := owner + ":FULL_CONTROL"
	for name, want := range map[string][2]string{ // for an object of the bucket's owner, and for another account's
		"private":                   {"", ""},
		"public-read":               {me + " AllUsers:READ", me + " AllUsers:READ"},
		"public-read-write":         {me + " AllUsers:READ AllUsers:WRITE", me + " AllUsers:READ AllUsers:WRITE"},
		"authenticated-read":        {me + " AuthenticatedUsers:READ", me + " AuthenticatedUsers:READ"},
		"aws-exec-read":             {"", ""},
		"bucket-owner-read":         {"", me + " " + bucketOwner + ":READ"},
		"bucket-owner-full-control": {"", me + " " + bucketOwner + ":FULL_CONTROL"},
		"log-delivery-write": {
			me + " LogDelivery:WRITE LogDelivery:READ_ACP", me + " LogDelivery:WRITE LogDelivery:READ_ACP",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for i, of := range []string{owner, bucketOwner} {
				r := Request{Canned: name}
				l, err := r.Make(owner, of)
				if err != nil || spell(l) != want[i] {
					t.Errorf("%s: %q %v, want %q", name, spell(l), err, want[i])
				}
			}
			if err := CheckCanned(name, false); err != nil {
				t.Error(name, err)
			}
			if err := CheckCanned(name, true); (err != nil) != (name == "log-delivery-write") {
				t.Error(name, err)
			}
			if public := slices.Contains([]string{"public-read", "public-read-write", "authenticated-read"},
				name); public != canned(name, owner, bucketOwner).Public() {
				t.Errorf("%s: public is not %v", name, public)
			}
		})
	}
	if f := fault.From(CheckCanned("Public-Read", false)); f == nil || f.Code != "InvalidArgument" || f.Message != "" ||
		f.Members["ArgumentName"] != "x-amz-acl" {
		t.Error(f)
	}
}

func TestDocument(t *testing.T) {
	uri := AllUsers.URI()
	user := Written{Type: "CanonicalUser", ID: canonical(friend), Permission: "READ"}
	group := Written{Type: "Group", URI: uri, Permission: "WRITE"}
	for _, c := range []struct {
		name   string
		owner  string
		grants []Written
		want   string // the list, or the code
	}{
		{"user and group", canonical(owner), []Written{user, group}, friend + ":READ AllUsers:WRITE"},
		{"no grants", canonical(owner), nil, ""},
		{"no owner", "", []Written{user}, "MalformedACLError"},
		{"unknown owner", canonical(other), []Written{user}, "InvalidArgument"},
		{"owner by account id", owner, []Written{user}, "InvalidArgument"},
		{
			"unknown user", canonical(owner),
			[]Written{{Type: "CanonicalUser", ID: canonical(other), Permission: "READ"}}, "InvalidArgument",
		},
		{
			"malformed before unknown", canonical(other), []Written{{Type: "CanonicalUser", Permission: "READ"}},
			"MalformedACLError",
		},
		{
			"unknown group", canonical(owner), []Written{{Type: "Group", URI: uri + "s", Permission: "READ"}},
			"InvalidArgument",
		},
		{
			"unknown permission", canonical(owner), []Written{{Type: "Group", URI: uri, Permission: "read"}},
			"MalformedACLError",
		},
		{"no permission", canonical(owner), []Written{{Type: "Group", URI: uri}}, "MalformedACLError"},
		{"no type", canonical(owner), []Written{{URI: uri, Permission: "READ"}}, "MalformedACLError"},
		{
			"user and group in one", canonical(owner),
			[]Written{{Type: "CanonicalUser", ID: canonical(friend), URI: uri, Permission: "READ"}},
			"MalformedACLError",
		},
		{
			"e-mail", canonical(owner),
			[]Written{{Type: "AmazonCustomerByEmail", Email: "a@example.com", Permission: "READ"}}, "MethodNotAllowed",
		},
		{"too many", canonical(owner), slices.Repeat([]Written{user}, 101), "MalformedACLError"},
		{
			"as many as may be", canonical(owner), slices.Repeat([]Written{group}, 100),
			strings.TrimSpace(strings.Repeat("AllUsers:WRITE ", 100)),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Document(c.owner, c.grants, find)
			if got := outcome(r.Grants, err); got != c.want {
				t.Errorf("%s: %q, want %q", c.name, got, c.want)
			}
			if err == nil && r.Owner != owner {
				t.Errorf("%s: owner %q", c.name, r.Owner)
			}
		})
	}
	r := Request{Owner: friend}
	if _, err := r.Make(owner, owner); !fault.Is(err, "AccessDenied") {
		t.Errorf("another owner: %v", err)
	}
}

func outcome(l List, err error) string {
	if f := fault.From(err); f != nil {
		return string(f.Code)
	}
	return spell(l)
}

func TestHeaders(t *testing.T) {
	for value, want := range map[string]string{
		`id="` + canonical(friend) + `"`:                                   friend + ":READ",
		"ID=" + canonical(friend):                                          friend + ":READ",
		` id = "` + canonical(friend) + `" , uri="` + AllUsers.URI() + `"`: friend + ":READ AllUsers:READ",
		`uri="` + LogDelivery.URI() + `"`:                                  "LogDelivery:READ",
		"":                                                                 "",
		"id":                                                               "InvalidArgument",
		canonical(friend):                                                  "InvalidArgument",
		`name="x"`:                                                         "InvalidArgument",
		`id="` + canonical(other) + `"`:                                    "InvalidArgument",
		`id="` + strings.ToUpper(canonical("a")) + `"`: "InvalidArgument",
		`uri="AllUsers"`:                                       "InvalidArgument",
		`id="` + canonical(friend) + `",`:                      "InvalidArgument",
		`emailAddress="a@example.com"`:                         "MethodNotAllowed",
		strings.Repeat(`uri="`+AllUsers.URI()+`",`, 100) + "x": "MalformedACLError",
	} {
		t.Run(fmt.Sprintf("%.60s", value), func(t *testing.T) {
			l, err := Headers([]Header{{"x-amz-grant-read", value, Read}}, find)
			if got := outcome(l, err); got != want {
				t.Errorf("%q: %q, want %q", value, got, want)
			}
		})
	}
	many := strings.TrimSuffix(strings.Repeat(`uri="`+AllUsers.URI()+`",`, 60), ",")
	if _, err := Headers([]Header{{"x-amz-grant-read", many, Read}, {"x-amz-grant-write", many, Write}},
		find); !fault.Is(err, "MalformedACLError") {
		t.Errorf("more than 100 in two headers: %v", err)
	}
}

// TestEnforced: a bucket with ACLs disabled accepts only ACLs that say what is true anyway.
func TestEnforced(t *testing.T) {
	mine := List{{Account: owner, Permission: FullControl}}
	for i, c := range []struct {
		r    Request
		want bool
	}{
		{Request{}, true}, {Request{Canned: "private"}, true}, {Request{Canned: "bucket-owner-full-control"}, true},
		{Request{Canned: "public-read"}, false}, {Request{Canned: "bucket-owner-read"}, false},
		{Request{Canned: "aws-exec-read"}, false},
		{Request{Grants: mine}, true}, {Request{Grants: mine, Owner: owner}, true},
		{Request{Grants: mine, Owner: friend}, false},
		{Request{Grants: List{}, Owner: owner}, false},
		{Request{Grants: List{{Account: owner, Permission: Read}}}, false},
		{Request{Grants: append(slices.Clone(mine), Grant{Account: friend, Permission: Read})}, false},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			for _, upload := range []bool{false, true} {
				want := c.want && (upload || c.r.Canned != "private")
				if err := c.r.Enforced(owner, upload); (err == nil) != want ||
					err != nil && !fault.Is(err, "AccessControlListNotSupported") {
					t.Errorf("%+v, upload %v: %v", c.r, upload, err)
				}
			}
		})
	}
}

func TestRecord(t *testing.T) {
	for i, l := range []List{
		nil, {{Account: owner, Permission: FullControl}},
		{
			{Group: AllUsers, Permission: Read}, {Group: LogDelivery, Permission: WriteACP},
			{Account: friend, Permission: ReadACP},
		},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			var back List
			f := record.Read(l.Append(record.Start(nil), 7))
			for f.Next() {
				if !back.Take(&f) {
					t.Fatal("the record can't be read", l)
				}
			}
			if f.Err() != nil || !reflect.DeepEqual(back, l) {
				t.Errorf("%v is decoded as %v", l, back)
			}
		})
	}
	for i, bad := range [][2]string{{"read", owner}, {"READ", ""}, {"", owner}} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			f := record.Read(record.Pair(record.Start(nil), 7, bad[0], bad[1]))
			var l List
			if f.Next(); l.Take(&f) {
				t.Errorf("%q is accepted as a grant: %v", bad, l)
			}
		})
	}
}

func TestShown(t *testing.T) {
	if got := fmt.Sprint(List(nil).Shown(owner)); got != fmt.Sprint(List{{Account: owner, Permission: FullControl}}) {
		t.Error(got)
	}
	l := List{
		{Account: owner, Permission: FullControl}, {Group: AllUsers, Permission: Read},
		{Group: LogDelivery, Permission: Write}, {Account: friend, Permission: Read},
	}
	if got := spell(l.Private()); got != owner+":FULL_CONTROL LogDelivery:WRITE "+friend+":READ" {
		t.Error(got)
	}
	if got := spell(l.Foreign(owner)); got != "AllUsers:READ LogDelivery:WRITE "+friend+":READ" || len(l) != 4 {
		t.Error(got)
	}
}
