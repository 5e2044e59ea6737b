package dispatch

import (
	"reflect"
	"testing"

	"watertight/internal/gateway/audit"
)

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
	membersOf(v.Type()).record(v, &got)
	want := []audit.Param{
		{Name: "x-amz-server-side-encryption", Value: "aws:kms", Harmless: true},
		{Name: "x-amz-server-side-encryption-bucket-key-enabled", Value: "false", Harmless: true},
		{Name: "password", Value: "p"}, {Name: "secrets", Value: "s"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
