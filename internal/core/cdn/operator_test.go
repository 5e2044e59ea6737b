package cdn

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/distribution"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// event is an audit record.
type event map[string][]string

func (event) Entry() (key, value []byte, err error) { return []byte("a/event"), []byte("x"), nil }
func (e event) Note(name string, values ...string)  { e[name] = values }
func (event) Committed()                            {}

// TestCreateForBucket: everything is created or nothing is, the created distribution is the
// one that gets access, and an account gets one distribution for a bucket.
func TestCreateForBucket(t *testing.T) {
	e := newEnv(t)
	o := NewOperator(e.s)
	var source string
	in := BucketInput{
		Account: coretest.Account, Bucket: "bkt", ViewerProtocol: "allow-all", RootObject: "index.html",
		Aliases: []string{"www.example.com"}, At: time.UnixMicro(1),
		Allow: []func(kv.Tx, string) (string, error){
			func(_ kv.Tx, s string) (string, error) { source = s; return "", nil },
			func(kv.Tx, string) (string, error) { return "a problem", nil },
		},
	}
	broken := in
	broken.Allow = append(broken.Allow, func(kv.Tx, string) (string, error) { return "", errors.New("broken") })
	if _, err := o.CreateForBucket(t.Context(), event{}, broken); err == nil || len(e.dump()) > 0 {
		t.Errorf("%v left %q", err, e.dump())
	}
	noted := event{}
	made, err := o.CreateForBucket(t.Context(), noted, in)
	e.ok(err)
	site := e.site(made.ID)
	if made.Existed || made.ARN != source || !reflect.DeepEqual(made.Problems, []string{"", "a problem"}) ||
		noted["distributionId"][0] != made.ID || site == nil || site.Config.DefaultRootObject != "index.html" {
		t.Errorf("made %+v, allowed %s, noted %v", made, source, noted)
	}
	oac := site.OriginAccessControls[site.Config.Origins.Items[0].OriginAccessControlId]
	if oac.SigningBehavior != "always" || oac.OriginAccessControlOriginType != "s3" {
		t.Errorf("the access control is %+v", oac)
	}
	before := e.dump()
	in.Aliases = nil
	again, err := o.CreateForBucket(t.Context(), event{}, in)
	e.ok(err)
	if !again.Existed || again.ID != made.ID || !reflect.DeepEqual(e.dump(), before) {
		t.Errorf("again: %+v", again)
	}
	in.Account = other
	another, err := o.CreateForBucket(t.Context(), event{}, in)
	e.ok(err)
	all, unreadable, err := o.Distributions(t.Context(), "")
	e.ok(err)
	if another.Existed || len(all) != 2 || unreadable != 0 {
		t.Errorf("%d distributions", len(all))
	}
}

// TestInvalidate: the operator purges any account's distribution.
func TestInvalidate(t *testing.T) {
	e := newEnv(t)
	o, d := NewOperator(e.s), e.made(configOf("a"))
	i, err := o.Invalidate(t.Context(), event{}, d.ID, []string{"/*"}, time.UnixMicro(1))
	e.ok(err)
	if !i.Completed || len(e.edge.Invalidations) != 1 {
		t.Errorf("%+v, and the edge has %+v", i, e.edge.Invalidations)
	}
	for id, code := range map[string]fault.Code{
		"": fault.NoSuchDistribution, "E0000000000000": fault.NoSuchDistribution, d.ID[:5]: fault.NoSuchDistribution,
	} {
		t.Run(id, func(t *testing.T) {
			_, err := o.Invalidate(t.Context(), event{}, id, []string{"/*"}, time.UnixMicro(1))
			e.is(err, code)
		})
	}
	_, err = o.Invalidate(t.Context(), event{}, d.ID, nil, time.UnixMicro(1))
	e.is(err, fault.InvalidArgument)
}

// TestStatements: the statements of policies name one distribution.
func TestStatements(t *testing.T) {
	source := distribution.ARN(coretest.Account, "distribution", "E1")
	want := `{"Sid":"AllowE1","Effect":"Allow","Principal":{"Service":"cloudfront.amazonaws.com"},` +
		`"Action":"s3:GetObject","Resource":"arn:aws:s3:::bkt/*","Condition":{"StringEquals":{"AWS:SourceArn":"` +
		source + `"}}}`
	if got := distribution.BucketStatement("bkt", source); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
