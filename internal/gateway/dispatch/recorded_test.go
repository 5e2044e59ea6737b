package dispatch

import (
	"context"
	"net/http"
	"net/http/httptest"
	"reflect"
	"testing"
	"time"

	"watertight/internal/access/authz"
	"watertight/internal/access/policy"
	"watertight/internal/gateway/audit"
	"watertight/internal/gateway/protocol"
)

// recordedInput has a member of each place.
type recordedInput struct {
	Bucket  string  `loc:"uri,Bucket"`
	Version *string `loc:"query,versionId"`
	Range   string  `loc:"header,Range"`
	ACL     string  `loc:"header,x-amz-acl"`
	Date    string  `loc:"header,x-amz-date"`
}

type recordedDocument struct {
	Bucket string `loc:"uri,Bucket"`
	Name   string `loc:"body,Name"`
}

// TestRecordsWhatIsGiven: the event has what a request gives, wherever it gives it.
func TestRecordsWhatIsGiven(t *testing.T) {
	version, acl := "v", http.Header{"X-Amz-Acl": {"p"}}
	one := func(name, value string) []audit.Param {
		return []audit.Param{{Name: name, Value: value, Harmless: name != "versionId"}}
	}
	for name, c := range map[string]struct {
		target string
		header http.Header
		fields http.Header
		in     recordedInput
		want   []audit.Param
	}{
		"nothing": {target: "/b", header: http.Header{"User-Agent": {"x"}, "Range": {"bytes=0-1"}}},
		"a query": {
			target: "/b?versionId=v", in: recordedInput{Version: &version}, want: one("versionId", "v"),
		},
		"a header":          {target: "/b", header: acl, in: recordedInput{ACL: "p"}, want: one("x-amz-acl", "p")},
		"a form":            {target: "/b", fields: acl, in: recordedInput{ACL: "p"}, want: one("x-amz-acl", "p")},
		"a header in a URL": {target: "/b?X-Amz-Acl=p", in: recordedInput{ACL: "p"}, want: one("x-amz-acl", "p")},
		"a usual header": {
			target: "/b", header: http.Header{"X-Amz-Date": {"d"}}, in: recordedInput{Date: "d"},
			want: one("x-amz-date", "d"),
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := recordedRequest(t, c.target, c.header)
			r.Fields = c.fields
			record, caller := recordedCaller()
			var o Operation[recordedInput, struct{}]
			o.asked, o.given = membersOf(reflect.TypeFor[recordedInput]())
			o.record(r, caller, &c.in)
			if got := record.Event.Parameters; !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
	t.Run("a document", func(t *testing.T) {
		record, caller := recordedCaller()
		var o Operation[recordedDocument, struct{}]
		o.asked, o.given = membersOf(reflect.TypeFor[recordedDocument]())
		o.record(recordedRequest(t, "/b", nil), caller, &recordedDocument{Name: "n"})
		want := []audit.Param{{Name: "name", Value: "n", Harmless: true}}
		if got := record.Event.Parameters; !reflect.DeepEqual(got, want) {
			t.Errorf("%v", got)
		}
	})
}

func recordedRequest(t *testing.T, target string, h http.Header) *protocol.Request {
	hr := httptest.NewRequest(http.MethodGet, target, nil).WithContext(context.Background())
	if h != nil {
		hr.Header = h
	}
	r, err := protocol.Parse(hr, protocol.Options{}, "0123456789ABCDEF", time.Unix(1, 0))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func recordedCaller() (*audit.Record, authz.Caller) {
	record := new(audit.Record)
	return record, authz.NewCaller(&policy.Principal{Kind: policy.User}, &authz.Situation{Record: record})
}

// TestNamesAreExamined: text is recorded as harmless only under a name that suggests no secret.
func TestNamesAreExamined(t *testing.T) {
	in := struct {
		Encryption string `loc:"header,x-amz-server-side-encryption"`
		BucketKey  *bool  `loc:"header,x-amz-server-side-encryption-bucket-key-enabled"`
		Other      string `loc:"header,x-amz-other"`
		Password   string `loc:"body,Password"`
		Secrets    []string
		Empty      string
	}{Encryption: "aws:kms", BucketKey: new(bool), Other: "o", Password: "p", Secrets: []string{"s"}}
	var got []audit.Param
	v := reflect.ValueOf(in)
	all, _ := membersOf(v.Type())
	all.record(v, &got)
	want := []audit.Param{
		{Name: "x-amz-server-side-encryption", Value: "aws:kms", Harmless: true},
		{Name: "x-amz-server-side-encryption-bucket-key-enabled", Value: "false", Harmless: true},
		{Name: "password", Value: "p"}, {Name: "secrets", Value: "s"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
