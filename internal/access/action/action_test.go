package action

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestTablesAreSorted: tables must be sorted, since they are searched in place.
func TestTablesAreSorted(t *testing.T) {
	for _, service := range append(Services(), "global") {
		text := table(service)
		if service == "global" {
			text = global
		}
		t.Run(service, func(t *testing.T) {
			before := "\n"
			for line := range strings.Lines(text) {
				name, _ := field(strings.TrimSuffix(line, "\n"))
				if _, c := compare(before, name); c > 0 || c == 0 && isName(strings.TrimSuffix(name, "()")) {
					t.Errorf("%q follows %q", name, before)
				}
				if !strings.HasSuffix(line, "\n") {
					t.Errorf("%q has no end", line)
				}
				before = line
			}
		})
	}
}

// TestTablesAreRead: every word of every table has a meaning.
func TestTablesAreRead(t *testing.T) {
	for _, service := range Services() {
		t.Run(service, func(t *testing.T) {
			for line := range strings.Lines(table(service)) {
				f := strings.Fields(line)
				switch name := f[0]; {
				case strings.HasSuffix(name, "()"):
					for _, word := range f[1:] {
						known := []string{
							"data", "management", "read", "write", "reads-nothing", "stores", "copies", "unbuilt",
						}
						if !slices.Contains(known, word) && !strings.HasPrefix(word, "event=") {
							t.Errorf("%s: %s", name, word)
						}
					}
				case isName(name):
					if readLevel(f[1]) == None || !slices.Contains([]string{"bucket", "object", "nothing"}, f[3]) {
						t.Errorf("%s: %v", name, f)
					}
					for fact := range strings.SplitSeq(f[4], ",") {
						known := []string{"-", "owner", "tags", "gives", "policy", "trust", "always", "own"}
						if !slices.Contains(known, fact) && !strings.HasPrefix(fact, "witness=") {
							t.Errorf("%s: %s", name, fact)
						}
					}
				}
			}
			p := Parse(service)
			for _, a := range p.Actions {
				for _, name := range []string{a.Name, strings.ToUpper(a.Name), strings.ToLower(a.Name)} {
					if f, ok := Of(name); !ok || f != a.Facts {
						t.Errorf("%s: %+v, want %+v", name, f, a.Facts)
					}
				}
				for _, key := range a.keys {
					if strings.HasPrefix(key, "@") || key != strings.ToLower(key) ||
						strings.Count(strings.TrimSuffix(key, ":"), ":") != 1 {
						t.Errorf("%s: key %s", a.Name, key)
					}
				}
			}
			for _, o := range p.Operations {
				if o.Name == "" || o.Event == "" || o.Service == "" {
					t.Errorf("%+v", o)
				}
			}
		})
	}
}

// TestUnknown: an action that no table has counts as a write, and as a change of a
// bucket if it is S3's.
func TestUnknown(t *testing.T) {
	for _, c := range []struct {
		action string
		want   Changes
	}{
		{"s3:PutSomethingNew", ChangesBucket}, {"s3:Frobnicate", ChangesBucket}, {"S3:frobnicate", ChangesBucket},
		{"s3:", ChangesBucket},
		{"s3:*", ChangesBucket}, {"s3:@acl", ChangesBucket}, {"s3:#", ChangesBucket},
		{"s3:GetObject()", ChangesBucket}, {"s3:GetObject\n", ChangesBucket},
		{"iam:Frobnicate", ChangesNothing}, {"sqs:SendMessage", ChangesNothing}, {"", ChangesNothing},
	} {
		t.Run(c.action, func(t *testing.T) {
			if f, ok := Of(c.action); ok || f != (Facts{Changes: c.want}) {
				t.Errorf("%+v %v", f, ok)
			}
		})
	}
	if o := OperationOf("s3", "Frobnicate"); o != (Operation{Service: "s3", Name: "Frobnicate", Event: "Frobnicate"}) {
		t.Errorf("%+v", o)
	}
	if o := OperationOf("sts", "Frobnicate"); !o.Reads || o.Data || !o.Global {
		t.Errorf("%+v", o)
	}
}

// TestReadsChangeNothing: the access level of an action agrees with what the action changes.
func TestReadsChangeNothing(t *testing.T) {
	for _, a := range Parse("s3").Actions {
		t.Run(a.Name, func(t *testing.T) {
			want := ChangesBucket
			switch {
			// it changes who may write
			case (a.Level == List || a.Level == Read) && a.Name != "s3:AllowVendedLogDeliveryForResource":
				want = ChangesNothing
			case a.Object:
				want = ChangesObject
			}
			if a.Changes != want {
				t.Errorf("%+v, want %d", a.Facts, want)
			}
		})
	}
}

func TestKeys(t *testing.T) {
	s := Parse("s3")
	has := func(name, key string) bool {
		i := slices.IndexFunc(s.Actions, func(a Action) bool { return a.Name == name })
		return i >= 0 && s.Actions[i].Has(key)
	}
	for _, c := range []struct {
		action, key string
		want        bool
	}{
		{"s3:GetObject", "s3:existingobjecttag/a", true}, {"s3:GetObject", "s3:existingobjecttag/", true},
		{"s3:GetObject", "s3:existingobjecttag", false},
		{"s3:ListBucket", "s3:prefix", true}, {"s3:GetObject", "s3:prefix", false},
		{"s3:PutObject", "s3:x-amz-acl", true},
		{"s3:GetObject", "s3:authtype", true}, {"s3:InitiateReplication", "s3:x-amz-content-sha256", false},
		{"s3:GetObject", "s3:x-amz-content-sha256", true},
		{"s3:GetObject", "s3:buckettag/a", true}, {"s3:GetObject", "aws:sourceip", false},
	} {
		t.Run(c.action+" "+c.key, func(t *testing.T) {
			if got := has(c.action, c.key); got != c.want {
				t.Errorf("%s %s: %v", c.action, c.key, got)
			}
		})
	}
	for key, want := range map[string]bool{
		"aws:sourceip": true, "aws:requesttag/a": true, "aws:requesttag/": true, "aws:requesttag": false,
		"aws:nothing": false, "s3:prefix": false, "#": false, "": false,
		"aws:currenttime\naws:ec2instancesourceprivateipv4\n": false, global[strings.Index(global, "aws:"):]: false,
	} {
		t.Run(fmt.Sprintf("%.60s", key), func(t *testing.T) {
			if got := GlobalKey(key); got != want {
				t.Errorf("%q: %v", key, got)
			}
		})
	}
	k := Parse("kms")
	for key, want := range map[string]bool{
		"kms:encryptioncontext:aws:s3:arn": true, "kms:encryptioncontext:": true, "kms:encryptioncontext": false,
		"kms:encryptioncontextkeys": true, "kms:viaservice": true, "kms:nothing": false, "s3:prefix": false,
	} {
		t.Run(key, func(t *testing.T) {
			if k.Knows(key) != want {
				t.Errorf("%q: %v", key, !want)
			}
		})
	}
	if !s.Knows("s3:prefix") || !s.Knows("s3:authtype") || s.Knows("s3:nothing") || !s.Every("s3:tlsversion") ||
		s.Every("s3:prefix") {
		t.Error("keys of the service")
	}
}

func TestOfAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { Of("s3:PutObjectVersionAcl") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkOf(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Of("s3:GetObject")
	}
}
