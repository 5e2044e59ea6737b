package s3

import (
	"reflect"
	"testing"
	"time"

	"watertight/internal/api/s3/shape"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/object"
	"watertight/internal/fault"
	"watertight/internal/gateway/dialect/xmldoc"
)

// FuzzLifecycle: no document causes a panic or an internal error, and an accepted configuration is
// returned as it was put.
func FuzzLifecycle(f *testing.F) {
	for _, rule := range []string{
		`<Filter/><Status>Enabled</Status><Expiration><Days>1</Days></Expiration>`,
		`<Prefix/><Status>Disabled</Status><Expiration><Date>2030-01-01T00:00:00.000Z</Date></Expiration>`,
		`<ID>a</ID><Filter><And><Prefix>a</Prefix><Tag><Key>k</Key><Value>v</Value></Tag></And></Filter>` +
			`<Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>` +
			`<NewerNoncurrentVersions>5</NewerNoncurrentVersions></NoncurrentVersionExpiration>`,
		`<Filter><ObjectSizeLessThan>5</ObjectSizeLessThan></Filter><Status>Enabled</Status><Transition><Days>0</Days>` +
			`<StorageClass>GLACIER_IR</StorageClass></Transition><AbortIncompleteMultipartUpload/>`,
		`<Filter><Tag><Key>k</Key></Tag></Filter>`, `<Expiration><Date>x</Date></Expiration>`,
	} {
		f.Add([]byte(`<LifecycleConfiguration><Rule>` + rule + `</Rule></LifecycleConfiguration>`))
	}
	schema, err := xmldoc.SchemaOf("LifecycleConfiguration", reflect.TypeFor[shape.LifecycleConfiguration]())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var in shape.LifecycleConfiguration
		if schema.Decode(b, &in) != nil {
			return
		}
		c, err := lifecycleOf(&in)
		if err == nil {
			err = c.Check(func() string { return "made" })
		}
		if err != nil {
			if fault.From(err).Kind == fault.KindInternal {
				t.Fatal(err)
			}
			return
		}
		var shown shape.LifecycleConfiguration
		for i := range c.Rules {
			shown.Rules = append(shown.Rules, lifecycleRule(&c.Rules[i]))
		}
		again, err := lifecycleOf(&shown)
		if err != nil || !reflect.DeepEqual(again, normal(c)) {
			t.Errorf("%+v is returned as %+v: %v", c, again, err)
		}
	})
}

// TestExpirationHeader: the header has the ID unchanged, except for bytes that a header can't have.
func TestExpirationHeader(t *testing.T) {
	for id, want := range map[string]string{
		"Delete after 14 days": "Delete after 14 days", `a"b\c`: "a%22b%5Cc", "é\n": "%C3%A9%0A", "50%": "50%",
	} {
		t.Run(want, func(t *testing.T) {
			got := expiration(object.Scheduled{At: date("2012-12-23"), Rule: id})
			if got != `expiry-date="Sun, 23 Dec 2012 00:00:00 GMT", rule-id="`+want+`"` {
				t.Error(got)
			}
		})
	}
	if got := expiration(object.Scheduled{}); got != "" {
		t.Error(got)
	}
}

func date(s string) time.Time {
	t, err := parseDate(&s)
	if err != nil {
		panic(err)
	}
	return *t
}

// normal returns the configuration with dates in UTC, as answers have them.
func normal(c lifecycle.Configuration) lifecycle.Configuration {
	for i := range c.Rules {
		r := &c.Rules[i]
		if r.Expiration != nil && r.Expiration.Date != nil {
			r.Expiration.Date = new(r.Expiration.Date.UTC())
		}
		for j := range r.Transitions {
			if d := r.Transitions[j].Date; d != nil {
				r.Transitions[j].Date = new(d.UTC())
			}
		}
	}
	return c
}
