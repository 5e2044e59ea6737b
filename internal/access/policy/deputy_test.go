package policy

import (
	"testing"
)

// TestDeputies: a service that is let in whoever it acts for is flagged, and no policy with a
// service principal is public.
func TestDeputies(t *testing.T) {
	const service = `{"Service":"cloudfront.amazonaws.com"}`
	for name, c := range map[string]struct {
		effect, principal, condition string
		want                         int
	}{
		"no condition": {"Allow", service, ``, 1},
		"by ARN": {
			"Allow", service,
			`{"StringEquals":{"AWS:SourceArn":"arn:aws:cloudfront::111122223333:distribution/E1"}}`, 0,
		},
		"by ARN, any of one": {
			"Allow", service,
			`{"ArnLike":{"aws:SourceArn":"arn:aws:cloudfront::111122223333:distribution/*"}}`, 0,
		},
		"by account": {"Allow", service, `{"StringEquals":{"aws:SourceAccount":"111122223333"}}`, 0},
		"any ARN": {
			"Allow", service,
			`{"StringLike":{"aws:SourceArn":"arn:aws:cloudfront::*:distribution/*"}}`, 1,
		},
		"any account":       {"Allow", service, `{"StringLike":{"aws:SourceAccount":"*"}}`, 1},
		"one broad value":   {"Allow", service, `{"StringEquals":{"aws:SourceAccount":["111122223333","x"]}}`, 1},
		"if it exists":      {"Allow", service, `{"StringEqualsIfExists":{"aws:SourceAccount":"111122223333"}}`, 1},
		"not another one":   {"Allow", service, `{"StringNotEquals":{"aws:SourceAccount":"111122223333"}}`, 1},
		"another condition": {"Allow", service, `{"Bool":{"aws:SecureTransport":"true"}}`, 1},
		"two services":      {"Allow", `{"Service":["cloudfront.amazonaws.com","logging.s3.amazonaws.com"]}`, ``, 2},
		"a deny":            {"Deny", service, ``, 0},
		"an account":        {"Allow", `{"AWS":"111122223333"}`, ``, 0},
	} {
		t.Run(name, func(t *testing.T) {
			text := `{"Version":"2012-10-17","Statement":[{"Sid":"S","Effect":"` + c.effect + `","Principal":` +
				c.principal + `,"Action":"s3:GetObject","Resource":"arn:aws:s3:::b/*"`
			if c.condition != "" {
				text += `,"Condition":` + c.condition
			}
			d := mustParse(t, Resource, text+`}]}`)
			if got := d.Deputies(); len(got) != c.want || len(got) > 0 && (got[0].Sid != "S" || got[0].Statement != 0) {
				t.Errorf("%+v, want %d", got, c.want)
			}
			if d.IsPublic(Peers{}) {
				t.Error("it is public")
			}
		})
	}
}
