package bucket

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"watertight/internal/core/change/coretest"
	"watertight/internal/core/change/record"
	"watertight/internal/core/lifecycle"
	"watertight/internal/core/tag"
	"watertight/internal/fault"
	"watertight/internal/storage/kv"
)

// wholeLifecycle is a configuration with every part.
func wholeLifecycle() lifecycle.Configuration {
	date := time.Date(1969, 12, 31, 0, 0, 0, 0, time.UTC)
	days := func(n int32) *int32 { return &n }
	return lifecycle.Configuration{MinimumSize: lifecycle.VariesByClass, Rules: []lifecycle.Rule{
		{
			ID: "all", Status: lifecycle.Enabled, Filter: &lifecycle.Filter{},
			Expiration:           &lifecycle.Expiration{Days: days(365)},
			Transitions:          []lifecycle.Transition{{Days: days(0), Class: "GLACIER_IR"}},
			NoncurrentExpiration: &lifecycle.NoncurrentExpiration{Days: days(90), Newer: days(3)},
			NoncurrentTransitions: []lifecycle.NoncurrentTransition{
				{Days: days(30), Newer: days(1), Class: "STANDARD_IA"},
			},
			Abort: &lifecycle.Abort{Days: days(7)},
		},
		{
			ID: "and", Status: lifecycle.Disabled, Filter: &lifecycle.Filter{And: &lifecycle.Predicates{
				Prefix: new(string), Tags: []tag.Tag{{Key: "k", Value: "v"}, {Key: "l"}},
				Greater: new(int64), Less: new(int64(1 << 40)),
			}},
			Expiration:  &lifecycle.Expiration{Date: &date},
			Transitions: []lifecycle.Transition{{Date: new(date.AddDate(-1, 0, 0)), Class: "GLACIER_IR"}},
		},
		{
			ID: "marker", Status: lifecycle.Enabled,
			Filter:     &lifecycle.Filter{Predicates: lifecycle.Predicates{Prefix: new("logs/")}},
			Expiration: &lifecycle.Expiration{ExpiredObjectDeleteMarker: new(true)},
		},
	}}
}

// TestLifecycleRecord: a configuration is decoded as it was encoded, also in the older form.
func TestLifecycleRecord(t *testing.T) {
	old := lifecycle.Configuration{Rules: []lifecycle.Rule{{
		ID: "old", Status: lifecycle.Enabled, Prefix: new(""),
		Expiration: &lifecycle.Expiration{ExpiredObjectDeleteMarker: new(false)},
	}}}
	for name, c := range map[string]lifecycle.Configuration{"whole": wholeLifecycle(), "older form": old} {
		t.Run(name, func(t *testing.T) {
			if err := c.Check(newRuleID); err != nil {
				t.Fatal(err)
			}
			got, err := decodeLifecycle(encodeLifecycle(c))
			if err != nil || !reflect.DeepEqual(got, c) {
				t.Errorf("%+v is decoded as %+v: %v", c, got, err)
			}
		})
	}
}

// FuzzLifecycleRecord: no record makes the decoder panic, and a decoded configuration survives
// encoding and decoding.
func FuzzLifecycleRecord(f *testing.F) {
	f.Add(encodeLifecycle(wholeLifecycle()))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeLifecycle(b)
		if err != nil {
			if !errors.Is(err, record.ErrMalformed) && !errors.Is(err, record.ErrUnknown) {
				t.Error(err)
			}
			return
		}
		if c.Check(newRuleID) != nil {
			return // no encoder makes this record
		}
		if again, err := decodeLifecycle(encodeLifecycle(c)); err != nil || !reflect.DeepEqual(again, c) {
			t.Errorf("%+v is decoded as %+v: %v", c, again, err)
		}
	})
}

// TestLifecycle: a configuration counts from the next request on, and so does its removal.
// Requests on a bucket without one read no record for it.
func TestLifecycle(t *testing.T) {
	s := open(t)
	s.make(t, coretest.Account, "box")
	g := grant(t, coretest.Account, "box", "s3:PutLifecycleConfiguration", "s3:GetLifecycleConfiguration")
	rules := func() (out *lifecycle.Rules) {
		err := s.store.View(t.Context(), func(r kv.Reader) error {
			b, err := Read(r, "box")
			if err == nil {
				out, err = s.Rules(r, &b)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	put := func(days int32) lifecycle.Configuration {
		c := lifecycle.Configuration{Rules: []lifecycle.Rule{{
			Status: lifecycle.Enabled, Filter: &lifecycle.Filter{}, Expiration: &lifecycle.Expiration{Days: &days},
		}}}
		if err := s.PutLifecycle(t.Context(), g, "box", c); err != nil {
			t.Fatal(err)
		}
		return c
	}
	if _, err := s.GetLifecycle(t.Context(), g, "box"); !fault.Is(err, fault.NoSuchLifecycleConfiguration) {
		t.Error(err)
	}
	if rules() != nil {
		t.Error("a bucket without a configuration has rules")
	}
	at := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, days := range []int32{1, 5} {
		put(days)
		c, err := s.GetLifecycle(t.Context(), g, "box")
		if err != nil || len(c.Rules[0].ID) != 48 || *c.Rules[0].Expiration.Days != days {
			t.Errorf("%+v, %v", c, err)
		}
		a := rules().Expiration(&lifecycle.Object{Key: "k", Created: at})
		if want := time.Date(2030, 1, 2+int(days), 0, 0, 0, 0, time.UTC); !a.At.Equal(want) || a.Rule != c.Rules[0].ID {
			t.Errorf("%+v, not %v", a, want)
		}
	}
	for range 2 {
		if err := s.DeleteLifecycle(t.Context(), g, "box"); err != nil || rules() != nil {
			t.Error(err)
		}
	}
}
